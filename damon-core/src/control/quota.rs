//! How much a scheme may do in a charge window, and what is charged for what it did.
//!
//! Counterpart: `damos_set_effective_quota`, `damos_charge_quota`, `damos_quota_is_full` (`mm/damon/core.c`, Linux 7.3).

/// Before anything was measured: 1,024 pages a millisecond.
const FIRST_THROUGHPUT: u64 = 4_096 * 1_024;

/// What limits a charge window; the tightest holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Addresses; 0 is no limit.
    pub size: u64,
    /// Milliseconds of work; 0 is no limit.
    pub ms: u64,
    /// What the goals' tuner allows, in ten-thousandths of an address; `None` without goals.
    pub tuned_bp: Option<u64>,
}

/// All that was charged so far, for the throughput.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// Addresses.
    pub size: u64,
    /// Nanoseconds that it took.
    pub ns: u64,
}

/// The size that a window may work on. A time limit is turned into one by the throughput so far, and allows at least
/// `granule`. 0 means no limit where none of [`Limits`] is set, and nothing at all where the goals allow nothing.
pub fn effective_size(limits: &Limits, charged: &Charged, granule: u64) -> u64 {
    if limits.ms == 0 && limits.tuned_bp.is_none() {
        return limits.size;
    }
    let mut size = limits.tuned_bp.map_or(u64::MAX, |bp| bp / 10_000);
    if limits.ms > 0 {
        let per_ms = match charged.ns {
            0 => FIRST_THROUGHPUT,
            ns => u64::try_from(u128::from(charged.size) * 1_000_000 / u128::from(ns)).unwrap_or(u64::MAX),
        };
        size = size.min(per_ms.saturating_mul(limits.ms).max(granule));
    }
    if limits.size > 0 { size.min(limits.size) } else { size }
}

/// What is charged where the action was applied to `applied` of `tried` addresses: all that was tried, or what was applied
/// and of the rest the part `fail.0 / fail.1`.
pub fn charge(tried: u64, applied: u64, fail: Option<(u32, u32)>) -> u64 {
    match fail {
        Some((num, denom)) if denom > 0 && applied <= tried => {
            let failed = u128::from(tried - applied) * u128::from(num) / u128::from(denom);
            applied.saturating_add(u64::try_from(failed).unwrap_or(u64::MAX))
        }
        _ => tried,
    }
}

/// Is there less left than the smallest region?
pub fn is_full(charged: u64, effective_size: u64, granule: u64) -> bool {
    charged >= effective_size || effective_size - charged < granule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_limit_holds() {
        let none = Charged::default();
        let limits = |size, ms, tuned_bp| Limits { size, ms, tuned_bp };
        assert_eq!(effective_size(&limits(5, 0, None), &none, 1), 5);
        assert_eq!(effective_size(&limits(0, 2, None), &none, 1), 2 * FIRST_THROUGHPUT);
        assert_eq!(effective_size(&limits(0, 2, None), &Charged { size: 4_096, ns: 4_096_000 }, 1), 2_000);
        assert_eq!(effective_size(&limits(0, 2, None), &Charged { size: 1, ns: 4_096_000 }, 4_096), 4_096);
        assert_eq!(effective_size(&limits(9, 2, Some(80_000)), &none, 1), 8);
        assert_eq!(effective_size(&limits(9, 2, Some(0)), &none, 1), 0);
    }

    #[test]
    fn failed_memory_is_charged_by_its_part() {
        assert_eq!(charge(100, 10, None), 100);
        assert_eq!(charge(100, 10, Some((0, 1))), 10);
        assert_eq!(charge(100, 10, Some((1, 9))), 20);
        assert_eq!(charge(100, 10, Some((1, 0))), 100);
        assert_eq!(charge(100, 200, Some((1, 9))), 100, "a huge page more than asked for");
    }
}
