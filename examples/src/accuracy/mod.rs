//! How algorithms do on scenarios, for people and for programs.

pub mod maps;
pub mod report;

use damon_ops_sim::compare::{Algorithm, Grouped, Series, run_all};
use damon_ops_sim::scenario::RunError;

/// [`run_all`], showing how far it is.
///
/// # Errors
/// Its own.
pub fn run<'a>(
    scenarios: &'a [Grouped],
    algorithms: &[Algorithm],
    seeds: u64,
    equal_cost: bool,
) -> Result<Vec<Series<'a>>, RunError> {
    let bar = crate::progress::bar("simulating", 1);
    let all = run_all(scenarios, algorithms, seeds, equal_cost, |made, of| {
        bar.set_length(of as u64);
        bar.set_position(made as u64);
    });
    bar.finish_and_clear();
    all
}
