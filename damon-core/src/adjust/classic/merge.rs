//! Ages regions, and merges neighbours whose scores are alike.
//!
//! Counterpart: `kdamond_merge_regions`, `damon_merge_regions_of` (`mm/damon/core.c`, Linux 7.3).

use crate::attrs::Attrs;
use crate::region::Region;
use crate::target::{ProbeHits, Target};

use super::limits;
use super::score::Score;

/// What counts as alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merge {
    /// Scores that differ by no more are alike.
    pub(super) threshold: u64,
    /// How far the threshold may be raised to get down to few enough regions.
    pub(super) max_threshold: u64,
    /// No region grows above it.
    pub(super) size_limit: u64,
    pub(super) score: Score,
}

impl Merge {
    /// Merges, with ever higher thresholds while there are more than `max` regions.
    pub(super) fn until_at_most(mut self, max: usize, targets: &mut [Target], attrs: &Attrs) {
        let mut first = true;
        loop {
            for t in &mut *targets {
                let limit = limits::of_target(self.size_limit, attrs, t);
                self.pass(t, limit, first);
            }
            first = false;
            let nr_regions: usize = targets.iter().map(|t| t.regions.len()).sum();
            if nr_regions <= max || self.max_threshold <= self.threshold {
                return;
            }
            self.threshold =
                if self.threshold < self.max_threshold / 2 { (self.threshold * 2).max(1) } else { self.max_threshold };
        }
    }

    /// One pass over a target, in place. Without probes, which is nearly always, it is compiled for counts alone.
    fn pass(&self, t: &mut Target, size_limit: u64, count_age: bool) {
        let Target { regions, probe_hits, .. } = t;
        let kept = match self.score {
            Score::Accesses { samples } if probe_hits.is_empty() => {
                let score = Score::Accesses { samples };
                self.merge(score, regions, &mut [], size_limit, count_age)
            }
            score => self.merge(score, regions, probe_hits, size_limit, count_age),
        };
        regions.truncate(kept);
        probe_hits.truncate(kept);
    }

    /// How many stay, at the front: `kept` is the last of them.
    #[inline(always)]
    fn merge(
        &self,
        scores: Score,
        regions: &mut [Region],
        probe_hits: &mut [ProbeHits],
        size_limit: u64,
        count_age: bool,
    ) -> usize {
        let Some(mut kept) = regions.first().copied() else { return 0 };
        let (mut at, mut kept_score) = (0, 0);
        for i in 0..regions.len() {
            let r = &mut regions[i];
            let hits = probe_hits.get(i);
            let score = scores.now(r, hits);
            if count_age {
                let last = scores.last(r, hits);
                if score.abs_diff(last) > self.threshold || (score == 0) != (last == 0) {
                    (r.age, r.age_rest_us) = (0, 0);
                } else {
                    r.age = r.age.saturating_add(1);
                }
            }
            let touching = i > 0 && kept.end == r.start && kept.sees == r.sees;
            if touching && score.abs_diff(kept_score) <= self.threshold && kept.size() + r.size() <= size_limit {
                if let Some(&hits) = hits {
                    probe_hits[at].absorb(&hits, kept.size(), r.size());
                }
                kept.absorb(r);
                kept_score = scores.now(&kept, probe_hits.get(at));
                continue;
            }
            let next = *r;
            if i > 0 {
                regions[at] = kept;
                at += 1;
            }
            if let Some(&hits) = hits {
                probe_hits[at] = hits;
            }
            (kept, kept_score) = (next, score);
        }
        regions[at] = kept;
        at + 1
    }
}
