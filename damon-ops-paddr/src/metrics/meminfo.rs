//! Numbers of `/proc/meminfo`, of a node's `meminfo` and of `/proc/vmstat`.

use damon_core::NodeId;

/// KiB that `/proc/meminfo` tells of `key`.
pub(crate) fn host_kib(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| kib(line, key))
}

/// The same of a node's `meminfo`, whose lines begin with its number.
pub(crate) fn node_kib(text: &str, node: NodeId, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (number, rest) = line.strip_prefix("Node ")?.split_once(' ')?;
        kib(rest, key).filter(|_| number.parse() == Ok(node.0))
    })
}

fn kib(line: &str, key: &str) -> Option<u64> {
    line.strip_prefix(key)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.trim_end().parse().ok()
}

/// A counter of `/proc/vmstat`.
pub(super) fn counter(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_taken_for_one_that_begins_like_it() {
        let text = "MemTotal:     100 kB\nActive(anon):  7 kB\nActive:        9 kB\nHugePages_Total:   3\n";
        assert_eq!((host_kib(text, "Active"), host_kib(text, "MemTotal")), (Some(9), Some(100)));
        assert_eq!((host_kib(text, "HugePages_Total"), host_kib(text, "Mem")), (None, None));
        assert_eq!(counter("pgpromote_success_x 1\npgpromote_success 5\n", "pgpromote_success"), Some(5));
    }

    #[test]
    fn a_nodes_numbers_are_its_own() {
        let text = "Node 1 MemTotal:   256864 kB\nNode 1 MemFree:   254232 kB\n";
        assert_eq!(node_kib(text, NodeId(1), "MemFree"), Some(254_232));
        assert_eq!(node_kib(text, NodeId(0), "MemFree"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text: String) {
            let _ = (host_kib(&text, "M"), node_kib(&text, NodeId(0), "M"), counter(&text, "p"));
        }
    }
}
