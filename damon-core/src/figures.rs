//! Figures derived from a snapshot: working set, idle times, bandwidth.
//!
//! Counterpart: `mm/damon/stat.c`, Linux 7.3.

use alloc::vec::Vec;
use core::time::Duration;

use crate::sight::Sees;
use crate::snapshot::{RegionSnapshot, Snapshot};
use crate::units::Bp;

impl Snapshot {
    /// All regions, of all targets.
    pub fn regions(&self) -> impl Iterator<Item = &RegionSnapshot> {
        self.targets.iter().flat_map(|t| &t.regions)
    }

    /// The size of a region in bytes.
    pub fn bytes(&self, r: &RegionSnapshot) -> u64 {
        r.range.size().saturating_mul(self.addr_unit)
    }

    /// Bytes that were watched: all but those that [nobody sees into](Sees::Nothing).
    pub fn watched_bytes(&self) -> u64 {
        self.sum(|r| r.sees != Sees::Nothing)
    }

    /// Bytes that nobody sees into: neither hot nor cold.
    pub fn unseen_bytes(&self) -> u64 {
        self.sum(|r| r.sees == Sees::Nothing)
    }

    /// Working set size: bytes accessed at a rate of `min_rate` or more, at any at all if that is 0.
    pub fn working_set(&self, min_rate: Bp) -> u64 {
        self.sum(|r| r.evidence > 0 && !r.is_idle() && r.rate >= min_rate)
    }

    /// Accessed bytes per second, estimated: each sample that found an access stands for one access to each byte of its
    /// region. A lower bound, since no sample tells how often.
    pub fn bandwidth(&self) -> u64 {
        let sampling_ns = self.sampling.as_nanos().max(1);
        let per_second = |r: &RegionSnapshot| {
            u128::from(self.bytes(r)) * u128::from(r.rate.0) * 1_000_000_000 / (10_000 * sampling_ns)
        };
        u64::try_from(self.regions().map(per_second).sum::<u128>()).unwrap_or(u64::MAX)
    }

    /// For how long memory has been idle: of the watched bytes, *n* percent are not idle for longer than value *n*.
    ///
    /// Values 0 to 100 rise. A negative one means that the bytes there are being accessed, and have been for so long. In
    /// nanoseconds, of whole aggregations begun. Memory whose reads are invisible is left out: it may be no more than unwritten.
    /// All zero where nothing is watched.
    ///
    /// Counterpart: `memory_idle_ms_percentiles` of `DAMON_STAT`.
    pub fn idle_percentiles_ns(&self) -> [i64; 101] {
        let mut by_idle: Vec<(i64, u64)> = self
            .regions()
            .filter(|r| r.sees.sees_reads() && r.evidence > 0)
            .map(|r| (idle_ns(r, self.aggregation), self.bytes(r)))
            .collect();
        by_idle.sort_unstable();
        let total: u128 = by_idle.iter().map(|&(_, bytes)| u128::from(bytes)).sum();
        let mut percentiles = [0; 101];
        let (mut passed, mut next) = (0, 0);
        for (idle, bytes) in by_idle {
            passed += u128::from(bytes);
            let reached = usize::try_from(passed * 100 / total).unwrap_or(100);
            while next <= reached.min(100) {
                percentiles[next] = idle;
                next += 1;
            }
        }
        percentiles
    }

    fn sum(&self, which: impl Fn(&RegionSnapshot) -> bool) -> u64 {
        self.regions().filter(|r| which(r)).fold(0, |sum: u64, r| sum.saturating_add(self.bytes(r)))
    }
}

/// How long the region has been idle; negative: how long it has been accessed.
fn idle_ns(r: &RegionSnapshot, aggregation: Duration) -> i64 {
    let time = i64::try_from(r.age_time.saturating_add(aggregation).as_nanos()).unwrap_or(i64::MAX);
    if r.is_idle() { time } else { -time }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::AddrRange;
    use crate::snapshot::TargetSnapshot;
    use crate::target::TargetId;
    use alloc::vec;

    fn region(start: u64, end: u64, nr_accesses: u32, age: u32, sees: Sees) -> RegionSnapshot {
        RegionSnapshot {
            range: AddrRange::new(start, end).unwrap(),
            nr_accesses,
            nr_writes: 0,
            nr_samples: 20,
            age,
            age_time: Duration::from_millis(100) * age,
            rate: Bp(nr_accesses * 500),
            evidence: 20,
            sees,
        }
    }

    fn snapshot() -> Snapshot {
        let regions = vec![
            region(0, 100, 20, 5, Sees::Accesses),
            region(100, 200, 5, 0, Sees::Accesses),
            region(200, 900, 0, 9, Sees::Accesses),
            region(900, 1_000, 0, 99, Sees::Writes),
            region(2_000, 2_050, 0, 99, Sees::Nothing),
        ];
        Snapshot {
            sampling: Duration::from_millis(5),
            aggregation: Duration::from_millis(100),
            samples_per_aggregation: 20,
            addr_unit: 2,
            targets: vec![TargetSnapshot { id: TargetId::new(0), group: 0, regions, events: Vec::new() }],
            ..Snapshot::default()
        }
    }

    #[test]
    fn sizes_are_in_bytes_and_the_unseen_is_neither_hot_nor_cold() {
        let s = snapshot();
        assert_eq!((s.watched_bytes(), s.unseen_bytes()), (2_000, 100));
        assert_eq!([0, 2_500, 2_501, 10_000].map(|bp| s.working_set(Bp(bp))), [400, 400, 200, 200]);
        // 200 bytes each 5 ms, and 200 bytes each fourth time.
        assert_eq!(s.bandwidth(), 40_000 + 10_000);
    }

    #[test]
    fn a_region_is_idle_only_where_reads_would_show() {
        let idle: Vec<_> = snapshot().regions().map(RegionSnapshot::idle_time).collect();
        assert_eq!(idle, [None, None, Some(Duration::from_millis(900)), None, None]);
    }

    #[test]
    fn idle_times_rise_and_leave_out_what_may_be_read_unseen() {
        let ms = snapshot().idle_percentiles_ns().map(|ns| ns / 1_000_000);
        // Of 900 visible bytes a ninth has been hot for 6 aggregations, a ninth warm for one, the rest idle for ten.
        assert_eq!((ms[0], ms[11], ms[12], ms[22], ms[23], ms[100]), (-600, -600, -100, -100, 1_000, 1_000));
        assert_eq!(Snapshot::default().idle_percentiles_ns(), [0; 101]);
    }
}
