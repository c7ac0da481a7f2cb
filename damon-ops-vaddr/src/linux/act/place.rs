//! Which pages of a process lie on which node: the filters that ask for it, told by `move_pages`.
//!
//! Counterpart: none; the kernel filters physical addresses instead.

use damon_core::{AddrRange, Filter, NodeId, PageFilter, passes};

use super::{ProcessError, nodes_of};
use crate::sys::Pidfd;

/// Pages that are asked for in one call.
const PAGES: u64 = 8_192;

/// The lines of a list of filters that are about nodes, and the lines after them. `None` where they do not come first, or allow: that
/// would take the other lines' answers to decide.
pub fn by_node(filters: &[Filter]) -> Option<(&[Filter], &[Filter])> {
    let is_node = |f: &Filter| matches!(f.page, PageFilter::Node(_));
    let (nodes, rest) = filters.split_at(filters.iter().take_while(|f| is_node(f)).count());
    (nodes.iter().all(|f| !f.allow) && !rest.iter().any(is_node)).then_some((nodes, rest))
}

/// The runs of pages of `parts` that pass `lines`, which are about nodes. Pages that are not in memory are on none.
///
/// # Errors
/// When the process has ended, or may not be asked.
pub fn on_nodes(
    process: &Pidfd,
    parts: &[AddrRange],
    lines: &[Filter],
    page: u64,
) -> Result<Vec<AddrRange>, ProcessError> {
    let (mut runs, mut addrs): (Vec<AddrRange>, Vec<u64>) = (Vec::new(), Vec::new());
    for &part in parts {
        let mut at = part.start();
        while at < part.end() {
            let end = part.end().min(at.saturating_add(PAGES * page));
            addrs.clear();
            addrs.extend((at..end).step_by(page as usize));
            for (&addr, node) in addrs.iter().zip(nodes_of(process, &addrs)?) {
                if node.is_some_and(|node| is_let(lines, node)) {
                    extend(&mut runs, addr, page);
                }
            }
            at = end;
        }
    }
    Ok(runs)
}

fn is_let(lines: &[Filter], node: NodeId) -> bool {
    passes(lines, |filter| filter == PageFilter::Node(node))
}

fn extend(runs: &mut Vec<AddrRange>, addr: u64, page: u64) {
    let Some(next) = AddrRange::from_len(addr, page) else { return };
    match runs.last_mut().filter(|last| last.end() == addr) {
        Some(last) => *last = AddrRange::new(last.start(), next.end()).unwrap_or(*last),
        None => runs.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(page: PageFilter, matching: bool, allow: bool) -> Filter {
        Filter { page, matching, allow }
    }

    #[test]
    fn lines_about_nodes_come_first_and_only_keep_pages_out() {
        let (node, young) = (line(PageFilter::Node(NodeId(1)), false, false), line(PageFilter::Young, true, false));
        assert_eq!(by_node(&[node, young]), Some((&[node][..], &[young][..])));
        assert_eq!(by_node(&[young]), Some((&[][..], &[young][..])));
        assert_eq!(by_node(&[young, node]), None);
        assert_eq!(by_node(&[Filter { allow: true, ..node }]), None);
    }

    #[test]
    fn a_line_keeps_out_a_node_or_all_others() {
        let (of, not) =
            (line(PageFilter::Node(NodeId(1)), true, false), line(PageFilter::Node(NodeId(1)), false, false));
        assert_eq!([0, 1, 2].map(|n| is_let(&[of], NodeId(n))), [true, false, true]);
        assert_eq!([0, 1, 2].map(|n| is_let(&[not], NodeId(n))), [false, true, false]);
        let other = line(PageFilter::Node(NodeId(0)), true, false);
        assert_eq!([0, 1, 2].map(|n| is_let(&[of, other], NodeId(n))), [false, false, true]);
    }
}
