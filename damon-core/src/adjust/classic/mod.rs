//! The kernel's adaptive regions adjustment.
//!
//! Counterpart: `mm/damon/core.c`, Linux 7.3. The same decisions, with a random stream and a memory of its own for each
//! monitor where the kernel has statics, and with counts of fewer samples than windows brought to one scale.

mod draw;
pub(super) mod fit;
pub mod laws;
pub(super) mod limits;
mod merge;
mod pools;
mod score;
mod split;

use alloc::vec::Vec;

use super::hulls::Hulls;
use super::{Adjuster, Counted};
use crate::attrs::Attrs;
use crate::control::shares::{Claim, Shares};
use crate::ops::Sample;
use crate::region::Region;
use crate::report::Interval;
use crate::rng::Rng;
use crate::sight::Extent;
use crate::target::{Cut, Target, TargetId};

use pools::Pools;
use score::Score;

/// The kernel's algorithm, and what it remembers between aggregations.
#[derive(Debug, Default)]
pub(crate) struct Classic {
    /// What `min_nr_regions` asked for when the last aggregation ended: no region grows above it by merging.
    size_limit: u64,
    /// A region may be larger: somebody joined some.
    joined: bool,
    highest: Highest,
    pools: Pools,
    shares: Shares,
    claims: Vec<Claim>,
    cuts: Vec<Cut>,
    hulls: Hulls,
}

/// The highest count of an aggregation as it came to be, which saves a pass over the regions: where each was sampled in
/// every window, so that counts and scores are the same.
#[derive(Debug)]
struct Highest {
    even: bool,
    windows: u32,
    nr_accesses: u32,
    extent: Extent,
}

impl Default for Highest {
    fn default() -> Self {
        Self { even: true, windows: 0, nr_accesses: 0, extent: Extent::GRANULE }
    }
}

impl Highest {
    fn count(&mut self, window: &Counted) {
        self.even &= window.unknown == 0;
        self.windows += 1;
        self.nr_accesses = self.nr_accesses.max(window.max_nr_accesses);
        self.extent = self.extent.max(window.extent);
    }

    fn known(&self, attrs: &Attrs, targets: &[Target]) -> Option<(u64, Extent)> {
        let even = self.even && self.windows == attrs.samples_per_aggregation() && !attrs.attributes_only();
        let mut spans = targets.iter().flat_map(|t| &t.spans);
        (even && spans.all(|s| s.sees.checkable())).then(|| (self.nr_accesses.into(), self.extent))
    }
}

impl Adjuster for Classic {
    fn draw(&mut self, attrs: &Attrs, targets: &[Target], rng: &mut Rng, out: &mut Vec<Sample>) {
        let shift = attrs.spec().granule.trailing_zeros();
        match attrs.spec().max_checks {
            Some(max) if draw::checkable(targets) > max => {
                self.claims.clear();
                self.claims.extend(targets.iter().map(draw::claim));
                self.highest.even = false;
                draw::some(targets, self.shares.divide(max, &self.claims), shift, rng, out);
            }
            _ => draw::all(targets, shift, rng, out),
        }
    }

    fn count(&mut self, _: &Attrs, targets: &mut [Target], samples: &[Sample]) -> Counted {
        let counted = draw::count(targets, samples);
        self.highest.count(&counted);
        counted
    }

    fn hint(&mut self, target: TargetId, _: usize, region: &Region, reported: &[Interval]) {
        self.hulls.add(target, region, reported);
    }

    fn aggregate(&mut self, attrs: &Attrs, targets: &mut [Target]) {
        let score = Score::of(attrs);
        let (highest, extent) = match self.highest.known(attrs, targets) {
            Some(known) => known,
            None => score.highest(targets),
        };
        if extent > Extent::GRANULE {
            targets.iter_mut().for_each(Target::align_to_extents);
        }
        let merge = merge::Merge {
            threshold: highest * u64::from(attrs.spec().merge_bp.0) / 10_000,
            max_threshold: attrs.samples_per_aggregation().into(),
            size_limit: self.size_limit,
            score,
        };
        self.pools.each(attrs, targets, |pool, max, _| merge.until_at_most(max, pool, attrs));
        if self.joined || limits::size_limit(attrs, targets) != self.size_limit {
            self.limit_sizes(attrs, targets);
        }
    }

    fn reset_and_split(&mut self, attrs: &Attrs, targets: &mut [Target], rng: &mut Rng) {
        let Self { cuts, hulls, .. } = self;
        self.pools.each(attrs, targets, |pool, max, past| {
            split::Split { max, attrs, hulls }.reset_and_split(pool, past, rng, cuts);
        });
        hulls.clear();
        self.highest = Highest::default();
    }

    fn rescale(&mut self, old: &Attrs, new: &Attrs, mid_aggregation: bool, targets: &mut [Target]) {
        self.highest = Highest::default();
        targets.iter_mut().for_each(|t| t.rescale(old.window(), new.window(), mid_aggregation));
    }

    fn refit(&mut self, target: &mut Target) {
        self.highest.even = false;
        fit::refit(target);
    }

    fn realign(&mut self, target: &mut Target, granule: u64) {
        self.highest.even = false;
        target.realign(granule);
    }

    fn forget(&mut self, target: &mut Target) {
        self.highest.even = false;
        self.hulls.clear();
        target.forget();
    }

    fn join(&mut self, target: &mut Target, left: usize) {
        target.join(left);
        self.joined = true;
        self.highest.even = false;
    }

    fn limit_sizes(&mut self, attrs: &Attrs, targets: &mut [Target]) {
        self.joined = false;
        self.size_limit = limits::size_limit(attrs, targets);
        for t in targets {
            self.cuts.clear();
            limits::cuts_above(limits::of_target(self.size_limit, attrs, t), &t.regions, &mut self.cuts);
            t.cut(&self.cuts);
        }
    }
}
