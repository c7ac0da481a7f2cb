//! Splits regions at random, so that the next counts can tell their parts apart.
//!
//! Counterpart: `kdamond_split_regions`, `damon_split_some_regions` (`mm/damon/core.c`, Linux 7.3).

use alloc::vec::Vec;

use crate::addr::align_down;
use crate::attrs::Attrs;
use crate::region::Region;
use crate::rng::Rng;
use crate::sight::Sees;
use crate::target::{Cut, Target};

use crate::adjust::hulls::Hulls;

/// What one splitting leaves for the next. The kernel has one of these for all contexts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    nr_regions: usize,
    rotation: usize,
}

/// What splitting goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split<'a> {
    /// So many regions at most.
    pub(super) max: usize,
    pub(super) attrs: &'a Attrs,
    /// Where these say so a region is cut around what was reported of it, and not at random.
    pub(super) hulls: &'a Hulls,
}

impl Split<'_> {
    /// Puts counts by, and cuts each region in two, or in three where twos brought nothing; above half of `max` regions
    /// only some of them in turn; from `max` on none.
    pub(super) fn reset_and_split(&self, targets: &mut [Target], past: &mut Past, rng: &mut Rng, cuts: &mut Vec<Cut>) {
        let max = self.max;
        let nr_regions: usize = targets.iter().map(|t| t.regions.len()).sum();
        let mut turn = Turn { index: 0, step: 1, offset: 0 };
        let mut parts = 2;
        if nr_regions < max && nr_regions > max / 2 {
            turn.step = max / (max - nr_regions);
            turn.offset = past.rotation % turn.step;
            past.rotation = past.rotation.wrapping_add(1);
        } else if past.nr_regions == nr_regions && nr_regions < max / 3 {
            parts = 3;
        }
        past.nr_regions = nr_regions;
        if nr_regions >= max {
            targets.iter_mut().for_each(Target::reset);
            return;
        }
        // A region takes two at most. What random cuts alone add always fits.
        let mut room = max - nr_regions;
        for t in targets {
            let granule = t.unit(self.attrs.spec().granule);
            let id = t.id();
            cuts.clear();
            for (index, r) in t.regions.iter_mut().enumerate() {
                let unit = r.extent.bytes().max(granule);
                let before = cuts.len();
                let its_turn = turn.take();
                if r.sees == Sees::Nothing || room < 2 && self.hulls.any() {
                    // It stays whole.
                } else if self.hulls.cut(id, index, r, unit, cuts) {
                    // Around what was reported.
                } else if its_turn {
                    // The kernel asks for more than two units here, and for two in turns.
                    let least = if turn.step > 1 { 2 * unit } else { 2 * unit + 1 };
                    cut_region(index, r, parts, unit, least, rng, cuts);
                }
                room = room.saturating_sub(cuts.len() - before);
                r.reset();
            }
            t.reset_probe_hits();
            t.cut(cuts);
        }
    }
}

/// Which regions' turn it is: one in `step`.
struct Turn {
    index: usize,
    step: usize,
    offset: usize,
}

impl Turn {
    fn take(&mut self) -> bool {
        let index = self.index;
        self.index += 1;
        self.step == 1 || index % self.step == self.offset
    }
}

/// Cuts off the right of what is left, `parts` − 1 times, each time leaving one to nine tenths.
fn cut_region(index: usize, r: &Region, parts: usize, unit: u64, least: u64, rng: &mut Rng, cuts: &mut Vec<Cut>) {
    let (mut end, first) = (r.end, cuts.len());
    for _ in 1..parts {
        let size = end - r.start;
        if size < least {
            break;
        }
        let tenths = rng.below(9) + 1;
        let left = size.checked_mul(tenths).map_or_else(|| size / 10 * tenths, |n| n / 10);
        let at = align_down(r.start + left, unit);
        if at > r.start {
            cuts.push(Cut { index, at });
            end = at;
        }
    }
    // Each cut is left of the one before: ascending is the other way round.
    cuts[first..].reverse();
}
