//! The hierarchy of this machine.

use damon_ops_paddr::{Node as Found, Topology};

use super::{Hierarchy, Node};

/// Nodes that are online and have memory. Latency and bandwidth are those that CPUs see (HMAT): of reads, else of writes.
impl From<&Topology> for Hierarchy {
    fn from(topology: &Topology) -> Self {
        let node = |found: &Found| {
            let tier = topology.tiers.get(topology.tier_of(found.id)?)?.number;
            let seen = found.from_cpus();
            Some(Node {
                cpus: !found.cpus.is_empty(),
                latency_ns: seen.and_then(|p| p.read_latency_ns.or(p.write_latency_ns)),
                mib_per_s: seen.and_then(|p| p.read_mib_per_s.or(p.write_mib_per_s)),
                distances: found.distances.clone(),
                reserved: found.reserved,
                ..Node::new(found.id, tier, found.bytes)
            })
        };
        Self { nodes: topology.nodes.iter().filter(|found| found.bytes > 0).filter_map(node).collect() }
    }
}

#[cfg(test)]
mod tests {
    use damon_core::NodeId;
    use damon_ops_paddr::Performance;

    use super::*;

    #[test]
    fn what_the_machine_tells_of_its_nodes_is_taken_over() {
        let mut access = Performance::default();
        (access.read_latency_ns, access.write_mib_per_s) = (Some(250), Some(9_000));
        let mut far = Found::new(NodeId(1));
        (far.bytes, far.access, far.distances) = (5 << 30, Some(access), vec![(NodeId(0), 20), (NodeId(1), 10)]);
        let mut near = Found::new(NodeId(0));
        (near.bytes, near.cpus, near.distances) = (9 << 30, vec![0, 1], vec![(NodeId(0), 10), (NodeId(1), 20)]);
        near.reserved = 1 << 20;
        let mut topology = Topology::default();
        topology.nodes = vec![near, far, Found::new(NodeId(2))];
        topology.tiers = topology.tiers_by_attributes();

        let hierarchy = Hierarchy::from(&topology);
        assert_eq!(hierarchy.tiers(), [4, 9]);
        let [near, far] = hierarchy.nodes.as_slice() else { panic!("{hierarchy:?}") };
        assert_eq!((near.id, near.cpus, near.bytes, near.latency_ns), (NodeId(0), true, 9 << 30, None));
        assert_eq!((near.reserved, far.reserved), (1 << 20, 0));
        assert_eq!((far.id, far.cpus, far.latency_ns, far.mib_per_s), (NodeId(1), false, Some(250), Some(9_000)));
        assert_eq!((hierarchy.faster(NodeId(1)), hierarchy.slower(NodeId(0))), (Some(4), Some(9)));
    }
}
