//! What the machine tells of itself.

use damon_core::{Bp, Metric, MetricError, Metrics, NodeId};

use super::Machine;
use super::extents::Extent;
use super::state::State;

impl State {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        self.settle();
        if let Some(&(_, value)) = self.inputs.iter().find(|i| i.0 == metric) {
            return Ok(value);
        }
        let free_of = |node: NodeId| match self.nodes.iter().find(|n| n.0 == node) {
            Some(&(_, capacity)) => Ok(Bp::of(self.free(node), capacity)),
            None => Err(MetricError::new(metric, "the machine was made without this node")),
        };
        match metric {
            Metric::FreeMemRatePermille => {
                let capacity: u64 = self.nodes.iter().map(|n| n.1).sum();
                let free: u64 = self.nodes.iter().map(|n| self.free(n.0)).sum();
                Ok(free * 1_000 / capacity.max(1))
            }
            Metric::NodeMemFreeBp(node) => free_of(node).map(|bp| bp.0.into()),
            Metric::NodeMemUsedBp(node) => free_of(node).map(|bp| u64::from(10_000 - bp.0)),
            Metric::ActiveMemBp => Ok(self.active_bp()),
            Metric::InactiveMemBp => Ok(10_000 - self.active_bp()),
            Metric::SomeMemPsiUs => Ok(u64::try_from(self.usage.stalled.as_micros()).unwrap_or(u64::MAX)),
            Metric::Refaults => Ok(self.usage.refaults),
            Metric::Promotions => Ok(self.usage.promoted),
            other => Err(MetricError::new(other, "the simulated machine does not know it: give it with `set_input`")),
        }
    }

    fn active_bp(&self) -> u64 {
        let extents = || self.targets.values().flat_map(|t| t.extents.iter());
        let active: u64 = extents().filter(|e| e.active).map(Extent::resident).sum();
        let all: u64 = extents().map(Extent::resident).sum();
        if all == 0 { 0 } else { Bp::of(active, all).0.into() }
    }
}

impl Machine {
    /// Says what a metric is, be it one that the machine does not know or one that it does.
    pub fn set_input(&self, metric: Metric, value: u64) {
        let mut state = self.lock();
        state.inputs.retain(|i| i.0 != metric);
        state.inputs.push((metric, value));
    }
}

impl Metrics for Machine {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        self.lock().read(metric)
    }
}
