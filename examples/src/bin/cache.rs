//! A cache that reports its hits and lets a scheme evict what is cold, beside plain least-recently-used: where that helps, where it
//! does not, and what reporting a hit costs.

use std::error::Error;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{Duration, Instant as Wall};

use clap::Parser;
use damon_core::{
    Access, AddrRange, Attrs, AttrsSpec, Instant, Monitor, Next, Reporter, SourceSpec, TargetId, TargetSpec, Window,
};
use damos::engine::Schemes;
use damos::scheme::{AccessPattern, Freq, Scheme};
use examples::cache::{Cache, EVICT, Load};

/// A million slots under a zipf load, with and without eviction of what is cold.
#[derive(Parser)]
struct Args {
    /// Requests of each run; a million are a second of its time.
    #[arg(long, default_value_t = 9_000_000)]
    requests: u64,
    /// Requests at the beginning that are not counted.
    #[arg(long, default_value_t = 4_000_000)]
    warmup: u64,
    /// Slots.
    #[arg(long, default_value = "1000000")]
    slots: NonZeroUsize,
    /// Keys touched in at most this part of the windows are cold, in percent.
    #[arg(long, default_value_t = 25)]
    cold: u32,
    /// Only this one of the loads, counted from 1.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=6))]
    load: Option<u8>,
    /// Of load and monitor.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const KEYS: TargetId = TargetId::new(0);
/// Keys are reported and monitored in blocks of so many.
const BLOCK: u64 = 256;
const WINDOW: Duration = Duration::from_millis(10);
const REQUESTS_PER_WINDOW: usize = 10_000;

const TOGETHER: Load = Load {
    name: "zipf, alike keys together",
    groups: 1 << 10,
    group: 1 << 12,
    together: true,
    shift_after: 0,
    scan_percent: 0,
    scanned: 0,
};
const SCANNED: u64 = 12 << 20;
const LOADS: [Load; 6] = [
    TOGETHER,
    Load { name: "… scattered", together: false, ..TOGETHER },
    Load { name: "… together, shifting every 2 s", shift_after: 2_000_000, ..TOGETHER },
    Load { name: "… together, 30% a scan", scan_percent: 30, scanned: SCANNED, ..TOGETHER },
    Load { name: "… scattered, 30% a scan", together: false, scan_percent: 30, scanned: SCANNED, ..TOGETHER },
    Load {
        name: "… together, shifting, 30% a scan",
        shift_after: 2_000_000,
        scan_percent: 30,
        scanned: SCANNED,
        ..TOGETHER
    },
];

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cache: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if args.warmup >= args.requests {
        return Err("there are no requests after the warm-up: give more requests, or less of it".into());
    }
    println!("| load | plain LRU | cold evicted | evicted by the scheme | difference |\n|---|---:|---:|---:|---:|");
    let (mut better, mut worse) = (0, 0);
    let chosen = LOADS.iter().zip(1..).filter(|(_, n)| args.load.is_none_or(|only| only == *n));
    let chosen: Vec<Load> = chosen.map(|(load, _)| *load).collect();
    for &load in &chosen {
        let (plain, _) = hit_rate(args, load, false)?;
        let (aware, evicted) = hit_rate(args, load, true)?;
        let difference = 100.0 * (aware - plain);
        (better, worse) = (better + u32::from(difference > 0.5), worse + u32::from(difference < -0.5));
        let (plain, aware) = (100.0 * plain, 100.0 * aware);
        println!("| {} | {plain:.1}% | {aware:.1}% | {evicted} | {difference:+.1} |", load.name);
    }
    let (alone, reported) = cost_of_a_hit(args)?;
    println!(
        "cache: better in {better} of {} loads, worse in {worse}; a hit takes {alone:.0} ns, reported {reported:.0} ns: {:.2} times",
        chosen.len(),
        reported / alone
    );
    Ok(())
}

