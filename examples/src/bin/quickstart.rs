//! The main job: watches 512 MiB of its own memory while threads use it, pages out what is cold, draws what was hot, and
//! says how right that was and what it cost. Needs no privileges.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::Parser;
use damon_core::{Attrs, AttrsSpec, Bp, Monitor, TargetId, TargetSpec};
use damon_ops_vaddr::Own;
use damos::Kdamond;
use damos::clock::Clock;
use damos::context::{Budget, Context};
use examples::acting::Acting;
use examples::heatmap::{self, Terminal, bytes};
use examples::slowdown::{self, Slowdown};
use examples::workload::{Mappings, Memory, Moves, Workload};
use examples::{progress, report};

/// Finds the hot parts of 512 MiB of real memory whose truth is known.
#[derive(Parser)]
struct Args {
    /// How long to watch, in seconds. The hot sets move five times in that.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// Sampling interval in milliseconds.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    sampling: u64,
    /// Aggregation interval in milliseconds.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    aggregation: u64,
    /// At least so many regions.
    #[arg(long, default_value_t = 15)]
    min_regions: usize,
    /// At most so many regions, and checks in a sampling interval.
    #[arg(long, default_value_t = 60)]
    max_regions: usize,
    /// Where hot sets go, and which pages are sampled.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pairs of slices without and with monitoring, to measure the slowdown; at least 6 for a figure.
    #[arg(long, default_value_t = 64)]
    pairs: usize,
    /// Draw the heat map into this SVG file too.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Draw the heat map into this PNG file too.
    #[arg(long)]
    png: Option<PathBuf>,
}

const TARGET: TargetId = TargetId::new(0);
const MOVES: u32 = 5;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    args.svg.iter().chain(&args.png).try_for_each(|path| heatmap::writable(path))?;
    let mappings = Mappings::new().map_err(|e| format!("cannot map 512 MiB to watch: {e}; free some memory"))?;
    let mut context = context(args, &mappings)?;

    // A program at work, and the thread that watches it.
    let (clock, watched) = (Clock::new(), Duration::from_secs(args.seconds));
    let acting = Acting::start(&mut context, mappings.shared.range(), clock)?;
    let start = clock.now();
    let phase = watched / (MOVES + 1);
    let lukewarm = 5 * Duration::from_millis(args.sampling);
    let workload = Workload::start(&mappings, Moves { start, phases: MOVES + 1, phase, lukewarm, seed: args.seed });
    let (found, snapshots) = mpsc::channel();
    let kdamond = Kdamond::spawn_with(context, move |context| drop(found.send(context.view().snapshot())))?;
    progress::wait("watching", watched);
    let look = |context: &mut Context<Own>| {
        (*context.health(), context.ops().capabilities(), context.schemes().stats(0).unwrap_or_default())
    };
    let (health, capabilities, stats) = kdamond.with(look)?;
    let acted = acting.report(stats);
    let elapsed = (clock.now() - start).as_secs_f64();
    let snapshots: Vec<_> = snapshots.try_iter().collect();

    // The same program with and without it. Short slices: what else the machine does weighs on both of a pair. Pages are
    // armed three times in a slice, at its start and twice later.
    let bar = progress::bar("measuring the slowdown", 2 * args.pairs as u64);
    let slice = Duration::from_millis(args.sampling * 11 / 4);
    let speeds = slowdown::measure(
        args.pairs,
        slice,
        || workload.pages(),
        |on| {
            bar.inc(1);
            if on { kdamond.resume() } else { kdamond.pause() }
        },
    )?;
    bar.finish_and_clear();
    kdamond.stop()?;
    let truth = workload.stop()?;

    // What was seen.
    let panels = mappings.panels();
    let mut map = report::heatmap(panels.clone(), &snapshots, start);
    acted.mark(&mut map, start);
    println!("{capabilities}\n\n{}", heatmap::render(&map, Terminal::stdout()));
    let title = format!("quickstart: access rate of 512 MiB over {} s", args.seconds);
    args.svg.iter().try_for_each(|path| heatmap::svg(&map, &title, path))?;
    args.png.iter().try_for_each(|path| heatmap::png(&map, &title, path))?;
    println!("{acted}\n\n{}", report::hottest(&snapshots, &panels, 8));
    let [accessed, hot] = [0, 5_000].map(|rate| bytes(report::median(&snapshots, |s| s.working_set(Bp(rate)))));
    println!("working set size: {accessed} accessed at all, {hot} in half of the samples or more");

    // How right that was, and what it cost.
    let score = report::score(&snapshots, &truth, start + Duration::from_secs(1));
    if score.pictures == 0 {
        return Err("no aggregation ended after the first second: watch for longer, or aggregate over less".into());
    }
    println!("hot where reads are invisible, not scored: {}", bytes(score.hidden / score.pictures));
    println!(
        "sampling windows: {} of {} late, at most by {:.1?}",
        health.late_windows, health.windows, health.max_late
    );
    match Slowdown::of(&speeds) {
        Some(slowdown) => println!("slowdown of the program: {slowdown}, of {} pairs", args.pairs),
        None => println!("slowdown of the program: not measured, that takes at least 6 pairs"),
    }
    println!(
        "quickstart: precision {:.2} recall {:.2} cpu {:.1}% checks {:.0}/s",
        score.precision(),
        score.recall(),
        100.0 * health.cpu.as_secs_f64() / elapsed,
        health.checks as f64 / elapsed,
    );
    Ok(())
}

/// What is watched, this process's own memory, and how.
fn context(args: &Args, mappings: &Mappings) -> Result<Context<Own>, Box<dyn Error>> {
    let mut own = Own::new(TARGET)?;
    for memory in mappings.by_address() {
        match memory {
            Memory::Shared(_, map) => own.watch_shared(map)?,
            Memory::Private(_, map) => own.watch_private(map.range())?,
        }
    }
    let attrs = Attrs::try_from(AttrsSpec {
        sampling: Duration::from_millis(args.sampling),
        aggregation: Duration::from_millis(args.aggregation),
        min_nr_regions: args.min_regions,
        max_nr_regions: args.max_regions,
        ..Default::default()
    })?;
    let mut monitor = Monitor::new(attrs, args.seed);
    monitor.add_target(TargetSpec::new(TARGET));
    // Checks cost more on a busy machine; past 4% of a CPU the sampling interval is stretched.
    Ok(Context::new(monitor, own).with_budget(Budget { cpu_permille: 40, ..Default::default() })?)
}
