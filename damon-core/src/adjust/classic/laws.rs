//! The kernel's steps by themselves, on a list of regions: for who checks them against the kernel, or teaches them.
//!
//! The monitor takes the same steps, through the same code.

use alloc::vec::Vec;

use super::merge::Merge;
use super::score::Score;
use super::{Classic, fit, limits};
use crate::addr::{AddrRange, align_down};
use crate::adjust::Adjuster;
use crate::attrs::Attrs;
use crate::monitor::{Monitor, tune};
use crate::region::Region;
use crate::sight::Sees;
use crate::target::{Target, TargetId, TargetSpec};

/// Runs a step on a list as the only target's.
fn with_target<R>(regions: &mut Vec<Region>, step: impl FnOnce(&mut [Target]) -> R) -> R {
    let mut target = Target::new(TargetSpec::new(TargetId::new(0)));
    core::mem::swap(&mut target.regions, regions);
    target.span_regions();
    let result = step(core::slice::from_mut(&mut target));
    core::mem::swap(&mut target.regions, regions);
    result
}

/// Ages regions and merges those alike: scores that differ by at most `threshold`, which rises while there are more than
/// `max_nr_regions`, and no region above `size_limit`. `kdamond_merge_regions`.
pub fn merge(regions: &mut Vec<Region>, threshold: u64, size_limit: u64, attrs: &Attrs) {
    let max_threshold = attrs.samples_per_aggregation().into();
    let merge = Merge { threshold, max_threshold, size_limit, score: Score::of(attrs) };
    with_target(regions, |targets| merge.until_at_most(attrs.spec().max_nr_regions, targets, attrs));
}

/// Cuts regions above the size that gives `min_nr_regions`, which it returns. `damon_apply_min_nr_regions`.
pub fn enforce_min_regions(regions: &mut Vec<Region>, attrs: &Attrs) -> u64 {
    with_target(regions, |targets| {
        Classic::default().limit_sizes(attrs, targets);
        limits::size_limit(attrs, targets)
    })
}

/// Ranges that regions cannot be fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("range {index} is empty, or overlaps or precedes the one before it, when aligned to {granule}")]
pub struct BadRanges {
    /// Which.
    pub index: usize,
    /// What it was aligned to.
    pub granule: u64,
}

/// Fits regions to new ranges, each aligned outward to `granule`, a power of two. `damon_set_regions`.
///
/// # Errors
/// When a range is empty, or they are not ascending and apart. The regions stay as they were.
pub fn set_regions(regions: &mut Vec<Region>, ranges: &[(u64, u64)], granule: u64) -> Result<(), BadRanges> {
    let mut aligned = Vec::with_capacity(ranges.len());
    let mut last_end = 0;
    for (index, &(start, end)) in ranges.iter().enumerate() {
        let range =
            end.checked_next_multiple_of(granule).and_then(|end| AddrRange::new(align_down(start, granule), end));
        let range = range.filter(|r| r.start() >= last_end).ok_or(BadRanges { index, granule })?;
        last_end = range.end();
        aligned.push(((start, end), range));
    }
    *regions = fit::fit(regions, aligned.into_iter()).into_iter().map(|(r, _)| r).collect();
    Ok(())
}

/// Rescales counts and ages to other intervals. `damon_set_attrs`.
pub fn change_intervals(regions: &mut [Region], old: &Attrs, new: &Attrs, mid_aggregation: bool) {
    for r in regions {
        r.rescale(old.window(), new.window(), mid_aggregation);
    }
}

/// Tunes the intervals by the counts of a finished aggregation, and rescales these. `kdamond_tune_intervals`.
pub fn tune_intervals(regions: &mut Vec<Region>, attrs: &mut Attrs) {
    with_target(regions, |targets| {
        if let Some(new) = tune::next_attrs(attrs, targets) {
            Classic::default().rescale(attrs, &new, false, targets);
            *attrs = new;
        }
    });
}

/// A region with the counts and the age of a full aggregation, as kernel results are written down:
/// start, end, `nr_accesses`, `last_nr_accesses`, `age`. `None` if it would be empty.
pub fn region(numbers: [u64; 5], attrs: &Attrs) -> Option<Region> {
    let [start, end, nr_accesses, last_nr_accesses, age] = numbers;
    let mut r = Region::new(AddrRange::new(start, end)?, Sees::Accesses);
    r.nr_accesses = nr_accesses.try_into().ok()?;
    r.last_nr_accesses = last_nr_accesses.try_into().ok()?;
    r.age = age.try_into().ok()?;
    (r.nr_samples, r.last_nr_samples) = (attrs.samples_per_aggregation(), attrs.samples_per_aggregation());
    Some(r)
}

/// A monitor with one target, called 0, whose regions these are, at the end of an aggregation: for who tries schemes
/// on a known picture.
pub fn finished(attrs: Attrs, regions: Vec<Region>) -> Monitor {
    let mut target = Target::new(TargetSpec::new(TargetId::new(0)));
    target.regions = regions;
    target.span_regions();
    Monitor::finished(attrs, target)
}