/// The cache's monitor, and who reports to it.
fn monitor(keys: u64, seed: u64) -> Result<(Monitor, Reporter), Box<dyn Error>> {
    let attrs = Attrs::try_from(AttrsSpec {
        sampling: WINDOW,
        aggregation: 20 * WINDOW,
        min_nr_regions: 100,
        max_nr_regions: 3_000,
        granule: BLOCK,
        ..AttrsSpec::default()
    })?;
    let mut monitor = Monitor::new(attrs, seed);
    let ranges = AddrRange::new(0, keys).into_iter().collect();
    monitor.add_target(TargetSpec { ranges, ..TargetSpec::new(KEYS) });
    let requests = monitor.add_source(SourceSpec::new("requests"));
    Ok((monitor, requests))
}

/// What is asked for, in or not, says that its block is in use.
fn report(reporter: &Reporter, key: u64) {
    reporter.report_access(Access::new(KEYS, key & !(BLOCK - 1), BLOCK));
}

/// The part of the requests after the warm-up that hit, and how many keys the scheme evicted.
fn hit_rate(args: &Args, load: Load, aware: bool) -> Result<(f64, u64), Box<dyn Error>> {
    let mut cache = Cache::new(args.slots, load.keys());
    let (mut monitor, reporter) = monitor(load.keys(), args.seed)?;
    let scheme = Scheme {
        pattern: AccessPattern { freq: Freq::Percent(0..=args.cold), ..AccessPattern::default() },
        apply_interval: WINDOW,
        ..Scheme::new(EVICT)
    };
    let mut schemes = Schemes::new(&monitor.view(), &&mut cache, vec![scheme])?;

    let mut requests = load.requests(args.seed)?;
    let (mut now, mut done, mut hits) = (Instant::ZERO, 0, 0_u64);
    while done < args.requests {
        if aware {
            if let Next::At(due) = monitor.begin(now, &mut ())? {
                now = due;
            }
        }
        for key in requests.by_ref().take(REQUESTS_PER_WINDOW) {
            let hit = cache.get(key);
            hits += u64::from(hit && done >= args.warmup);
            done += 1;
            if aware {
                report(&reporter, key);
            }
        }
        if aware {
            let aggregated = matches!(monitor.end(now, &mut ())?, Window::Aggregated(_));
            let _ = schemes.apply(now, aggregated, &mut monitor, &mut &mut cache, &mut ());
        }
    }
    Ok((hits as f64 / (done - args.warmup) as f64, cache.evicted()))
}

/// Nanoseconds of a hit, and of a hit that is reported, the medians of rounds that alternate.
fn cost_of_a_hit(args: &Args) -> Result<(f64, f64), Box<dyn Error>> {
    let mut cache = Cache::new(args.slots, TOGETHER.keys());
    let slots = args.slots.get() as u64;
    for key in 0..slots {
        cache.get(key);
    }
    let (mut monitor, reporter) = monitor(TOGETHER.keys(), args.seed)?;
    let mut key = 0_u64;
    let mut now = Instant::ZERO;
    let mut round = |reported: bool| -> Result<f64, Box<dyn Error>> {
        let Next::At(due) = monitor.begin(now, &mut ())? else { return Err("the monitor is parked".into()) };
        now = due;
        let start = Wall::now();
        for _ in 0..REQUESTS_PER_WINDOW {
            key = (key + 0x9e37_79b1) % slots;
            black_box(cache.get(key));
            if reported {
                report(&reporter, key);
            }
        }
        let ns = start.elapsed().as_nanos() as f64 / REQUESTS_PER_WINDOW as f64;
        let _ = monitor.end(now, &mut ())?;
        Ok(ns)
    };
    let (mut alone, mut reported) = (Vec::new(), Vec::new());
    for _ in 0..301 {
        alone.push(round(false)?);
        reported.push(round(true)?);
    }
    Ok((median(alone), median(reported)))
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(0.0)
}
