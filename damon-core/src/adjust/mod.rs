//! Algorithms that decide where to look and which bytes belong together: the seam between them and the monitor.

mod adaptive;
pub(crate) mod classic;
mod hulls;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::attrs::{Adjust, Attrs};
use crate::ops::Sample;
use crate::region::Region;
use crate::report::Interval;
use crate::rng::Rng;
use crate::sight::Extent;
use crate::target::{Cut, Target, TargetId};

/// The algorithm that was chosen.
pub(crate) fn build(choice: Adjust) -> Box<dyn Adjuster> {
    match choice {
        Adjust::Classic => Box::<classic::Classic>::default(),
        Adjust::Adaptive => Box::<adaptive::Adaptive>::default(),
    }
}

/// An algorithm, as the monitor drives it. Regions live in their targets; what an algorithm keeps beside them (evidence,
/// edges) it keeps itself, which is why every edit passes it.
pub(crate) trait Adjuster: fmt::Debug + Send + Sync {
    /// Chooses the addresses of the next window, sorted by target and address, no address twice.
    fn draw(&mut self, attrs: &Attrs, targets: &[Target], rng: &mut Rng, out: &mut Vec<Sample>);

    /// Takes what was seen of just those.
    fn count(&mut self, attrs: &Attrs, targets: &mut [Target], samples: &[Sample]) -> Counted;

    /// Of this window's reports, `reported` touch this region, the target's `index`th: ascending, apart, the first and the last perhaps beyond its edges.
    /// Called after [`count`](Self::count), for one region after another and not for those without a report. Where they cover
    /// little, it is a hint where to cut.
    fn hint(&mut self, target: TargetId, index: usize, region: &Region, reported: &[Interval]) {
        let _ = (target, index, region, reported);
    }

    /// The aggregation is over: ages regions and merges those that are alike.
    fn aggregate(&mut self, attrs: &Attrs, targets: &mut [Target]);

    /// The next one starts: puts the counts by and splits regions.
    fn reset_and_split(&mut self, attrs: &Attrs, targets: &mut [Target], rng: &mut Rng);

    /// The intervals change: rescales what was counted. Within an aggregation its counts are dropped.
    fn rescale(&mut self, old: &Attrs, new: &Attrs, mid_aggregation: bool, targets: &mut [Target]);

    /// The target's spans are new: fits its regions into them.
    fn refit(&mut self, target: &mut Target);

    /// Targets, ranges or limits are new: cuts regions that are too large now.
    fn limit_sizes(&mut self, attrs: &Attrs, targets: &mut [Target]);

    /// The granule is new: moves the ends of a target's regions to multiples of it, which may leave nothing of some.
    fn realign(&mut self, target: &mut Target, granule: u64) {
        target.realign(granule);
    }

    /// Cuts regions of a target in two.
    fn cut(&mut self, target: &mut Target, cuts: &[Cut]) {
        target.cut(cuts);
    }

    /// Joins region `left` with the one after it, which touches it and is seen alike.
    fn join(&mut self, target: &mut Target, left: usize) {
        target.join(left);
    }

    /// The bytes of a region are new: they have no history.
    fn start_anew(&mut self, target: &mut Target, index: usize) {
        target.start_anew(index);
    }

    /// The target has no history any more, or is no more.
    fn forget(&mut self, target: &mut Target) {
        target.forget();
    }
}

/// What a window's samples came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Samples with an access.
    pub(crate) accessed: u32,
    /// Samples that say nothing.
    pub(crate) unknown: u32,
    /// The highest count of a region so far.
    pub(crate) max_nr_accesses: u32,
    /// The largest block that a check observed.
    pub(crate) extent: Extent,
}
