//! Migration slows where the machine is busy: the busiest of what it takes decides, but it never stops.
//!
//! It does not stop since hot memory in the wrong place may be why the machine is busy.

use damon_core::{Bp, Metric, Metrics, NodeId};

/// The load from which on less is migrated: at full load an eighth. What cannot be read does not slow, and
/// [`Plan::adapt`](super::Plan::adapt) says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Busy part of all CPUs ([`Metric::CpuLoadBp`]). Default none: a move
    /// that takes a busy CPU has to pay for it ([`Benefit`](super::Benefit)), and is made then.
    pub cpu: Option<Bp>,
    /// Used part of the bandwidth of a node that memory goes to or from ([`Metric::NodeBandwidthUsedBp`]). Default 80%.
    pub bandwidth: Option<Bp>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cpu: None, bandwidth: Some(Bp(8_000)) }
    }
}

impl Limits {
    /// What is looked at for migrations between these nodes, each with its limit.
    pub(super) fn looks(&self, nodes: [NodeId; 2]) -> impl Iterator<Item = (Metric, Bp)> {
        let nodes = nodes.into_iter().filter_map(|n| Some((Metric::NodeBandwidthUsedBp(n), self.bandwidth?)));
        self.cpu.map(|limit| (Metric::CpuLoadBp, limit)).into_iter().chain(nodes)
    }

    /// So many halvings of what may be migrated between these nodes: 0 to 3.
    pub(super) fn halvings(&self, nodes: [NodeId; 2], metrics: &mut (impl Metrics + ?Sized)) -> u32 {
        let halvings = |(metric, limit): (Metric, Bp)| {
            let load = metrics.read(metric).ok()?.min(10_000);
            let (over, rest) = (load.saturating_sub(limit.0.into()), 10_000_u64.saturating_sub(limit.0.into()));
            u32::try_from((over * 4).checked_div(rest)?.min(3)).ok()
        };
        self.looks(nodes).filter_map(halvings).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use damon_core::{MetricError, MetricsFn};

    use super::*;

    #[test]
    fn the_busiest_of_what_a_migration_takes_slows_it_and_never_stops_it() {
        let halvings = |cpu, used_0, used_1| {
            let mut metrics = MetricsFn(move |metric| match metric {
                Metric::CpuLoadBp => Ok(cpu),
                Metric::NodeBandwidthUsedBp(NodeId(0)) => Ok(used_0),
                Metric::NodeBandwidthUsedBp(NodeId(1)) => Ok(used_1),
                other => Err(MetricError::new(other, "unknown")),
            });
            let limits = Limits { cpu: Some(Bp(8_000)), ..Limits::default() };
            limits.halvings([NodeId(0), NodeId(1)], &mut metrics)
        };
        assert_eq!([halvings(8_000, 0, 0), halvings(8_500, 0, 0), halvings(10_000, 0, 0)], [0, 1, 3]);
        assert_eq!(halvings(0, 9_000, 8_600), 2);
        assert_eq!(Limits::default().halvings([NodeId(0), NodeId(1)], &mut ()), 0, "what cannot be read does not slow");
    }
}
