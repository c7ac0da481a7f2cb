//! Which node is faster than which: what moves are planned on. Plain data, read from a machine or written by hand.
//!
//! Counterpart: `mm/memory-tiers.c`, Linux 7.3.

use damon_core::{Bp, NodeId};

/// The nodes that have memory, in their tiers.
///
/// With the feature `topology` it is made of what `damon_ops_paddr::Topology` found on this machine.
///
/// ```
/// use damon_core::NodeId;
/// use damos::preset::tier::{Hierarchy, Node};
///
/// let dram = Node { cpus: true, latency_ns: Some(100), ..Node::new(NodeId(0), 4, 64 << 30) };
/// let cxl = Node { latency_ns: Some(250), ..Node::new(NodeId(1), 22, 64 << 30) };
/// let hierarchy = Hierarchy { nodes: vec![dram, cxl] };
/// assert_eq!(hierarchy.nearest(NodeId(1), hierarchy.faster(NodeId(1))), [NodeId(0)]);
/// assert_eq!(hierarchy.gain_ns(NodeId(1), NodeId(0)), Some(150));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchy {
    /// Nodes that are online and have memory, in any order.
    pub nodes: Vec<Node>,
}

/// A node with memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// The number of its tier, as the kernel counts: the lower the faster, DRAM is 4.
    pub tier: u32,
    /// Bytes of memory.
    pub bytes: u64,
    /// Bytes of them that the kernel keeps free, and swaps for where less is: its high watermarks. Goals are on top of
    /// them.
    pub reserved: u64,
    /// Has it CPUs?
    pub cpus: bool,
    /// Nanoseconds that an access from the nearest CPUs takes while nothing else goes on, where that is known.
    pub latency_ns: Option<u32>,
    /// MiB a second that can be read and written, where that is known.
    pub mib_per_s: Option<u32>,
    /// How far other nodes are (SLIT); those that are not named are equally far.
    pub distances: Vec<(NodeId, u32)>,
}

impl Node {
    /// A node without CPUs of which no more is known.
    pub const fn new(id: NodeId, tier: u32, bytes: u64) -> Self {
        Self { id, tier, bytes, reserved: 0, cpus: false, latency_ns: None, mib_per_s: None, distances: Vec::new() }
    }

    /// The part of it that the kernel keeps free.
    pub(super) fn reserve(&self) -> Bp {
        // Rounded up: a little less would have the kernel reclaim.
        Bp(Bp::of(self.reserved, self.bytes.max(1)).0.saturating_add(u32::from(self.reserved > 0)))
    }

    /// How far `other` is.
    fn distance(&self, other: NodeId) -> u32 {
        self.distances.iter().find(|(node, _)| *node == other).map_or(u32::MAX, |&(_, distance)| distance)
    }
}

/// What is wrong with a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HierarchyError {
    /// Nothing to plan for.
    #[error("there is no node with memory: name at least one")]
    Empty,
    /// Whose moves would be whose?
    #[error("node {} is there twice: name each node once", .0.0)]
    Twice(NodeId),
    /// No part of nothing is used or free.
    #[error("node {} has no memory: leave it out", .0.0)]
    NoMemory(NodeId),
}

impl Hierarchy {
    /// The node of this number.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The numbers of the tiers, the fastest first.
    pub fn tiers(&self) -> Vec<u32> {
        let mut tiers: Vec<u32> = self.nodes.iter().map(|node| node.tier).collect();
        tiers.sort_unstable();
        tiers.dedup();
        tiers
    }

    /// The number of the next faster tier.
    pub fn faster(&self, id: NodeId) -> Option<u32> {
        let own = self.node(id)?.tier;
        self.tiers().into_iter().rev().find(|&tier| tier < own)
    }

    /// The number of the next slower tier.
    pub fn slower(&self, id: NodeId) -> Option<u32> {
        let own = self.node(id)?.tier;
        self.tiers().into_iter().find(|&tier| tier > own)
    }

    /// The nodes of a tier that are nearest to `id`: several where they are equally near; none of no tier.
    pub fn nearest(&self, id: NodeId, tier: Option<u32>) -> Vec<NodeId> {
        let Some(from) = self.node(id) else { return Vec::new() };
        let members = || self.nodes.iter().filter(|node| Some(node.tier) == tier).map(|node| node.id);
        let least = members().map(|node| from.distance(node)).min();
        let mut nearest: Vec<NodeId> = members().filter(|&node| Some(from.distance(node)) == least).collect();
        nearest.sort_unstable();
        nearest
    }

    /// Nanoseconds that an access gains by memory being on `to` instead of `from`; negative where it loses. `None` where a
    /// latency is not known.
    pub fn gain_ns(&self, from: NodeId, to: NodeId) -> Option<i64> {
        let latency = |id| self.node(id).and_then(|node| node.latency_ns);
        Some(i64::from(latency(from)?) - i64::from(latency(to)?))
    }

    pub(super) fn check(&self) -> Result<(), HierarchyError> {
        let mut ids: Vec<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(HierarchyError::Twice(twice[0]));
        }
        match self.nodes.iter().find(|node| node.bytes == 0) {
            Some(node) => Err(HierarchyError::NoMemory(node.id)),
            None if ids.is_empty() => Err(HierarchyError::Empty),
            None => Ok(()),
        }
    }
}
