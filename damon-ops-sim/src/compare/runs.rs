//! Algorithms on scenarios: which runs to make, and making them on all processors.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use damon_core::Adjust;

use super::Pair;
use crate::scenario::{RunError, Scenario, ScenarioError, run};
use crate::score::Score;

/// An algorithm and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// As the command line and tables call it.
    pub name: &'static str,
    /// What it is.
    pub adjust: Adjust,
}

/// The kernel's: what others are compared with.
pub const CLASSIC: Algorithm = Algorithm { name: "classic", adjust: Adjust::Classic };

/// The library's own.
pub const ADAPTIVE: Algorithm = Algorithm { name: "adaptive", adjust: Adjust::Adaptive };

/// How many checks a window may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Budget {
    /// What the scenario says: one for each of `max_nr_regions`, unless it has `max_checks`.
    Configured,
    /// What classic used in the run with the same seed, on average, rounded down.
    EqualCost,
}

impl Budget {
    /// As tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::EqualCost => "equal-cost",
        }
    }
}

/// A scenario and the directory that its file is in, by which results are summed up.
#[derive(Debug)]
pub struct Grouped {
    /// The directory's name.
    pub group: String,
    /// The scenario.
    pub scenario: Scenario,
}

impl Grouped {
    /// From a file.
    ///
    /// # Errors
    /// See [`Scenario::read`].
    pub fn read(path: &PathBuf) -> Result<Self, ScenarioError> {
        let scenario = Scenario::read(path)?;
        // A bare file name has the working directory's.
        let full = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let group = full.parent().and_then(Path::file_name).map_or_else(|| "/".into(), |n| n.to_string_lossy());
        Ok(Self { group: group.into_owned(), scenario })
    }
}

/// An algorithm under a budget on a scenario: a run for each seed.
#[derive(Debug)]
pub struct Series<'a> {
    /// On what.
    pub on: &'a Grouped,
    /// Which algorithm.
    pub algorithm: Algorithm,
    /// Under which budget.
    pub budget: Budget,
    /// How each seed's run went, from seed 0.
    pub scores: Vec<Score>,
}

impl Series<'_> {
    /// It beside what it is compared with.
    pub fn beside(&self, base: &Self) -> Pair {
        let scenario = self.on.scenario.spec().name.clone();
        Pair { scenario, base: base.scores.clone(), other: self.scores.clone() }
    }
}

/// Runs all `algorithms` on all scenarios with the seeds below `seeds`, as configured; and, where `equal_cost`, those after
/// the first again with no more checks than the first used in the same run. After each run `done` is told how many were
/// made, of how many until then known to be needed.
///
/// # Errors
/// The first run's that cannot be made.
pub fn run_all<'a>(
    scenarios: &'a [Grouped],
    algorithms: &[Algorithm],
    seeds: u64,
    equal_cost: bool,
    mut done: impl FnMut(usize, usize),
) -> Result<Vec<Series<'a>>, RunError> {
    let job = |on, algorithm| (0..seeds).map(move |seed| Job { on, algorithm, seed, max_checks: None });
    let jobs = |list: &[Algorithm]| -> Vec<Job<'a>> {
        list.iter().flat_map(|&a| scenarios.iter().flat_map(move |on| job(on, a))).collect()
    };
    let todo = jobs(algorithms);
    let capped = if equal_cost { jobs(algorithms.get(1..).unwrap_or_default()) } else { Vec::new() };
    let total = todo.len() + capped.len();
    let scores = run_jobs(&todo, |n| done(n, total))?;
    let series = |budget, todo: &[Job<'a>], scores: &[Score]| -> Vec<Series<'a>> {
        let seeds = seeds as usize;
        let of = |(jobs, scores): (&[Job<'a>], &[Score])| Series {
            on: jobs[0].on,
            algorithm: jobs[0].algorithm,
            budget,
            scores: scores.to_vec(),
        };
        todo.chunks(seeds).zip(scores.chunks(seeds)).map(of).collect()
    };
    let mut all = series(Budget::Configured, &todo, &scores);
    // The first algorithm's runs are the first: scenario by scenario, seed by seed, as those of each other.
    let used = scores.iter().take(scenarios.len() * seeds as usize).cycle();
    let cap = |(job, used): (Job<'a>, &Score)| Job { max_checks: Some(equal_cost_checks(used)), ..job };
    let capped: Vec<Job<'a>> = capped.into_iter().zip(used).map(cap).collect();
    let scores = run_jobs(&capped, |n| done(todo.len() + n, total))?;
    all.extend(series(Budget::EqualCost, &capped, &scores));
    Ok(all)
}

/// The checks that a window may have at the cost of a run: its mean, rounded down.
pub fn equal_cost_checks(of: &Score) -> usize {
    (of.checks_per_window as usize).max(1)
}

/// A run.
#[derive(Clone, Copy)]
struct Job<'a> {
    on: &'a Grouped,
    algorithm: Algorithm,
    seed: u64,
    max_checks: Option<usize>,
}

/// Makes the runs on a few threads; scores come in the order of the jobs.
fn run_jobs(jobs: &[Job<'_>], mut made: impl FnMut(usize)) -> Result<Vec<Score>, RunError> {
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
                    let score = run(&job.on.scenario, job.algorithm.adjust, job.seed, job.max_checks);
                    if done.send(score.map(|score| (i, score))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let count = |(n, result)| {
            made(n + 1);
            result
        };
        results.into_iter().enumerate().map(count).collect::<Result<Vec<_>, _>>()
    })?;
    scores.sort_unstable_by_key(|(i, _)| *i);
    Ok(scores.into_iter().map(|(_, score)| score).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{"name": "small", "about": "", "page_bytes": 4096, "pages": 10000,
        "attrs": {"sample_us": 5000, "aggr_us": 100000, "min_nr_regions": 10, "max_nr_regions": 100},
        "aggregations": 30, "warmup_aggregations": 5, "hot_rate": 0.5,
        "phases": [{"aggregations": 1, "spans": [[0, 3000, 1000], [4000, 4100, 50], [7000, 7700, 500]]}]}"#;

    #[test]
    fn at_equal_cost_the_second_has_what_the_first_used_with_the_same_seed() {
        let scenario = || Scenario::parse("small.json", SMALL).unwrap();
        let scenarios = ["a", "b"].map(|group| Grouped { group: group.into(), scenario: scenario() });
        let second = Algorithm { name: "second", ..CLASSIC };
        let mut told = Vec::new();
        let all = run_all(&scenarios, &[CLASSIC, second], 3, true, |n, of| told.push((n, of))).unwrap();
        assert!(told.len() == 18 && told.iter().zip(1..).all(|(&t, n)| t == (n, 18)), "{told:?}");
        let by = |name, budget| all.iter().filter(move |s| s.algorithm.name == name && s.budget == budget);
        assert_eq!(all.len(), 6);
        for (first, capped) in by("classic", Budget::Configured).zip(by("second", Budget::EqualCost)) {
            assert_eq!(first.on.group, capped.on.group);
            for (first, capped) in first.scores.iter().zip(&capped.scores) {
                assert!(capped.checks_per_window <= first.checks_per_window.floor(), "{first:?} {capped:?}");
                assert!(capped.checks_per_window >= 10.0, "{capped:?}");
            }
        }
    }

    #[test]
    fn a_scenario_belongs_to_the_directory_of_its_file() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        for (file, group) in [("one-hot-block.json", "scenarios"), ("held-out/few-checks.json", "held-out")] {
            assert_eq!(Grouped::read(&dir.join(file)).unwrap().group, group);
        }
    }
}
