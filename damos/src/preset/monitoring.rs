//! How the modules that act watch.

use core::time::Duration;

use damon_core::{AttrsSpec, Bp, IntervalsGoal};

/// The monitoring parameters that `DAMON_RECLAIM` and `DAMON_LRU_SORT` have in common, with their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitoring {
    /// Between arming a sample and checking it (`sample_interval`).
    pub sampling: Duration,
    /// Over which samples are counted (`aggr_interval`).
    pub aggregation: Duration,
    /// So many regions at least.
    pub min_nr_regions: usize,
    /// So many regions at most.
    pub max_nr_regions: usize,
    /// Tunes the intervals, from 5 ms and 100 ms on whatever is set above, so that 0.4% of what could be seen is seen
    /// (`autotune_monitoring_intervals`).
    ///
    /// Ages that a scheme waits for stay what they are as time. The kernel turns them into aggregations once, before it
    /// tunes: `min_age` grows and shrinks with the intervals there.
    pub autotune: bool,
}

impl Default for Monitoring {
    fn default() -> Self {
        let AttrsSpec { sampling, aggregation, min_nr_regions, max_nr_regions, .. } = AttrsSpec::default();
        Self { sampling, aggregation, min_nr_regions, max_nr_regions, autotune: false }
    }
}

impl Monitoring {
    /// The attributes. The modules never read physical memory's ranges again; other targets' are, as by default.
    pub(super) fn attrs(&self) -> AttrsSpec {
        let Self { sampling, aggregation, min_nr_regions, max_nr_regions, autotune } = *self;
        let fixed = AttrsSpec { sampling, aggregation, min_nr_regions, max_nr_regions, ..AttrsSpec::default() };
        if !autotune {
            return fixed;
        }
        AttrsSpec {
            sampling: Duration::from_millis(5),
            aggregation: Duration::from_millis(100),
            intervals_goal: Some(IntervalsGoal { access_bp: Bp(40), ..IntervalsGoal::default() }),
            ..fixed
        }
    }
}
