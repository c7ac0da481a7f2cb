//! Transparent huge pages: observed whole, and split only when asked to.

use damon_core::{AddrRange, Extent, Ops, Seen};
use damon_ops_vaddr::{HugePages, Method, Own};

use crate::raw;
use crate::support::{PAGE, check, lacks, own_of, samples};

const HUGE: u64 = 2 << 20;

/// Two blocks of memory mapped with `flags`, the first one a huge page.
fn huge(flags: i32) -> Option<(AddrRange, AddrRange)> {
    let all = raw::map(None, 4 * HUGE, flags, None).unwrap();
    let start = all.start().next_multiple_of(HUGE);
    let block = AddrRange::from_len(start, HUGE).unwrap();
    (0..1024).for_each(|n| raw::write(start + n * PAGE, n));
    match raw::collapse(block) {
        Ok(()) if mapped_huge(block) => Some((all, block)),
        r => {
            lacks(&format!("huge pages here ({r:?})"));
            raw::unmap(all);
            None
        }
    }
}

/// Is the block mapped as a huge page, as `smaps` has it?
fn mapped_huge(block: AddrRange) -> bool {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    smaps.lines().any(|line| {
        if let Some((start, end)) = line.split(' ').next().and_then(|r| r.split_once('-')) {
            let hex = |s| u64::from_str_radix(s, 16).unwrap_or(0);
            inside = hex(start) <= block.start() && block.end() <= hex(end);
        }
        let huge = ["AnonHugePages:", "ShmemPmdMapped:"].iter().any(|key| line.starts_with(key));
        inside && huge && !line.ends_with(" 0 kB")
    })
}

fn intact(block: AddrRange, written: &[u64]) {
    for n in (0..512).filter(|n| !written.contains(n)) {
        assert_eq!(raw::read(block.start() + n * PAGE), n);
    }
}

fn window(own: &mut Own, block: AddrRange, touch: impl Fn()) -> Vec<(Seen, u64)> {
    let mut window = samples([block.start() + 5 * PAGE, block.start() + 100 * PAGE, block.end() + PAGE]);
    own.arm(&window).unwrap();
    touch();
    check(own, &mut window);
    window.iter().map(|s| (s.seen, s.extent.bytes())).collect()
}

#[test]
fn a_huge_page_is_left_whole_where_watching_would_split_it() {
    let Some(mut own) = own_of(&[Method::WpAsync], HugePages::Keep) else { return };
    let Some((all, block)) = huge(raw::PRIVATE) else { return };
    own.watch_private(all).unwrap();
    let seen = window(&mut own, block, || raw::write(block.start() + 5 * PAGE, 0));
    assert_eq!(seen, [(Seen::Unknown, HUGE), (Seen::Unknown, HUGE), (Seen::Idle, PAGE)]);
    assert!(mapped_huge(block));
    intact(block, &[5]);
    raw::unmap(all);
}

#[test]
fn a_huge_page_is_watched_whole_until_its_first_write_when_asked_to() {
    let Some(mut own) = own_of(&[Method::WpAsync], HugePages::Split) else { return };
    let Some((all, block)) = huge(raw::PRIVATE) else { return };
    own.watch_private(all).unwrap();
    for _ in 0..3 {
        let seen = window(&mut own, block, || assert_eq!(raw::read(block.start() + 5 * PAGE), 5));
        assert_eq!(seen, [(Seen::Idle, HUGE), (Seen::Idle, HUGE), (Seen::Idle, PAGE)]);
        assert!(mapped_huge(block));
    }
    let seen = window(&mut own, block, || raw::write(block.start() + 5 * PAGE, 0));
    assert_eq!(seen, [(Seen::Written, PAGE), (Seen::Idle, PAGE), (Seen::Idle, PAGE)]);
    intact(block, &[5]);
    raw::unmap(all);
}

#[test]
fn a_huge_page_shows_accesses_anywhere_in_it_and_stays_whole() {
    for (method, flags) in [
        (Method::RwpAsync, raw::PRIVATE),
        (Method::ZapTracked, raw::SHARED_ANONYMOUS),
        (Method::Zap, raw::SHARED_ANONYMOUS),
    ] {
        let Some(mut own) = own_of(&[method], HugePages::Keep) else { continue };
        let Some((all, block)) = huge(flags) else { continue };
        let guard = if method.is_for_shared() {
            Some(raw::watch(&mut own, all).unwrap())
        } else {
            own.watch_private(all).unwrap();
            None
        };
        let whole = mapped_huge(block);
        for _ in 0..3 {
            let seen = window(&mut own, block, || {});
            assert!(seen.iter().all(|s| s.0 == Seen::Idle || method == Method::Zap), "{method} {seen:?}");
            let seen = window(&mut own, block, || raw::write(block.start() + 300 * PAGE, 0));
            if method != Method::Zap {
                assert_eq!(seen[..2], [(Seen::Accessed, HUGE); 2], "{method}");
                assert_eq!(mapped_huge(block), whole, "{method}");
            }
            assert!(seen[2].0 != Seen::Unknown);
        }
        intact(block, &[300]);
        drop(guard);
        raw::unmap(all);
    }
}

#[test]
fn memory_that_has_no_pages_yet_may_still_get_huge_ones() {
    for method in [Method::WpAsync, Method::RwpAsync] {
        let Some(mut own) = own_of(&[method], HugePages::Keep) else { continue };
        let map = damon_ops_vaddr::PrivateMap::new(4 * HUGE as usize).unwrap();
        if map.advise_huge(true).is_err() {
            lacks("transparent huge pages");
            continue;
        }
        own.watch_private(map.range()).unwrap();
        let block = AddrRange::from_len(map.range().start().next_multiple_of(HUGE), HUGE).unwrap();
        let mut one = samples([Extent::of(PAGE).start(block.start() + 7 * PAGE)]);
        own.arm(&one).unwrap();
        let word = ((block.start() - map.range().start()) / 8) as usize;
        map.atomics()[word].store(1, std::sync::atomic::Ordering::Relaxed);
        check(&mut own, &mut one);
        if mapped_huge(block) {
            // Write protection cannot watch it without splitting it, and does not say whether it was there before.
            let seen = if method == Method::WpAsync { Seen::Unknown } else { Seen::Accessed };
            assert_eq!((one[0].seen, one[0].extent.bytes()), (seen, HUGE), "{method}");
        } else {
            lacks("a huge page at the first access");
        }
    }
}
