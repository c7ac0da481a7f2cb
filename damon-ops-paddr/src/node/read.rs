//! Nodes and tiers from sysfs.

use std::path::Path;

use damon_core::NodeId;

use super::reserve::high_watermarks;
use super::{Node, Performance, Tier, TierSource, Topology};
use damon_ops_vaddr::linux::{page_size, parse_list};

use crate::files::{ReadError, numbered, optional, parsed};
use crate::metrics::meminfo::{host_kib, node_kib};

impl Topology {
    /// The topology of the machine under `root` (normally `/`). Anybody may read it. A kernel without NUMA is one node,
    /// 0, that has all CPUs and all memory.
    ///
    /// # Errors
    /// When a file that is there cannot be read, or is not as the kernel writes it.
    pub fn read(root: &Path) -> Result<Self, ReadError> {
        let dir = root.join("sys/devices/system/node");
        let list = |name: &str| parsed(&dir.join(name), "list of nodes", parse_list);
        let Some(online) = optional(list("online"))? else { return Self::without_numa(root) };
        let mut nodes = Vec::new();
        for &id in &online {
            // It may go offline between the list and the look at it.
            nodes.extend(optional(node(&dir.join(format!("node{id}")), NodeId(id), &online))?);
        }
        let reserved = high_watermarks(root)?;
        for node in &mut nodes {
            node.reserved = reserved.get(&node.id).copied().unwrap_or_default().saturating_mul(page_size());
        }
        let possible = optional(list("possible"))?.unwrap_or_default();
        let offline = possible.into_iter().filter(|id| !online.contains(id)).map(NodeId).collect();
        let kernel_demotes = optional(parsed(&root.join("sys/kernel/mm/numa/demotion_enabled"), "switch", switch))?;
        let mut topology = Self { nodes, offline, kernel_demotes, ..Self::default() };
        match kernel_tiers(&root.join("sys/devices/virtual/memory_tiering"))? {
            tiers if !tiers.is_empty() => (topology.tiers, topology.tiers_by) = (tiers, TierSource::Kernel),
            _ => topology.tiers = topology.tiers_by_attributes(),
        }
        Ok(topology)
    }

    fn without_numa(root: &Path) -> Result<Self, ReadError> {
        let cpus = optional(parsed(&root.join("sys/devices/system/cpu/online"), "list of CPUs", parse_list))?;
        let path = root.join("proc/meminfo");
        let bytes = parsed(&path, "MemTotal", |text| host_kib(text, "MemTotal"))?.saturating_mul(1024);
        let distances = vec![(NodeId(0), 10)];
        let reserved = high_watermarks(root)?.values().sum::<u64>().saturating_mul(page_size());
        let nodes = vec![Node { cpus: cpus.unwrap_or_default(), bytes, reserved, distances, ..Node::new(NodeId(0)) }];
        let mut topology = Self { nodes, ..Self::default() };
        topology.tiers = topology.tiers_by_attributes();
        Ok(topology)
    }
}

fn node(dir: &Path, id: NodeId, online: &[u16]) -> Result<Node, ReadError> {
    let total = parsed(&dir.join("meminfo"), "MemTotal", |text| node_kib(text, id, "MemTotal"))?;
    let distances = parsed(&dir.join("distance"), "distance to each online node", |text| {
        let distances: Option<Vec<u32>> = text.split_ascii_whitespace().map(|n| n.parse().ok()).collect();
        distances.filter(|d| d.len() == online.len())
    });
    // The list of nodes may have changed since it was read: then they are not known, which is no reason to fail.
    let distances = distances.or_else(|e| if e.is_missing() { Err(e) } else { Ok(Vec::new()) })?;
    Ok(Node {
        cpus: parsed(&dir.join("cpulist"), "list of CPUs", parse_list)?,
        bytes: total.saturating_mul(1024),
        distances: online.iter().map(|&n| NodeId(n)).zip(distances).collect(),
        access: performance(&dir.join("access0/initiators"))?,
        cpu_access: performance(&dir.join("access1/initiators"))?,
        ..Node::new(id)
    })
}

