//! The adaptive adjustment has a far better picture than the classic one for the same checks, on scenarios that were there
//! before it was; and the check of that can fail.
//!
//! `docs/adaptive-results.md` shows the figures, and is what this test computes:
//! `UPDATE_DOCS=1 cargo test --release -p damon-ops-sim --test adaptive` writes it anew.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod page;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use damon_ops_sim::compare::{ADAPTIVE, Budget, CLASSIC, Figure, Grouped, Pair, Series, Summary, mean, run_all};
use damon_ops_sim::run;

const SEEDS: u64 = 5;

/// Directories of scenarios: those that the kernel was measured on, those that were tuned on too, those held out, and those
/// with more hot spots than few checks can find.
const GROUPS: [&str; 4] = ["scenarios", "own", "held-out", "scattered"];

/// The geometric mean of the ratios of each of the first three groups is at most this. In all four nothing is worse by more than noise.
const BOUNDS: [(Budget, Figure, f64); 4] = [
    (Budget::Configured, Figure::Mae, 0.20),
    (Budget::Configured, Figure::Rmse, 0.30),
    (Budget::EqualCost, Figure::Mae, 0.40),
    (Budget::EqualCost, Figure::Rmse, 0.50),
];
/// Classic finds nothing here.
const SPARSE: (&str, f64) = ("sparse-spots", 0.95);

fn scenarios() -> Vec<Grouped> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = |group: &&str| -> Vec<PathBuf> {
        let dir = if *group == GROUPS[0] { dir.clone() } else { dir.join(group) };
        let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
        files.retain(|p| p.extension().is_some_and(|e| e == "json"));
        files.sort();
        files
    };
    GROUPS.iter().flat_map(files).map(|path| Grouped::read(&path).unwrap()).collect()
}

/// All runs: made once, for all tests.
fn all() -> &'static [Series<'static>] {
    static ALL: OnceLock<Vec<Series<'static>>> = OnceLock::new();
    static SCENARIOS: OnceLock<Vec<Grouped>> = OnceLock::new();
    let scenarios = SCENARIOS.get_or_init(scenarios);
    ALL.get_or_init(|| run_all(scenarios, &[CLASSIC, ADAPTIVE], SEEDS, true, |_, _| {}).unwrap())
}

/// The adaptive runs of a group under a budget, each beside the classic ones.
fn pairs(all: &[Series<'_>], group: &str, budget: Budget) -> Vec<Pair> {
    let base = |on| all.iter().find(|s| s.algorithm == CLASSIC && std::ptr::eq(s.on, on)).unwrap();
    let ours = all.iter().filter(|s| s.algorithm == ADAPTIVE && s.on.group == group && s.budget == budget);
    ours.map(|s| s.beside(base(s.on))).collect()
}

/// What does not hold of it, in words.
fn broken(all: &[Series<'_>]) -> Vec<String> {
    let mut broken = Vec::new();
    for (i, group) in GROUPS.into_iter().enumerate() {
        for (budget, figure, bound) in BOUNDS {
            let bound = if i < 3 { bound } else { f64::INFINITY };
            let pairs = pairs(all, group, budget);
            let Some(summary) = Summary::of(&pairs, figure) else { continue };
            let what = format!("{group}, {}, {}", budget.name(), figure.name());
            if summary.geometric_mean > bound {
                broken.push(format!("{what}: the ratios' mean is {:.3}, above {bound}", summary.geometric_mean));
            }
            for pair in pairs.iter().filter(|p| p.is_worse(figure)) {
                broken.push(format!("{what}: {} is worse, {:.3} times", pair.scenario, pair.ratio(figure)));
            }
        }
    }
    for pair in GROUPS.iter().flat_map(|group| pairs(all, group, Budget::EqualCost)) {
        for (seed, (classic, ours)) in pair.base.iter().zip(&pair.other).enumerate() {
            if ours.checks_per_window > classic.checks_per_window {
                broken.push(format!("{}, seed {seed}: more checks than classic used", pair.scenario));
            }
        }
    }
    for pair in pairs(all, GROUPS[0], Budget::Configured).iter().filter(|p| p.scenario == SPARSE.0) {
        let f1 = mean(&pair.other, |s| s.f1);
        if f1 < SPARSE.1 {
            broken.push(format!("{}: f1 is {f1:.3}, below {}", SPARSE.0, SPARSE.1));
        }
    }
    broken
}

#[test]
#[cfg_attr(debug_assertions, ignore = "needs minutes: cargo test --release")]
fn the_picture_is_better_by_the_bounds_on_every_group() {
    let broken = broken(all());
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "needs minutes: cargo test --release")]
fn with_eight_checks_a_window_it_is_not() {
    let few = |s: &Series<'static>| {
        let scores = (0..2).map(|seed| run(&s.on.scenario, s.algorithm.adjust, seed, Some(8)).unwrap()).collect();
        Series { on: s.on, algorithm: s.algorithm, budget: s.budget, scores }
    };
    let classic =
        |s: &Series<'static>| Series { on: s.on, algorithm: s.algorithm, budget: s.budget, scores: s.scores.clone() };
    let supplied = || all().iter().filter(|s| s.on.group == GROUPS[0] && s.budget == Budget::Configured);
    let crippled: Vec<Series<'_>> =
        supplied().map(|s| if s.algorithm == CLASSIC { classic(s) } else { few(s) }).collect();
    let broken = broken(&crippled);
    for line in ["scenarios, configured, mae: the ratios' mean", "fragmented-512 is worse", "sparse-spots: f1"] {
        assert!(broken.iter().any(|b| b.contains(line)), "{line} is not in {broken:#?}");
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "needs minutes: cargo test --release")]
fn the_page_in_docs_is_what_is_computed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/adaptive-results.md");
    let page = page::page(all());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/adaptive-results.md is out of date: run this test with UPDATE_DOCS=1");
}
