//! Guest memory in a memfd, watched by its minor faults: each window the pages are taken out of the page table, and the first
//! touch of each is a fault that is answered and reported. Says what a fault costs, beside what a check's costs.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant as Wall};

use clap::Parser;
use damon_core::{AddrRange, Attrs, AttrsSpec, Monitor, Next, Ops, Sample, SourceSpec, TargetId, TargetSpec, Window};
use damon_ops_vaddr::source::uffd::{UffdSource, UffdSpec};
use damon_ops_vaddr::{Own, SharedMap};
use damos::clock::Clock;

/// Watches 64 MiB that stand for a guest's memory, of which a thread that stands for a virtual CPU uses 4.
#[derive(Parser)]
struct Args {
    /// For how long.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// Faults of user mode only: needs no privileges, and would not do for a guest under KVM.
    #[arg(long)]
    user_mode_only: bool,
}

const GUEST: TargetId = TargetId::new(0);
const MIB: usize = 1 << 20;
const PAGE: usize = 4096;
const HOT: std::ops::Range<usize> = 20 * MIB..24 * MIB;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest_faults: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let guest = Arc::new(SharedMap::new("guest", 64 * MIB)?);
    touch(&guest, 0..guest.len());
    let checked = cost_of_a_check(&guest)?;

    let attrs = Attrs::try_from(AttrsSpec {
        sampling: Duration::from_millis(100),
        aggregation: Duration::from_millis(500),
        ..AttrsSpec::default()
    })?;
    let mut monitor = Monitor::new(attrs, 1);
    monitor.add_target(TargetSpec { ranges: vec![guest.range()], ..TargetSpec::new(GUEST) });
    let spec = UffdSpec { user_mode_only: args.user_mode_only, ..UffdSpec::new(GUEST) };
    let faults = UffdSource::start(&guest, &spec, monitor.add_source(SourceSpec::new("minor faults")))?;
    let faulted = cost_of_a_fault(&guest, &faults)?;

    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let Seen { touched, slowdown } = thread::scope(|s| {
        s.spawn(|| {
            while !stop.load(Relaxed) {
                touch(&guest, HOT);
                rounds.fetch_add(1, Relaxed);
            }
        });
        let result = watch(args, &mut monitor, &guest, &faults, &rounds);
        stop.store(true, Relaxed);
        result
    })?;

    for (range, rate) in &touched {
        let mib = |addr: u64| (addr - guest.range().start()) as f64 / MIB as f64;
        println!(
            "{:6.2} to {:6.2} MiB: touched in {:.0}% of the windows",
            mib(range.start()),
            mib(range.end()),
            rate * 100.0
        );
    }
    let counts = monitor.sources().last().map(|s| *s.counts()).unwrap_or_default();
    println!("reports: {} received, {} lost; faults: {:?}", counts.received, counts.lost, faults.stats());
    let hot: u64 = touched.iter().filter(|(_, rate)| *rate >= 0.5).map(|(range, _)| range.size()).sum();
    println!(
        "guest_faults: {:.1} MiB hot of 4.0, {faulted:.1} us a fault, {:.1} times a check's, guest slowed by {:.0}%",
        hot as f64 / MIB as f64,
        faulted / checked,
        100.0 * slowdown
    );
    Ok(())
}

/// What was seen of the guest.
struct Seen {
    /// The regions that were touched, each with the part of the windows in which it was.
    touched: Vec<(AddrRange, f64)>,
    /// The part of its speed that the guest lost.
    slowdown: f64,
}

/// Watches, and compares how far the guest gets with how far it got while nothing was taken out of its page table.
fn watch(
    args: &Args,
    monitor: &mut Monitor,
    guest: &SharedMap,
    faults: &UffdSource,
    rounds: &AtomicU64,
) -> Result<Seen, Box<dyn Error>> {
    let clock = Clock::new();
    let speed = |run: &mut dyn FnMut() -> Result<(), Box<dyn Error>>| {
        let (before, start) = (rounds.load(Relaxed), Wall::now());
        run()?;
        Ok::<_, Box<dyn Error>>((rounds.load(Relaxed) - before) as f64 / start.elapsed().as_secs_f64())
    };
    let free = speed(&mut || {
        thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    let end = clock.now() + Duration::from_secs(args.seconds);
    let mut touched = Vec::new();
    let watched = speed(&mut || {
        while clock.now() < end {
            let Next::At(due) = monitor.begin(clock.now(), &mut ())? else { break };
            faults.rearm(guest.range())?;
            thread::sleep(clock.until(due));
            if let Window::Aggregated(_) = monitor.end(clock.now(), &mut ())? {
                let regions = monitor
                    .view()
                    .targets()
                    .iter()
                    .flat_map(|t| t.regions())
                    .map(|r| (r.range(), f64::from(r.nr_accesses()) / f64::from(r.nr_samples().max(1))));
                touched = regions.filter(|(_, rate)| *rate > 0.0).collect();
            }
        }
        Ok(())
    })?;
    Ok(Seen { touched, slowdown: 1.0 - watched / free })
}

/// Writes a word of each page.
fn touch(guest: &SharedMap, bytes: std::ops::Range<usize>) {
    for page in bytes.step_by(PAGE) {
        guest.atomics()[page / 8].fetch_add(1, Relaxed);
    }
}

/// Microseconds of the first touch of a page after it was armed for a check.
fn cost_of_a_check(guest: &Arc<SharedMap>) -> Result<f64, Box<dyn Error>> {
    let mut own = Own::new(GUEST)?;
    own.watch_shared(guest)?;
    let samples: Vec<_> = HOT.step_by(PAGE).map(|at| Sample::new(GUEST, guest.range().start() + at as u64)).collect();
    per_page(guest, || own.arm(&samples))
}

/// Microseconds of the first touch of a page after it was taken out of the page table for this source.
fn cost_of_a_fault(guest: &SharedMap, faults: &UffdSource) -> Result<f64, Box<dyn Error>> {
    let hot = guest.range().start() + HOT.start as u64;
    let range = AddrRange::from_len(hot, HOT.len() as u64).ok_or("the hot part is empty")?;
    per_page(guest, || faults.rearm(range))
}

/// The fastest of ten rounds.
fn per_page<E: Error + 'static>(
    guest: &SharedMap,
    mut arm: impl FnMut() -> Result<(), E>,
) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        arm()?;
        let start = Wall::now();
        touch(guest, HOT);
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / (HOT.len() / PAGE) as f64);
    }
    Ok(best)
}
