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

/// The same for one target, with what else limits it. A multiple of the granule. What the user says gives way where it would take
/// more than `max_nr_regions`: a page's size for all of an address space would take more than there is memory.
pub(in crate::adjust) fn of_target(size_limit: u64, attrs: &Attrs, t: &Target) -> u64 {
    let spec = attrs.spec();
    let own = t.spec.region_bytes.map_or(u64::MAX, |(_, max)| max);
    let user = own.min(spec.max_region.unwrap_or(u64::MAX));
    let unit = t.unit(spec.granule);
    if user >= size_limit {
        return align_down(size_limit, unit).max(unit);
    }
    let least = t.seen_size().div_ceil(spec.max_nr_regions as u128).next_multiple_of(unit.into());
    let least = u64::try_from(least).unwrap_or(u64::MAX);
    align_down(size_limit.min(user.max(least)), unit).max(unit)
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
