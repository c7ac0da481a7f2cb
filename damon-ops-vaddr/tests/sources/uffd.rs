//! Minor faults of a memfd.

use std::io::IoSliceMut;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant as Wall};

use damon_core::{AddrRange, Attrs, Instant, Monitor, Reporter, SourceSpec, TargetId, TargetSpec};
use damon_ops_vaddr::source::uffd::{UffdError, UffdSource, UffdSpec};
use damon_ops_vaddr::{Own, SharedMap};
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::getpid;

const PAGE: usize = 4096;
const ID: TargetId = TargetId::new(2);

/// Memory whose pages hold their numbers, and a monitor of it.
fn memory(pages: usize) -> (Arc<SharedMap>, Monitor, Reporter) {
    let map = Arc::new(SharedMap::new("guest", pages * PAGE).unwrap());
    (0..pages).for_each(|page| word(&map, page).store(page as u64, Relaxed));
    let mut monitor = Monitor::new(Attrs::default(), 1);
    monitor.add_target(TargetSpec { ranges: vec![map.range()], ..TargetSpec::new(ID) });
    let reporter = monitor.add_source(SourceSpec::new("minor faults"));
    (map, monitor, reporter)
}

fn word(map: &SharedMap, page: usize) -> &std::sync::atomic::AtomicU64 {
    &map.atomics()[page * PAGE / 8]
}

fn unprivileged() -> UffdSpec {
    UffdSpec { user_mode_only: true, ..UffdSpec::new(ID) }
}

/// Waits until the source has counted so many: it answers first.
fn faults(source: &UffdSource, n: u64) {
    let deadline = Wall::now() + Duration::from_secs(10);
    while source.stats().faults < n {
        assert!(Wall::now() < deadline, "{:?}", source.stats());
        thread::yield_now();
    }
}

#[test]
fn each_first_touch_after_rearming_is_reported_and_content_stays() {
    let (map, mut monitor, reporter) = memory(64);
    let source = UffdSource::start(&map, &unprivileged(), reporter).unwrap();
    assert_eq!(word(&map, 9).load(Relaxed), 9, "what is mapped does not fault");
    source.rearm(map.range()).unwrap();
    let _ = monitor.begin(Instant::ZERO, &mut ());
    for page in [9, 10, 9, 63] {
        assert_eq!(word(&map, page).load(Relaxed), page as u64);
    }
    word(&map, 20).store(7, Relaxed);
    faults(&source, 4);
    let _ = monitor.end(Instant::ZERO + Duration::from_millis(5), &mut ());
    let counts = monitor.sources()[1].counts();
    let stats = source.stats();
    assert_eq!((counts.taken(), counts.lost, stats.faults, stats.writes, stats.refused), (4, 0, 4, 1, 0));

    // Part of it only.
    let start = map.range().start();
    source.rearm(AddrRange::new(start + 20 * PAGE as u64 + 5, start + 21 * PAGE as u64).unwrap()).unwrap();
    assert_eq!((word(&map, 9).load(Relaxed), word(&map, 20).load(Relaxed)), (9, 7));
    faults(&source, 5);
    drop(source);
    (0..64).filter(|&page| page != 20).for_each(|page| assert_eq!(word(&map, page).load(Relaxed), page as u64));
}

#[test]
fn threads_at_one_page_all_go_on_and_none_waits_for_a_monitor_that_is_gone() {
    let (map, monitor, reporter) = memory(256);
    let source = UffdSource::start(&map, &unprivileged(), reporter).unwrap();
    drop(monitor);
    for _ in 0..20 {
        source.rearm(map.range()).unwrap();
        thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| (0..256).for_each(|page| assert_eq!(word(&map, page).load(Relaxed), page as u64)));
            }
        });
    }
    faults(&source, 20 * 256);
    let stats = source.stats();
    assert_eq!((stats.faults, stats.refused), (20 * 256, 20 * 256), "{stats:?}");
}

#[test]
fn dropping_it_amid_faults_lets_everybody_go_on() {
    for _ in 0..20 {
        let (map, _monitor, reporter) = memory(2_000);
        let source = UffdSource::start(&map, &unprivileged(), reporter).unwrap();
        source.rearm(map.range()).unwrap();
        thread::scope(|s| {
            let touching = s.spawn(|| (0..2_000).map(|page| word(&map, page).load(Relaxed)).sum::<u64>());
            faults(&source, 10);
            drop(source);
            assert_eq!(touching.join().unwrap(), 1_999 * 2_000 / 2);
        });
    }
}

/// The kernel reads our memory by its address, as it does for a virtual machine monitor's system calls.
fn read_by_system_call(map: &SharedMap, page: usize) -> nix::Result<u64> {
    let mut read = [0; 8];
    let base = map.range().start() as usize + page * PAGE;
    process_vm_readv(getpid(), &mut [IoSliceMut::new(&mut read)], &[RemoteIoVec { base, len: 8 }])?;
    Ok(u64::from_ne_bytes(read))
}

#[test]
fn a_system_call_that_touches_the_memory_waits_as_a_thread_does() {
    let (map, mut monitor, reporter) = memory(64);
    let source = match UffdSource::start(&map, &UffdSpec::new(ID), reporter) {
        Ok(source) => source,
        Err(e @ UffdError::Forbidden { .. }) => {
            let text = e.to_string();
            assert!(text.contains("CAP_SYS_PTRACE") && text.contains("user_mode_only"), "{text}");
            eprintln!("SKIPPED: {text}");
            return;
        }
        Err(e) => panic!("{e}"),
    };
    source.rearm(map.range()).unwrap();
    assert_eq!(read_by_system_call(&map, 5), Ok(5));
    faults(&source, 1);
    drop(source);

    let source = UffdSource::start(&map, &unprivileged(), monitor.add_source(SourceSpec::new("user mode"))).unwrap();
    source.rearm(map.range()).unwrap();
    assert_eq!(read_by_system_call(&map, 6), Err(Errno::EFAULT), "as the option's documentation says");
}

#[test]
fn memory_that_is_watched_otherwise_and_ranges_outside_are_refused() {
    let (map, mut monitor, reporter) = memory(64);
    let source = UffdSource::start(&map, &unprivileged(), reporter).unwrap();
    let e = source.rearm(AddrRange::new(map.range().start(), map.range().end() + 1).unwrap()).unwrap_err();
    assert!(e.to_string().ends_with("is not within guest"), "{e}");
    let again = UffdSource::start(&map, &unprivileged(), monitor.add_source(SourceSpec::new("again")));
    assert!(matches!(again, Err(UffdError::Taken { .. })), "{again:?}");
    drop(source);

    let Ok(mut own) = Own::new(ID) else {
        eprintln!("SKIPPED in part: nothing watches one's own memory here");
        return;
    };
    own.watch_shared(&map).unwrap();
    match UffdSource::start(&map, &unprivileged(), monitor.add_source(SourceSpec::new("beside"))) {
        Err(UffdError::Taken { name, .. }) => assert_eq!(name, "guest"),
        Ok(_) => eprintln!("SKIPPED in part: one's own memory is watched without userfaultfd here"),
        Err(e) => panic!("{e}"),
    }
}
