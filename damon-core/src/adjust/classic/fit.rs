//! Fits regions into new ranges: drops what is outside, stretches the outermost to the edges, fills holes.
//!
//! Counterpart: `damon_set_regions` (`mm/damon/core.c`, Linux 7.3).

use alloc::vec::Vec;

use crate::addr::AddrRange;
use crate::region::Region;
use crate::sight::Sees;
use crate::target::Target;

/// A region, and the index of the one it was made from.
pub(in crate::adjust) type Fitted = (Region, Option<usize>);

/// A range, before and after it is aligned outward: what intersects it is decided before.
pub(in crate::adjust) type Range = ((u64, u64), AddrRange);

/// The regions for `ranges`, which are ascending and apart when aligned.
pub(in crate::adjust) fn fit(regions: &[Region], ranges: impl ExactSizeIterator<Item = Range>) -> Vec<Fitted> {
    let mut rest = regions.iter().enumerate().peekable();
    let mut out: Vec<Fitted> = Vec::with_capacity(regions.len() + ranges.len());
    for ((start, end), aligned) in ranges {
        // What no range intersects goes.
        while rest.next_if(|(_, r)| r.end <= start).is_some() {}
        let first = out.len();
        while let Some((index, r)) = rest.next_if(|(_, r)| r.start < end) {
            if let Some((last, _)) = out.get(first..).and_then(<[_]>::last).filter(|(last, _)| last.end != r.start) {
                let hole = AddrRange::ordered(last.end, r.start);
                out.push((Region::new(hole, r.sees), None));
            }
            out.push((*r, Some(index)));
        }
        match out.get_mut(first..) {
            Some([]) | None => out.push((Region::new(aligned, Sees::Accesses), None)),
            Some([only]) => (only.0.start, only.0.end) = (aligned.start(), aligned.end()),
            Some([head, .., tail]) => (head.0.start, tail.0.end) = (aligned.start(), aligned.end()),
        }
    }
    out
}

/// Fits a target's regions into its spans, which are aligned.
pub(in crate::adjust) fn refit(t: &mut Target) {
    let fitted = fit(&t.regions, t.spans.iter().map(|s| ((s.range.start(), s.range.end()), s.range)));
    if t.probed {
        let hits = |from: Option<usize>| from.and_then(|i| t.probe_hits.get(i)).copied().unwrap_or_default();
        t.probe_hits = fitted.iter().map(|(_, from)| hits(*from)).collect();
    }
    t.regions.clear();
    t.regions.extend(fitted.into_iter().map(|(r, _)| r));
    let mut spans = t.spans.iter().peekable();
    for r in &mut t.regions {
        while spans.next_if(|s| s.range.end() <= r.start).is_some() {}
        if let Some(span) = spans.peek() {
            r.sees = span.sees;
        }
    }
}
