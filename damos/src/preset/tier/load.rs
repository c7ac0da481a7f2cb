//! Migration slows where the machine is busy: the busiest of what it takes decides, but it never stops.
//!
//! It does not stop since hot memory in the wrong place may be why the machine is busy.

use std::collections::BTreeMap;

use damon_core::{Bp, Metric, MetricError, Metrics, NodeId};

/// So many halvings at most.
const MOST: u32 = 3;

/// The load from which on less is migrated: at full load an eighth. What cannot be read does not slow, and
/// [`Plan::adapt`](super::Plan::adapt) says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Busy part of all CPUs ([`Metric::CpuLoadBp`]). Default none: a move
    /// that takes a busy CPU has to pay for it ([`Benefit`](super::Benefit)), and is made then.
    pub cpu: Option<Bp>,
    /// Used part of the bandwidth of a node that memory goes to or from ([`Metric::NodeBandwidthUsedBp`]). Default 80%.
    pub bandwidth: Option<Bp>,
    /// What stands for it where it cannot be read: the latency under load of such a node ([`Metric::NodeLatencyNs`]), relative to its
    /// lowest since the plan was made. From here on half as much is migrated, and half of that each time the waiting doubles. Above
    /// 100%; default 200%: what waits as long as it is served finds about 83% of the bandwidth used, and another socket's memory, for
    /// which latency depends on where the reader runs, is not as far away as that.
    pub latency: Option<Bp>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cpu: None, bandwidth: Some(Bp(8_000)), latency: Some(Bp(20_000)) }
    }
}

/// The lowest latency under load of each node so far: what it is without load. Where a plan is made under load it is too high until
/// that ends, and migration slows late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Calm(BTreeMap<NodeId, u64>);

impl Calm {
    /// Halvings for a node whose latency is `ns` now: one from `limit` times the lowest on, one more for each doubling of the wait.
    fn halvings(&mut self, node: NodeId, ns: u64, limit: Bp) -> u32 {
        let lowest = self.0.entry(node).or_insert(ns);
        *lowest = ns.min(*lowest);
        let wait = u128::from(ns - *lowest) * u128::from(Bp::WHOLE.0);
        let allowed = u128::from(*lowest) * u128::from(limit.0.saturating_sub(Bp::WHOLE.0));
        wait.checked_div(allowed).and_then(u128::checked_ilog2).map_or(0, |doublings| (doublings + 1).min(MOST))
    }
}

impl Limits {
    /// So many halvings of what may be migrated between these nodes: 0 to 3.
    pub(super) fn halvings(&self, nodes: [NodeId; 2], calm: &mut Calm, metrics: &mut (impl Metrics + ?Sized)) -> u32 {
        let of_node = |node| {
            let latency = Metric::NodeLatencyNs(node);
            match self.used(node, metrics)? {
                Ok(halvings) => Some(halvings),
                Err(_) => Some(calm.halvings(node, metrics.read(latency).ok()?, self.latency?)),
            }
        };
        let busiest = nodes.into_iter().filter_map(of_node).max().unwrap_or(0);
        let cpu = self.cpu.and_then(|limit| over(metrics.read(Metric::CpuLoadBp).ok()?, limit));
        busiest.max(cpu.unwrap_or(0))
    }

    /// The same for the used part of a node's bandwidth; `None`: without limit.
    fn used(&self, node: NodeId, metrics: &mut (impl Metrics + ?Sized)) -> Option<Result<u32, MetricError>> {
        let limit = self.bandwidth?;
        Some(metrics.read(Metric::NodeBandwidthUsedBp(node)).map(|used| over(used, limit).unwrap_or(0)))
    }

    /// What would slow migrations between these nodes, and cannot be read, nor what stands for it.
    pub(super) fn unread(&self, nodes: [NodeId; 2], metrics: &mut (impl Metrics + ?Sized)) -> Vec<MetricError> {
        let cpu = self.cpu.and_then(|_| metrics.read(Metric::CpuLoadBp).err());
        let of_node = |node| {
            let e = self.used(node, metrics)?.err()?;
            (self.latency.is_none() || metrics.read(Metric::NodeLatencyNs(node)).is_err()).then_some(e)
        };
        cpu.into_iter().chain(nodes.into_iter().filter_map(of_node)).collect()
    }
}

