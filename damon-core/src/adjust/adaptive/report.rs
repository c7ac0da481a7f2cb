//! Cuts where reports say so: they know exact addresses, so nothing has to be searched for.
//!
//! Where reports lie in less than half of a region it is cut at their edges. Where they are the only source, and a region was reported in
//! part only, it is halved: no check would show where the parts are, and merging undoes it if there are none.

use alloc::vec::Vec;

use super::belief::Belief;
use super::evidence::Side;
use crate::addr::align_down;
use crate::adjust::hulls::Hulls;
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
        let at = align_down(r.start + r.size() / 2, unit);
        if !hulls.cut(t.id(), index, r, unit, cuts)
            && r.sees == Sees::Reports
            && (1..r.nr_samples).contains(&r.nr_accesses)
            && r.start < at
        {
            cuts.push(Cut { index, at });
        }
        *room -= cuts.len() - before;
    }
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
