//! What does it cost to report an access, from one thread and from two, and to take the reports at the end of a window?
//!
//! Beside the reporter, in the same run: crossbeam's `ArrayQueue` and bounded channel, and a `Vec` behind a mutex. None of these
//! may be used from a signal handler. Ends with a table of medians.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use crossbeam_queue::ArrayQueue;
use damon_core::{
    Access, AddrRange, Attrs, AttrsSpec, Monitor, Next, Reporter, Rng, SourceSpec, Stats, TargetId, TargetSpec, Window,
};

const T: TargetId = TargetId::new(0);
const PAGE: u64 = 4096;
/// Reports of each producer between two drains.
const BATCH: u64 = 50_000;

/// Where reports go, and a handle for each producer.
trait Intake: Sync {
    type Handle: Send;
    fn handle(&self) -> Self::Handle;
    fn report(handle: &Self::Handle, queue: &Self, access: Access) -> bool;
    /// Gives how many there were.
    fn drain(&mut self) -> u64;
}

struct Bag(Monitor, Reporter, damon_core::Instant);

impl Bag {
    fn new() -> Self {
        let mut monitor = monitor(10);
        let reporter = monitor.add_source(SourceSpec::new("bench"));
        Self(monitor, reporter, damon_core::Instant::ZERO)
    }
}

impl Intake for Bag {
    type Handle = Reporter;
    fn handle(&self) -> Reporter {
        self.1.clone()
    }
    #[inline]
    fn report(handle: &Reporter, _: &Self, access: Access) -> bool {
        handle.report_access(access)
    }
    fn drain(&mut self) -> u64 {
        window(&mut self.0, &mut self.2, |_| ()).0.reports
    }
}

impl Intake for ArrayQueue<Access> {
    type Handle = ();
    fn handle(&self) {}
    #[inline]
    fn report((): &(), queue: &Self, access: Access) -> bool {
        queue.push(access).is_ok()
    }
    fn drain(&mut self) -> u64 {
        std::iter::from_fn(|| self.pop()).map(black_box).count() as u64
    }
}

struct Channel(crossbeam_channel::Sender<Access>, crossbeam_channel::Receiver<Access>);

impl Intake for Channel {
    type Handle = crossbeam_channel::Sender<Access>;
    fn handle(&self) -> Self::Handle {
        self.0.clone()
    }
    #[inline]
    fn report(handle: &Self::Handle, _: &Self, access: Access) -> bool {
        handle.try_send(access).is_ok()
    }
    fn drain(&mut self) -> u64 {
        self.1.try_iter().map(black_box).count() as u64
    }
}

impl Intake for Mutex<Vec<Access>> {
    type Handle = ();
    fn handle(&self) {}
    #[inline]
    fn report((): &(), queue: &Self, access: Access) -> bool {
        let Ok(mut vec) = queue.lock() else { return false };
        vec.push(access);
        true
    }
    fn drain(&mut self) -> u64 {
        self.get_mut().map_or(0, |vec| vec.drain(..).map(black_box).count() as u64)
    }
}

/// Not an intake: what two cores can do that share nothing. As many words, to a cache line of the producer's own.
struct Atomics;

#[repr(align(128))]
struct Line([AtomicU32; 16]);

impl Intake for Atomics {
    type Handle = Line;
    fn handle(&self) -> Line {
        Line(std::array::from_fn(|_| AtomicU32::new(0)))
    }
    #[inline]
    fn report(Line(words): &Line, _: &Self, access: Access) -> bool {
        for word in &words[..14] {
            word.store(access.addr as u32, Ordering::Relaxed);
        }
        words[14].fetch_add(1, Ordering::Relaxed);
        words[15].fetch_add(1, Ordering::Relaxed);
        true
    }
    fn drain(&mut self) -> u64 {
        0
    }
}

/// A monitor that lives on reports, with at least so many regions.
fn monitor(regions: usize) -> Monitor {
    let spec = AttrsSpec {
        sampling: Duration::from_millis(100),
        aggregation: Duration::from_secs(1_000),
        min_nr_regions: regions,
        max_nr_regions: regions.max(1_000),
        ..AttrsSpec::default()
    };
    let mut monitor = Monitor::new(Attrs::try_from(spec).expect("they are right"), 1);
    let ranges = AddrRange::new(0, regions as u64 * 16 * PAGE).into_iter().collect();
    monitor.add_target(TargetSpec { ranges, ..TargetSpec::new(T) });
    monitor
}

/// One window, in which `meanwhile` happens: what it brought, and how long its end took.
fn window(m: &mut Monitor, now: &mut damon_core::Instant, meanwhile: impl FnOnce(&mut Monitor)) -> (Stats, Duration) {
    let Ok(Next::At(due)) = m.begin(*now, &mut ()) else { return Default::default() };
    *now = due;
    meanwhile(m);
    let start = Instant::now();
    let Ok(Window::Counted(stats) | Window::Aggregated(stats)) = m.end(due, &mut ()) else { return Default::default() };
    (stats, start.elapsed())
}

