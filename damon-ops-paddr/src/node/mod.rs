//! Memory as nodes and tiers: how large, how far from the CPUs, how fast.
//!
//! Counterpart: `Documentation/admin-guide/mm/numaperf.rst`, `mm/memory-tiers.c`, Linux 7.3.

mod blocks;
mod read;
mod reserve;
mod tier;

use damon_core::NodeId;

pub use blocks::{Block, memory_blocks, parse_zones, zones};
pub use tier::{Tier, TierSource};

/// The nodes of a machine that are online, and the tiers they are in. Read again it shows what was plugged meanwhile.
///
/// ```
/// # #[cfg(target_os = "linux")] fn main() -> Result<(), damon_ops_paddr::ReadError> {
/// let topology = damon_ops_paddr::Topology::read("/".as_ref())?;
/// for tier in &topology.tiers {
///     println!("tier {}: nodes {:?}", tier.number, tier.nodes);
/// }
/// # Ok(()) }
/// # #[cfg(not(target_os = "linux"))] fn main() {}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topology {
    /// Online nodes, ascending by number. Some have no memory, some no CPU.
    pub nodes: Vec<Node>,
    /// Numbers of nodes that are not online but may come to be.
    pub offline: Vec<NodeId>,
    /// The nodes that have memory, in tiers, the fastest first.
    pub tiers: Vec<Tier>,
    /// Who says which node is in which tier.
    pub tiers_by: TierSource,
    /// Does the kernel demote by itself what it reclaims (`/sys/kernel/mm/numa/demotion_enabled`)? `None`: it cannot.
    pub kernel_demotes: Option<bool>,
}

/// A node that is online.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// The numbers of its CPUs; none of a memory expander's node.
    pub cpus: Vec<u16>,
    /// Bytes of memory that the kernel manages; 0 where the node has none.
    pub bytes: u64,
    /// Bytes of them that the kernel keeps free, and reclaims for: its zones' high watermarks. They change with
    /// `vm.min_free_kbytes` and `vm.watermark_scale_factor`.
    pub reserved: u64,
    /// How far each online node is, as the firmware says (SLIT): 10 is the node itself, 20 twice as far.
    pub distances: Vec<(NodeId, u32)>,
    /// From the initiators that are nearest, CPUs or devices (`access0`). `None` where the firmware has no HMAT.
    pub access: Option<Performance>,
    /// From the CPUs that are nearest (`access1`).
    pub cpu_access: Option<Performance>,
}

/// What the firmware promises of accesses to a node (HMAT): of idle memory, not under load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Performance {
    /// From which nodes it is so.
    pub initiators: Vec<NodeId>,
    /// Nanoseconds to read.
    pub read_latency_ns: Option<u32>,
    /// Nanoseconds to write.
    pub write_latency_ns: Option<u32>,
    /// MiB a second that can be read.
    pub read_mib_per_s: Option<u32>,
    /// MiB a second that can be written.
    pub write_mib_per_s: Option<u32>,
}

impl Node {
    /// Node `id` without CPUs, memory and neighbours: to be filled in where a topology is made by hand.
    pub const fn new(id: NodeId) -> Self {
        Self { id, cpus: Vec::new(), bytes: 0, reserved: 0, distances: Vec::new(), access: None, cpu_access: None }
    }

    /// How far `other` is; `None` where it is not online.
    pub fn distance(&self, other: NodeId) -> Option<u32> {
        self.distances.iter().find(|(node, _)| *node == other).map(|&(_, distance)| distance)
    }

    /// What CPUs see of it: [`cpu_access`](Self::cpu_access), or [`access`](Self::access) of kernels that tell that alone.
    pub fn from_cpus(&self) -> Option<&Performance> {
        self.cpu_access.as_ref().or(self.access.as_ref())
    }
}

impl Topology {
    /// The node of this number, if it is online.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The place in [`tiers`](Self::tiers) of a node's tier; `None` of one that is not online or has no memory.
    pub fn tier_of(&self, id: NodeId) -> Option<usize> {
        self.tiers.iter().position(|tier| tier.nodes.contains(&id))
    }

    /// The nodes of the next faster tier, the nearest to `id` first; none for the fastest.
    pub fn faster(&self, id: NodeId) -> Vec<NodeId> {
        self.near(id, self.tier_of(id).and_then(|tier| tier.checked_sub(1)))
    }

    /// The nodes of the next slower tier, the nearest to `id` first; none for the slowest.
    pub fn slower(&self, id: NodeId) -> Vec<NodeId> {
        self.near(id, self.tier_of(id).map(|tier| tier + 1))
    }

    fn near(&self, id: NodeId, tier: Option<usize>) -> Vec<NodeId> {
        let mut nodes = tier.and_then(|tier| self.tiers.get(tier)).map_or_else(Vec::new, |tier| tier.nodes.clone());
        let from = self.node(id);
        nodes.sort_by_key(|&node| (from.and_then(|from| from.distance(node)).unwrap_or(u32::MAX), node));
        nodes
    }
}