/// Halvings for a part of which `limit` is allowed: one for each quarter of the rest. `None`: there is no rest.
fn over(part: u64, limit: Bp) -> Option<u32> {
    let limit = u64::from(limit.0);
    let (over, rest) = (part.min(10_000).saturating_sub(limit), 10_000_u64.saturating_sub(limit));
    u32::try_from((over * 4).checked_div(rest)?).ok().map(|quarters| quarters.min(MOST))
}

#[cfg(test)]
mod tests {
    use damon_core::MetricsFn;

    use super::*;

    const NODES: [NodeId; 2] = [NodeId(0), NodeId(1)];

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
            limits.halvings(NODES, &mut Calm::default(), &mut metrics)
        };
        assert_eq!([halvings(8_000, 0, 0), halvings(8_500, 0, 0), halvings(10_000, 0, 0)], [0, 1, 3]);
        assert_eq!(halvings(0, 9_000, 8_600), 2);
        let unread = Limits::default().halvings(NODES, &mut Calm::default(), &mut ());
        assert_eq!(unread, 0, "what cannot be read does not slow");
    }

    /// Nodes whose latencies are told, and of the first, where `used` says so, the used part of its bandwidth.
    fn latencies(ns: [u64; 2], used: Option<u64>) -> MetricsFn<impl FnMut(Metric) -> Result<u64, MetricError>> {
        MetricsFn(move |metric| match (metric, used) {
            (Metric::NodeLatencyNs(node), _) => Ok(ns[usize::from(node.0)]),
            (Metric::NodeBandwidthUsedBp(NodeId(0)), Some(used)) => Ok(used),
            (other, _) => Err(MetricError::new(other, "no counters")),
        })
    }

    #[test]
    fn where_bandwidth_cannot_be_read_latency_relative_to_its_lowest_stands_for_it() {
        let (limits, mut calm) = (Limits::default(), Calm::default());
        let mut at = |ns, used| limits.halvings(NODES, &mut calm, &mut latencies(ns, used));
        assert_eq!([at([150, 250], None), at([199, 250], None)], [0, 0]);
        assert_eq!(at([100, 250], None), 0, "that is the lowest");
        assert_eq!([199, 200, 299, 300, 499, 500, 9_999].map(|ns| at([ns, 250], None)), [0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(at([150, 750], None), 2, "the other node is the busier one");
        assert_eq!(at([9_999, 250], Some(0)), 0, "who counts is asked alone");
        let without = Limits { latency: None, ..limits };
        assert_eq!(without.halvings(NODES, &mut calm, &mut latencies([9_999, 250], None)), 0);
        let without = Limits { bandwidth: None, ..limits };
        assert_eq!(without.halvings(NODES, &mut calm, &mut latencies([9_999, 250], None)), 0);
    }

    /// The simulator's queueing: 1 + 0.2 u / (1 - u).
    #[test]
    fn both_ways_slow_at_about_the_same_load() {
        let (limits, mut calm) = (Limits::default(), Calm::default());
        let mut difference = |used: u64| {
            let ns = 1_000 + 200 * used / (10_000 - used);
            let [counted, timed] = [Some(used), None]
                .map(|used| limits.halvings([NodeId(0); 2], &mut calm, &mut latencies([ns, 0], used)));
            counted.abs_diff(timed)
        };
        assert_eq!([0, 5_000, 8_300, 8_600, 8_900, 9_200, 9_400, 9_600, 9_900].map(&mut difference), [0; 9]);
        assert!((0..10_000).all(|used| difference(used) <= 1));
    }

    #[test]
    fn what_nothing_stands_for_is_told() {
        let limits = Limits { cpu: Some(Bp(8_000)), ..Limits::default() };
        let unread = |limits: Limits, metrics: &mut dyn Metrics| -> Vec<Metric> {
            limits.unread(NODES, metrics).into_iter().map(|e| e.metric).collect()
        };
        let used = NODES.map(Metric::NodeBandwidthUsedBp);
        assert_eq!(unread(limits, &mut latencies([1, 1], None)), [Metric::CpuLoadBp]);
        assert_eq!(unread(limits, &mut ()), [Metric::CpuLoadBp, used[0], used[1]]);
        let deaf = Limits { latency: None, cpu: None, ..limits };
        assert_eq!(unread(deaf, &mut latencies([1, 1], Some(0))), [used[1]]);
        assert!(unread(Limits { bandwidth: None, ..deaf }, &mut ()).is_empty());
    }
}
