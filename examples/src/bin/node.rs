//! What a machine is made of, for a node agent: nodes and tiers, the metrics that schemes are steered by, and, as root on a
//! kernel with page_idle, which physical memory is in use.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use damon_core::{Attrs, AttrsSpec, Bp, Metric, Metrics, Monitor, Next, NodeId, Target, TargetId, TargetSpec, Window};
use damon_ops_paddr::{Area, HostMetrics, Node, Paddr, TierSource, Topology};
use damos::clock::Clock;
use examples::heatmap::bytes;

/// Shows nodes, tiers, metrics and accesses to physical memory.
#[derive(Parser)]
struct Args {
    /// How long to watch, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Sampling interval in milliseconds; an aggregation has 10.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    sampling: u64,
    /// At most so many regions, and checks in a sampling interval.
    #[arg(long, default_value_t = 500)]
    max_regions: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("node: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let topology = Topology::read("/".as_ref())?;
    let mut host = HostMetrics::new();
    for (rank, tier) in topology.tiers.iter().enumerate() {
        println!("tier {rank} (memory_tier{}, {})", tier.number, source(topology.tiers_by));
        tier.nodes.iter().filter_map(|id| topology.node(*id)).for_each(|node| show(node, &mut host));
    }
    // Rates take two readings.
    std::thread::sleep(Duration::from_millis(150));
    metrics(&mut host);
    let seen = match Paddr::new() {
        Ok(paddr) => watch(args, &topology, paddr)?,
        Err(missing) => {
            println!("\n{missing}");
            "not watched: see what is missing above".to_owned()
        }
    };
    println!("node: {} nodes in {} tiers, physical memory {seen}", topology.nodes.len(), topology.tiers.len());
    Ok(())
}

const fn source(by: TierSource) -> &'static str {
    match by {
        TierSource::Kernel => "as the kernel has it",
        _ => "by latency, bandwidth and distance",
    }
}

fn show(node: &Node, host: &mut HostMetrics) {
    let free = host.read(Metric::NodeMemFreeBp(node.id)).map_or_else(|e| e.to_string(), percent);
    print!("  node {}: {}, {free} free, {} CPUs", node.id.0, bytes(node.bytes), node.cpus.len());
    for (other, distance) in node.distances.iter().filter(|(other, _)| *other != node.id) {
        print!(", node {} at distance {distance}", other.0);
    }
    if let Some(access) = node.from_cpus() {
        let or_unknown = |n: Option<u32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let (latency, bandwidth) = (or_unknown(access.read_latency_ns), or_unknown(access.read_mib_per_s));
        print!(", reads take {latency} ns and {bandwidth} MiB/s at most");
    }
    match host.read(Metric::NodeLatencyNs(node.id)) {
        Ok(ns) => print!(", {ns} ns now"),
        Err(_) if node.bytes == 0 => {}
        Err(e) => print!(", {e}"),
    }
    println!();
}

fn metrics(host: &mut HostMetrics) {
    let parts = [Metric::ActiveMemBp, Metric::CpuLoadBp];
    let others = [Metric::FreeMemRatePermille, Metric::SomeMemPsiUs, Metric::Refaults, Metric::Promotions];
    for metric in parts.into_iter().chain(others).chain([Metric::MemBandwidth]) {
        match host.read(metric) {
            Ok(value) if parts.contains(&metric) => println!("{metric:?}: {}", percent(value)),
            Ok(value) => println!("{metric:?}: {value}"),
            Err(e) => println!("{e}"),
        }
    }
}

fn percent(bp: u64) -> String {
    Bp(u32::try_from(bp).unwrap_or(u32::MAX)).to_string()
}

/// Watches each node as a target; says how much was in use.
fn watch(args: &Args, topology: &Topology, mut paddr: Paddr) -> Result<String, Box<dyn Error>> {
    println!("\n{}", paddr.capabilities());
    paddr.disturbances().iter().for_each(|d| println!("disturbed: {d}"));
    let sampling = Duration::from_millis(args.sampling);
    let spec =
        AttrsSpec { sampling, aggregation: 10 * sampling, max_nr_regions: args.max_regions, ..AttrsSpec::default() };
    let mut monitor = Monitor::new(Attrs::try_from(spec)?, 1);
    for node in topology.nodes.iter().filter(|node| node.bytes > 0) {
        let target = TargetId::new(node.id.0.into());
        paddr.watch(target, Area::Node(node.id))?;
        monitor.add_target(TargetSpec::new(target));
    }
    let clock = Clock::new();
    let start = clock.now();
    let unknown = loop {
        let Next::At(due) = monitor.begin(clock.now(), &mut paddr)? else { return Err("no node has memory".into()) };
        std::thread::sleep(clock.until(due));
        let Window::Aggregated(stats) = monitor.end(clock.now(), &mut paddr)? else { continue };
        if clock.now() - start >= Duration::from_secs(args.seconds) {
            break f64::from(stats.unknown) / f64::from(stats.checks.max(1));
        }
    };
    println!("\naccesses, from the lowest address to the highest ('?': on no LRU list):");
    let mut used = 0;
    for target in monitor.view().targets() {
        println!("node {}  [{}]", NodeId(u16::try_from(target.id().get())?).0, picture(target));
        let hot = target.regions().iter().filter(|r| r.rate().is_some_and(|rate| rate > Bp(0)));
        used += hot.map(|r| r.range().size()).sum::<u64>();
    }
    Ok(format!("in use {}, {:.0}% of samples on no list", bytes(used), 100.0 * unknown))
}

/// A character for each part of a target's addresses: how often it was accessed, on average.
fn picture(target: &Target) -> String {
    const CELLS: u64 = 96;
    let (Some(first), Some(last)) = (target.regions().first(), target.regions().last()) else { return String::new() };
    let (start, cell) = (first.range().start(), (last.range().end() - first.range().start()).div_ceil(CELLS).max(1));
    let shade = |n: u64| {
        let (mut known, mut sum) = (0_u128, 0_u128);
        let (from, to) = (start + n * cell, start + (n + 1) * cell);
        for r in target.regions() {
            let size = r.range().end().min(to).saturating_sub(r.range().start().max(from));
            if let Some(rate) = r.rate() {
                known += u128::from(size);
                sum += u128::from(size) * u128::from(rate.0);
            }
        }
        match sum.checked_div(known) {
            None => '?',
            Some(0) => ' ',
            Some(1..=999) => '.',
            Some(1_000..=4_999) => '+',
            Some(_) => '#',
        }
    };
    (0..CELLS).map(shade).collect()
}
