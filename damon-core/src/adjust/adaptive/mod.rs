//! A better picture for the same checks.
//!
//! What it adds to the kernel's idea, a file each: [bins] remember where in a region the hits were, and it is [cut](segment) there; a
//! [belief] is kept as long as nothing changes and dropped at once when something did; checks are [shared](share) by size and
//! uncertainty; [edges](edge) are followed from both sides; a [suspect] is looked at twice; neighbours are [merged](merge) when chance
//! explains their difference. `docs/adaptive.md` says what each is worth.
//!
//! Checks that are made for edges and suspects alone enter no count that a consumer sees.

mod belief;
mod bins;
mod draw;
mod edge;
mod evidence;
mod log;
mod merge;
mod picture;
mod report;
mod rescale;
mod segment;
mod share;
mod suspect;
mod thrift;
mod typical;
mod verdict;
mod window;

use alloc::vec::Vec;
use core::ops::Range;

use super::classic::{fit, limits};
use super::hulls::Hulls;
use super::{Adjuster, Counted};
use crate::addr::AddrRange;
use crate::attrs::Attrs;
use crate::control::shares::{Claim, Shares};
use crate::ops::Sample;
use crate::region::Region;
use crate::report::Interval;
use crate::rng::Rng;
use crate::sight::{Extent, Sees};
use crate::target::{Cut, Target, TargetId};

use bins::Tally;
use draw::{Draw, Plan, Spread, Tag};
use evidence::{Evidence, Side};
use suspect::Suspects;
use thrift::Thrift;
use verdict::Judge;

/// The algorithm, and what it keeps beside the regions.
#[derive(Debug, Default)]
pub(crate) struct Adaptive {
    /// In step with the targets.
    sides: Vec<Side>,
    /// What the samples of this window are for.
    tags: Vec<Tag>,
    suspects: Suspects,
    /// Pages found hot in this window.
    found: Vec<(TargetId, u64)>,
    /// Boundaries that were looked at in this window, by the region to their right.
    looked_at: Vec<u32>,
    spread: Spread,
    thrift: Thrift,
    /// Where reports lie.
    hulls: Hulls,
    /// The largest block that a check of this aggregation observed.
    extent: Extent,
    /// Runs of targets that share checks and regions: all of them, or each alone where weights differ.
    pools: Vec<Pool>,
    shares: Shares,
    claims: Vec<Claim>,
    cuts: Vec<Cut>,
    old: Vec<AddrRange>,
    /// Shares are to be made anew before the next window.
    stale: bool,
    /// The intervals changed: what is counted next may differ for that alone.
    unsettled: bool,
    /// The granule, as a power of two: the smallest block.
    least: u32,
}

/// Targets that share.
#[derive(Clone, Debug)]
struct Pool {
    targets: Range<usize>,
    checks: usize,
    regions: usize,
    plan: Plan,
}

/// Regions are merged down to so many tenths of the most there may be: the rest is for cuts in mid-aggregation.
const GOAL: usize = 9;

impl Adaptive {
    /// Brings the sides in step with targets that came or went.
    fn sync(&mut self, attrs: &Attrs, targets: &[Target]) {
        self.least = attrs.spec().granule.trailing_zeros();
        let in_step = |(s, t): (&Side, &Target)| s.id == t.id() && s.evidence.len() == t.regions.len();
        if self.sides.len() == targets.len() && self.sides.iter().zip(targets).all(in_step) {
            return;
        }
        self.sides.retain(|s| targets.binary_search_by_key(&s.id, Target::id).is_ok());
        for (i, t) in targets.iter().enumerate() {
            if self.sides.get(i).is_none_or(|s| s.id != t.id()) {
                self.sides.insert(i, Side { id: t.id(), evidence: Vec::new() });
            }
            self.sides[i].keep_step(t, self.least);
        }
        self.stale = true;
    }

    /// The side of a target that is being edited.
    fn side(&mut self, t: &Target) -> &mut Side {
        let (least, at) = (self.least, self.sides.binary_search_by_key(&t.id(), |s| s.id));
        self.stale = true;
        let at = at.unwrap_or_else(|at| {
            self.sides.insert(at, Side { id: t.id(), evidence: Vec::new() });
            at
        });
        let side = &mut self.sides[at];
        side.keep_step(t, least);
        side
    }

    /// Which targets share checks and regions, and how many.
    fn pool(&mut self, attrs: &Attrs, targets: &[Target]) {
        let spec = attrs.spec();
        let most = spec.max_checks.unwrap_or(spec.max_nr_regions);
        let checks = if spec.max_checks.is_some() { most } else { self.thrift.spend(most) };
        // More regions than three a check would have too few samples each.
        let regions = spec.max_nr_regions.min(most.saturating_mul(3).max(spec.min_nr_regions));
        self.pools.clear();
        let claim = |t: &Target| Claim { group: t.spec.group, weight: t.spec.weight, want: usize::MAX >> 8 };
        self.claims.clear();
        self.claims.extend(targets.iter().map(claim));
        if self.claims.windows(2).all(|pair| pair.first() == pair.last()) {
            self.pools.push(Pool { targets: 0..targets.len(), checks, regions, plan: Plan::default() });
            return;
        }
        let checks = self.shares.divide(checks, &self.claims);
        self.pools.extend(checks.iter().enumerate().map(|(i, &checks)| Pool {
            targets: i..i + 1,
            checks,
            regions: 0,
            plan: Plan::default(),
        }));
        for (pool, &regions) in self.pools.iter_mut().zip(self.shares.divide(regions, &self.claims)) {
            pool.regions = regions;
        }
    }

