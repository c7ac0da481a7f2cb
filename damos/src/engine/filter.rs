//! Holds a region against a scheme's core filters, cutting it where an edge of one goes through.
//!
//! Counterpart: `damos_core_filter_out`, `damos_filter_match` (`mm/damon/core.c`, Linux 7.3).

use damon_core::{AddrRange, Editor, TargetId};

use crate::scheme::{CoreFilter, CoreFilterKind, Scheme};

/// What the core filters say of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Left alone.
    Out,
    /// Up to the page filters.
    Undecided,
    /// Allowed, whatever the page filters say.
    Allowed,
}

/// The verdict on region `index`, or on its left part where it had to be cut; the rest is the next region then.
pub(super) fn judge(scheme: &Scheme, target: TargetId, index: usize, editor: &mut Editor<'_>) -> Verdict {
    for filter in &scheme.core_filters {
        let matched = match filter.kind {
            CoreFilterKind::Target(id) => id == target,
            CoreFilterKind::Addr(range) => lies_in(range, index, editor),
        };
        if matched == filter.matching {
            return if filter.allow { Verdict::Allowed } else { Verdict::Out };
        }
    }
    if scheme.filters.is_empty() && scheme.core_filters.last().is_some_and(|f: &CoreFilter| f.allow) {
        return Verdict::Out;
    }
    Verdict::Undecided
}

/// Is region `index` in the range? Cut at an edge of it, its left part is the region; the rest is the next one then.
pub(super) fn lies_in(range: AddrRange, index: usize, editor: &mut Editor<'_>) -> bool {
    let Some(r) = editor.regions().get(index).map(|r| r.range()) else { return false };
    let down = |addr: u64| addr & !(editor.granule() - 1);
    let (start, end) = (down(range.start()), down(range.end()));
    if start <= r.start() && r.end() <= end {
        return true;
    }
    if r.end() <= start || end <= r.start() {
        return false;
    }
    // The cut is inside the region and at a multiple of the granule.
    let inside = r.start() >= start;
    let cut = editor.cut(index, if inside { end } else { start });
    debug_assert!(cut.is_ok());
    inside
}
