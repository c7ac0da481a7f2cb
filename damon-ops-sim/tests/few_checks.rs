//! With few regions and as few checks the adaptive adjustment is no worse than the classic one, also where memory changes all the time.
//!
//! That is the rule for small budgets: there is none. Figures: `docs/adaptive.md`.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::Path;

use damon_core::{Adjust, Attrs, AttrsSpec, Monitor};
use damon_ops_sim::Scenario;
use damon_ops_sim::scenario::run_with;

const SEEDS: u64 = 3;

/// The mean error with at most `max_nr_regions`.
fn mae(scenario: &Scenario, adjust: Adjust, max_nr_regions: usize) -> f64 {
    let few = |attrs: Attrs, seed| {
        let spec = AttrsSpec { max_nr_regions, ..attrs.spec().clone() };
        Monitor::new(Attrs::try_from(spec).unwrap(), seed)
    };
    (0..SEEDS).map(|seed| run_with(scenario, adjust, seed, None, few).unwrap().mae).sum::<f64>() / SEEDS as f64
}

#[test]
fn ten_to_forty_checks_a_window_are_better_used_too() {
    for name in ["own/bursty", "own/phase-20", "own/slow-drift", "sliding-window"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.json"));
        let scenario = Scenario::read(path).unwrap();
        for max in [10, 20, 40] {
            let (adaptive, classic) = (mae(&scenario, Adjust::Adaptive, max), mae(&scenario, Adjust::Classic, max));
            println!("{name}, {max}: {classic:.4} {adaptive:.4}");
            // With ten regions at least and at most nothing can adapt: equal but for noise.
            let allowed = if max == 10 { 1.03 } else { 0.9 };
            assert!(adaptive <= allowed * classic, "{name} with {max} regions: {adaptive} by {classic}");
        }
    }
}
