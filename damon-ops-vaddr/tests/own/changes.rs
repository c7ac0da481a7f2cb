//! Memory that is unmapped, moved or replaced while it is watched: unknown, never wrong, and found again.

use damon_core::{AddrRange, Ops, Seen, Sees};
use damon_ops_vaddr::{Method, Own};

use crate::raw;
use crate::support::{PAGE, TARGET, check, own_with, samples, spans};

const PAGES: u64 = 64;

/// Private memory mapped by hand and watched where it is found.
fn found(method: Method) -> Option<(Own, AddrRange)> {
    let mut own = own_with(method)?;
    let range = raw::map(None, PAGES * PAGE, raw::PRIVATE, None).unwrap();
    (0..PAGES).for_each(|n| raw::write(range.start() + n * PAGE, n));
    own.watch_found().unwrap();
    Some((own, range))
}

fn is_watched(own: &mut Own, addr: u64) -> bool {
    spans(own).iter().any(|s| s.range.contains(addr) && s.sees != Sees::Nothing)
}

const PRIVATE: [Method; 2] = [Method::WpAsync, Method::RwpAsync];

#[test]
fn memory_unmapped_within_a_window_is_unknown_and_gone_at_the_next_update() {
    for method in PRIVATE {
        let Some((mut own, range)) = found(method) else { continue };
        let mut window = samples([range.start(), range.start() + 9 * PAGE]);
        own.arm(&window).unwrap();
        raw::unmap(range);
        check(&mut own, &mut window);
        assert!(window.iter().all(|s| s.seen == Seen::Unknown), "{method}: {window:?}");
        assert!(!is_watched(&mut own, range.start()));
        own.arm(&window).unwrap();
        check(&mut own, &mut window);
        assert!(window.iter().all(|s| s.seen == Seen::Unknown), "{method}: {window:?}");
    }
}

#[test]
fn memory_that_moved_is_unknown_where_it_was_and_watched_where_it_is() {
    for method in PRIVATE {
        let Some((mut own, range)) = found(method) else { continue };
        let mut window = samples([range.start() + PAGE]);
        own.arm(&window).unwrap();
        let moved = raw::remap(range);
        check(&mut own, &mut window);
        assert_eq!(window[0].seen, Seen::Unknown, "{method}");

        assert!(is_watched(&mut own, moved.start()) && !is_watched(&mut own, range.start()), "{method}");
        let mut window = samples([moved.start() + PAGE, moved.start() + 2 * PAGE]);
        own.arm(&window).unwrap();
        raw::write(moved.start() + 2 * PAGE, 1);
        check(&mut own, &mut window);
        assert_eq!((window[0].seen, window[1].seen.is_access()), (Seen::Idle, true), "{method}");
        assert_eq!(raw::read(moved.start() + PAGE), 1);
        raw::unmap(moved);
    }
}

#[test]
fn memory_that_was_replaced_is_unknown_until_the_next_update() {
    for method in PRIVATE {
        let Some((mut own, range)) = found(method) else { continue };
        let mut window = samples([range.start(), range.start() + 3 * PAGE]);
        // The kernel shows the same line of `maps` before and after.
        raw::map(Some(range.start()), range.size(), raw::PRIVATE, None).unwrap();
        (0..PAGES).for_each(|n| raw::write(range.start() + n * PAGE, n));
        own.arm(&window).unwrap();
        raw::write(range.start(), 1);
        check(&mut own, &mut window);
        assert!(window.iter().all(|s| s.seen == Seen::Unknown), "{method}: {window:?}");
        spans(&mut own);
        spans(&mut own);
        own.arm(&window).unwrap();
        raw::write(range.start(), 2);
        check(&mut own, &mut window);
        assert_eq!((window[0].seen.is_access(), window[1].seen), (true, Seen::Idle), "{method}");
        raw::unmap(range);
    }
}

#[test]
fn memory_that_was_mapped_later_is_found_at_the_next_update() {
    for method in PRIVATE {
        let Some((mut own, range)) = found(method) else { continue };
        let later = raw::map(None, 1 << 20, raw::PRIVATE, None).unwrap();
        let mut window = samples([later.start()]);
        assert!(is_watched(&mut own, later.start()), "{method}");
        own.arm(&window).unwrap();
        raw::write(later.start(), 1);
        check(&mut own, &mut window);
        assert!(window[0].seen.is_access(), "{method}");
        raw::unmap(range);
        raw::unmap(later);
    }
}

#[test]
fn shared_memory_that_is_found_is_not_watched() {
    let Some(mut own) = own_with(Method::WpAsync) else { return };
    let range = raw::map(None, PAGES * PAGE, raw::SHARED_ANONYMOUS, None).unwrap();
    own.watch_found().unwrap();
    assert!(spans(&mut own).iter().all(|s| s.range.intersection(range).is_none()));
    raw::unmap(range);
}

#[test]
fn after_its_guard_memory_is_its_owners_alone() {
    for method in [Method::ZapTracked, Method::Zap] {
        let Some(mut own) = own_with(method) else { continue };
        let range = raw::map(None, PAGES * PAGE, raw::SHARED_ANONYMOUS, None).unwrap();
        let guard = raw::watch(&mut own, range).unwrap();
        let mut window = samples([range.start()]);
        own.arm(&window).unwrap();
        drop(guard);
        // Private now: zapping it would lose what is written.
        raw::map(Some(range.start()), range.size(), raw::PRIVATE, None).unwrap();
        raw::write(range.start(), 42);
        own.arm(&window).unwrap();
        check(&mut own, &mut window);
        assert_eq!((window[0].seen, raw::read(range.start())), (Seen::Unknown, 42), "{method}");
        assert!(spans(&mut own).is_empty(), "{method}");
        raw::unmap(range);
    }
}

#[test]
fn a_shared_map_stays_mapped_until_it_is_no_longer_watched() {
    let Some(mut own) = own_with(Method::ZapTracked) else { return };
    let map = std::sync::Arc::new(damon_ops_vaddr::SharedMap::new("kept", 4096).unwrap());
    let range = map.range();
    own.watch_shared(&map).unwrap();
    drop(map);
    assert_eq!(spans(&mut own).len(), 1);
    assert_eq!(own.name_of(range.start()), Some("/memfd:kept (deleted)"));
    assert!(own.unwatch(range) && !own.unwatch(range));
    assert!(spans(&mut own).is_empty() && own.name_of(range.start()).is_none());
}

#[test]
fn partial_pages_are_watched_whole() {
    let Some(mut own) = own_with(Method::WpAsync) else { return };
    let range = raw::map(None, 4 * PAGE, raw::PRIVATE, None).unwrap();
    own.watch_private(AddrRange::new(range.start() + PAGE + 8, range.start() + 2 * PAGE + 1).unwrap()).unwrap();
    let span = spans(&mut own)[0];
    assert_eq!(span.range, AddrRange::new(range.start() + PAGE, range.start() + 3 * PAGE).unwrap());
    // Two samples in one page, as a granule below the page size gives.
    let mut window = samples([range.start() + PAGE, range.start() + PAGE + 64]);
    own.arm(&window).unwrap();
    raw::write(range.start() + PAGE + 128, 1);
    check(&mut own, &mut window);
    assert!(window.iter().all(|s| s.seen == Seen::Written && s.extent.bytes() == PAGE), "{window:?}");
    raw::unmap(range);
    let mut out = Vec::new();
    own.ranges(damon_core::TargetId::new(TARGET.get() + 1), &mut out).unwrap();
    assert!(out.is_empty());
}
