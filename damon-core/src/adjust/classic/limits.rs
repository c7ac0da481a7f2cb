//! How large a region may be: `min_nr_regions`, and what the user says for all and for each target.
//!
//! Counterpart: `damon_region_sz_limit`, `damon_apply_min_nr_regions` (`mm/damon/core.c`, Linux 7.3).

use alloc::vec::Vec;

use crate::addr::align_down;
use crate::attrs::Attrs;
use crate::region::Region;
use crate::sight::Sees;
use crate::target::{Cut, Target, mean_size};

/// With regions of at most this size there are `min_nr_regions`. A multiple of the granule.
pub(in crate::adjust) fn size_limit(attrs: &Attrs, targets: &[Target]) -> u64 {
    let granule = attrs.spec().granule;
    let limit = mean_size(targets, attrs).checked_next_multiple_of(granule);
    limit.unwrap_or(align_down(u64::MAX, granule))
}

/// The same for one target, with what else limits it. A multiple of the granule.
pub(in crate::adjust) fn of_target(size_limit: u64, attrs: &Attrs, t: &Target) -> u64 {
    let own = t.spec.region_bytes.map_or(u64::MAX, |(_, max)| max);
    let user = own.min(attrs.spec().max_region.unwrap_or(u64::MAX));
    let unit = t.unit(attrs.spec().granule);
    align_down(size_limit.min(user), unit).max(unit)
}

/// Cuts that leave no region larger than `limit`, or than one block that a check observes.
pub(in crate::adjust) fn cuts_above(limit: u64, regions: &[Region], cuts: &mut Vec<Cut>) {
    for (index, r) in regions.iter().enumerate().filter(|(_, r)| r.size() > limit && r.sees != Sees::Nothing) {
        let block = r.extent.bytes();
        let mut start = r.start;
        while r.end - start > limit.max(block) {
            let at = match align_down(start + limit, block) {
                at if at > start => at,
                _ => r.extent.start(start) + block,
            };
            cuts.push(Cut { index, at });
            start = at;
        }
    }
}
