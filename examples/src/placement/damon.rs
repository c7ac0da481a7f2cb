//! DAMON with its classic adjustment, as the kernel's sample module for tiering sets it up.
//!
//! Counterpart: `samples/damon/mtier.c` (Linux 7.3): two contexts on physical addresses, one that promotes and one that demotes.
//! The module knows two nodes; here each node has a context for the tier above and one for the tier below it.

use std::time::Duration;

use damon_core::control::priority::Weights;
use damon_core::{Action, Adjust, AttrsSpec, Bp, Dest, Filter, Instant, IntervalsGoal, Metric, NodeId, PageFilter};
use damon_ops_sim::tiering::{Host, Policy, PolicyError};
use damos::scheme::{AccessPattern, Freq, Goal, Quota, Scheme};

use super::kdamond::{Ways, context};

/// The module's two goals, and how much it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goals {
    /// Promotes until this part of the upper node is used. Default 99.7%.
    pub used: Bp,
    /// Demotes until this part of it is free. Default 0.5%.
    pub free: Bp,
    /// Bytes a second, each way. Default 200 MiB.
    pub quota: u64,
}

impl Default for Goals {
    fn default() -> Self {
        Self { used: Bp(9_970), free: Bp(50), quota: 200 << 20 }
    }
}

/// The module.
#[derive(Debug, Default)]
pub struct Classic {
    goals: Goals,
    seed: u64,
    ways: Ways,
}

impl Classic {
    /// With these goals; its chance comes from `seed`.
    pub fn new(goals: Goals, seed: u64) -> Self {
        Self { goals, seed, ways: Ways::default() }
    }

    /// From now on with other goals. What was seen and how the quotas are tuned stays.
    ///
    /// # Errors
    /// Where a scheme with them is refused.
    pub fn commit(&mut self, goals: Goals) -> Result<(), PolicyError> {
        self.goals = goals;
        for (from, to, context) in self.ways.contexts() {
            context.set_schemes(vec![scheme(goals, to.kind < from.kind, from.id, to.id)])?;
        }
        Ok(())
    }
}

fn attrs() -> AttrsSpec {
    AttrsSpec {
        update: Duration::from_secs(60),
        intervals_goal: Some(IntervalsGoal::default()),
        adjust: Adjust::Classic,
        ..AttrsSpec::default()
    }
}

fn scheme(goals: Goals, promote: bool, from: NodeId, to: NodeId) -> Scheme {
    let (action, freq, goal) = if promote {
        let goal = Goal::new(Metric::NodeMemUsedBp(to), goals.used.0.into());
        (Action::MigrateHot, Freq::Samples(1..=u32::MAX), goal)
    } else {
        let goal = Goal::new(Metric::NodeMemFreeBp(from), goals.free.0.into());
        (Action::MigrateCold, Freq::NONE, goal)
    };
    Scheme {
        pattern: AccessPattern { size: 4_096..=u64::MAX, freq, ..AccessPattern::default() },
        apply_interval: Duration::from_secs(1),
        dests: vec![Dest { node: to, weight: 1 }],
        quota: Quota {
            size: goals.quota,
            weights: Weights { size: 0, nr_accesses: 100, age: 100 },
            goals: vec![goal],
            ..Quota::default()
        },
        filters: vec![Filter { page: PageFilter::Young, matching: true, allow: promote }],
        ..Scheme::new(action)
    }
}

impl Policy for Classic {
    fn name(&self) -> String {
        "damon".into()
    }

    fn wake(&mut self, now: Instant, host: &Host) -> Result<Instant, PolicyError> {
        let (goals, seed) = (self.goals, self.seed);
        self.ways.wake(now, host, |from, to| {
            context(host, (from, to), seed, attrs(), scheme(goals, to.kind < from.kind, from.id, to.id))
        })
    }
}