/// An attribute that the firmware does not tell is missing, or 0.
fn performance(dir: &Path) -> Result<Option<Performance>, ReadError> {
    let Some(initiators) = optional(numbered(dir, "node"))? else { return Ok(None) };
    let number = |name: &str| -> Result<Option<u32>, ReadError> {
        let number = optional(parsed(&dir.join(name), "number", |text| text.trim().parse().ok()))?;
        Ok(number.filter(|&n| n > 0))
    };
    let found = Performance {
        initiators: initiators.into_iter().filter_map(|n| u16::try_from(n).ok().map(NodeId)).collect(),
        read_latency_ns: number("read_latency")?,
        write_latency_ns: number("write_latency")?,
        read_mib_per_s: number("read_bandwidth")?,
        write_mib_per_s: number("write_bandwidth")?,
    };
    let told = [found.read_latency_ns, found.write_latency_ns, found.read_mib_per_s, found.write_mib_per_s];
    Ok(told.iter().any(Option::is_some).then_some(found))
}

fn kernel_tiers(dir: &Path) -> Result<Vec<Tier>, ReadError> {
    let mut tiers = Vec::new();
    for number in optional(numbered(dir, "memory_tier"))?.unwrap_or_default() {
        let path = dir.join(format!("memory_tier{number}/nodelist"));
        let nodes = optional(parsed(&path, "list of nodes", parse_list))?.unwrap_or_default();
        let nodes: Vec<_> = nodes.into_iter().map(NodeId).collect();
        tiers.extend(Some(Tier { number, nodes }).filter(|tier| !tier.nodes.is_empty()));
    }
    Ok(tiers)
}

