//! The classic adjustment is as accurate as the kernel's on memory of known truth, and the check of that can fail.
//!
//! The table of `scenarios/README.md` is read as it stands there. Without optimization only the scenarios of few regions
//! are looked at, to save minutes; `cargo test --release -p damon-ops-sim --test accuracy` looks at all.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::{Path, PathBuf};

use damon_core::{Adjust, Attrs, AttrsSpec, Bp, Monitor};
use damon_ops_sim::scenario::run_with;
use damon_ops_sim::{Scenario, Score};

/// Means of so many seeds are compared with the table's, which are means of so many.
const SEEDS: u64 = 20;
const KERNEL_SEEDS: f64 = 3.0;
/// By so many standard errors of their difference they may differ.
const SIGMAS: f64 = 3.0;

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// A figure of the table: its value, and half a unit of its last digit.
struct Figure {
    name: &'static str,
    value: f64,
    rounding: f64,
    of: Of,
}

type Of = fn(&Score) -> f64;

/// The kernel's figures: scenario by scenario.
fn table() -> Vec<(String, Vec<Figure>)> {
    const COLUMNS: [(&str, Of); 6] = [
        ("mae", |s| s.mae),
        ("rmse", |s| s.rmse),
        ("precision", |s| s.precision),
        ("recall", |s| s.recall),
        ("f1", |s| s.f1),
        ("checks per window", |s| s.checks_per_window),
    ];
    let page = std::fs::read_to_string(dir().join("README.md")).unwrap();
    let rows = page.lines().map(|l| l.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let mut rows = rows.skip_while(|r| r.first() != Some(&"scenario"));
    let head = rows.next().unwrap();
    assert_eq!(head[1..], COLUMNS.map(|c| c.0));
    let figure = |(&(name, of), text): (&(&'static str, _), &&str)| {
        let digits = text.split_once('.').map_or(0, |(_, d)| d.len());
        Figure { name, value: text.parse().unwrap(), rounding: 0.5 * 0.1_f64.powi(digits as i32), of }
    };
    let rows = rows.skip(1).take_while(|r| r.len() == head.len());
    rows.map(|r| (r[0].to_string(), COLUMNS.iter().zip(&r[1..]).map(figure).collect())).collect()
}

/// What of a scenario is not as the kernel's, with `make` making the monitors.
fn outside(name: &str, figures: &[Figure], seeds: u64, make: fn(Attrs, u64) -> Monitor) -> Vec<String> {
    let scenario = Scenario::read(dir().join(format!("{name}.json"))).unwrap();
    let scores: Vec<Score> =
        (0..seeds).map(|seed| run_with(&scenario, Adjust::Classic, seed, None, make).unwrap()).collect();
    let off = |f: &Figure| {
        let values: Vec<f64> = scores.iter().map(f.of).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let allowed = SIGMAS * (variance * (1.0 / n + 1.0 / KERNEL_SEEDS)).sqrt() + f.rounding;
        let line = format!("{name}: {} {mean:.5}, kernel {} ± {allowed:.5}", f.name, f.value);
        println!("{line}");
        ((mean - f.value).abs() > allowed).then_some(line)
    };
    figures.iter().filter_map(off).collect()
}

#[test]
fn classic_scores_as_the_kernel_does() {
    let mut table = table();
    assert_eq!(table.len(), 8);
    if cfg!(debug_assertions) {
        table.retain(|(_, figures)| figures.iter().any(|f| f.name == "checks per window" && f.value < 100.0));
    }
    let of = |(name, figures): &(String, Vec<Figure>)| outside(name, figures, SEEDS, Monitor::new);
    let off: Vec<String> = table.iter().flat_map(of).collect();
    assert!(off.is_empty(), "{off:#?}");
}

#[test]
fn classic_with_a_fifth_of_its_merge_threshold_does_not() {
    fn damaged(attrs: Attrs, seed: u64) -> Monitor {
        let merge_bp = Bp(attrs.spec().merge_bp.0 / 5);
        Monitor::new(Attrs::try_from(AttrsSpec { merge_bp, ..attrs.spec().clone() }).unwrap(), seed)
    }
    let seeds = if cfg!(debug_assertions) { 3 } else { SEEDS };
    let table = table();
    let (name, figures) = table.iter().find(|(name, _)| name == "stairs-32").unwrap();
    let off = outside(name, figures, seeds, damaged);
    // Not only in what it costs.
    assert!(off.iter().any(|line| line.contains("recall")), "{off:#?}");
}
