//! Watches at little cost, for figures: intervals tune themselves, and no scheme acts.
//!
//! Counterpart: `mm/damon/stat.c` (Linux 7.3). What it shows there are
//! [`Snapshot::bandwidth`](damon_core::Snapshot::bandwidth) and
//! [`Snapshot::idle_percentiles_ns`](damon_core::Snapshot::idle_percentiles_ns) here.

use core::time::Duration;

use damon_core::{AttrsSpec, IntervalsGoal};

use crate::scheme::Scheme;

/// `DAMON_STAT`. What is built into the module can be set here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What the intervals are tuned by. Default: 4% of what could be seen, in 3 aggregations, 5 ms to 10 s.
    pub intervals_goal: IntervalsGoal,
    /// Between looks at which memory there is. Default 60 s.
    pub update: Duration,
    /// So many regions at least. Default 10.
    pub min_nr_regions: usize,
    /// So many regions at most. Default 1,000.
    pub max_nr_regions: usize,
}

impl Default for Stat {
    fn default() -> Self {
        let AttrsSpec { min_nr_regions, max_nr_regions, .. } = AttrsSpec::default();
        let update = Duration::from_secs(60);
        Self { intervals_goal: IntervalsGoal::default(), update, min_nr_regions, max_nr_regions }
    }
}

impl Stat {
    /// The attributes, starting at 5 ms and 100 ms or as near as the goal allows, and no scheme.
    pub fn plan(&self) -> (AttrsSpec, Vec<Scheme>) {
        let spec = AttrsSpec::default();
        let goal = self.intervals_goal.clone();
        let sampling = spec.sampling.min(goal.max_sampling).max(goal.min_sampling);
        let attrs = AttrsSpec {
            sampling,
            aggregation: sampling.saturating_mul(20),
            update: self.update,
            min_nr_regions: self.min_nr_regions,
            max_nr_regions: self.max_nr_regions,
            intervals_goal: Some(goal),
            ..spec
        };
        (attrs, Vec::new())
    }
}
