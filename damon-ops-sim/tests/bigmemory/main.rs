//! How soon a monitor has a good picture of a big machine, within a part of a CPU.
//!
//! `docs/bigmemory.md` shows the figures, and is what this test computes:
//! `UPDATE_DOCS=1 cargo test --release -p damon-ops-sim --test bigmemory` writes it anew.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod machine;
mod page;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use damon_core::{Adjust, Attrs, AttrsSpec, IntervalsGoal};
use machine::{CHECK, GIB, Machine, Watched, watch};

const SEEDS: u64 = 3;
/// The part of a CPU that hierarchical page-table profiling took.
const CPU: f64 = 0.009;
/// What precision and recall have to be.
const GOOD: f64 = 0.9;
/// How long a good picture may take to come.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Checks in a window. They take a budget's part of a CPU where windows are as short as it allows.
const CHECKS: u64 = 6_000;
/// No window is longer, and an aggregation has so many: what changes should be seen soon.
const LONGEST: Duration = Duration::from_secs(2);
const WINDOWS: u32 = 10;

/// A machine, and how much of its hot data DAMON was published to find at 5 ms sampling.
struct Case {
    name: &'static str,
    machine: Machine,
    published: &'static str,
    found: (f64, f64),
}

const fn machine(bytes: u64, hot_bytes: u64, extents: u64) -> Machine {
    Machine { bytes, hot_bytes, extents }
}

const TIB_5: u64 = 5 * 1024 * GIB;
const NONE: &str = "about none";
const CASES: [Case; 6] = [
    Case { name: "1 GiB, a tenth hot", machine: machine(GIB, GIB / 10, 1), published: "above 90%", found: (0.9, 1.0) },
    Case { name: "10 GiB, a tenth hot", machine: machine(10 * GIB, GIB, 1), published: "below 50%", found: (0.1, 0.5) },
    Case { name: "100 GiB, a tenth hot", machine: machine(100 * GIB, 10 * GIB, 1), published: NONE, found: (0.0, 0.1) },
    Case { name: "5 TiB, 10 GiB hot", machine: machine(TIB_5, 10 * GIB, 1), published: NONE, found: (0.0, 0.1) },
    Case {
        name: "5 TiB, 10 GiB hot in 64 extents",
        machine: machine(TIB_5, 10 * GIB, 64),
        published: NONE,
        found: (0.0, 0.1),
    },
    Case {
        name: "5 TiB, 10 GiB hot in 1,024 extents",
        machine: machine(TIB_5, 10 * GIB, 1024),
        published: NONE,
        found: (0.0, 0.1),
    },
];

/// Intervals tuned to see 4% of what could be seen, `checks` in a window, and no window so short that they take more than
/// the part `cpu` of a CPU.
fn tuned(adjust: Adjust, cpu: f64, checks: u64) -> Attrs {
    let micros = (CHECK.as_secs_f64() * checks as f64 / cpu * 1e6).ceil();
    let shortest = Duration::from_micros(micros as u64);
    let longest = LONGEST.max(shortest);
    let goal = IntervalsGoal { min_sampling: shortest, max_sampling: longest, ..IntervalsGoal::default() };
    Attrs::try_from(AttrsSpec {
        sampling: shortest,
        aggregation: shortest * WINDOWS,
        max_nr_regions: usize::try_from(checks).unwrap() * 2,
        max_checks: usize::try_from(checks).ok(),
        intervals_goal: Some(goal),
        adjust,
        ..AttrsSpec::default()
    })
    .unwrap()
}

fn seeds(machine: Machine, attrs: &Attrs, patience: Duration, moves: bool) -> Vec<Watched> {
    std::thread::scope(|scope| {
        let of = |seed| scope.spawn(move || watch(machine, attrs.clone(), seed, patience, moves));
        let runs: Vec<_> = (0..SEEDS).map(of).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

fn mean(runs: &[Watched], of: impl Fn(&Watched) -> f64) -> f64 {
    runs.iter().map(of).sum::<f64>() / runs.len() as f64
}

/// The slowest run's time; `None` where one never got there.
fn slowest(runs: &[Watched], of: impl Fn(&Watched) -> Option<Duration>) -> Option<Duration> {
    runs.iter().map(of).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Case by case, a run for each seed.
type Runs = Vec<Vec<Watched>>;

/// The classic adjustment with the defaults: a check in 5 ms for each of 10 to 1,000 regions.
fn classic() -> &'static Runs {
    static RUNS: OnceLock<Runs> = OnceLock::new();
    let minute = Duration::from_secs(60);
    RUNS.get_or_init(|| CASES.iter().map(|case| seeds(case.machine, &kernels(), minute, true)).collect())
}

/// What the kernel does when it is told nothing.
fn kernels() -> Attrs {
    Attrs::try_from(AttrsSpec { adjust: Adjust::Classic, ..AttrsSpec::default() }).unwrap()
}

fn tuned_runs(adjust: Adjust) -> Runs {
    CASES.iter().map(|case| seeds(case.machine, &tuned(adjust, CPU, CHECKS), PATIENCE, true)).collect()
}

fn adaptive() -> &'static Runs {
    static RUNS: OnceLock<Runs> = OnceLock::new();
    RUNS.get_or_init(|| tuned_runs(Adjust::Adaptive))
}

#[test]
fn classic_at_5_ms_finds_what_was_published() {
    for (case, runs) in CASES.iter().zip(classic()) {
        let found = mean(runs, |w| w.recall);
        assert!((case.found.0..=case.found.1).contains(&found), "{}: {found}, {}", case.name, case.published);
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "needs minutes: cargo test --release")]
fn adaptive_with_tuned_intervals_finds_it_all_at_the_cost_of_page_table_profiling() {
    for (case, runs) in CASES.iter().zip(adaptive()) {
        for w in runs {
            assert!(w.precision >= GOOD && w.recall >= GOOD, "{}: {w:?}", case.name);
            assert!(w.from_start.is_some() && w.from_move.is_some(), "{}: {w:?}", case.name);
            assert!(w.most_cpu <= CPU, "{}: {w:?}", case.name);
        }
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "needs minutes: cargo test --release")]
fn the_page_in_docs_is_what_is_computed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/bigmemory.md");
    let page = page::page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/bigmemory.md is out of date: run this test with UPDATE_DOCS=1");
}
