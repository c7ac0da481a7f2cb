//! Percentiles, of snapshots and of bytes.

use super::timing::Timing;
use crate::record::model::Snapshot;

/// The value at a percentile, 0 to 100, of values that rise; `None` of none.
pub fn at_percentile<T: Copy>(rising: &[T], percentile: f64) -> Option<T> {
    let at = (percentile / 100.0 * rising.len() as f64) as usize;
    rising.get(at.min(rising.len().saturating_sub(1))).copied()
}

/// For how long memory has been idle, in microseconds, weighted by bytes: at each of `percentiles`, which rise from 0 to 100. What
/// is accessed is idle for 0. Empty where there is no region.
pub fn idle_time_us(s: &Snapshot, timing: &Timing, percentiles: &[f64]) -> Vec<(f64, f64)> {
    let mut by_idle: Vec<(f64, u64)> = s.regions.iter().map(|r| (timing.idle_us(r), r.size())).collect();
    by_idle.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: u128 = by_idle.iter().map(|&(_, bytes)| u128::from(bytes)).sum();
    let mut out = Vec::with_capacity(percentiles.len());
    let mut left = percentiles.iter().copied();
    let Some(mut next) = left.next() else { return out };
    let mut passed = 0_u128;
    for (idle, bytes) in by_idle {
        passed += u128::from(bytes);
        while passed as f64 * 100.0 >= next * total as f64 {
            out.push((next, idle));
            match left.next() {
                Some(n) => next = n,
                None => return out,
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Region;

    #[test]
    fn a_percentile_is_the_value_that_so_many_are_below() {
        let values = [10, 20, 30, 40];
        assert_eq!([0.0, 24.9, 25.0, 99.0, 100.0].map(|p| at_percentile(&values, p)), [10, 10, 20, 40, 40].map(Some));
        assert_eq!(at_percentile::<u64>(&[], 50.0), None);
    }

    #[test]
    fn idle_times_count_bytes_not_regions() {
        let timing = Timing { sampling_us: 5.0, aggregation_us: 100.0, named_aggregation_us: 100.0 };
        let region = |start, end, nr_accesses, age| Region { nr_accesses, age, ..Region::new(start, end) };
        let s = Snapshot {
            regions: vec![region(0, 10, 0, 9), region(10, 40, 0, 1), region(40, 100, 3, 7)],
            ..Snapshot::default()
        };
        let idle = idle_time_us(&s, &timing, &[0.0, 60.0, 61.0, 90.0, 91.0, 100.0]).into_iter().map(|(_, us)| us);
        assert_eq!(idle.collect::<Vec<_>>(), [0.0, 0.0, 200.0, 200.0, 1_000.0, 1_000.0]);
    }
}
