//! Runs algorithms on memory whose truth is known, and says how far their pictures are from it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use damon_ops_sim::Scenario;
use damon_ops_sim::compare::{ADAPTIVE, Algorithm, Budget, CLASSIC, Grouped};
use examples::accuracy::{maps, report, run};
use examples::heatmap::tiles_png;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Monitors simulated memory in virtual time.
#[derive(Parser)]
enum Args {
    /// Scores the picture of each scenario against its truth.
    Accuracy(Accuracy),
    /// Draws what is seen of each scenario beside its truth: heat maps over time and addresses.
    Heatmap(Heatmap),
}

#[derive(clap::Args)]
struct Accuracy {
    /// How regions are adjusted; with both, adaptive is compared with classic, by the directories of the files.
    #[arg(long, value_enum, default_value = "classic")]
    adjust: Choice,
    /// Runs each scenario with the seeds 0 to N - 1.
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// With both: adaptive also with no more checks in a window than classic used on average in the run of the same seed.
    #[arg(long)]
    equal_cost: bool,
    /// Prints one JSON object a line: each run, then ratios and their summaries, instead of tables of means.
    #[arg(long)]
    json: bool,
    /// Scenarios, such as damon-ops-sim/scenarios/*.json.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(clap::Args)]
struct Heatmap {
    /// The picture's file.
    #[arg(long, value_name = "FILE")]
    png: PathBuf,
    /// All chance is from this.
    #[arg(long, default_value = "0")]
    seed: u64,
    /// The first aggregation that is drawn, from 0.
    #[arg(long, value_name = "N", default_value = "100")]
    from: u64,
    /// How many are drawn.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    aggregations: u64,
    /// Scenarios, such as damon-ops-sim/scenarios/*.json: a row each.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    Classic,
    Adaptive,
    Both,
}

impl Choice {
    fn list(self) -> Vec<Algorithm> {
        match self {
            Self::Classic => vec![CLASSIC],
            Self::Adaptive => vec![ADAPTIVE],
            Self::Both => vec![CLASSIC, ADAPTIVE],
        }
    }
}

fn main() -> ExitCode {
    let done = match Args::parse() {
        Args::Accuracy(args) => accuracy(&args),
        Args::Heatmap(args) => heatmap(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("simulate: {e}");
            ExitCode::FAILURE
        }
    }
}

fn accuracy(args: &Accuracy) -> Result<(), Error> {
    if args.equal_cost && args.adjust != Choice::Both {
        return Err("--equal-cost gives adaptive what classic used: add --adjust both".into());
    }
    if args.adjust == Choice::Both && args.seeds < 2 {
        return Err(
            "--adjust both says what is more than noise, which one run does not show: use --seeds 2 or more".into()
        );
    }
    let algorithms = args.adjust.list();
    let scenarios = args.files.iter().map(Grouped::read).collect::<Result<Vec<_>, _>>()?;
    let series = run(&scenarios, &algorithms, args.seeds, args.equal_cost)?;
    let out = &mut std::io::stdout().lock();
    if args.json {
        report::json(out, &series)?;
    } else {
        report::table(out, &series)?;
        report::ratios(out, &series)?;
    }
    Ok(())
}

fn heatmap(args: &Heatmap) -> Result<(), Error> {
    let columns = [(CLASSIC, Budget::Configured), (ADAPTIVE, Budget::EqualCost), (ADAPTIVE, Budget::Configured)];
    let drawn = args.from..args.from.saturating_add(args.aggregations);
    let mut rows = Vec::new();
    for path in &args.files {
        let scenario = Scenario::read(path)?;
        let has = scenario.spec().aggregations;
        if drawn.end > has {
            let name = &scenario.spec().name;
            return Err(
                format!("{name} has {has} aggregations, not {}: use --from and --aggregations", drawn.end).into()
            );
        }
        rows.push(maps::row(&scenario, &columns, args.seed, &drawn)?);
    }
    let names = ["truth", "classic", "adaptive, with no more checks", "adaptive, as configured"];
    tiles_png(&rows, &names, "access rates: what is there, and what is seen of it", &args.png)?;
    println!("drew {} scenarios into {}", rows.len(), args.png.display());
    Ok(())
}
