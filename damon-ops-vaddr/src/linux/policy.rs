//! Where a process's memory may be: the nodes of its cpuset, and the memory policies of its mappings.
//!
//! Counterpart: `cpuset_mems_allowed`; `show_numa_map`, `mpol_to_str` (`fs/proc/task_mmu.c`, `mm/mempolicy.c`, Linux 7.3).

use std::io;
use std::path::Path;

use damon_core::{AddrRange, NodeId};

use super::parse_list;

/// The nodes that a process may get memory from, in the text of `/proc/PID/status`. `None` where it does not say so: a kernel without
/// cpusets.
///
/// ```
/// let status = b"Name:\tcat\nMems_allowed:\t00000000,00000003\nMems_allowed_list:\t0-1\n";
/// assert_eq!(damon_ops_vaddr::linux::parse_mems_allowed(status), Some(vec![0, 1]));
/// ```
pub fn parse_mems_allowed(status: &[u8]) -> Option<Vec<u16>> {
    // A name cannot begin a line: its line feeds are escaped.
    let line = status.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"Mems_allowed_list:"))?;
    parse_list(std::str::from_utf8(line).ok()?)
}

/// What a program said about the place of a mapping's memory, as far as it matters to who would move it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Nothing (`default`), or that it be near to who touches it first (`local`): it may go anywhere.
    Anywhere,
    /// It is to be on these nodes: it may go to any of them, and to no other.
    ///
    /// `bind`, and `prefer (many)`, which NUMA balancing keeps to as well. `prefer` of one node, too: what lies elsewhere does since
    /// that node was full, and may come back. NUMA balancing leaves it where it is, unless it was asked for.
    Within(Vec<u16>),
    /// Each page has its place among several nodes (`interleave`, `weighted interleave`): it stays there.
    Interleaved,
    /// In words that were not known when this was written: it stays where it is.
    Unknown,
}

/// Text that is as long as this may have been cut: the kernel writes it into 64 bytes, with a zero at the end.
const CUT: usize = 63;
/// Longer names before those that they begin with.
const NAMES: [&str; 7] = ["default", "local", "prefer (many)", "prefer", "bind", "weighted interleave", "interleave"];

impl Policy {
    /// May memory go to `node`?
    pub fn lets(&self, node: NodeId) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Within(nodes) => nodes.contains(&node.0),
            Self::Interleaved | Self::Unknown => false,
        }
    }

    /// What a line of `numa_maps` says after the address.
    fn parse(text: &str) -> Self {
        let Some(name) = NAMES.iter().find(|name| text.starts_with(**name)) else { return Self::Unknown };
        let rest = text[name.len()..].split(' ').next().unwrap_or_default();
        let (flags, nodes) = rest.split_once(':').unwrap_or((rest, ""));
        if !(flags.is_empty() || flags.starts_with('=')) {
            return Self::Unknown;
        }
        match *name {
            "default" | "local" => Self::Anywhere,
            "interleave" | "weighted interleave" => Self::Interleaved,
            _ => {
                // Of a list that was cut the last part may be the beginning of another.
                let whole = name.len() + rest.len() < CUT;
                let nodes = if whole { nodes } else { nodes.rsplit_once(',').map_or("", |(nodes, _)| nodes) };
                parse_list(nodes).map_or(Self::Unknown, Self::Within)
            }
        }
    }
}

/// The policies of a process's mappings, as of when they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies(Vec<(u64, Policy)>);

