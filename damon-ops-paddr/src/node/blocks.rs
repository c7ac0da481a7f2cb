//! Memory blocks, which are plugged and unplugged as a whole, and the zones of nodes.
//!
//! Counterpart: `Documentation/admin-guide/mm/memory-hotplug.rst`, `/proc/zoneinfo`, Linux 7.3.

use std::path::Path;

use damon_core::{AddrRange, NodeId};

use crate::files::{ReadError, numbered, optional, parsed, text};

/// A block of physical memory that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Block {
    /// Its addresses; not all of them need be memory.
    pub range: AddrRange,
    /// Is it in use? Blocks that are offline, or going so, are not.
    pub online: bool,
    /// Its nodes: one, or more where nodes share a block.
    pub nodes: Vec<NodeId>,
}

/// The blocks of the machine under `root`, ascending. `None`: the kernel has no blocks, and memory never changes.
///
/// # Errors
/// When a file that is there cannot be read, or is not as the kernel writes it.
pub fn memory_blocks(root: &Path) -> Result<Option<Vec<Block>>, ReadError> {
    let dir = root.join("sys/devices/system/memory");
    let hex = |text: &str| u64::from_str_radix(text.trim(), 16).ok();
    let Some(size) = optional(parsed(&dir.join("block_size_bytes"), "size of a block", hex))? else { return Ok(None) };
    let nodes_dir = root.join("sys/devices/system/node");
    let mut members: Vec<(u32, NodeId)> = Vec::new();
    for node in optional(numbered(&nodes_dir, "node"))?.unwrap_or_default() {
        let Ok(id) = u16::try_from(node) else { continue };
        let numbers = optional(numbered(&nodes_dir.join(format!("node{node}")), "memory"))?.unwrap_or_default();
        members.extend(numbers.into_iter().map(|number| (number, NodeId(id))));
    }
    members.sort_unstable();
    let mut blocks = Vec::new();
    for number in numbered(&dir, "memory")? {
        let state = optional(text(&dir.join(format!("memory{number}/state"))))?;
        // Unplugged since it was listed.
        let Some(state) = state else { continue };
        let Some(range) = size.checked_mul(number.into()).and_then(|start| AddrRange::from_len(start, size)) else {
            return Err(ReadError::malformed(&dir, "block that ends below 2^64", &format!("memory{number}")));
        };
        let first = members.partition_point(|(n, _)| *n < number);
        let nodes = members[first..].iter().take_while(|(n, _)| *n == number).map(|(_, id)| *id).collect();
        blocks.push(Block { range, online: state.trim() == "online", nodes });
    }
    Ok(Some(blocks))
}

/// The addresses that each node's zones span, in pages of `page` bytes, from `/proc/zoneinfo` under `root`. Spans may have
/// holes, and memory of other nodes within.
///
/// # Errors
/// When it cannot be read, or is not as the kernel writes it.
pub fn zones(root: &Path, page: u64) -> Result<Vec<(NodeId, AddrRange)>, ReadError> {
    parsed(&root.join("proc/zoneinfo"), "zones of nodes", |text| parse_zones(text, page))
}

/// The same from its text; `None` where it is malformed.
///
/// ```
/// use damon_core::{AddrRange, NodeId};
/// let text = "Node 1, zone   Normal\n  pages free 5\n        spanned  256\n        present  200\n  start_pfn:           4096\n";
/// let zone = AddrRange::from_len(4096 << 12, 256 << 12).unwrap();
/// assert_eq!(damon_ops_paddr::parse_zones(text, 4096), Some(vec![(NodeId(1), zone)]));
/// ```
pub fn parse_zones(text: &str, page: u64) -> Option<Vec<(NodeId, AddrRange)>> {
    let (mut zones, mut node, mut spanned) = (Vec::new(), None, 0_u64);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Node ") {
            node = Some(NodeId(rest.split(',').next()?.parse().ok()?));
            spanned = 0;
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("spanned"), Some(n)) => spanned = n.parse().ok()?,
            (Some("start_pfn:"), Some(n)) => {
                let start = n.parse::<u64>().ok()?.checked_mul(page)?;
                zones.extend(node.zip(AddrRange::from_len(start, spanned.checked_mul(page)?)));
            }
            _ => {}
        }
    }
    Some(zones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    #[test]
    fn blocks_know_their_addresses_their_state_and_their_nodes() {
        let tree = Tree::new(&[
            ("sys/devices/system/memory/block_size_bytes", "8000000\n"),
            ("sys/devices/system/memory/memory0/state", "online\n"),
            ("sys/devices/system/memory/memory1/state", "offline\n"),
            ("sys/devices/system/memory/memory32/state", "going-offline\n"),
            ("sys/devices/system/memory/auto_online_blocks", "online\n"),
            ("sys/devices/system/node/node0/memory0/x", ""),
            ("sys/devices/system/node/node0/memory1/x", ""),
            ("sys/devices/system/node/node1/memory1/x", ""),
        ]);
        let blocks = memory_blocks(tree.path()).unwrap().unwrap();
        let told: Vec<_> = blocks.iter().map(|b| (b.range.start() >> 27, b.online, b.nodes.len())).collect();
        assert_eq!(told, [(0, true, 1), (1, false, 2), (32, false, 0)]);
        assert!(blocks.iter().all(|b| b.range.size() == 128 << 20));
    }

    #[test]
    fn a_kernel_without_blocks_has_none_and_a_bad_size_is_named() {
        let tree = Tree::new(&[]);
        assert_eq!(memory_blocks(tree.path()).unwrap(), None);
        tree.write("sys/devices/system/memory/block_size_bytes", "large\n");
        let e = memory_blocks(tree.path()).unwrap_err().to_string();
        assert!(e.ends_with("block_size_bytes has no size of a block: \"large\\n\""), "{e}");
    }

    #[test]
    fn empty_zones_are_left_out() {
        let text = "Node 0, zone      DMA\n        spanned  4095\n  start_pfn:           1\n\
            Node 0, zone   Normal\n        spanned  0\n  start_pfn:           0\n\
            Node 1, zone  Movable\n        spanned  16\n  start_pfn:           256\n";
        let zones = parse_zones(text, 4096).unwrap();
        assert_eq!(zones.iter().map(|(n, r)| (n.0, r.start())).collect::<Vec<_>>(), [(0, 4096), (1, 256 << 12)]);
        assert_eq!(parse_zones("Node x, zone\n", 4096), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = parse_zones(&text, 4096);
        }
    }
}
