//! Ends an aggregation: what each region is believed to be, and what the next aggregation starts from.

use super::belief::Belief;
use super::bins::{self, Tally};
use super::edge::Edge;
use super::evidence::{Evidence, Side};
use super::typical::Looks;
use crate::addr::AddrRange;
use crate::region::Region;
use crate::sight::Sees;
use crate::target::{Cut, Target};

/// Gives the pieces of regions that were cut by their bins the counts of their own bins.
pub(super) fn mark_fresh(t: &mut Target, side: &mut Side, cuts: &[Cut], least: u32) {
    let mut made = 0;
    let mut i = 0;
    while i < cuts.len() {
        let index = cuts[i].index;
        let pieces = cuts[i..].iter().take_while(|c| c.index == index).count();
        for at in index + made..=index + made + pieces {
            let (Some(r), Some(e)) = (t.regions.get_mut(at), side.evidence.get_mut(at)) else { continue };
            if at > index + made {
                e.edge = Edge::new((e.bins.block() >> least) / 2);
            }
            e.bins.clip(r.range());
            e.fresh = true;
            e.looks = Looks::default();
            let now = e.bins.total_now();
            if r.sees == Sees::Reports {
                // A window is one sample, however many blocks were looked up in it.
                r.nr_accesses = (now.hits * r.nr_samples + now.checks / 2) / now.checks.max(1);
            } else {
                (r.nr_accesses, r.nr_samples) = (now.hits, now.checks);
            }
            r.nr_writes = r.nr_writes.min(r.nr_accesses);
        }
        made += pieces;
        i += pieces;
    }
}

/// Brings a region's counts into what is believed of it. False if they are of another rate.
pub(super) fn learn(r: &mut Region, e: &mut Evidence, now: Tally, unsettled: bool) -> bool {
    if core::mem::take(&mut e.fresh) {
        e.belief = Belief::of_tally(e.bins.total_old(), bins::UNIT);
    }
    if now.checks == 0 {
        return true;
    }
    if unsettled {
        e.belief.blend(Belief::of(now.hits, now.checks));
    } else if !e.belief.learn(now.hits, now.checks, e.age) {
        (r.age, r.age_rest_us) = (0, 0);
        e.age = 0;
        e.bins.forget_old();
        e.looks = Looks::default();
        return false;
    }
    r.age = r.age.saturating_add(1);
    e.age = e.age.saturating_add(1);
    true
}

/// The picture is made: says what is believed, and prepares for the next aggregation.
pub(super) fn finish(t: &mut Target, side: &mut Side, least: u32, probes_only: bool) {
    let mut last: Option<(AddrRange, u32, Sees)> = None;
    for (r, e) in t.regions.iter_mut().zip(&mut side.evidence) {
        if !probes_only {
            r.estimate(e.looks.typical(e.belief.rate()), e.belief.evidence());
        }
        if r.nr_samples > 0 {
            e.extent = r.extent.bytes().trailing_zeros() as u8;
        }
        let limit = least.max(e.extent.into());
        e.bins = e.bins.fitted(r.range(), limit);
        e.bins.fade();
        match last {
            Some((l, rate, sees)) if l.end() == r.start && sees == r.sees => {
                e.edge.review(rate, e.belief.rate(), (l.size().max(r.size()) >> least) / 16);
            }
            _ => e.edge = Edge::default(),
        }
        last = Some((r.range(), e.belief.rate(), r.sees));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scheme_acted_on_keeps_what_is_believed_of_it() {
        let mut r = Region::new(AddrRange::ordered(0, 1 << 20), Sees::Accesses);
        let mut e = Evidence::new(&r, 12);
        let mut aggregation = |r: &mut Region, hits, checks| learn(r, &mut e, Tally { hits, checks }, false);
        assert!((0..20).all(|_| aggregation(&mut r, 5, 10)));
        (r.age, r.age_rest_us) = (0, 0);
        assert!(aggregation(&mut r, 9, 10), "nine of ten is chance where half was seen for long");
        assert_eq!(r.age, 1);
        assert!(!aggregation(&mut r, 0, 30));
    }
}