impl Policies {
    /// Of the `numa_maps` at `path`. The kernel goes through all page tables for it, as it counts pages, too: 20 ns a page of 4 KiB.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read(path)?))
    }

    /// Of the text of `numa_maps`. Lines that are none are left out.
    ///
    /// ```
    /// use damon_core::NodeId;
    /// let maps = b"1000 default file=/bin/cat mapped=3 N0=3 kernelpagesize_kB=4\n5000 bind:0-1 anon=2 N0=2 kernelpagesize_kB=4\n";
    /// let policies = damon_ops_vaddr::linux::Policies::parse(maps);
    /// assert!(policies.at(0x1000).lets(NodeId(2)) && !policies.at(0x5fff).lets(NodeId(2)));
    /// ```
    pub fn parse(text: &[u8]) -> Self {
        let line = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            let (start, rest) = line.split_once(' ')?;
            Some((u64::from_str_radix(start, 16).ok()?, Policy::parse(rest)))
        };
        let mut lines: Vec<_> = text.split(|&b| b == b'\n').filter_map(line).collect();
        lines.sort_by_key(|&(start, _)| start);
        lines.dedup_by(|next, last| next.1 == last.1);
        Self(lines)
    }

    /// The policy of what is at `addr`. Where the mapping ends is not said: what was mapped since above another one is taken for a part of
    /// that.
    pub fn at(&self, addr: u64) -> &Policy {
        let before = self.0.partition_point(|&(start, _)| start <= addr);
        before.checked_sub(1).and_then(|i| self.0.get(i)).map_or(&Policy::Anywhere, |(_, policy)| policy)
    }

    /// The parts of `range` that have one policy each.
    pub fn parts(&self, range: AddrRange) -> impl Iterator<Item = (AddrRange, &Policy)> {
        let first = self.0.partition_point(|&(start, _)| start <= range.start());
        let inside = self.0[first..].iter().map(|&(start, _)| start).take_while(move |&start| start < range.end());
        let ends = inside.chain([range.end()]);
        ends.scan(range.start(), |at, end| Some((std::mem::replace(at, end), end)))
            .filter_map(|(start, end)| Some((AddrRange::new(start, end)?, self.at(start))))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        Policies::parse(format!("7f00 {text}\n").as_bytes()).at(0x7f00).clone()
    }

    #[test]
    fn what_the_kernel_writes_is_told_apart() {
        use Policy::{Anywhere, Interleaved, Unknown, Within};
        for (text, expected) in [
            ("default file=/usr/bin/cat mapped=5 N0=5 kernelpagesize_kB=4", Anywhere),
            ("default heap anon=2 dirty=2 N0=2 kernelpagesize_kB=4", Anywhere),
            ("default", Anywhere),
            ("local anon=1 dirty=1 N1=1 kernelpagesize_kB=4", Anywhere),
            ("prefer:1 anon=9 dirty=9 N0=9 kernelpagesize_kB=4", Within(vec![1])),
            ("prefer=static:1 stack", Within(vec![1])),
            ("prefer (many):0-1,3 anon=9", Within(vec![0, 1, 3])),
            ("prefer (many)=relative:0 anon=9", Within(vec![0])),
            ("bind:0 anon=9", Within(vec![0])),
            ("bind=static:1", Within(vec![1])),
            ("bind=static|balancing:0,2 huge anon=1", Within(vec![0, 2])),
            ("bind=balancing:0-1", Within(vec![0, 1])),
            ("interleave:0-1 anon=9", Interleaved),
            ("interleave=relative:0-1", Interleaved),
            ("weighted interleave:0-1 file=/dev/shm/x dirty=4 N0=2 N1=2 kernelpagesize_kB=4", Interleaved),
            ("unknown anon=3", Unknown),
            ("preferably:0 anon=3", Unknown),
            ("bind:x anon=3", Unknown),
            ("bind: anon=3", Within(vec![])),
            // A file may be called anything.
            ("default file=/tmp/bind:3\\040prefer:1 mapped=1", Anywhere),
            ("bind:1 file=/tmp/\\012default mapped=1", Within(vec![1])),
        ] {
            assert_eq!(policy(text), expected, "{text}");
        }
    }

    #[test]
    fn a_list_that_was_cut_says_no_more_than_is_certain() {
        // 63 characters of a longer list, whose last node may be 40 or 4.
        let text = "bind:0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32,34,36,38,4";
        let cut = format!("{text}0,");
        assert_eq!(cut.len(), CUT);
        let Policy::Within(nodes) = policy(&format!("{cut} anon=1")) else { panic!("{cut}") };
        assert_eq!(nodes.last(), Some(&40));
        let cut = format!("{}3", &cut[..CUT - 1]);
        let Policy::Within(nodes) = policy(&format!("{cut} anon=1")) else { panic!("{cut}") };
        assert_eq!((nodes.len(), nodes.last()), (20, Some(&38)), "403 may be the beginning of 4031");
    }

    #[test]
    fn where_memory_may_go_follows_from_the_policy() {
        let lets = |text: &str| [0, 1].map(|node| policy(text).lets(NodeId(node)));
        assert_eq!(["default", "local"].map(lets), [[true; 2]; 2]);
        assert_eq!([lets("bind:1"), lets("prefer (many):1"), lets("prefer:1")], [[false, true]; 3]);
        assert_eq!(["interleave:0-1", "weighted interleave:0-1", "unknown"].map(lets), [[false; 2]; 3]);
    }

    #[test]
    fn a_range_is_cut_where_another_policy_begins() {
        let maps =
            b"1000 default\n2000 default anon=1\n3000 bind:0\n5000 bind:1\n6000 default\n\nnonsense\nzz bind:0\n";
        let policies = Policies::parse(maps);
        let parts = |start, end| -> Vec<_> {
            let range = AddrRange::new(start, end).unwrap();
            let of = policies.parts(range);
            of.map(|(part, policy)| (part.start(), part.end(), policy.lets(NodeId(0)))).collect()
        };
        assert_eq!(parts(0x0800, 0x2800), [(0x0800, 0x1000, true), (0x1000, 0x2800, true)]);
        assert_eq!(
            parts(0x2000, 0x7000),
            [(0x2000, 0x3000, true), (0x3000, 0x5000, true), (0x5000, 0x6000, false), (0x6000, 0x7000, true)]
        );
        assert_eq!(parts(0x5800, 0x5900), [(0x5800, 0x5900, false)]);
        assert_eq!(Policies::default().parts(AddrRange::new(1, 2).unwrap()).count(), 1);
    }

    #[test]
    fn the_nodes_of_a_cpuset_are_those_of_its_line() {
        let of = |text: &str| parse_mems_allowed(text.as_bytes());
        let real = "Name:\tx\\nMems_allowed_list:\t7\nCpus_allowed_list:\t0-1\nMems_allowed:\t00000001\nMems_allowed_list:\t0,2-3\nx:\t1\n";
        assert_eq!(of(real), Some(vec![0, 2, 3]));
        assert_eq!([of("Name:\tx\n"), of(""), of("Mems_allowed_list:\t0-x\n")], [None, None, None]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text: Vec<u8>, addr: u64) {
            let policies = Policies::parse(&text);
            let _ = (policies.at(addr), parse_mems_allowed(&text));
        }

        #[test]
        fn lines_of_any_words_are_parsed_and_parts_make_up_the_range(
            lines in proptest::collection::vec("[0-9a-f]{1,17} (default|bind|prefer \\(many\\)|prefer|é|weighted interleave)[=:]?[a-z|0-9,:é-]{0,70}( .*)?", 0..20),
            start in 0u64..1 << 40, len in 1u64..1 << 40,
        ) {
            let policies = Policies::parse(lines.join("\n").as_bytes());
            let range = AddrRange::from_len(start, len).unwrap();
            let parts: Vec<_> = policies.parts(range).map(|(part, _)| part).collect();
            proptest::prop_assert_eq!((parts[0].start(), parts[parts.len() - 1].end()), (start, start + len));
            proptest::prop_assert!(parts.windows(2).all(|pair| pair[0].end() == pair[1].start()));
        }
    }
}
