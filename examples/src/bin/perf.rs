//! Where another process faults pages in, by perf events: a process of yours by its pid, or a child whose truth is known.
//! Works in virtual machines; page faults show where memory is touched anew, not how often it is used.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use clap::Parser;
use damon_core::{AddrRange, Attrs, AttrsSpec, Instant, Monitor, Next, SourceSpec, TargetId, TargetSpec, Window};
use damon_ops_vaddr::PrivateMap;
use damon_ops_vaddr::linux::{read_maps, three_regions};
use damon_ops_vaddr::source::perf::{PerfSource, PerfSpec, Whom};
use damos::clock::Clock;
use examples::heatmap::{self, Mapping, Terminal};
use examples::report;

/// Draws where a process faults pages in.
#[derive(Parser)]
struct Args {
    /// The process; without, a child that touches 8 of 64 MiB anew over and over.
    #[arg(long)]
    pid: Option<u32>,
    /// For how long.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Be the child.
    #[arg(long, hide = true)]
    child: bool,
}

const TARGET: TargetId = TargetId::new(0);
const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;
/// What the child maps, and what of that it touches.
const MAPPED: u64 = 64 * MIB;
const TOUCHED: std::ops::Range<u64> = 16 * MIB..24 * MIB;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = if args.child { work() } else { run(&args) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("perf: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let child = args.pid.is_none().then(Worker::start).transpose()?;
    let (pid, mappings) = match (&child, args.pid) {
        (Some(worker), _) => (worker.0.id(), vec![mapping("the child's memory", worker.1)]),
        (None, pid) => {
            let pid = pid.unwrap_or_else(std::process::id);
            let ranges: Vec<_> = read_maps(format!("/proc/{pid}/maps").as_ref())?.iter().map(|m| m.range).collect();
            let names = ["heap", "mappings", "stack"];
            (pid, names.into_iter().zip(three_regions(&ranges)?).map(|(name, range)| mapping(name, range)).collect())
        }
    };

    let attrs = Attrs::try_from(AttrsSpec {
        sampling: Duration::from_millis(20),
        aggregation: Duration::from_millis(400),
        ..AttrsSpec::default()
    })?;
    let mut monitor = Monitor::new(attrs, 1);
    let ranges = mappings.iter().map(|m| m.range).collect();
    monitor.add_target(TargetSpec { ranges, ..TargetSpec::new(TARGET) });
    let reporter = monitor.add_source(SourceSpec::new("page faults"));
    let spec = PerfSpec { whom: Whom::Process(pid), target: Some(TARGET), ..PerfSpec::default() };
    let source = PerfSource::start(&spec, reporter)?;

    let (clock, mut snapshots) = (Clock::new(), Vec::new());
    let start = clock.now();
    while clock.now() < start + Duration::from_secs(args.seconds) && !source.stats().over {
        let Next::At(due) = monitor.begin(clock.now(), &mut ())? else { break };
        thread::sleep(clock.until(due));
        if let Window::Aggregated(_) = monitor.end(clock.now(), &mut ())? {
            snapshots.push(monitor.view().snapshot());
        }
    }

    let map = report::heatmap(mappings.clone(), &snapshots, start);
    println!("{}\n{}", heatmap::render(&map, Terminal::stdout()), report::hottest(&snapshots, &mappings, 8));
    if let Some(Worker(_, range)) = &child {
        let precision_and_recall = agreement(&snapshots, *range, start + Duration::from_secs(1));
        println!("the child's hot memory: {precision_and_recall}");
    }
    let (stats, counts) = (source.stats(), monitor.sources().last().map(|s| *s.counts()).unwrap_or_default());
    println!("perf: {} faults reported, {} lost, {} outside", stats.reported, counts.lost, counts.outside);
    Ok(())
}

fn mapping(name: &str, range: AddrRange) -> Mapping {
    Mapping { name: name.to_owned(), range }
}

/// Of the bytes in half of the windows or more: which part is truly touched, and which part of what is touched that is.
fn agreement(snapshots: &[damon_core::Snapshot], mapped: AddrRange, from: Instant) -> String {
    let touched = AddrRange::new(mapped.start() + TOUCHED.start, mapped.start() + TOUCHED.end);
    let (mut found, mut right, mut all) = (0, 0, 0);
    for snapshot in snapshots.iter().filter(|s| s.at > from) {
        all += TOUCHED.end - TOUCHED.start;
        for r in snapshot.regions().filter(|r| r.rate.0 >= 5_000) {
            found += r.range.size();
            right += touched.and_then(|t| t.intersection(r.range)).map_or(0, AddrRange::size);
        }
    }
    let part = |of: u64| right as f64 / of.max(1) as f64;
    format!("precision {:.2} recall {:.2}", part(found), part(all))
}

/// A child that works until it is dropped, and where its memory is.
struct Worker(Child, AddrRange);

impl Worker {
    fn start() -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?).arg("--child").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(from) = child.stdout.take() {
            BufReader::new(from).read_line(&mut line)?;
        }
        let mut worker = Self(child, AddrRange::new(0, MAPPED).ok_or("no memory")?);
        let start = line.trim().parse().map_err(|_| "the child did not say where its memory is")?;
        worker.1 = AddrRange::from_len(start, MAPPED).ok_or("the child's memory is nowhere")?;
        Ok(worker)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child: maps, touches, unmaps.
fn work() -> Result<(), Box<dyn Error>> {
    let mut at = None;
    loop {
        let map = PrivateMap::new(MAPPED as usize)?;
        // Without huge pages there is nothing to turn off.
        let _ = map.advise_huge(false);
        let start = map.range().start();
        if at.is_none() {
            println!("{start}");
        }
        if *at.get_or_insert(start) != start {
            return Err("the kernel maps it elsewhere each time".into());
        }
        for page in TOUCHED.step_by(PAGE as usize) {
            map.atomics()[(page / 8) as usize].store(1, Relaxed);
        }
        thread::sleep(Duration::from_millis(5));
    }
}