    /// Divides the checks anew.
    fn divide(&mut self, attrs: &Attrs, targets: &[Target]) {
        self.pool(attrs, targets);
        for p in &mut self.pools {
            let sides = &mut self.sides[p.targets.clone()];
            p.plan = share::divide(p.checks as u64, &targets[p.targets.clone()], sides, self.least);
        }
        self.stale = false;
    }
}

impl Adjuster for Adaptive {
    fn draw(&mut self, attrs: &Attrs, targets: &[Target], rng: &mut Rng, out: &mut Vec<Sample>) {
        self.sync(attrs, targets);
        if self.stale || self.pools.is_empty() {
            self.divide(attrs, targets);
        }
        self.tags.clear();
        let mut suspects = self.suspects.list();
        for p in &self.pools {
            let of = |id: TargetId| suspects.partition_point(|s| s.target <= id);
            let until = targets[p.targets.clone()].last().map_or(0, |t| of(t.id()));
            let (own, rest) = suspects.split_at(until);
            suspects = rest;
            let draw = Draw {
                budget: p.checks as u64,
                plan: p.plan,
                shift: self.least,
                suspects: own,
                spread: &mut self.spread,
                rng,
            };
            draw.draw(&targets[p.targets.clone()], &self.sides[p.targets.clone()], out, &mut self.tags);
        }
    }

    fn count(&mut self, attrs: &Attrs, targets: &mut [Target], samples: &[Sample]) -> Counted {
        let mut counted = Counted::default();
        let budget = attrs.spec().max_checks.unwrap_or(attrs.spec().max_nr_regions);
        let judge = Judge::new(attrs);
        if self.tags.len() != samples.len() {
            return counted;
        }
        self.found.clear();
        let mut first = 0;
        for (i, t) in targets.iter_mut().enumerate() {
            let rest = &samples[first..];
            let from = rest.partition_point(|s| s.target < t.id());
            let run = &rest[from..];
            let run = &run[..run.partition_point(|s| s.target == t.id())];
            self.count_run(t, i, run, first + from, judge, &mut counted);
            first += from + run.len();
        }
        self.judge(attrs, targets, budget);
        self.extent = self.extent.max(counted.extent);
        counted
    }

    fn aggregate(&mut self, attrs: &Attrs, targets: &mut [Target]) {
        self.sync(attrs, targets);
        let probes_only = attrs.attributes_only();
        if self.extent > Extent::GRANULE {
            targets.iter_mut().for_each(Target::align_to_extents);
        }
        self.extent = Extent::GRANULE;
        let size_limit = limits::size_limit(attrs, targets);
        for (t, side) in targets.iter_mut().zip(&mut self.sides) {
            self.cuts.clear();
            for (i, (r, e)) in t.regions.iter().zip(&mut side.evidence).enumerate() {
                if r.sees == Sees::Reports {
                    e.bins.fill(r.range(), r.nr_samples);
                }
                if r.sees != Sees::Nothing {
                    segment::cuts(i, r.range(), &e.bins, r.extent.bytes(), &mut self.cuts);
                }
            }
            self.thrift.surprises += self.cuts.len();
            if !self.cuts.is_empty() {
                side.cut(&t.regions, &self.cuts);
                t.cut(&self.cuts);
                picture::mark_fresh(t, side, &self.cuts, self.least);
            }
            for (r, e) in t.regions.iter_mut().zip(&mut side.evidence) {
                // In attributes-only mode nothing but bins counts; where reports say all, they know more than a sample a window.
                let by_bins = probes_only || r.sees == Sees::Reports;
                let counts =
                    if by_bins { e.bins.total_now() } else { Tally { hits: r.nr_accesses, checks: r.nr_samples } };
                self.thrift.surprises += usize::from(!picture::learn(r, e, counts, self.unsettled));
            }
            let limit = limits::of_target(size_limit, attrs, t);
            merge::pass(t, side, limit, self.least, |_, l, _, r| l.belief.is_like(&r.belief));
        }
        self.unsettled = false;
        self.pool(attrs, targets);
        for p in &self.pools {
            let (targets, sides) = (&mut targets[p.targets.clone()], &mut self.sides[p.targets.clone()]);
            let limit = |t: &Target| limits::of_target(size_limit, attrs, t);
            merge::until_at_most((p.regions * GOAL / 10).max(1), targets, sides, limit, self.least);
        }
        // The most there may be counts for more than how large they may be.
        merge::until_at_most(attrs.spec().max_nr_regions, targets, &mut self.sides, |_| u64::MAX, self.least);
        self.limit_sizes(attrs, targets);
        for (t, side) in targets.iter_mut().zip(&mut self.sides) {
            picture::finish(t, side, self.least, probes_only);
        }
        self.thrift.review(targets.iter().map(|t| t.regions.len()).sum());
        self.suspects.renew();
        self.stale = true;
    }