/// Nanoseconds of a batch, by what was timed.
type Figures = RefCell<BTreeMap<(String, &'static str), Vec<f64>>>;

fn note(figures: &Figures, name: &str, what: &'static str, ns: f64) {
    figures.borrow_mut().entry((name.to_owned(), what)).or_default().push(ns);
}

/// So many producers report a batch each, at once: the time until the last is done.
fn batch<I: Intake>(queue: &I, producers: u64) -> Duration {
    let barrier = Barrier::new(producers as usize);
    let times = thread::scope(|s| {
        let start = |p: u64| {
            let (handle, barrier) = (queue.handle(), &barrier);
            s.spawn(move || {
                let access = |i: u64| Access::new(T, (i * producers + p) * 64, 64);
                // The lines are there and the branches known.
                for i in 0..1_000 {
                    black_box(I::report(&handle, queue, access(i)));
                }
                barrier.wait();
                let start = Instant::now();
                let taken = (0..BATCH).filter(|&i| I::report(&handle, queue, access(i))).count();
                (start, Instant::now(), taken)
            })
        };
        let threads: Vec<_> = (0..producers).map(start).collect();
        threads.into_iter().filter_map(|t| t.join().ok()).collect::<Vec<_>>()
    });
    assert!(times.iter().all(|(_, _, taken)| *taken as u64 == BATCH), "something was lost");
    let (first, last) = (times.iter().map(|t| t.0).min(), times.iter().map(|t| t.1).max());
    last.zip(first).map_or(Duration::ZERO, |(last, first)| last - first)
}

fn producers<I: Intake>(c: &mut Criterion, figures: &Figures, name: &'static str, mut queue: I) {
    let mut group = c.benchmark_group("report");
    for producers in [1, 2] {
        let what = if producers == 1 { "one" } else { "two" };
        group.throughput(Throughput::Elements(BATCH * producers));
        group.bench_function(BenchmarkId::new(name, producers), |b| {
            b.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    let took = batch(&queue, producers);
                    queue.drain();
                    note(figures, name, what, took.as_nanos() as f64 / BATCH as f64);
                    total += took;
                }
                total
            });
        });
    }
}

fn drain(c: &mut Criterion, figures: &Figures) {
    let mut group = c.benchmark_group("drain");
    for regions in [1_000, 100_000] {
        let (mut m, mut now, mut rng) = (monitor(regions), damon_core::Instant::ZERO, Rng::new(1));
        let reporter = m.add_source(SourceSpec::new("bench"));
        group.throughput(Throughput::Elements(200_000));
        group.bench_function(BenchmarkId::new("window of 200,000", regions), |b| {
            b.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    let report = |_: &mut Monitor| {
                        for _ in 0..200_000 {
                            reporter.report_access(Access::new(T, rng.below(regions as u64 * 16 * PAGE), 64));
                        }
                    };
                    let (stats, took) = window(&mut m, &mut now, report);
                    assert_eq!((stats.reports, stats.reports_lost), (200_000, 0));
                    let name = if regions == 1_000 { "1,000 regions" } else { "100,000 regions" };
                    note(figures, name, "drain", took.as_nanos() as f64 / 200_000.0);
                    total += took;
                }
                total
            });
        });
    }
}

/// Two million reports a second, by the clock, into windows of 100 ms: how many were taken and lost in that time.
fn sustained(time: Duration) -> (u64, u64) {
    let mut m = monitor(1_000);
    let reporter = m.add_source(SourceSpec::new("bench"));
    let producer = thread::spawn(move || {
        let (start, mut sent) = (Instant::now(), 0);
        while start.elapsed() < time {
            let due = start.elapsed().as_micros() as u64 * 2;
            for i in sent..due {
                reporter.report_access(Access::new(T, i * 64 % (60_000 * PAGE), 64));
            }
            sent = due;
            thread::yield_now();
        }
    });
    let clock = Instant::now();
    let now = || damon_core::Instant::from_nanos(clock.elapsed().as_nanos() as u64);
    let (mut taken, mut lost, mut done) = (0, 0, false);
    while !done {
        done = producer.is_finished();
        let Ok(Next::At(due)) = m.begin(now(), &mut ()) else { break };
        thread::sleep(due - now());
        if let Ok(Window::Counted(s) | Window::Aggregated(s)) = m.end(now(), &mut ()) {
            (taken, lost) = (taken + s.reports + s.reports_outside, lost + s.reports_lost);
        }
    }
    (taken, lost)
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let figures = Figures::default();
    producers(&mut criterion, &figures, "Reporter", Bag::new());
    producers(&mut criterion, &figures, "ArrayQueue", ArrayQueue::new(1 << 18));
    let (to, from) = crossbeam_channel::bounded(1 << 18);
    producers(&mut criterion, &figures, "channel", Channel(to, from));
    producers(&mut criterion, &figures, "mutex", Mutex::new(Vec::<Access>::with_capacity(1 << 18)));
    producers(&mut criterion, &figures, "independent", Atomics);
    drain(&mut criterion, &figures);
    criterion.final_summary();

    let mut figures = figures.into_inner();
    let mut median = |name: &str, what| {
        let all = figures.get_mut(&(name.to_owned(), what))?;
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    };
    println!("\nmedian ns     | one producer | each of two | rate of two by one");
    for name in ["Reporter", "ArrayQueue", "channel", "mutex", "independent"] {
        if let (Some(one), Some(two)) = (median(name, "one"), median(name, "two")) {
            println!("{name:<13} | {one:>12.1} | {two:>11.1} | {:>18.2}", 2.0 * one / two);
        }
    }
    for name in ["1,000 regions", "100,000 regions"] {
        if let Some(ns) = median(name, "drain") {
            println!("drain, {name}: {ns:.1} ns a report, {:.1} million a second", 1e3 / ns);
        }
    }
    let (taken, lost) = sustained(Duration::from_secs(2));
    println!("two million a second into windows of 100 ms, default capacity: {taken} taken, {lost} lost");
}
