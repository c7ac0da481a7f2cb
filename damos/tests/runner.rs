//! The worker thread, on the real clock.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{Fake, FakeError, MS, SIZE, context};
use damon_core::AttrsSpec;
use damos::Kdamond;
use damos::context::{Budget, StepError};
use damos::runner::{StopError, WorkerGone};

const LONG: Duration = Duration::from_secs(20);

/// Windows of a millisecond, ten to an aggregation.
fn quick() -> AttrsSpec {
    AttrsSpec { sampling: MS, aggregation: 10 * MS, ..Default::default() }
}

/// Windows that do not end while a test runs.
fn slow() -> AttrsSpec {
    let hour = Duration::from_secs(3_600);
    AttrsSpec { sampling: hour, aggregation: hour, ..Default::default() }
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LONG, "waited for {what}");
        thread::sleep(MS);
    }
}

#[test]
fn it_monitors_and_hands_out_finished_aggregations() {
    let seen = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&seen);
    let kdamond = Kdamond::spawn_with(context(quick(), &Fake::new()), move |c| {
        assert_eq!(thread::current().name().map(|n| n.starts_with("kdamond.")), Some(true));
        count.store(c.health().aggregations, Ordering::SeqCst);
    })
    .unwrap();
    wait_for("aggregations", || seen.load(Ordering::SeqCst) >= 3);
    let snapshot = kdamond.latest().unwrap();
    assert_eq!(snapshot.samples_per_aggregation, 10);
    assert_eq!(snapshot.targets[0].regions.iter().map(|r| r.range.size()).sum::<u64>(), SIZE);
    wait_for("a later snapshot", || kdamond.latest().is_some_and(|s| s.at > snapshot.at));
    let context = kdamond.stop().unwrap();
    assert!(context.health().windows >= 40 && !context.health().cpu.is_zero(), "{:?}", context.health());
}

#[test]
fn a_closure_runs_in_the_worker_at_once_however_long_the_window() {
    let kdamond = Kdamond::spawn(context(slow(), &Fake::new())).unwrap();
    let start = Instant::now();
    let name = kdamond.with(|_| thread::current().name().map(str::to_owned)).unwrap().unwrap();
    assert_eq!(Some(name.as_str()), kdamond.thread().and_then(|t| t.name()));
    kdamond.stop().unwrap();
    assert!(start.elapsed() < LONG);
}

#[test]
fn a_panic_in_a_closure_reaches_the_caller_and_the_worker_lives_on() {
    let kdamond = Kdamond::spawn(context(quick(), &Fake::new())).unwrap();
    let caught = thread::scope(|s| s.spawn(|| kdamond.with(|_| -> u32 { panic!("mine") })).join());
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"mine"));
    let windows = kdamond.with(|c| c.health().windows).unwrap();
    wait_for("more windows", || kdamond.with(|c| c.health().windows).unwrap() > windows);
}

#[test]
fn a_backend_error_ends_it_and_arrives_typed_with_the_context() {
    let fake = Fake::new();
    let kdamond = Kdamond::spawn(context(quick(), &fake)).unwrap();
    fake.state().broken = true;
    wait_for("the end", || kdamond.is_finished());
    let gone = kdamond.with(|_| ()).unwrap_err();
    let WorkerGone::Failed(error) = gone else { panic!("{gone:?}") };
    assert!(matches!(*error, StepError::Ops(FakeError::Broken)));

    let Err(StopError::Failed { context, error }) = kdamond.stop() else { panic!("no error") };
    assert!(matches!(*error, StepError::Ops(FakeError::Broken)));
    fake.state().broken = false;
    let kdamond = Kdamond::spawn(*context).unwrap();
    wait_for("windows of another worker", || kdamond.with(|c| c.health().windows).unwrap() > 3);
}

