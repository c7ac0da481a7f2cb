//! Migration slows where the machine is busy: goals beside those on node use, of which the farthest reached decides.

use damon_core::{Bp, Metric, NodeId};

use crate::scheme::Goal;

/// Above which load nothing is migrated. What cannot be read is left out by [`Plan::adapt`](super::Plan::adapt), which says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Busy part of all CPUs ([`Metric::CpuLoadBp`]). Default 90%.
    pub cpu: Option<Bp>,
    /// Used part of the bandwidth of the node that memory goes to ([`Metric::NodeBandwidthUsedBp`]). Default 90%.
    pub bandwidth: Option<Bp>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cpu: Some(Bp(9_000)), bandwidth: Some(Bp(9_000)) }
    }
}

impl Limits {
    /// The goals that stop what goes `to` a node.
    pub(super) fn goals(&self, to: NodeId) -> impl Iterator<Item = Goal> {
        let goal = |metric, limit: Option<Bp>| limit.map(|bp| Goal::new(metric, bp.0.into()));
        goal(Metric::CpuLoadBp, self.cpu).into_iter().chain(goal(Metric::NodeBandwidthUsedBp(to), self.bandwidth))
    }
}
