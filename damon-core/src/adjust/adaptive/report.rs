//! Cuts where reports say so: they know exact addresses, so nothing has to be searched for.
//!
//! Where reports lie in less than half of a region it is cut at their edges. Where they are the only source all is known of each window: an
//! address of each block is looked up in them as if it had been checked, and regions are cut as everywhere else.

use alloc::vec::Vec;

use super::belief::Belief;
use super::bins::{BLOCKS, Bins};
use super::evidence::Side;
use crate::adjust::hulls::Hulls;
use crate::region::Region;
use crate::report::Interval;
use crate::sight::Sees;
use crate::target::{Cut, Target};

/// Appends the cuts of a target's regions, as long as there is room for more.
pub(super) fn cuts(t: &Target, hulls: &Hulls, unit: u64, room: &mut usize, cuts: &mut Vec<Cut>) {
    for (index, r) in t.regions.iter().enumerate().filter(|(_, r)| r.sees != Sees::Nothing) {
        let unit = unit.max(r.extent.bytes());
        if *room < 2 {
            return;
        }
        let before = cuts.len();
        hulls.cut(t.id(), index, r, unit, cuts);
        if r.sees == Sees::Reports && !is_spot(r, &cuts[before..]) {
            cuts.truncate(before);
        }
        *room -= cuts.len() - before;
    }
}

/// Do the cuts set apart less than a block of the region? What is larger the blocks show, without forgetting what is believed.
fn is_spot(r: &Region, cuts: &[Cut]) -> bool {
    let size = match cuts {
        [only] => (only.at - r.start).min(r.end - only.at),
        [first, last] => last.at - first.at,
        _ => return false,
    };
    size < r.size() / BLOCKS as u64
}

/// Looks up an address of each block of a region in what was reported of it in a window: another one in each.
pub(super) fn learn(bins: &mut Bins, r: &Region, reported: &[Interval]) {
    bins.sweep(r.range(), r.nr_samples, |addr| {
        let after = reported.partition_point(|i| i.start <= addr);
        after.checked_sub(1).and_then(|i| reported.get(i)).is_some_and(|i| addr < i.end)
    });
}

/// Forgets what was believed of the pieces that these cuts made.
pub(super) fn start_anew(t: &Target, side: &mut Side, cuts: &[Cut]) {
    let mut edges = cuts.iter().map(|c| c.at).peekable();
    for (r, e) in t.regions.iter().zip(&mut side.evidence) {
        while edges.next_if(|&at| at < r.start).is_some() {}
        if edges.peek().is_some_and(|&at| at == r.start || at == r.end) {
            e.belief = Belief::default();
            e.bins.forget_old();
        }
    }
}
