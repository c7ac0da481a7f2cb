//! Divides the checks between regions: by size, and by how uncertain their rates are.
//!
//! Half by size, so that everything is looked at; half by the standard deviation of one check times the root of the size. A quarter
//! check a window for each region, so that every one is known.

use super::draw::{Plan, SHARE, wants};
use super::evidence::Side;
use crate::target::Target;

/// What each region has at least, of which at most seven tenths of all.
const FLOOR: u64 = SHARE as u64 / 4;

/// Gives each region its share of `budget` checks.
pub(super) fn divide(budget: u64, targets: &[Target], sides: &mut [Side], shift: u32) -> Plan {
    let (mut nr, mut size, mut doubt, mut plan) = (0u64, 0u128, 0u128, Plan::default());
    for (t, side) in targets.iter().zip(&mut *sides) {
        for (r, e) in t.regions.iter().zip(&mut side.evidence) {
            plan.edges += wants(&e.edge);
            e.share = 0;
            if r.sees.checkable() {
                nr += 1;
                size += u128::from(r.size() >> shift);
                e.share = uncertainty(r.size() >> shift, e.belief.cautious_rate());
                doubt += u128::from(e.share);
            }
        }
    }
    if nr == 0 {
        return plan;
    }
    let all = budget * u64::from(SHARE);
    let floor = FLOOR.min(all * 7 / 10 / nr);
    let rest = all - floor * nr;
    let by_size = (u128::from(rest / 2) << 32) / size.max(1);
    let by_doubt = (u128::from(rest / 2) << 32) / doubt.max(1);
    for (t, side) in targets.iter().zip(sides) {
        for (r, e) in t.regions.iter().zip(&mut side.evidence).filter(|(r, _)| r.sees.checkable()) {
            let own = u128::from(r.size() >> shift) * by_size + u128::from(e.share) * by_doubt;
            let most = (r.size() >> shift).saturating_mul(SHARE.into());
            e.share = (floor + (own >> 32) as u64).min(most).min(u32::MAX.into()) as u32;
            plan.shares += u64::from(e.share);
        }
    }
    plan
}

/// The root of `size` times the standard deviation of a check at this rate, which is in 1/2^16.
fn uncertainty(size: u64, rate: u32) -> u32 {
    let variance = (u64::from(rate) * 65_536_u64.saturating_sub(rate.into())) >> 16;
    // Up to 2^14 times 2^52: halved where it would not fit.
    let (product, half) = match size.checked_mul(variance) {
        Some(p) => (p, 0),
        None => ((size >> 16).saturating_mul(variance), 8),
    };
    ((product.isqrt()) << half).min(u32::MAX.into()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::AddrRange;
    use crate::adjust::adaptive::belief::Belief;
    use crate::adjust::adaptive::evidence::Evidence;
    use crate::region::Region;
    use crate::sight::Sees;
    use crate::target::{TargetId, TargetSpec};
    use alloc::vec;
    use alloc::vec::Vec;

    fn shares(budget: u64, regions: &[(u64, u32, Sees)]) -> Vec<u64> {
        let mut t = Target::new(TargetSpec::new(TargetId::new(0)));
        let (mut start, mut evidence) = (0, Vec::new());
        for &(pages, hits, sees) in regions {
            let r = Region::new(AddrRange::ordered(start, start + (pages << 12)), sees);
            evidence.push(Evidence { belief: Belief::of(hits, 100), ..Evidence::new(&r, 12) });
            t.regions.push(r);
            start = r.end;
        }
        let mut sides = [Side { id: t.id(), evidence }];
        let plan = divide(budget, &[t], &mut sides, 12);
        let shares: Vec<u64> = sides[0].evidence.iter().map(|e| e.share.into()).collect();
        assert_eq!(plan.shares, shares.iter().sum::<u64>());
        assert!(plan.shares <= budget * u64::from(SHARE));
        shares
    }

    #[test]
    fn the_large_and_the_uncertain_get_more_and_everybody_some() {
        let s = shares(100, &[(1_000, 0, Sees::Accesses), (1_000, 50, Sees::Accesses), (8_000, 0, Sees::Accesses)]);
        assert!(s[1] > s[0] && s[2] > s[0] && s[0] >= u64::from(SHARE) / 4, "{s:?}");
        assert_eq!(shares(100, &[(9, 0, Sees::Nothing)]), vec![0]);
    }

    #[test]
    fn a_page_is_not_checked_twice_and_huge_memory_does_not_overflow() {
        assert_eq!(shares(100, &[(1, 50, Sees::Accesses)]), vec![u64::from(SHARE)]);
        let s = shares(1 << 20, &[(1 << 50, 50, Sees::Accesses), (1 << 50, 50, Sees::Accesses)]);
        assert!(s[0] == s[1] && s[0] > 1 << 30, "{s:?}");
    }
}
