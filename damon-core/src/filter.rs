//! Kinds of pages, and lists of filters that let some of them pass.
//!
//! Counterpart: `struct damon_filter`, `damon_pa_filter_pass` (`mm/damon/paddr.c`, Linux 7.3).

use alloc::vec::Vec;

use crate::units::NodeId;

/// A property of a page that a backend can test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum PageFilter {
    /// Anonymous memory.
    Anon,
    /// On an active LRU list.
    Active,
    /// Accessed since this was last asked.
    Young,
    /// Charged to the memory cgroup with this id: the inode of its directory.
    Memcg(u64),
    /// Mapped by a page of at least `min` and at most `max` bytes.
    HugepageSize {
        /// The smallest that matches.
        min: u64,
        /// The largest that matches.
        max: u64,
    },
    /// Not mapped by any process.
    Unmapped,
    /// In the memory of this node. The kernel has no such filter: there physical addresses tell the node.
    Node(NodeId),
    /// Something that only the backend understands.
    Custom(u16),
}

/// One line of a filter list: pages that do (or do not) have a property pass, or do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Filter {
    /// The property.
    pub page: PageFilter,
    /// Is the line about pages that have it, or about those that have not?
    pub matching: bool,
    /// Shall those pass?
    pub allow: bool,
}

/// An attribute of pages to count: what passes the filters has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Probe {
    /// The first that is about a page decides; see [`passes`].
    pub filters: Vec<Filter>,
    /// What a hit is worth in attributes-only mode; 0 where hits are only counted.
    pub weight: u32,
}

/// Does a page pass `filters`? The first line that is about the page decides; where none is, the opposite of what
/// the last line says; an empty list lets everything pass. `has` tells whether the page has a property.
///
/// ```
/// use damon_core::{passes, Filter, PageFilter};
/// let anon_only = [Filter { page: PageFilter::Anon, matching: true, allow: true }];
/// assert!(passes(&anon_only, |_| true));
/// assert!(!passes(&anon_only, |_| false));
/// ```
pub fn passes(filters: &[Filter], mut has: impl FnMut(PageFilter) -> bool) -> bool {
    for f in filters {
        if has(f.page) == f.matching {
            return f.allow;
        }
    }
    filters.last().is_none_or(|f| !f.allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_line_decides_and_the_default_is_the_last_ones_opposite() {
        let anon = |allow| Filter { page: PageFilter::Anon, matching: true, allow };
        let not_active = |allow| Filter { page: PageFilter::Active, matching: false, allow };
        let page = |anon: bool, active: bool| move |p| if p == PageFilter::Anon { anon } else { active };
        assert!(passes(&[], page(false, false)));
        assert!(!passes(&[anon(false), not_active(true)], page(true, false)));
        assert!(passes(&[anon(false), not_active(true)], page(false, false)));
        assert!(!passes(&[anon(false), not_active(true)], page(false, true)));
        assert!(passes(&[anon(false)], page(false, true)));
    }
}
