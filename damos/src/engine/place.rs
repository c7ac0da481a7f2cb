//! Of a region, how much lies where a scheme may take it from: asked of who acts, about a few pages of it.
//!
//! Counterpart: none. The kernel ranks and charges memory that is where it shall be like all other; of a quota for what is hottest
//! nothing is left then for what is to be moved.

use std::collections::BTreeMap;

use damon_core::control::priority;
use damon_core::{Action, AddrRange, ApplyOps, Attrs, Filter, Instant, Monitor, PageFilter, Request, TargetId};

use super::Running;
use super::filter::{self, Verdict};
use crate::scheme::Scheme;
use crate::scheme::pattern::Bounds;

/// Of a larger region than all of them together so many pieces are looked at, each of so many granules.
const PIECES: u64 = 4;
const PIECE: u64 = 16;

/// What was found of the regions of a snapshot.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Ends of the regions, and how much of each lies there; by target and first address.
    known: BTreeMap<(TargetId, u64), (u64, u64)>,
    /// All of that.
    pub(super) eligible: u64,
    /// Looks so far: each looks at other pages.
    looks: u64,
}

impl Places {
    /// How much of a region, or of a part of one that was looked at, lies there.
    fn part(&self, target: TargetId, range: AddrRange) -> u64 {
        let before = self.known.range(..=(target, range.start())).next_back();
        let Some((&(_, start), &(end, there))) =
            before.filter(|((of, _), (end, _))| *of == target && range.start() < *end)
        else {
            return 0;
        };
        let share = u128::from(there) * u128::from(range.size()) / u128::from((end - start).max(1));
        u64::try_from(share).unwrap_or(u64::MAX).min(range.size())
    }
}

/// The lines of a scheme's filters that are about nodes.
fn lines(scheme: &Scheme) -> Vec<Filter> {
    scheme.filters.iter().filter(|f| matches!(f.page, PageFilter::Node(_))).copied().collect()
}

impl Running {
    /// Does it matter where memory lies?
    pub(super) fn is_placed(&self) -> bool {
        self.scheme.filters.iter().any(|f| matches!(f.page, PageFilter::Node(_)))
    }

    /// How much of a region, or of a part of it, the scheme is about.
    pub(super) fn eligible(&self, target: TargetId, range: AddrRange) -> u64 {
        if self.is_placed() { self.places.part(target, range) } else { range.size() }
    }

    /// Looks where the memory lies that the scheme is about: the most deserving first, until there is as much as its quota's
    /// size, of each target where that is divided. Its goals may allow less, but it is to be known how much they keep waiting.
    pub(super) fn locate<A: ApplyOps + ?Sized>(
        &mut self,
        now: Instant,
        bounds: &Bounds,
        targets: &[TargetId],
        monitor: &mut Monitor,
        actor: &mut A,
    ) {
        self.places.known.clear();
        self.places.eligible = 0;
        if !self.is_placed() {
            return;
        }
        let attrs = monitor.attrs().clone();
        let mut fits = Vec::new();
        for &target in targets {
            self.gather(now, bounds, target, &attrs, monitor, &mut fits);
        }
        fits.sort_unstable_by_key(|&(score, ..)| priority::MAX_SCORE - score);
        self.places.looks += 1;
        let (lines, granule) = (lines(&self.scheme), attrs.spec().granule);
        let divided = self.is_divided();
        let mut found: BTreeMap<Option<TargetId>, u64> = BTreeMap::new();
        for (_, target, range) in fits {
            let found = found.entry(divided.then_some(target)).or_default();
            if self.scheme.quota.size > 0 && *found >= self.scheme.quota.size {
                continue;
            }
            let request = Request::new(Action::Stat, &lines, &self.scheme.dests);
            let there = look(actor, &request, target, range, granule, self.places.looks);
            *found = found.saturating_add(there);
            self.places.known.insert((target, range.start()), (range.end(), there));
            self.places.eligible = self.places.eligible.saturating_add(there);
        }
    }

    fn gather(
        &self,
        now: Instant,
        bounds: &Bounds,
        target: TargetId,
        attrs: &Attrs,
        monitor: &mut Monitor,
        fits: &mut Vec<(u32, TargetId, AddrRange)>,
    ) {
        let largest = monitor.region_size_limit();
        let Some(mut editor) = monitor.edit(target) else { return };
        let mut i = 0;
        while let Some(&r) = editor.regions().get(i) {
            let n = bounds.count(&editor, &r);
            let fit = bounds.hold(&r, n) && !self.is_blind(r.sees()) && !self.spares(target, i, now, &mut editor);
            if fit && filter::judge(&self.scheme, target, i, &mut editor) != Verdict::Out {
                let range = editor.regions().get(i).map(|r| r.range());
                fits.extend(range.map(|range| (self.score(&r, n, attrs, largest), target, range)));
            }
            i += 1;
        }
    }
}

/// How much of `range` passes the request, by what of some pages of it does. Who cannot tell says of nothing that it does.
fn look<A: ApplyOps + ?Sized>(
    actor: &mut A,
    request: &Request<'_>,
    target: TargetId,
    range: AddrRange,
    granule: u64,
    turn: u64,
) -> u64 {
    let mut passed = |part: AddrRange| actor.apply(target, part, request).filter_passed.min(part.size());
    let piece = PIECE * granule;
    let stride = range.size() / PIECES / granule * granule;
    if stride <= piece {
        return passed(range);
    }
    let (mut there, mut looked) = (0, 0);
    for i in 0..PIECES {
        // Spread over the stride from look to look, and not alike in all strides.
        let places = (stride - piece) / granule + 1;
        let offset = (turn.wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) % places * granule;
        let Some(part) = AddrRange::from_len(range.start() + i * stride + offset, piece) else { continue };
        there += passed(part);
        looked += part.size();
    }
    let all = u128::from(there) * u128::from(range.size()) / u128::from(looked.max(1));
    u64::try_from(all).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_region_has_its_share() {
        let id = TargetId::new(1);
        let mut places = Places::default();
        places.known.insert((id, 100), (200, 50));
        let part = |start, end| AddrRange::new(start, end).map_or(0, |range| places.part(id, range));
        assert_eq!([part(100, 200), part(100, 120), part(190, 200)], [50, 10, 5]);
        assert_eq!([part(0, 100), part(200, 300)], [0, 0], "nothing is known of others");
        let whole = AddrRange::new(100, 200).unwrap();
        assert_eq!(places.part(TargetId::new(2), whole), 0);
    }
}
