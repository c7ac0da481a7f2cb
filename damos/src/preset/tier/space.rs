//! Where the watched addresses are: in processes, or in physical memory. It decides how a page's node is told.

use damon_core::{AddrRange, Filter, NodeId, PageFilter};

use crate::scheme::{CoreFilter, CoreFilterKind};

/// What the targets' addresses are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Space {
    /// Of processes: nothing about an address tells its node. Who acts is asked ([`PageFilter::Node`]). What is known of
    /// memory moves with it.
    Virtual,
    /// Of physical memory: these are each node's. What is known of memory stays behind when it moves, and is found out
    /// anew.
    Physical(Vec<(NodeId, Vec<AddrRange>)>),
}

impl Space {
    /// Filters that leave memory on `node` alone to the action: those that the engine knows, and those that who acts does.
    pub(super) fn only(&self, node: NodeId) -> (Vec<CoreFilter>, Vec<Filter>) {
        match self {
            Self::Virtual => (Vec::new(), vec![Filter { page: PageFilter::Node(node), matching: false, allow: false }]),
            // What is allowed here would be allowed whatever other filters say: so the others' memory is not allowed.
            Self::Physical(nodes) => {
                let others = nodes.iter().filter(|(id, _)| *id != node).flat_map(|(_, ranges)| ranges);
                let out =
                    |&range: &AddrRange| CoreFilter { kind: CoreFilterKind::Addr(range), matching: true, allow: false };
                (others.map(out).collect(), Vec::new())
            }
        }
    }

    pub(super) const fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual)
    }
}
