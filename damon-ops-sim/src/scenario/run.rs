//! One monitor on one scenario, in virtual time.

use std::sync::Arc;
use std::time::{Duration, Instant as Wall};

use damon_core::{Adjust, Attrs, Bp, Monitor, Region, Rng, Stats, Target, TargetId, TargetSpec, View, Window};

use super::timing::{Lap, Stopwatch, cost_of_looking};
use super::{Scenario, ScenarioError};
use crate::clock::{Clock, window};
use crate::memory::{Mapping, SimMemory, SimTarget, SimTargetError};
use crate::score::{Score, Scorer};
use crate::workload::{Blocks, Picture};

const TARGET: TargetId = TargetId::new(0);

/// Why a scenario could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It cannot be monitored so.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Its memory cannot be simulated.
    #[error("scenario {scenario}: {source}")]
    Memory {
        /// The scenario's name.
        scenario: String,
        /// What is wrong.
        source: SimTargetError,
    },
    /// The monitor has nothing to watch.
    #[error("scenario {scenario}: the monitor parked instead of watching")]
    Parked {
        /// The scenario's name.
        scenario: String,
    },
}

/// Scores `adjust` on `scenario`, all chance from `seed`. `max_checks` replaces what the scenario says of it.
///
/// # Errors
/// Where `max_checks` is 0.
pub fn run(scenario: &Scenario, adjust: Adjust, seed: u64, max_checks: Option<usize>) -> Result<Score, RunError> {
    run_with(scenario, adjust, seed, max_checks, Monitor::new)
}

/// The same with a monitor that `make` makes from the attributes and a seed.
///
/// # Errors
/// Where `max_checks` is 0, or the monitor does not watch.
pub fn run_with(
    scenario: &Scenario,
    adjust: Adjust,
    seed: u64,
    max_checks: Option<usize>,
    make: impl FnOnce(Attrs, u64) -> Monitor,
) -> Result<Score, RunError> {
    play(scenario, scenario.attrs(adjust, max_checks)?, seed, make, |_| {})
}

/// An aggregation of a run that has ended, warm-up or not.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Shown<'a> {
    /// Which, from 0.
    pub aggregation: u64,
    /// The truth while it ran.
    pub truth: &'a Picture,
    /// What the monitor makes of it.
    pub view: View<'a>,
}

/// As [`run`], with each aggregation shown to `see`.
///
/// # Errors
/// Where `max_checks` is 0.
pub fn run_seen(
    scenario: &Scenario,
    adjust: Adjust,
    seed: u64,
    max_checks: Option<usize>,
    see: impl FnMut(Shown<'_>),
) -> Result<Score, RunError> {
    play(scenario, scenario.attrs(adjust, max_checks)?, seed, Monitor::new, see)
}

fn play(
    scenario: &Scenario,
    attrs: Attrs,
    seed: u64,
    make: impl FnOnce(Attrs, u64) -> Monitor,
    mut see: impl FnMut(Shown<'_>),
) -> Result<Score, RunError> {
    let spec = scenario.spec();
    let seconds = attrs.sampling().as_secs_f64();
    // Memory and monitor must not draw the same numbers.
    let mut seeds = Rng::new(seed);
    let clock = Clock::new();
    let mut ops = Stopwatch::new(memory(scenario, seeds.next_u64(), &clock)?);
    let mut monitor = make(attrs, seeds.next_u64());
    monitor.add_target(TargetSpec::new(TARGET));

    let mut scorer = Scorer::new(spec.hot_rate);
    let mut cost = Cost::default();
    let mut phase = None;
    for aggregation in 0..spec.aggregations {
        let Some((truth, place)) = scenario.cycle().at(aggregation) else { break };
        if phase.replace(place.phase) != Some(place.phase) {
            ops.inner.set_workload(TARGET, Blocks::from(Arc::clone(truth)));
        }
        if aggregation == spec.warmup_aggregations {
            cost = Cost::default();
        }
        loop {
            let start = Wall::now();
            let Ok(done) = window(&mut monitor, &mut ops, &clock);
            cost.add(start.elapsed(), ops.take());
            match done {
                Some(Window::Counted(stats)) => cost.count(&stats),
                Some(Window::Aggregated(stats)) => break cost.count(&stats),
                _ => return Err(RunError::Parked { scenario: spec.name.clone() }),
            }
        }
        let view = monitor.view();
        see(Shown { aggregation, truth, view });
        let regions = view.targets().iter().flat_map(Target::regions);
        let seen = regions.filter(|r| r.sees().checkable()).map(|r| (r.range(), reported(r)));
        if aggregation < spec.warmup_aggregations {
            scorer.warm_up(seen, truth, seconds);
        } else {
            scorer.snapshot(seen, truth, seconds, place);
        }
    }
    Ok(cost.fill_in(scorer.score(), seconds))
}

/// The scenario's memory, idle yet.
fn memory(scenario: &Scenario, seed: u64, clock: &Clock) -> Result<SimMemory, RunError> {
    let build = || {
        let mappings = scenario.ranges().iter().copied().map(Mapping::new).collect();
        let mut memory = SimMemory::new(seed, clock).with_page_bytes(scenario.spec().page_bytes)?;
        memory.insert(TARGET, SimTarget::new(mappings, Blocks::default())?);
        Ok(memory)
    };
    build().map_err(|source| RunError::Memory { scenario: scenario.spec().name.clone(), source })
}

/// The rate that a region reports, 0 to 1; one that was never sampled reports nothing.
pub fn reported(region: &Region) -> f64 {
    region.rate().map_or(0.0, |rate| f64::from(rate.0) / f64::from(Bp::WHOLE.0))
}

/// What monitoring cost.
#[derive(Debug, Default)]
struct Cost {
    windows: u64,
    checks: u64,
    own: Duration,
    looks: u32,
}

impl Cost {
    /// Adds a window that took `total`, of which the backend had its part.
    fn add(&mut self, total: Duration, backend: Lap) {
        self.own += total.saturating_sub(backend.inside);
        // Of the two looks at the clock around each call half is in what was measured, as for the window.
        self.looks = self.looks.saturating_add(backend.calls + 1);
    }

    fn count(&mut self, stats: &Stats) {
        self.windows += 1;
        self.checks += u64::from(stats.checks);
    }

    /// Adds the figures of cost to those of accuracy; a window has `seconds`.
    fn fill_in(&self, score: Score, seconds: f64) -> Score {
        let own = self.own.saturating_sub(cost_of_looking().saturating_mul(self.looks));
        let checks_per_window = self.checks as f64 / self.windows.max(1) as f64;
        Score {
            checks_per_window,
            checks_per_second: checks_per_window / seconds,
            ns_per_check: own.as_nanos() as f64 / self.checks.max(1) as f64,
            ..score
        }
    }
}
