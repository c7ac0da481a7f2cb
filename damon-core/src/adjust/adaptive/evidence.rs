//! What is kept beside each region, and how edits keep it in step.

use alloc::vec::Vec;

use super::belief::Belief;
use super::bins::Bins;
use super::edge::Edge;
use super::typical::Looks;
use crate::addr::AddrRange;
use crate::region::{Region, weighted_mean};
use crate::target::{Cut, Target, TargetId, expand};

/// What is known of one region beside its counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    pub(super) belief: Belief,
    /// Aggregations that the belief has held. The region's own age starts anew when something is done to the region, which does not say that it
    /// is accessed at another rate; where it is (other memory comes to a physical address) counts tell.
    pub(super) age: u32,
    pub(super) bins: Bins,
    /// Its left boundary.
    pub(super) edge: Edge,
    /// What second looks came to.
    pub(super) looks: Looks,
    /// Of the checks of a window, relative to the other regions'.
    pub(super) share: u32,
    /// The block that checks observed, as a power of two, when it was checked last.
    pub(super) extent: u8,
    /// It was just cut by its bins, which know better than the belief it had.
    pub(super) fresh: bool,
}

impl Evidence {
    /// What a region's own counts say.
    pub(super) fn new(r: &Region, least: u32) -> Self {
        let belief = match r.nr_samples {
            0 => Belief::of(r.last_nr_accesses, r.last_nr_samples),
            n => Belief::of(r.nr_accesses, n),
        };
        Self {
            belief,
            age: r.age,
            bins: Bins::new(r.range(), least),
            edge: Edge::default(),
            looks: Looks::default(),
            share: 0,
            extent: 0,
            fresh: false,
        }
    }

    /// Cuts it at `at`, of a region from `start` to `end`: evidence and checks go by size.
    fn cut(&mut self, start: u64, at: u64, end: u64) -> Self {
        let part = |e: &Self, size: u64| Self {
            belief: e.belief.part(size, end - start),
            share: (u128::from(e.share) * u128::from(size) / u128::from(end - start)) as u32,
            ..*e
        };
        let right = Self { edge: Edge::default(), ..part(self, end - at) };
        *self = part(self, at - start);
        right
    }

    /// Takes in what is known of the next region.
    pub(super) fn join(&mut self, next: &Self, l: AddrRange, r: AddrRange, least: u32) {
        self.belief.join(&next.belief, l.size(), r.size());
        self.bins = self.bins.joined(&next.bins, AddrRange::ordered(l.start(), r.end()), least);
        self.age = weighted_mean(self.age, l.size(), next.age, r.size());
        self.looks.join(&next.looks);
        self.share = self.share.saturating_add(next.share);
        self.extent = self.extent.max(next.extent);
    }
}

/// The evidence of a target's regions, one each.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) id: TargetId,
    pub(super) evidence: Vec<Evidence>,
}

impl Side {
    /// Begins anew where regions came or went without passing here.
    pub(super) fn keep_step(&mut self, t: &Target, least: u32) {
        if self.evidence.len() != t.regions.len() {
            self.start_anew(t, least);
        }
    }

    /// Knows nothing but what the regions' counts say.
    pub(super) fn start_anew(&mut self, t: &Target, least: u32) {
        self.evidence.clear();
        self.evidence.extend(t.regions.iter().map(|r| Evidence::new(r, least)));
    }

    /// Makes all cuts at once. To be called while the regions are whole.
    pub(super) fn cut(&mut self, regions: &[Region], cuts: &[Cut]) {
        let mut end = None;
        // From the last cut to the first: what is left of a region ends where the cut after it was.
        let mut cut = cuts.iter().rev();
        expand(&mut self.evidence, cuts, |left, at| {
            let index = cut.next().map_or(0, |c| c.index);
            let (start, whole) = regions.get(index).map_or((0, at), |r| (r.start, r.end));
            let until = match end {
                Some((i, until)) if i == index => until,
                _ => whole,
            };
            end = Some((index, at));
            left.cut(start, at, until)
        });
    }

    /// Fits evidence of regions that were at `old` to those that are there now.
    pub(super) fn refit(&mut self, old: &[AddrRange], t: &Target, least: u32) {
        let mut i = 0;
        let fitted = t.regions.iter().map(|r| {
            while old.get(i).is_some_and(|o| o.end() <= r.start) {
                i += 1;
            }
            match (old.get(i), self.evidence.get(i)) {
                (Some(o), Some(e)) if o.start() < r.end => Evidence { bins: e.bins.fitted(r.range(), least), ..*e },
                _ => Evidence::new(r, least),
            }
        });
        let fitted: Vec<_> = fitted.collect();
        self.evidence = fitted;
    }
}
