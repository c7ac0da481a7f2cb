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