#[test]
fn transient_errors_do_not_end_it() {
    let fake = Fake::new();
    let kdamond = Kdamond::spawn(context(quick(), &fake)).unwrap();
    fake.state().busy_arms = 3;
    fake.state().busy_checks = 3;
    wait_for("retries and windows after them", || {
        kdamond.with(|c| c.health().retries >= 6 && c.health().windows > 3).unwrap()
    });
    kdamond.stop().unwrap();
}

#[test]
fn a_panic_of_the_backend_ends_it_and_goes_on_at_stop() {
    let fake = Fake::new();
    let kdamond = Kdamond::spawn(context(quick(), &fake)).unwrap();
    fake.state().panics = true;
    wait_for("the end", || kdamond.is_finished());
    assert!(matches!(kdamond.with(|_| ()), Err(WorkerGone::Panicked)));
    let panic = thread::spawn(move || kdamond.stop().map(drop)).join().unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the backend panics"));
}

#[test]
fn paused_it_stands_still_and_still_answers() {
    let kdamond = Kdamond::spawn(context(quick(), &Fake::new())).unwrap();
    wait_for("windows", || kdamond.with(|c| c.health().windows).unwrap() > 3);
    kdamond.pause().unwrap();
    let windows = kdamond.with(|c| c.health().windows).unwrap();
    thread::sleep(30 * MS);
    assert_eq!(kdamond.with(|c| c.health().windows).unwrap(), windows);
    kdamond.resume().unwrap();
    wait_for("more windows", || kdamond.with(|c| c.health().windows).unwrap() > windows);
    kdamond.pause().unwrap();
    assert!(kdamond.stop().unwrap().monitor().is_paused());
}

#[test]
fn the_latest_snapshot_does_not_wait_for_a_closure_that_runs() {
    let kdamond = Kdamond::spawn(context(quick(), &Fake::new())).unwrap();
    wait_for("a snapshot", || kdamond.latest().is_some());
    let (started, running) = mpsc::channel();
    let (release, released) = mpsc::channel();
    thread::scope(|s| {
        s.spawn(|| {
            kdamond.with(move |_| {
                started.send(()).unwrap();
                released.recv_timeout(LONG)
            })
        });
        running.recv_timeout(LONG).unwrap();
        assert!(kdamond.latest().is_some());
        // Longer than a window, so that one ends while the closure runs.
        thread::sleep(30 * MS);
        release.send(()).unwrap();
    });
    assert!(kdamond.stop().unwrap().health().late_windows >= 1, "the window that it held up");
}

#[test]
fn many_threads_can_ask_at_once() {
    let kdamond = Kdamond::spawn(context(quick(), &Fake::new())).unwrap();
    let calls = Arc::new(AtomicU64::new(0));
    thread::scope(|s| {
        for _ in 0..8 {
            s.spawn(|| {
                for n in 0..100 {
                    let calls = Arc::clone(&calls);
                    let got = kdamond.with(move |_| (calls.fetch_add(1, Ordering::SeqCst), n).1).unwrap();
                    assert_eq!(got, n);
                }
            });
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 800);
}

#[test]
fn neither_commands_nor_windows_are_starved() {
    let us = Duration::from_micros(1);
    let spec = AttrsSpec { sampling: us, aggregation: 10 * us, ..Default::default() };
    let kdamond = Kdamond::spawn(context(spec, &Fake::new())).unwrap();
    let start = Instant::now();
    for _ in 0..100 {
        kdamond.with(|_| ()).unwrap();
    }
    assert!(start.elapsed() < LONG, "windows without a pause");

    let windows = kdamond.with(|c| c.health().windows).unwrap();
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..200).for_each(|_| kdamond.with(|_| ()).unwrap()));
        }
    });
    assert!(kdamond.with(|c| c.health().windows).unwrap() > windows, "commands without a pause");
}

