//! Runs algorithms on memory whose truth is known, and says how far their pictures are from it.

use std::io::Write;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use clap::{Parser, ValueEnum};
use damon_core::Adjust;
use damon_ops_sim::{Scenario, Score};
use serde::Serialize;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Monitors simulated memory in virtual time.
#[derive(Parser)]
enum Args {
    /// Scores the picture of each scenario against its truth.
    Accuracy(Accuracy),
}

#[derive(clap::Args)]
struct Accuracy {
    /// How regions are adjusted.
    #[arg(long, value_enum, default_value = "classic")]
    adjust: Choice,
    /// Runs each scenario with the seeds 0 to N - 1.
    #[arg(long, value_name = "N", default_value = "5")]
    seeds: NonZeroU64,
    /// Also runs with no more checks in a window than classic used there on average.
    #[arg(long)]
    equal_cost: bool,
    /// Prints one JSON object a line, a run each, instead of a table of means.
    #[arg(long)]
    json: bool,
    /// Scenarios, such as damon-ops-sim/scenarios/*.json.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
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

#[derive(Clone, Copy)]
struct Algorithm {
    name: &'static str,
    adjust: Adjust,
}

const CLASSIC: Algorithm = Algorithm { name: "classic", adjust: Adjust::Classic };

/// One algorithm on one scenario with one seed, and at most so many checks in a window if it is said.
#[derive(Clone, Copy)]
struct Job<'a> {
    scenario: &'a Scenario,
    algorithm: Algorithm,
    max_checks: Option<usize>,
    seed: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a str,
    adjust: &'static str,
    seed: u64,
    budget: &'static str,
    #[serde(flatten)]
    score: Score,
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
    let algorithms = args.adjust.list()?;
    let scenarios = args.files.iter().map(Scenario::read).collect::<Result<Vec<_>, _>>()?;

    let jobs = |algorithm, max_checks: &dyn Fn(usize) -> Option<usize>| {
        let mut list = Vec::new();
        for (i, scenario) in scenarios.iter().enumerate() {
            let max_checks = max_checks(i);
            list.extend((0..args.seeds.get()).map(|seed| Job { scenario, algorithm, max_checks, seed }));
        }
        list
    };
    let mut todo: Vec<Job<'_>> = algorithms.iter().flat_map(|&a| jobs(a, &|_| None)).collect();
    let mut scores = run(&todo)?;
    if args.equal_cost {
        // Classic's runs are the first, scenario by scenario.
        let used: Vec<usize> = scores
            .chunks(args.seeds.get() as usize)
            .map(|s| mean(s, |s| s.checks_per_window).round() as usize)
            .collect();
        let capped: Vec<Job<'_>> = algorithms.iter().flat_map(|&a| jobs(a, &|i| Some(used[i].max(1)))).collect();
        scores.extend(run(&capped)?);
        todo.extend(capped);
    }

    let out = &mut std::io::stdout().lock();
    if args.json {
        for (job, &score) in todo.iter().zip(&scores) {
            let scenario = &job.scenario.spec().name;
            let line = Line { scenario, adjust: job.algorithm.name, seed: job.seed, budget: job.budget(), score };
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        }
        return Ok(());
    }
    let runs = args.seeds.get() as usize;
    table(out, todo.chunks(runs).map(|jobs| jobs[0]).zip(scores.chunks(runs)))?;
    Ok(())
}

impl Job<'_> {
    fn budget(&self) -> &'static str {
        if self.max_checks.is_some() { "equal-cost" } else { "configured" }
    }
}

/// Runs all jobs on a few threads; scores come in the order of the jobs.
fn run(jobs: &[Job<'_>]) -> Result<Vec<Score>, Error> {
    let bar = examples::progress::bar("simulating", jobs.len() as u64);
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(jobs.len());
    let mut scores = thread::scope(|scope| {
        for _ in 0..threads {
            let (next, done) = (&next, done.clone());
            scope.spawn(move || {
                // Each number is taken once; nothing else depends on it.
                let take = || {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    Some((i, jobs.get(i)?))
                };
                while let Some((i, job)) = take() {
                    let score = damon_ops_sim::run(job.scenario, job.algorithm.adjust, job.seed, job.max_checks);
                    if done.send(score.map(|score| (i, score))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        results.into_iter().inspect(|_| bar.inc(1)).collect::<Result<Vec<_>, _>>()
    })?;
    bar.finish_and_clear();
    scores.sort_unstable_by_key(|(i, _)| *i);
    Ok(scores.into_iter().map(|(_, score)| score).collect())
}

fn mean(scores: &[Score], of: fn(&Score) -> f64) -> f64 {
    scores.iter().map(of).sum::<f64>() / scores.len() as f64
}

/// Means over the seeds. Quality is averaged where it was reached; a dash says that it never was.
fn table<'a>(out: &mut impl Write, rows: impl Iterator<Item = (Job<'a>, &'a [Score])>) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<18} {:<8} {:<10} {:>6} {:>6} {:>6} {:>6} {:>6} {:>7} {:>8} {:>7} {:>8}",
        "scenario",
        "adjust",
        "budget",
        "mae",
        "rmse",
        "prec",
        "recall",
        "f1",
        "quality",
        "checks/w",
        "regions",
        "ns/check"
    )?;
    for (job, scores) in rows {
        let m = |of| mean(scores, of);
        let reached: Vec<Score> = scores.iter().copied().filter(|s| s.time_to_quality >= 0.0).collect();
        let quality =
            if reached.is_empty() { "-".into() } else { format!("{:.1}", mean(&reached, |s| s.time_to_quality)) };
        writeln!(
            out,
            "{:<18} {:<8} {:<10} {:>6.4} {:>6.4} {:>6.3} {:>6.3} {:>6.3} {quality:>7} {:>8.1} {:>7.1} {:>8.1}",
            job.scenario.spec().name,
            job.algorithm.name,
            job.budget(),
            m(|s| s.mae),
            m(|s| s.rmse),
            m(|s| s.precision),
            m(|s| s.recall),
            m(|s| s.f1),
            m(|s| s.checks_per_window),
            m(|s| s.regions),
            m(|s| s.ns_per_check),
        )?;
    }
    Ok(())
}
