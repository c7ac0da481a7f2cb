//! New ranges for a target that is watched already: what stays keeps its history, what is new starts without one.

use alloc::vec::Vec;

use super::Monitor;
use crate::adjust::Adjuster;
use crate::region::Region;
use crate::sight::Span;
use crate::target::{Cut, Target};

impl Monitor {
    /// Fits target `i` into `self.spans`.
    pub(super) fn refit(&mut self, i: usize) {
        let Self { targets, adjuster, spans, cuts, .. } = self;
        let target = &mut targets[i];
        // A region across an edge would be fitted to one side of it, and its history on the other side lost.
        cuts_at_edges(&target.regions, spans, cuts);
        adjuster.cut(target, cuts);
        core::mem::swap(&mut target.spans, spans);
        adjuster.refit(target);
        // Fitting stretches regions over new bytes, which have no past.
        cuts_at_edges(&target.regions, spans, cuts);
        adjuster.cut(target, cuts);
        start_anew_outside(&mut **adjuster, target, spans);
    }
}

/// Cuts wherever a span begins or ends inside a region.
fn cuts_at_edges(regions: &[Region], spans: &[Span], cuts: &mut Vec<Cut>) {
    cuts.clear();
    let mut index = 0;
    let edges = spans.iter().flat_map(|s| [s.range.start(), s.range.end()]);
    let mut last = None;
    for at in edges {
        while regions.get(index).is_some_and(|r| r.end <= at) {
            index += 1;
        }
        // Spans that touch have an edge in common.
        if regions.get(index).is_some_and(|r| r.start < at) && last.replace(at) != Some(at) {
            cuts.push(Cut { index, at });
        }
    }
}

/// Voids the history of regions that are in none of these spans.
fn start_anew_outside(adjuster: &mut dyn Adjuster, target: &mut Target, old: &[Span]) {
    let mut old = old.iter().peekable();
    for i in 0..target.regions.len() {
        let start = target.regions[i].start;
        while old.next_if(|s| s.range.end() <= start).is_some() {}
        if old.peek().is_none_or(|s| start < s.range.start()) {
            adjuster.start_anew(target, i);
        }
    }
}
