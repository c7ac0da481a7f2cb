//! Merges neighbours that chance alone may have made different, and above capacity those whose difference matters least.

use super::evidence::{Evidence, Side};
use crate::region::Region;
use crate::target::Target;

/// May two neighbours be one region at all?
fn may_join(l: &Region, r: &Region, size_limit: u64) -> bool {
    l.end == r.start && l.sees == r.sees && l.size() + r.size() <= size_limit
}

/// Merges neighbours of which `alike` says so, in one pass.
pub(super) fn pass(
    t: &mut Target,
    side: &mut Side,
    size_limit: u64,
    least: u32,
    mut alike: impl FnMut(&Region, &Evidence, &Region, &Evidence) -> bool,
) {
    let Target { regions, probe_hits, .. } = t;
    let evidence = &mut side.evidence;
    let mut at = 0;
    for i in 1..regions.len() {
        let (Some((kept, next)), Some((kept_evidence, next_evidence))) = (pair(regions, at, i), pair(evidence, at, i))
        else {
            break;
        };
        if may_join(kept, next, size_limit) && alike(kept, kept_evidence, next, next_evidence) {
            if let Some(&hits) = probe_hits.get(i) {
                probe_hits[at].absorb(&hits, kept.size(), next.size());
            }
            kept_evidence.join(next_evidence, kept.range(), next.range(), least);
            kept.absorb(next);
            continue;
        }
        at += 1;
        if at < i {
            regions[at] = regions[i];
            evidence[at] = evidence[i];
            if let Some(&hits) = probe_hits.get(i) {
                probe_hits[at] = hits;
            }
        }
    }
    let kept = regions.len().min(at + 1);
    regions.truncate(kept);
    evidence.truncate(kept);
    probe_hits.truncate(kept);
}

/// Two of a list, the first of them to be changed.
#[inline]
fn pair<T>(list: &mut [T], first: usize, second: usize) -> Option<(&mut T, &T)> {
    let (left, right) = list.split_at_mut_checked(second)?;
    Some((left.get_mut(first)?, right.first()?))
}

/// How much it would matter if the two were one: by the square of the difference and the root of the smaller size, as a logarithm in
/// quarters.
fn cost(l: &Region, le: &Evidence, r: &Region, re: &Evidence) -> usize {
    if le.belief.checks == 0 || re.belief.checks == 0 {
        return 0;
    }
    let d = u128::from(le.belief.rate().abs_diff(re.belief.rate()));
    // Below 2^128: the rates are of 16 bits, so their fourth power is of 64, and sizes are below 2^64.
    let cost = (d * d * d * d).saturating_mul(u128::from(l.size().min(r.size())));
    if cost < 8 {
        return 0;
    }
    let log = cost.ilog2();
    (log as usize) << 2 | ((cost >> (log - 2)) & 3) as usize
}

const COSTS: usize = 128 * 4;

/// Merges until there are at most `goal` regions, those first that matter least. `limit` gives each target's size limit.
pub(super) fn until_at_most(
    goal: usize,
    targets: &mut [Target],
    sides: &mut [Side],
    limit: impl Fn(&Target) -> u64,
    least: u32,
) {
    loop {
        let nr_regions: usize = targets.iter().map(|t| t.regions.len()).sum();
        let mut excess = nr_regions.saturating_sub(goal);
        if excess == 0 {
            return;
        }
        // How many pairs there are at each cost: the dearest that has to be paid.
        let mut pairs = [0usize; COSTS];
        for (t, side) in targets.iter().zip(&*sides) {
            let size_limit = limit(t);
            for (r, e) in t.regions.windows(2).zip(side.evidence.windows(2)) {
                if let ([l, r], [le, re]) = (r, e) {
                    if may_join(l, r, size_limit) {
                        pairs[cost(l, le, r, re)] += 1;
                    }
                }
            }
        }
        let mut sum = 0;
        let dearest = pairs.iter().position(|n| {
            sum += n;
            sum >= excess
        });
        if sum == 0 {
            return;
        }
        let dearest = dearest.unwrap_or(COSTS);
        for (t, side) in targets.iter_mut().zip(&mut *sides) {
            let size_limit = limit(t);
            pass(t, side, size_limit, least, |l, le, r, re| {
                let join = excess > 0 && cost(l, le, r, re) <= dearest;
                excess -= usize::from(join);
                join
            });
        }
    }
}
