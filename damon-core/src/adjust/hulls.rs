//! Where reports lie in a region, so that it is cut there and not at random: a single hot page would otherwise be hidden in a large
//! region for as long as random cuts miss it.
//!
//! No counterpart: the kernel has no reports. Without reports nothing here changes a decision.

use alloc::vec::Vec;

use crate::addr::align_down;
use crate::region::Region;
use crate::report::Interval;
use crate::target::{Cut, TargetId};

/// The smallest interval around what was reported of each region since the aggregation began.
#[derive(Debug, Default)]
pub(in crate::adjust) struct Hulls {
    /// By target and region.
    all: Vec<Hull>,
}

#[derive(Clone, Copy, Debug)]
struct Hull {
    target: TargetId,
    /// Where the region starts.
    region: u64,
    start: u64,
    end: u64,
}

impl Hulls {
    /// A window's reports of a region.
    pub(in crate::adjust) fn add(&mut self, target: TargetId, region: &Region, reported: &[Interval]) {
        let (Some(first), Some(last)) = (reported.first(), reported.last()) else { return };
        let (start, end) = (first.start.max(region.start), last.end.min(region.end));
        match self.all.binary_search_by_key(&(target, region.start), |h| (h.target, h.region)) {
            Ok(at) => {
                let hull = &mut self.all[at];
                (hull.start, hull.end) = (hull.start.min(start), hull.end.max(end));
            }
            Err(at) => self.all.insert(at, Hull { target, region: region.start, start, end }),
        }
    }

    /// Was anything reported?
    pub(in crate::adjust) fn any(&self) -> bool {
        !self.all.is_empty()
    }

    pub(in crate::adjust) fn clear(&mut self) {
        self.all.clear();
    }

    /// Cuts off what of the region was not reported, at multiples of `unit`, if that is at least half of it. Gives false
    /// where reports say nothing of the kind.
    pub(in crate::adjust) fn cut(
        &self,
        target: TargetId,
        index: usize,
        r: &Region,
        unit: u64,
        cuts: &mut Vec<Cut>,
    ) -> bool {
        let from = self.all.partition_point(|h| (h.target, h.region) < (target, r.start));
        let within = self.all[from..].iter().take_while(|h| h.target == target && h.region < r.end);
        // What was merged since had a hull each.
        let Some((start, end)) = within.map(|h| (h.start, h.end)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
            return false;
        };
        let (start, end) = (align_down(start, unit), end.checked_next_multiple_of(unit).unwrap_or(r.end));
        let (start, end) = (start.max(r.start), end.min(r.end));
        // Ranges may have changed since: then it may even be outside.
        if end <= start || end - start > r.size() / 2 {
            return false;
        }
        cuts.extend([start, end].into_iter().filter(|&at| r.start < at && at < r.end).map(|at| Cut { index, at }));
        true
    }
}