fn switch(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    const NODE: &str = "sys/devices/system/node";

    /// Two nodes as a machine of 768 and 256 MiB shows them, the second without CPUs.
    fn two_nodes() -> Tree {
        let tree = Tree::new(&[
            ("sys/kernel/mm/numa/demotion_enabled", "false\n"),
            ("sys/devices/virtual/memory_tiering/memory_tier4/nodelist", "0\n"),
            ("sys/devices/virtual/memory_tiering/memory_tier54/nodelist", "1\n"),
            ("proc/zoneinfo", "Node 0, zone Normal\n        high     9\nNode 1, zone Movable\n        high     3\n"),
        ]);
        tree.write(&format!("{NODE}/online"), "0-1\n");
        tree.write(&format!("{NODE}/possible"), "0-2\n");
        for (id, cpus, kib, distance, latency, bandwidth) in
            [(0, "0-1", 764_660, "10 20", 100, 20_480), (1, "", 256_864, "20 10", 300, 5_120)]
        {
            let node = format!("{NODE}/node{id}");
            tree.write(&format!("{node}/cpulist"), &format!("{cpus}\n"));
            tree.write(&format!("{node}/distance"), &format!("{distance}\n"));
            tree.write(
                &format!("{node}/meminfo"),
                &format!("Node {id} MemTotal:  {kib} kB\nNode {id} MemFree: 1 kB\n"),
            );
            for access in ["access0", "access1"] {
                let from = format!("{node}/{access}/initiators");
                tree.write(&format!("{from}/node0/uevent"), "");
                tree.write(&format!("{from}/read_latency"), &format!("{latency}\n"));
                tree.write(&format!("{from}/write_latency"), &format!("{latency}\n"));
                tree.write(&format!("{from}/read_bandwidth"), &format!("{bandwidth}\n"));
                tree.write(&format!("{from}/write_bandwidth"), "0\n");
            }
        }
        tree
    }

    #[test]
    fn all_that_sysfs_tells_is_read() {
        let tree = two_nodes();
        let topology = Topology::read(tree.path()).unwrap();
        let (near, far) = (topology.node(NodeId(0)).unwrap(), topology.node(NodeId(1)).unwrap());
        assert_eq!((near.cpus.as_slice(), near.bytes), ([0, 1].as_slice(), 764_660 << 10));
        assert_eq!((far.cpus.len(), far.distance(NodeId(0)), near.distance(NodeId(1))), (0, Some(20), Some(20)));
        let access = far.from_cpus().unwrap();
        assert_eq!((access.initiators.as_slice(), access.read_latency_ns), ([NodeId(0)].as_slice(), Some(300)));
        assert_eq!((access.read_mib_per_s, access.write_mib_per_s), (Some(5_120), None));
        assert_eq!((near.reserved, far.reserved), (9 * page_size(), 3 * page_size()));
        assert_eq!((topology.offline.as_slice(), topology.kernel_demotes), ([NodeId(2)].as_slice(), Some(false)));
        assert_eq!(topology.tiers_by, TierSource::Kernel);
        assert_eq!(topology.tiers.iter().map(|t| t.number).collect::<Vec<_>>(), [4, 54]);
        assert_eq!((topology.slower(NodeId(0)), topology.faster(NodeId(1))), (vec![NodeId(1)], vec![NodeId(0)]));
        assert_eq!((topology.faster(NodeId(0)), topology.slower(NodeId(1))), (vec![], vec![]));
    }

    #[test]
    fn without_the_kernels_tiers_the_attributes_make_the_same() {
        let tree = two_nodes();
        let by_kernel = Topology::read(tree.path()).unwrap();
        tree.remove("sys/devices/virtual/memory_tiering");
        let by_attributes = Topology::read(tree.path()).unwrap();
        assert_eq!(by_attributes.tiers_by, TierSource::Attributes);
        assert_eq!(by_attributes.tiers, by_kernel.tiers);
    }

    #[test]
    fn a_node_that_goes_offline_is_gone_from_the_next_reading() {
        let tree = two_nodes();
        tree.write(&format!("{NODE}/online"), "0\n");
        tree.write(&format!("{NODE}/node0/distance"), "10\n");
        tree.remove("sys/devices/virtual/memory_tiering/memory_tier54");
        let topology = Topology::read(tree.path()).unwrap();
        assert_eq!((topology.nodes.len(), topology.offline.len(), topology.tiers.len()), (1, 2, 1));
        assert_eq!((topology.tier_of(NodeId(1)), topology.slower(NodeId(0))), (None, vec![]));
        // While it goes: listed, but its directory is no longer there.
        tree.write(&format!("{NODE}/online"), "0-1\n");
        tree.remove(&format!("{NODE}/node1"));
        let topology = Topology::read(tree.path()).unwrap();
        assert_eq!((topology.nodes.len(), topology.nodes[0].distances.len()), (1, 0));
    }

    #[test]
    fn a_kernel_without_numa_is_one_node() {
        let tree = Tree::new(&[("proc/meminfo", "MemTotal: 1024 kB\n"), ("sys/devices/system/cpu/online", "0-3\n")]);
        let topology = Topology::read(tree.path()).unwrap();
        let node = topology.node(NodeId(0)).unwrap();
        assert_eq!((topology.nodes.len(), node.cpus.len(), node.bytes), (1, 4, 1 << 20));
        assert_eq!(topology.tiers, [Tier { number: 4, nodes: vec![NodeId(0)] }]);
    }

    #[test]
    fn what_is_not_as_the_kernel_writes_it_is_named() {
        let tree = two_nodes();
        tree.write(&format!("{NODE}/node1/access1/initiators/read_latency"), "fast\n");
        let e = Topology::read(tree.path()).unwrap_err().to_string();
        assert!(e.ends_with("node1/access1/initiators/read_latency has no number: \"fast\\n\""), "{e}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_a_node_with_memory_and_cpus() {
        let topology = Topology::read(Path::new("/")).unwrap();
        assert!(topology.nodes.iter().any(|n| n.bytes > 0 && !n.cpus.is_empty()), "{topology:?}");
        assert!(!topology.tiers.is_empty());
    }
}
