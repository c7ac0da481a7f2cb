//! What the kernel keeps free on each node: below that it reclaims, and what nobody asked for goes to swap.
//!
//! Counterpart: `high_wmark_pages` (`include/linux/mmzone.h`, Linux 7.3), `/proc/zoneinfo`.

use std::collections::BTreeMap;
use std::path::Path;

use damon_core::NodeId;

use crate::files::{ReadError, optional, parsed};

/// Pages of each node up to the high watermarks of its zones; none where the kernel does not tell.
pub(super) fn high_watermarks(root: &Path) -> Result<BTreeMap<NodeId, u64>, ReadError> {
    Ok(optional(parsed(&root.join("proc/zoneinfo"), "watermarks of zones", parse))?.unwrap_or_default())
}

fn parse(text: &str) -> Option<BTreeMap<NodeId, u64>> {
    let (mut nodes, mut node) = (BTreeMap::new(), None);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Node ") {
            node = Some(NodeId(rest.split(',').next()?.parse().ok()?));
        }
        let mut words = line.split_ascii_whitespace();
        // The lists of CPUs have a `high:`, too.
        if let (Some("high"), Some(pages)) = (words.next(), words.next()) {
            let sum: &mut u64 = nodes.entry(node?).or_default();
            *sum = sum.saturating_add(pages.parse().ok()?);
        }
    }
    Some(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_watermarks_of_a_nodes_zones_add_up() {
        let text = "Node 0, zone DMA32\n  pages free 9\n        min      10\n        high     12\n  cpu: 0\n    high:  378\n\
                    Node 0, zone Normal\n        high     30\nNode 1, zone Normal\n        high     5\n";
        let nodes = parse(text).unwrap();
        assert_eq!(nodes.into_iter().collect::<Vec<_>>(), [(NodeId(0), 42), (NodeId(1), 5)]);
        assert_eq!(parse("high 5\n"), None, "whose?");
    }
}
