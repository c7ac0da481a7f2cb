//! Where the memory that a scheme is about lies: the one metric that depends on the scheme that asks.
//!
//! Counterpart: `damos_get_node_eligible_mem_bp` (`mm/damon/core.c`, Linux 7.3).

use damon_core::{
    Action, AddrRange, ApplyOps, Bp, Dest, Metric, MetricError, Metrics, Monitor, NodeId, Request, TargetId,
};

use crate::scheme::Goal;
use crate::scheme::pattern::Bounds;

/// Metrics that know it from who acts: to be on a node is what a migration there has in effect. All others, and it too
/// where the actor cannot tell, come from those underneath.
pub(super) struct Eligible<'a, A: ?Sized, M: ?Sized> {
    /// Of the scheme's pattern; empty where no goal asks.
    regions: Vec<(TargetId, AddrRange)>,
    actor: &'a mut A,
    metrics: &'a mut M,
}

impl<'a, A: ApplyOps + ?Sized, M: Metrics + ?Sized> Eligible<'a, A, M> {
    pub(super) fn new(
        goals: &[Goal],
        bounds: &Bounds,
        monitor: &Monitor,
        actor: &'a mut A,
        metrics: &'a mut M,
    ) -> Self {
        let mut regions = Vec::new();
        if goals.iter().any(|g| matches!(g.metric, Metric::NodeEligibleMemBp(_))) {
            let view = monitor.view();
            for t in view.targets() {
                let fits = t.regions().iter().filter(|r| bounds.hold(r, bounds.count_in(&view, r)));
                regions.extend(fits.map(|r| (t.id(), r.range())));
            }
        }
        Self { regions, actor, metrics }
    }

    /// The part of the regions that is on the node; `None` if the actor cannot tell.
    fn part_on(&mut self, node: NodeId) -> Option<Bp> {
        let dests = [Dest { node, weight: 1 }];
        let request = Request::new(Action::MigrateHot, &[], &dests);
        let (mut there, mut all) = (0, 0);
        for &(target, range) in &self.regions {
            there += self.actor.verify(target, range, &request).ok()??;
            all += range.size();
        }
        // Nothing is eligible: nothing of it is there.
        Some(if all == 0 { Bp(0) } else { Bp::of(there, all) })
    }
}

impl<A: ApplyOps + ?Sized, M: Metrics + ?Sized> Metrics for Eligible<'_, A, M> {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        if let Metric::NodeEligibleMemBp(node) = metric {
            if let Some(part) = self.part_on(node) {
                return Ok(part.0.into());
            }
        }
        self.metrics.read(metric)
    }
}
