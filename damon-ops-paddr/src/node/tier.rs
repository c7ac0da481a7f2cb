//! Which nodes are alike, and which are slower: tiers.
//!
//! Counterpart: `mt_perf_to_adistance` (`mm/memory-tiers.c`, Linux 7.3), with its scale.

use damon_core::NodeId;

use super::{Node, Performance, Topology};

/// Nodes of about the same speed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// How slow: the N of the kernel's `memory_tierN`. Plain DRAM is 4; twice its latency, or half its bandwidth, 9.
    pub number: u32,
    /// Its nodes, ascending.
    pub nodes: Vec<NodeId>,
}

/// Who says which node is in which tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TierSource {
    /// The kernel (`/sys/devices/virtual/memory_tiering`).
    Kernel,
    /// The nodes' attributes ([`Topology::tiers_by_attributes`]): the kernel has no tiers.
    #[default]
    Attributes,
}

/// The abstract distance of DRAM, and how much of it makes one tier.
const DRAM: u64 = (4 << 7) + (1 << 6);
const STEP: u64 = 1 << 7;

impl Topology {
    /// Tiers from what the nodes themselves show. Where all that have memory show latency or bandwidth to CPUs, a node is
    /// as much slower than the fastest one with CPUs as its latency is longer and its bandwidth is smaller; else as much
    /// as it is farther (SLIT) from the nearest CPUs.
    ///
    /// The kernel's own tiers know more of devices that came with a driver, and less where the firmware says little: it
    /// puts a node without HMAT in the tier of DRAM however far it is.
    pub fn tiers_by_attributes(&self) -> Vec<Tier> {
        let memory = || self.nodes.iter().filter(|node| node.bytes > 0);
        let with_cpus = || memory().filter(|node| !node.cpus.is_empty());
        let reference = with_cpus().filter_map(Node::from_cpus).min_by_key(|p| latency(p));
        let measured = reference.filter(|_| memory().all(|node| node.from_cpus().is_some()));
        let mut tiers: Vec<Tier> = Vec::new();
        for node in memory() {
            let slowness = match (measured, node.from_cpus()) {
                (Some(reference), Some(own)) => slowness(own, reference),
                _ if node.cpus.is_empty() => {
                    let nearest = with_cpus().filter_map(|cpus| node.distance(cpus.id)).min();
                    DRAM * u64::from(nearest.unwrap_or(10)) / 10
                }
                _ => DRAM,
            };
            let number = u32::try_from(slowness / STEP).unwrap_or(u32::MAX);
            match tiers.iter_mut().find(|tier| tier.number == number) {
                Some(tier) => tier.nodes.push(node.id),
                None => tiers.push(Tier { number, nodes: vec![node.id] }),
            }
        }
        tiers.sort_by_key(|tier| tier.number);
        tiers
    }
}

/// The abstract distance of `own`, that of `reference` being DRAM's.
fn slowness(own: &Performance, reference: &Performance) -> u64 {
    let ratio = |many: Option<u64>, few: Option<u64>| match (many, few) {
        (Some(many), Some(few)) if many > 0 && few > 0 => (many, few),
        _ => (1, 1),
    };
    let (slow, fast) = ratio(latency(own), latency(reference));
    let (wide, narrow) = ratio(bandwidth(reference), bandwidth(own));
    let distance = u128::from(DRAM) * u128::from(slow) * u128::from(wide) / (u128::from(fast) * u128::from(narrow));
    u64::try_from(distance).unwrap_or(u64::MAX)
}

fn latency(p: &Performance) -> Option<u64> {
    sum(p.read_latency_ns, p.write_latency_ns)
}

fn bandwidth(p: &Performance) -> Option<u64> {
    sum(p.read_mib_per_s, p.write_mib_per_s)
}

/// Reads and writes; where one is not told, as much as the other.
fn sum(read: Option<u32>, write: Option<u32>) -> Option<u64> {
    Some(u64::from(read.or(write)?) + u64::from(write.or(read)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u16, cpus: bool, latency: Option<u32>, bandwidth: Option<u32>) -> Node {
        let access = Performance { read_latency_ns: latency, read_mib_per_s: bandwidth, ..Performance::default() };
        let access = (latency.is_some() || bandwidth.is_some()).then_some(access);
        let cpus = if cpus { vec![id] } else { vec![] };
        Node { cpus, bytes: 1 << 30, cpu_access: access, ..Node::new(NodeId(id)) }
    }

    fn tiers(nodes: Vec<Node>) -> Vec<(u32, Vec<u16>)> {
        let topology = Topology { nodes, ..Topology::default() };
        let plain = |t: Tier| (t.number, t.nodes.iter().map(|n| n.0).collect());
        topology.tiers_by_attributes().into_iter().map(plain).collect()
    }

    #[test]
    fn latency_and_bandwidth_make_the_tier_that_the_kernel_makes_of_them() {
        // What Linux 7.3 made of these: memory_tier4 and memory_tier54.
        let nodes = vec![node(0, true, Some(100), Some(20_480)), node(1, false, Some(300), Some(5_120))];
        assert_eq!(tiers(nodes), [(4, vec![0]), (54, vec![1])]);
    }

    #[test]
    fn any_number_of_tiers_and_of_nodes_in_one() {
        let dram = |id| node(id, true, Some(100), Some(100_000));
        let hbm = node(2, false, Some(105), Some(400_000));
        let cxl = |id| node(id, false, Some(250), Some(50_000));
        let far = node(5, false, Some(400), Some(25_000));
        let nodes = vec![dram(0), dram(1), hbm, cxl(3), cxl(4), far];
        assert_eq!(tiers(nodes), [(1, vec![2]), (4, vec![0, 1]), (22, vec![3, 4]), (72, vec![5])]);
    }

    #[test]
    fn without_latencies_of_all_the_distance_decides() {
        let far = |id, distance| Node { distances: vec![(NodeId(0), distance)], ..node(id, false, None, None) };
        let nodes = vec![node(0, true, Some(100), None), far(1, 20), far(2, 20), far(3, 40)];
        assert_eq!(tiers(nodes), [(4, vec![0]), (9, vec![1, 2]), (18, vec![3])]);
    }

    #[test]
    fn a_node_without_memory_is_in_no_tier_and_two_sockets_are_one() {
        let empty = Node { bytes: 0, ..node(2, true, None, None) };
        assert_eq!(tiers(vec![node(0, true, None, None), node(1, true, None, None), empty]), [(4, vec![0, 1])]);
        assert_eq!(tiers(vec![]), []);
    }
}
