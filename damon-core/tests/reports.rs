//! Reporters in many threads, and a monitor that does not outlive them.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use allocation_counter::measure;
use damon_core::{
    Access, AddrRange, Attrs, Instant, Monitor, Next, Reporter, SourceSpec, Stats, TargetId, TargetSpec, Window,
};

const T: TargetId = TargetId::new(0);

fn monitor() -> Monitor {
    let mut monitor = Monitor::new(Attrs::default(), 1);
    let ranges = vec![AddrRange::new(0, 1 << 30).unwrap()];
    monitor.add_target(TargetSpec { ranges, ..TargetSpec::new(T) });
    monitor
}

fn window(monitor: &mut Monitor, now: &mut Instant) -> Stats {
    let Ok(Next::At(due)) = monitor.begin(*now, &mut ()) else { panic!("parked") };
    *now = due;
    let Ok(Window::Counted(stats) | Window::Aggregated(stats)) = monitor.end(due, &mut ()) else { panic!("early") };
    stats
}

/// Eight threads report until told to stop, two of them through one reporter that they share; `meanwhile` has the monitor. Gives
/// how many reports there were.
fn storm(reporter: &Reporter, meanwhile: impl FnOnce()) -> u64 {
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let shared = reporter.clone();
    thread::scope(|s| {
        for thread in 0..8 {
            let (own, shared, stop, sent) = (reporter.clone(), &shared, &stop, &sent);
            s.spawn(move || {
                let reporter = if thread < 2 { shared } else { &own };
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    reporter.report_access(Access::new(T, n << 12 & 0x3fff_ffff, 64));
                    n += 1;
                }
                sent.fetch_add(n, Ordering::Relaxed);
            });
        }
        meanwhile();
        stop.store(true, Ordering::Relaxed);
    });
    sent.into_inner()
}

#[test]
fn of_eight_threads_each_report_is_taken_or_counted_as_lost() {
    let mut m = monitor();
    let reporter = m.add_source(SourceSpec { capacity: 1 << 12, ..SourceSpec::new("storm") });
    let (mut now, mut told) = (Instant::ZERO, 0);
    let mut drain = |m: &mut Monitor| {
        let stats = window(m, &mut now);
        told += stats.reports + stats.reports_lost;
    };
    let sent = storm(&reporter, || {
        while m.sources()[1].counts().received < 200_000 {
            drain(&mut m);
        }
    });
    drain(&mut m);
    assert_eq!((sent, reporter.pending()), (told, 0));
}

#[test]
fn of_eight_threads_that_report_to_a_dying_monitor_each_report_is_taken_lost_or_pending() {
    for dies_after in 0..6 {
        let mut m = monitor();
        let reporter = m.add_source(SourceSpec { capacity: 1 << 12, ..SourceSpec::new("storm") });
        let (mut now, mut told) = (Instant::ZERO, 0);
        let sent = storm(&reporter, || {
            for _ in 0..dies_after {
                let stats = window(&mut m, &mut now);
                told += stats.reports + stats.reports_lost;
            }
            drop(m);
            while reporter.pending() < 1_000 {
                thread::yield_now();
            }
        });
        assert!(!reporter.is_connected());
        assert_eq!(sent, told + reporter.pending(), "the monitor died after {dies_after} windows");
    }
}

#[test]
fn a_reporter_outlives_its_monitor_and_says_that_nobody_listens() {
    let reporter = monitor().add_source(SourceSpec::new("orphan"));
    let clone = reporter.clone();
    assert!(!clone.is_connected() && !clone.report_access(Access::new(T, 0, 8)));
    drop(reporter);
    assert_eq!(clone.pending(), 1);
}

#[test]
fn to_report_allocates_nothing_also_where_there_is_no_room() {
    let mut m = monitor();
    let reporter = m.add_source(SourceSpec { capacity: 1 << 10, ..SourceSpec::new("a") });
    let mut taken = 0;
    let allocations = measure(|| {
        taken = (0..5_000).filter(|i| reporter.report_access(Access::new(T, i << 12, 64))).count();
    });
    assert_eq!((allocations.count_total, taken), (0, 1 << 10));
}
