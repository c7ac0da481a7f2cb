//! One random address a region, and what was seen there into the region's counts.
//!
//! Where checks are scarce, each target's share goes to as many of its regions, evenly spread from a random start.
//!
//! Counterpart: `prepare_access_checks` and `check_accesses` of `mm/damon/{vaddr,paddr}.c`, Linux 7.3.

use alloc::vec::Vec;

use crate::adjust::Counted;
use crate::control::shares::Claim;
use crate::ops::Sample;
use crate::region::Region;
use crate::rng::Rng;
use crate::sight::Seen;
use crate::target::{Target, TargetId};

/// How many regions can be checked.
pub(super) fn checkable(targets: &[Target]) -> usize {
    targets.iter().map(in_target).sum()
}

fn in_target(t: &Target) -> usize {
    t.regions.iter().filter(|r| r.sees.checkable()).count()
}

/// What the target wants of the checks.
pub(super) fn claim(t: &Target) -> Claim {
    Claim { group: t.spec.group, weight: t.spec.weight, want: in_target(t) }
}

/// A sample of every region.
pub(super) fn all(targets: &[Target], shift: u32, rng: &mut Rng, out: &mut Vec<Sample>) {
    for t in targets {
        if t.spans.iter().all(|s| s.sees.checkable()) {
            out.extend(t.regions.iter().map(|r| sample(t.id(), r, shift, rng)));
        } else {
            out.extend(t.regions.iter().filter(|r| r.sees.checkable()).map(|r| sample(t.id(), r, shift, rng)));
        }
    }
}

/// A sample of so many regions of each target.
pub(super) fn some(targets: &[Target], shares: &[usize], shift: u32, rng: &mut Rng, out: &mut Vec<Sample>) {
    for (t, &share) in targets.iter().zip(shares) {
        let of = in_target(t);
        let mut due = rng.below(of as u64) as usize;
        for r in t.regions.iter().filter(|r| r.sees.checkable()) {
            due += share;
            if due >= of {
                due -= of;
                out.push(sample(t.id(), r, shift, rng));
            }
        }
    }
}

#[inline]
fn sample(target: TargetId, r: &Region, shift: u32, rng: &mut Rng) -> Sample {
    Sample::new(target, r.start + (rng.below(r.size() >> shift) << shift))
}

/// Counts samples, sorted as they were drawn, into the regions that they are in.
pub(super) fn count(targets: &mut [Target], samples: &[Sample]) -> Counted {
    let mut counted = Counted::default();
    let mut runs = samples.chunk_by(|a, b| a.target == b.target).peekable();
    for t in targets {
        let Some(run) = runs.next_if(|run| run.first().is_some_and(|s| s.target == t.id())) else { continue };
        if t.probe_hits.is_empty() {
            count_run(&mut t.regions, run, &mut counted, |_, _| {});
        } else {
            let hits = &mut t.probe_hits;
            count_run(&mut t.regions, run, &mut counted, |index, attrs| {
                if let Some(hits) = hits.get_mut(index) {
                    for (bit, n) in hits.now.iter_mut().enumerate() {
                        *n += u32::from(attrs >> bit & 1);
                    }
                }
            });
        }
    }
    counted
}

#[inline]
fn count_run(regions: &mut [Region], run: &[Sample], counted: &mut Counted, mut probed: impl FnMut(usize, u8)) {
    let mut regions = regions.iter_mut().enumerate();
    let mut at = regions.next();
    for s in run {
        while at.as_ref().is_some_and(|(_, r)| r.end <= s.addr) {
            at = regions.next();
        }
        let Some((index, r)) = &mut at else { return };
        probed(*index, s.attrs);
        let hit = u32::from(s.seen.is_access());
        let known = u32::from(s.seen != Seen::Unknown);
        r.nr_samples += known;
        r.nr_accesses += hit;
        r.nr_writes += u32::from(s.seen == Seen::Written);
        r.extent = r.extent.max(s.extent);
        counted.extent = counted.extent.max(s.extent);
        counted.unknown += 1 - known;
        counted.accessed += hit;
        counted.max_nr_accesses = counted.max_nr_accesses.max(r.nr_accesses);
    }
}
