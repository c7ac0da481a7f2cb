//! Runs algorithms on memory whose truth is known, and says how far their pictures are from it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use examples::accuracy::{Algorithm, CLASSIC, Grouped, report, run_all};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Monitors simulated memory in virtual time.
#[derive(Parser)]
enum Args {
    /// Scores the picture of each scenario against its truth.
    Accuracy(Accuracy),
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    Classic,
    Adaptive,
    Both,
}

impl Choice {
    fn list(self) -> Result<Vec<Algorithm>, Error> {
        match self {
            Self::Classic => Ok(vec![CLASSIC]),
            Self::Adaptive | Self::Both => Err("this version has no adaptive adjustment: use --adjust classic".into()),
        }
    }
}

fn main() -> ExitCode {
    let Args::Accuracy(args) = Args::parse();
    match accuracy(&args) {
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
    let algorithms = args.adjust.list()?;
    let scenarios = args.files.iter().map(Grouped::read).collect::<Result<Vec<_>, _>>()?;
    let series = run_all(&scenarios, &algorithms, args.seeds, args.equal_cost)?;
    let out = &mut std::io::stdout().lock();
    if args.json {
        report::json(out, &series)?;
    } else {
        report::table(out, &series)?;
        report::ratios(out, &series)?;
    }
    Ok(())
}
