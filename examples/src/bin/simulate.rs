//! Runs algorithms on memory whose truth is known, and says how far their pictures are from it, and what placing memory by them
//! is worth.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use damon_ops_sim::Scenario;
use damon_ops_sim::compare::{ADAPTIVE, Algorithm, Budget, CLASSIC, Grouped};
use damon_ops_sim::tiering::{Costs, Spec};
use examples::accuracy::{maps, report, run};
use examples::ending::ended;
use examples::heatmap::tiles_png;
use examples::placement;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Monitors simulated memory in virtual time.
#[derive(Parser)]
enum Args {
    /// Scores the picture of each scenario against its truth.
    Accuracy(Accuracy),
    /// Draws what is seen of each scenario beside its truth: heat maps over time and addresses.
    Heatmap(Heatmap),
    /// Places the memory of machines with several tiers by each policy, and says how fast programs are then.
    Tiering(Tiering),
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

#[derive(clap::Args)]
struct Tiering {
    /// Runs each policy with the seeds 0 to N - 1.
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Prints a JSON object for each run, with its series over time, instead of tables.
    #[arg(long)]
    json: bool,
    /// Also with other costs, one at a time: a table of gains for each machine. With --sweep=cxl_ns,migrate_ns these costs alone.
    #[arg(long, value_name = "COST", value_delimiter = ',', num_args = 0.., require_equals = true, conflicts_with = "json")]
    sweep: Option<Vec<String>>,
    /// Replaces the results of this page, between its lines `<!-- results -->` and `<!-- end of results -->` (with --sweep:
    /// `<!-- sensitivity -->` and `<!-- end of sensitivity -->`), instead of printing them.
    #[arg(long, value_name = "PAGE", conflicts_with = "json")]
    into: Option<PathBuf>,
    /// Also draws throughput and where hot memory is over time, as PNG; of one machine, for the first seed.
    #[arg(long, value_name = "PICTURE", conflicts_with = "sweep")]
    png: Option<PathBuf>,
    /// The same as SVG.
    #[arg(long, value_name = "PICTURE", conflicts_with = "sweep")]
    svg: Option<PathBuf>,
    /// Other costs than the default ones: a JSON object such as {"cxl_ns": 410}.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    costs: String,
    /// Machines, such as damon-ops-sim/tiering/*.json.
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
        Args::Tiering(args) => tiering(&args),
    };
    ended("simulate", done.map_err(|e| e as _))
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

fn tiering(args: &Tiering) -> Result<(), Error> {
    let costs: Costs = serde_json::from_str(&args.costs).map_err(|e| format!("--costs: {e}"))?;
    let specs = args.files.iter().map(Spec::read).collect::<Result<Vec<_>, _>>()?;
    if (args.png.is_some() || args.svg.is_some()) && specs.len() != 1 {
        return Err(format!("--png and --svg draw one machine, not {}: name one FILE", specs.len()).into());
    }
    let commit = commit();
    // A page is written as a whole; all else is printed as it comes.
    let mut page = Vec::new();
    let out: &mut dyn Write = if args.into.is_some() { &mut page } else { &mut std::io::stdout() };
    if !args.json {
        placement::constants(out, &costs, &commit)?;
    }
    for spec in &specs {
        if let Some(fields) = &args.sweep {
            placement::swept(out, &placement::sweep(spec, costs, args.seeds, fields)?)?;
            continue;
        }
        let comparison = placement::compare(spec, costs, args.seeds)?;
        if args.json {
            placement::json(out, &comparison, &commit)?;
        } else {
            placement::table(out, &comparison)?;
        }
        let note = format!("{}. Seed 0, revision {commit}.", spec.about);
        if let Some(path) = &args.png {
            placement::picture::png(&comparison, &note, path)?;
        }
        if let Some(path) = &args.svg {
            placement::picture::svg(&comparison, &note, path)?;
        }
    }
    if let Some(path) = &args.into {
        let name = if args.sweep.is_some() { "sensitivity" } else { "results" };
        placement::replace(path, name, &String::from_utf8_lossy(&page))?;
        println!("wrote the {name} of {} machines into {}", specs.len(), path.display());
    }
    Ok(())
}

/// The revision of the sources in the current directory, with `-dirty` where they were changed; "unknown" outside a clone.
fn commit() -> String {
    let git = std::process::Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let said = git.ok().filter(|out| out.status.success()).and_then(|out| String::from_utf8(out.stdout).ok());
    said.map_or("unknown".into(), |s| s.trim().into())
}
