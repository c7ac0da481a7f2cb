//! Where reports lie in a region, so that it is cut there and not at random: a single hot page would otherwise be hidden in a large
//! region for as long as random cuts miss it.
//!
//! No counterpart: the kernel has no reports. Without reports nothing here changes a decision.

use alloc::vec::Vec;

use crate::addr::align_down;
use crate::region::Region;
use crate::report::{Interval, covered};
use crate::target::{Cut, TargetId};

/// Of each region that was reported since the aggregation began: the smallest interval around all of it, and a run that is
/// reported again and again.
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
    spot: Spot,
}

/// A run of reported addresses, and in how many more windows than not it was reported since it was chosen.
#[derive(Clone, Copy, Debug, Default)]
struct Spot {
    start: u64,
    end: u64,
    hits: u32,
}

impl Spot {
    /// A window's reports of its region. Where they cover much there is no spot.
    fn see(&mut self, region: &Region, reported: &[Interval]) {
        if covered(reported, region.start, region.end) > region.size() / 8 {
            *self = Self::default();
        } else if self.hits > 0 && reported.iter().any(|i| i.start < self.end && self.start < i.end) {
            self.hits += 1;
        } else if self.hits > 1 {
            self.hits -= 1;
        } else if let Some(longest) = reported.iter().max_by_key(|i| i.end - i.start) {
            *self = Self { start: longest.start.max(region.start), end: longest.end.min(region.end), hits: 1 };
        }
    }
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
                hull.spot.see(region, reported);
            }
            Err(at) => {
                let mut spot = Spot::default();
                spot.see(region, reported);
                self.all.insert(at, Hull { target, region: region.start, start, end, spot });
            }
        }
    }

    /// Was anything reported?
    pub(in crate::adjust) fn any(&self) -> bool {
        !self.all.is_empty()
    }

    pub(in crate::adjust) fn clear(&mut self) {
        self.all.clear();
    }

    /// Cuts off what of the region was not reported, at multiples of `unit`, if that is at least half of it; else what is
    /// around the run that was reported most steadily: a part that is no hotter than the rest would be merged away again. Gives
    /// false where reports say nothing of the kind.
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
        let all = within.copied().reduce(|a, b| Hull {
            start: a.start.min(b.start),
            end: a.end.max(b.end),
            spot: if b.spot.hits > a.spot.hits { b.spot } else { a.spot },
            ..a
        });
        let Some(Hull { start, end, spot, .. }) = all else { return false };
        let around = |start: u64, end: u64| {
            let (start, end) = (align_down(start, unit), end.checked_next_multiple_of(unit).unwrap_or(r.end));
            // Ranges may have changed since: then it may even be outside.
            let (start, end) = (start.max(r.start), end.min(r.end));
            (start < end && end - start <= r.size() / 2).then_some([start, end])
        };
        let steady = || around(spot.start, spot.end).filter(|_| spot.hits > 1);
        let Some(edges) = around(start, end).or_else(steady) else { return false };
        cuts.extend(edges.into_iter().filter(|&at| r.start < at && at < r.end).map(|at| Cut { index, at }));
        true
    }
}
