//! Which physical addresses a target is: all memory, a node's, or given ranges of it, as far as it is there now.
//!
//! Counterpart: `numa_node` and the ranges of a physical target (`mm/damon/{core,reclaim}.c`, Linux 7.3), which are read once.

use std::path::Path;

use damon_core::{AddrRange, NodeId};

use crate::files::ReadError;
use crate::node::{Block, memory_blocks, zones};
use crate::ram::{IomemError, common, merged, system_ram};

/// A part of physical memory. Of all of them only what is plugged in and online counts, which may change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Area {
    /// All memory.
    SystemRam,
    /// The memory of a node; nothing while it is offline.
    Node(NodeId),
    /// The memory in these ranges of bytes.
    Ranges(Vec<AddrRange>),
}

/// Why the addresses of an area could not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AreaError {
    /// System RAM could not be read.
    #[error(transparent)]
    Ram(#[from] IomemError),
    /// Blocks or zones could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Area {
    /// Its addresses now, on the machine under `root` (normally `/`), of whole pages of `page` bytes, ascending.
    ///
    /// # Errors
    /// When what is memory cannot be read: it takes root.
    pub fn ranges(&self, root: &Path, page: u64) -> Result<Vec<AddrRange>, AreaError> {
        let ram = system_ram(root)?;
        let blocks = memory_blocks(root)?;
        // Without blocks nothing can be plugged.
        let online = |blocks: &[Block]| merged(blocks.iter().filter(|b| b.online).map(|b| b.range).collect());
        let present = blocks.as_deref().map_or_else(|| ram.clone(), |blocks| common(&ram, &online(blocks)));
        let ranges = match self {
            Self::SystemRam => present,
            Self::Ranges(ranges) => common(&present, &merged(ranges.clone())),
            Self::Node(node) => common(&present, &node_ranges(root, *node, blocks.as_deref(), page)?),
        };
        Ok(ranges.into_iter().filter_map(|range| whole_pages(range, page)).collect())
    }
}

/// The blocks that are of one node only; of those that several share, and without blocks, what its zones span.
fn node_ranges(root: &Path, node: NodeId, blocks: Option<&[Block]>, page: u64) -> Result<Vec<AddrRange>, ReadError> {
    let Some(blocks) = blocks.filter(|blocks| blocks.iter().any(|b| !b.nodes.is_empty())) else {
        return spanned(root, node, page);
    };
    let of = |shared: bool| {
        let own = blocks.iter().filter(|b| b.nodes.contains(&node) && (b.nodes.len() > 1) == shared);
        merged(own.map(|b| b.range).collect())
    };
    let (mut own, shared) = (of(false), of(true));
    if !shared.is_empty() {
        own.extend(common(&shared, &spanned(root, node, page)?));
    }
    Ok(merged(own))
}

fn spanned(root: &Path, node: NodeId, page: u64) -> Result<Vec<AddrRange>, ReadError> {
    let own = zones(root, page)?.into_iter().filter(|(id, _)| *id == node);
    Ok(merged(own.map(|(_, range)| range).collect()))
}

/// The whole pages in `range`.
pub(crate) fn whole_pages(range: AddrRange, page: u64) -> Option<AddrRange> {
    let start = range.start().checked_next_multiple_of(page)?;
    AddrRange::new(start, range.end() / page * page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    const MIB: u64 = 1 << 20;

    /// 512 MiB in blocks of 128; node 1 has the last and half of the third.
    fn machine() -> Tree {
        let zone = |node: u32, zone: &str, first: u64, mib: u64| {
            let (start, pages) = (first * MIB / 4096, mib * MIB / 4096);
            format!("Node {node}, zone {zone}\n  spanned {pages}\n  start_pfn: {start}\n")
        };
        let zones = zone(0, "DMA", 0, 16) + &zone(0, "DMA32", 16, 304) + &zone(1, "DMA32", 320, 192);
        let iomem = "00001000-0009fbff : System RAM\n00100000-1fffffff : System RAM\n";
        let tree = Tree::new(&[
            ("proc/iomem", iomem),
            ("proc/zoneinfo", &zones),
            ("sys/devices/system/memory/block_size_bytes", "8000000\n"),
        ]);
        for (block, nodes) in [(0, vec![0]), (1, vec![0]), (2, vec![0, 1]), (3, vec![1])] {
            tree.write(&format!("sys/devices/system/memory/memory{block}/state"), "online\n");
            nodes.iter().for_each(|n| tree.write(&format!("sys/devices/system/node/node{n}/memory{block}/x"), ""));
        }
        tree
    }

    fn mib(tree: &Tree, area: &Area) -> Vec<(u64, u64)> {
        let ranges = area.ranges(tree.path(), 4096).unwrap();
        ranges.iter().map(|r| (r.start() / MIB, r.end() / MIB)).collect()
    }

    #[test]
    fn all_memory_is_whole_pages_of_what_is_system_ram() {
        let tree = machine();
        let ranges = Area::SystemRam.ranges(tree.path(), 4096).unwrap();
        assert_eq!(ranges[0], AddrRange::new(0x1000, 0x9f000).unwrap());
        assert_eq!(ranges[1].end(), 512 * MIB);
    }

    #[test]
    fn a_nodes_memory_is_its_blocks_and_its_zones_part_of_those_it_shares() {
        let tree = machine();
        assert_eq!(mib(&tree, &Area::Node(NodeId(1))), [(320, 512)]);
        assert_eq!(mib(&tree, &Area::Node(NodeId(0))), [(0, 0), (1, 320)]);
        assert_eq!(mib(&tree, &Area::Node(NodeId(7))), []);
        // A kernel without blocks tells by zones alone.
        tree.remove("sys/devices/system/memory");
        assert_eq!(mib(&tree, &Area::Node(NodeId(1))), [(320, 512)]);
    }

    #[test]
    fn a_block_that_goes_offline_is_gone_from_the_ranges_and_comes_back() {
        let tree = machine();
        let (node, given) = (Area::Node(NodeId(1)), Area::Ranges(vec![AddrRange::new(300 * MIB, 400 * MIB).unwrap()]));
        tree.write("sys/devices/system/memory/memory3/state", "offline\n");
        assert_eq!((mib(&tree, &node), mib(&tree, &given)), (vec![(320, 384)], vec![(300, 384)]));
        tree.write("sys/devices/system/memory/memory3/state", "online\n");
        assert_eq!((mib(&tree, &node), mib(&tree, &given)), (vec![(320, 512)], vec![(300, 400)]));
    }
}
