//! What algorithms see of scenarios beside what is there, as heat maps.

use damon_core::{AddrRange, Target};
use damon_ops_sim::compare::{Algorithm, Budget, equal_cost_checks};
use damon_ops_sim::scenario::{RunError, Shown, reported, run_seen};
use damon_ops_sim::{Scenario, Score};

use crate::heatmap::{Cell, HeatMap, Mapping, Row, bytes};

/// Which aggregations are drawn: the first, and the one after the last.
pub type Drawn = std::ops::Range<u64>;

/// A scenario's truth beside what each algorithm, under a budget, sees of it with `seed`.
///
/// Equal cost is that of the first one.
///
/// # Errors
/// The first run's that cannot be made.
pub fn row(scenario: &Scenario, columns: &[(Algorithm, Budget)], seed: u64, drawn: &Drawn) -> Result<Row, RunError> {
    let spec = scenario.spec();
    let mut first: Option<Score> = None;
    let mut maps = Vec::new();
    for &(algorithm, budget) in columns {
        let max_checks = first.as_ref().map(equal_cost_checks).filter(|_| budget == Budget::EqualCost);
        let (mut truth, mut seen) = (map(scenario), map(scenario));
        let score = run_seen(scenario, algorithm.adjust, seed, max_checks, |shown| {
            if drawn.contains(&shown.aggregation) {
                let length = shown.view.attrs().aggregation();
                let at = |n: u64| length * u32::try_from(n - drawn.start).unwrap_or(u32::MAX);
                let (from, to) = (at(shown.aggregation), at(shown.aggregation + 1));
                truth.push(from, to, true_cells(scenario, &shown));
                let regions = shown.view.targets().iter().flat_map(Target::regions);
                seen.push(from, to, regions.map(|r| (r.range(), Cell::Rate(reported(r) as f32))));
            }
        })?;
        if maps.is_empty() {
            maps.push((String::new(), truth));
        }
        let note = format!("MAE {:.4}, {:.0} checks a window", score.mae, score.checks_per_window);
        maps.push((note, seen));
        first.get_or_insert(score);
    }
    let size: u64 = scenario.ranges().iter().map(|r| r.size()).sum();
    Ok(Row { title: format!("{}, {}: {}", spec.name, bytes(size), spec.about), maps })
}

/// An empty map from the first range of a scenario to its last.
fn map(scenario: &Scenario) -> HeatMap {
    let ends = scenario.ranges().first().zip(scenario.ranges().last());
    let range = ends.and_then(|(first, last)| AddrRange::new(first.start(), last.end()));
    HeatMap::new(range.map(|range| Mapping { name: String::new(), range }).into_iter().collect())
}

/// What is accessed at which rate; idle is what is watched and not in the truth.
fn true_cells(scenario: &Scenario, shown: &Shown<'_>) -> Vec<(AddrRange, Cell)> {
    let seconds = shown.view.attrs().sampling().as_secs_f64();
    let mut out = Vec::new();
    for range in scenario.ranges() {
        let mut at = range.start();
        for heat in shown.truth.heats() {
            let Some(common) = heat.range.intersection(*range) else { continue };
            out.extend(AddrRange::new(at, common.start()).map(|idle| (idle, Cell::Rate(0.0))));
            out.push((common, Cell::Rate(heat.probability(seconds) as f32)));
            at = common.end();
        }
        out.extend(AddrRange::new(at, range.end()).map(|idle| (idle, Cell::Rate(0.0))));
    }
    out
}