    fn hint(&mut self, target: TargetId, index: usize, region: &Region, reported: &[Interval]) {
        self.hulls.add(target, region, reported);
        if region.sees == Sees::Reports {
            let side = self.sides.binary_search_by_key(&target, |s| s.id).ok().and_then(|at| self.sides.get_mut(at));
            if let Some(e) = side.and_then(|side| side.evidence.get_mut(index)) {
                report::learn(&mut e.bins, region, reported);
            }
        }
    }

    fn reset_and_split(&mut self, attrs: &Attrs, targets: &mut [Target], _: &mut Rng) {
        let hulls = core::mem::take(&mut self.hulls);
        let nr_regions: usize = targets.iter().map(|t| t.regions.len()).sum();
        let mut room = attrs.spec().max_nr_regions.saturating_sub(nr_regions);
        for t in targets {
            if hulls.any() {
                let mut cuts = core::mem::take(&mut self.cuts);
                cuts.clear();
                report::cuts(t, &hulls, t.unit(attrs.spec().granule), &mut room, &mut cuts);
                if !cuts.is_empty() {
                    self.cut(t, &cuts);
                    // What was seen of the whole says nothing of its parts.
                    report::start_anew(t, self.side(t), &cuts);
                }
                self.cuts = cuts;
            }
            t.reset();
        }
        self.hulls = hulls;
        self.hulls.clear();
    }

    fn rescale(&mut self, old: &Attrs, new: &Attrs, mid_aggregation: bool, targets: &mut [Target]) {
        targets.iter_mut().for_each(|t| t.rescale(old.window(), new.window(), mid_aggregation));
        self.sync(old, targets);
        let rates = rescale::Rates::new(old.sampling_us(), new.sampling_us());
        for (t, side) in targets.iter_mut().zip(&mut self.sides) {
            for (r, e) in t.regions.iter_mut().zip(&mut side.evidence) {
                // The bins have seen other rates, in earlier aggregations and, in the middle of one, in this.
                e.bins.forget_old();
                e.bins.forget_now();
                e.belief.rescale(|rate| rates.of(rate));
                r.estimate(e.belief.rate(), e.belief.evidence());
            }
        }
        self.unsettled = true;
    }

    fn refit(&mut self, target: &mut Target) {
        let least = self.least;
        let mut old = core::mem::take(&mut self.old);
        old.clear();
        old.extend(target.regions.iter().map(Region::range));
        let _ = self.side(target);
        fit::refit(target);
        if let Ok(at) = self.sides.binary_search_by_key(&target.id(), |s| s.id) {
            self.sides[at].refit(&old, target, least);
        }
        self.old = old;
    }

    fn limit_sizes(&mut self, attrs: &Attrs, targets: &mut [Target]) {
        let size_limit = limits::size_limit(attrs, targets);
        let nr_regions: usize = targets.iter().map(|t| t.regions.len()).sum();
        let mut room = attrs.spec().max_nr_regions.saturating_sub(nr_regions);
        for t in targets {
            let mut cuts = core::mem::take(&mut self.cuts);
            cuts.clear();
            limits::cuts_above(limits::of_target(size_limit, attrs, t), &t.regions, &mut cuts);
            cuts.truncate(room);
            room -= cuts.len();
            if !cuts.is_empty() {
                self.cut(t, &cuts);
            }
            self.cuts = cuts;
        }
    }

    fn realign(&mut self, target: &mut Target, granule: u64) {
        let mut old = core::mem::take(&mut self.old);
        old.clear();
        old.extend(target.regions.iter().map(Region::range));
        let _ = self.side(target);
        target.realign(granule);
        let least = granule.trailing_zeros();
        if let Ok(at) = self.sides.binary_search_by_key(&target.id(), |s| s.id) {
            self.sides[at].refit(&old, target, least);
        }
        self.suspects.forget(None);
        self.old = old;
    }

    fn cut(&mut self, target: &mut Target, cuts: &[Cut]) {
        self.side(target).cut(&target.regions, cuts);
        target.cut(cuts);
    }

    fn join(&mut self, target: &mut Target, left: usize) {
        let least = self.least;
        let side = self.side(target);
        if let (Some([l, r]), Some([le, re])) =
            (target.regions.get(left..left + 2), side.evidence.get_mut(left..left + 2))
        {
            let re = *re;
            le.join(&re, l.range(), r.range(), least);
            side.evidence.remove(left + 1);
        }
        target.join(left);
    }

    fn start_anew(&mut self, target: &mut Target, index: usize) {
        target.start_anew(index);
        let least = self.least;
        let side = self.side(target);
        if let (Some(r), Some(e)) = (target.regions.get(index), side.evidence.get_mut(index)) {
            *e = Evidence::new(r, least);
        }
    }

    fn forget(&mut self, target: &mut Target) {
        target.forget();
        let least = self.least;
        self.side(target).start_anew(target, least);
        self.suspects.forget(Some(target.id()));
    }
}
