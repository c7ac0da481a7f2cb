//! Filters by what the engine knows itself: addresses and targets. A region across an edge is cut there.
//!
//! Counterpart: `damos_core_filter_out` (`mm/damon/core.c`, Linux 7.3).

use damon_core::{AddrRange, TargetId};

/// One line of a scheme's filter list. The first that is about a region decides whether it is left to the action; where
/// none is, the opposite of what the last says, but everything passes if there are page filters to decide later. What a
/// line of this list allows is allowed whatever the page filters say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreFilter {
    /// The property.
    pub kind: CoreFilterKind,
    /// Is the line about regions that have it, or about those that have not?
    pub matching: bool,
    /// Shall those pass?
    pub allow: bool,
}

/// A property of a region that the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoreFilterKind {
    /// It lies in these addresses, whose ends are rounded down to the granule.
    Addr(AddrRange),
    /// It belongs to this target.
    Target(TargetId),
}