#[test]
fn what_would_wait_for_itself_is_an_error() {
    let own: Arc<OnceLock<Kdamond<Fake>>> = Arc::default();
    let (result, results) = mpsc::channel();
    let inside = Arc::downgrade(&own);
    let kdamond = Kdamond::spawn_with(context(quick(), &Fake::new()), move |_| {
        if let Some(kdamond) = inside.upgrade().as_ref().and_then(|own| own.get()) {
            let _ = result.send(matches!(kdamond.with(|_| ()), Err(WorkerGone::OwnThread)));
        }
    })
    .unwrap();
    own.set(kdamond).unwrap();
    assert!(results.recv_timeout(LONG).unwrap());
}

#[test]
fn dropped_on_its_own_thread_it_ends_without_waiting_for_itself() {
    let fake = Fake::new();
    let (give, given) = mpsc::channel::<Kdamond<Fake>>();
    let kdamond = Kdamond::spawn_with(context(quick(), &fake), move |_| drop(given.try_recv())).unwrap();
    give.send(kdamond).unwrap();
    wait_for("the end", || fake.is_alone());
}

#[test]
fn dropping_it_joins_and_no_thread_is_left() {
    let fake = Fake::new();
    for _ in 0..20 {
        let kdamond = Kdamond::spawn(context(quick(), &fake)).unwrap();
        kdamond.with(|_| ()).unwrap();
        let name = kdamond.thread().and_then(|t| t.name()).unwrap().to_owned();
        drop(kdamond);
        assert!(fake.is_alone(), "the worker has its context no more");
        assert!(!threads().contains(&name), "{name}");
    }
}

#[test]
fn time_spent_in_closures_is_not_charged_to_monitoring() {
    let kdamond = Kdamond::spawn(context(quick(), &Fake::new())).unwrap();
    let spin = || {
        let start = damos::clock::thread_cpu_time();
        while damos::clock::thread_cpu_time() - start < 100 * MS {}
    };
    let before = kdamond.with(|c| c.health().cpu).unwrap();
    kdamond.with(move |_| spin()).unwrap();
    let windows = kdamond.with(|c| c.health().windows).unwrap();
    wait_for("a window after it", || kdamond.with(|c| c.health().windows).unwrap() > windows + 1);
    let used = kdamond.with(|c| c.health().cpu).unwrap() - before;
    assert!(used < 50 * MS, "{used:?}");
}

#[test]
fn the_budget_goes_by_the_cpu_time_that_the_thread_has_really_used() {
    let fake = Fake::new();
    fake.state().spin = MS;
    let spec = AttrsSpec { sampling: 5 * MS, aggregation: 50 * MS, update: 100 * MS, ..Default::default() };
    let c = context(spec, &fake).with_budget(Budget { cpu_permille: 50, ..Default::default() }).unwrap();
    let kdamond = Kdamond::spawn(c).unwrap();
    wait_for("a longer interval, and a cost within the budget", || {
        let health = kdamond.with(|c| *c.health()).unwrap();
        health.stretch_permille >= 3_000 && (1..=50).contains(&health.cpu_permille)
    });
    fake.state().spin = Duration::ZERO;
    wait_for("the interval that was written", || {
        kdamond.with(|c| c.monitor().attrs().sampling() == 5 * MS && c.health().stretch_permille == 1_000).unwrap()
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_worker_blocks_all_signals_and_the_caller_keeps_its_mask() {
    let blocked = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let before = blocked();
    let kdamond = Kdamond::spawn(context(quick(), &Fake::new())).unwrap();
    let in_worker = kdamond.with(move |_| blocked()).unwrap();
    assert_eq!(blocked(), before);
    // All but SIGKILL and SIGSTOP, which cannot be blocked, and 32 and 33, which glibc keeps for itself.
    let bit = |signal: u32| 1u64 << (signal - 1);
    let free = bit(9) | bit(19) | bit(32) | bit(33);
    assert_eq!(in_worker | free, u64::MAX, "{in_worker:#x}");
}

/// The names of this process's threads.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.filter_map(|t| std::fs::read_to_string(t.path().join("comm")).ok()).map(|s| s.trim().to_owned()).collect()
}
