//! Signal handlers that report amid the reports of the thread that they interrupt: none is lost unless counted, nothing waits
//! and nothing is allocated.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

#[path = "../own/raw.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod raw;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use damon_core::{
    Access, AddrRange, Attrs, Instant, Monitor, Next, Reporter, SourceSpec, TargetId, TargetSpec, Window,
};

const T: TargetId = TargetId::new(0);
const FIRST: i32 = libc::SIGUSR1;
const SECOND: i32 = libc::SIGUSR2;

static REPORTER: OnceLock<Reporter> = OnceLock::new();
/// The thread of the storm is inside a report.
static INSIDE: AtomicBool = AtomicBool::new(false);
static HANDLED: AtomicU64 = AtomicU64::new(0);
static INTERRUPTED: AtomicU64 = AtomicU64::new(0);
/// A handler that was interrupted by another one.
static NESTED: AtomicU64 = AtomicU64::new(0);
static DEPTH: AtomicU64 = AtomicU64::new(0);

/// Reports five times through the reporter that it may have interrupted, the first signal's amid these interrupted once more.
extern "C" fn handler(signal: i32) {
    let depth = DEPTH.fetch_add(1, Ordering::Relaxed);
    NESTED.fetch_add(u64::from(depth > 0), Ordering::Relaxed);
    INTERRUPTED.fetch_add(u64::from(INSIDE.load(Ordering::Relaxed)), Ordering::Relaxed);
    if let Some(reporter) = REPORTER.get() {
        for i in 0..5 {
            reporter.report_access(Access::new(T, i << 20, 64));
            if i == 2 && signal == FIRST {
                raw::Thread::this().signal(SECOND);
            }
        }
        HANDLED.fetch_add(5, Ordering::Relaxed);
    }
    DEPTH.fetch_sub(1, Ordering::Relaxed);
}

#[test]
fn handlers_that_interrupt_reports_lose_and_allocate_nothing_uncounted() {
    let mut m = Monitor::new(Attrs::default(), 1);
    let ranges = vec![AddrRange::new(0, 1 << 30).unwrap()];
    m.add_target(TargetSpec { ranges, ..TargetSpec::new(T) });
    let reporter = m.add_source(SourceSpec::new("storm"));
    REPORTER.set(reporter).unwrap();
    let reporter = REPORTER.get().unwrap();
    for signal in [FIRST, SECOND] {
        raw::handle(signal, handler).unwrap();
    }

    let [stop, stop_signals] = [const { AtomicBool::new(false) }; 2];
    let (thread_sent, thread_ready) = std::sync::mpsc::channel();
    let (sent, allocated) = thread::scope(|s| {
        let (stop, stop_signals) = (&stop, &stop_signals);
        let storm = s.spawn(move || {
            thread_sent.send(raw::Thread::this()).unwrap();
            let mut sent = 0;
            let allocations = allocation_counter::measure(|| {
                while !stop.load(Ordering::Relaxed) {
                    INSIDE.store(true, Ordering::Relaxed);
                    reporter.report_access(Access::new(T, sent << 12 & 0x3fff_ffff, 64));
                    INSIDE.store(false, Ordering::Relaxed);
                    sent += 1;
                }
            });
            // Signals that are pending are delivered with this system call; none is sent any more.
            thread::sleep(Duration::from_millis(1));
            (sent, allocations.count_total)
        });
        let storming = thread_ready.recv().unwrap();
        let mut now = Instant::ZERO;
        let mut drain = |m: &mut Monitor| {
            let Ok(Next::At(due)) = m.begin(now, &mut ()) else { panic!("parked") };
            now = due;
            assert!(matches!(m.end(due, &mut ()), Ok(Window::Counted(_) | Window::Aggregated(_))));
        };
        let signals = s.spawn(move || {
            while !stop_signals.load(Ordering::Relaxed) {
                storming.signal(FIRST);
                storming.signal(SECOND);
            }
        });
        while INTERRUPTED.load(Ordering::Relaxed) < 1_000 || m.sources()[1].counts().received < 2_000_000 {
            drain(&mut m);
        }
        // The storm ends last, for it must be there to be sent signals.
        stop_signals.store(true, Ordering::Relaxed);
        signals.join().unwrap();
        stop.store(true, Ordering::Relaxed);
        let outcome = storm.join().unwrap();
        drain(&mut m);
        outcome
    });

    let counts = m.sources()[1].counts();
    println!(
        "{sent} reports, {} by handlers ({} in reports, {} in handlers), {counts:?}",
        HANDLED.load(Ordering::Relaxed),
        INTERRUPTED.load(Ordering::Relaxed),
        NESTED.load(Ordering::Relaxed)
    );
    assert_eq!(sent + HANDLED.load(Ordering::Relaxed), counts.received + counts.lost);
    assert_eq!((reporter.pending(), allocated), (0, 0));
    assert!(NESTED.load(Ordering::Relaxed) > 0);
}
