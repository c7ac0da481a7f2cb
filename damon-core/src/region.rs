//! A piece of memory whose bytes are assumed to be accessed alike.
//!
//! Counterpart: `struct damon_region` (`include/linux/damon.h`, Linux 7.3).

use core::time::Duration;

use crate::addr::AddrRange;
use crate::control::rescale;
use crate::sight::{Extent, Sees};
use crate::units::Bp;

/// What is known of one region. 64 bytes: a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) nr_accesses: u32,
    pub(crate) last_nr_accesses: u32,
    pub(crate) nr_samples: u32,
    pub(crate) last_nr_samples: u32,
    pub(crate) nr_writes: u32,
    pub(crate) last_nr_writes: u32,
    /// Aggregations without significant change, and microseconds on top of them: age is kept as time.
    pub(crate) age: u32,
    pub(crate) sees: Sees,
    /// The largest block that a check observed in this aggregation.
    pub(crate) extent: Extent,
    /// What the adjuster believes of the access rate, in basis points, and on how many checks that rests: 0 where it is the
    /// counts that are believed.
    pub(crate) believed_bp: u16,
    pub(crate) evidence: u32,
    pub(crate) age_rest_us: u32,
    /// Reported and written parts of the region, in 1/65,536, summed over this aggregation's windows. Only where
    /// reports are the only source.
    pub(crate) reported: u32,
    pub(crate) reported_writes: u32,
}

impl Region {
    pub(crate) const fn new(range: AddrRange, sees: Sees) -> Self {
        Self {
            start: range.start(),
            end: range.end(),
            nr_accesses: 0,
            last_nr_accesses: 0,
            nr_samples: 0,
            last_nr_samples: 0,
            nr_writes: 0,
            last_nr_writes: 0,
            age: 0,
            sees,
            extent: Extent::GRANULE,
            believed_bp: 0,
            evidence: 0,
            age_rest_us: 0,
            reported: 0,
            reported_writes: 0,
        }
    }

    /// The count as one of `len` samples. Where none was taken nothing is known to have changed, so it is the last.
    pub(crate) fn scaled(&self, len: u32) -> u32 {
        match self.nr_samples {
            n if n == len => self.nr_accesses,
            0 => self.scaled_last(len),
            n => scale(self.nr_accesses, n, len),
        }
    }

    /// The last aggregation's count as one of `len` samples.
    pub(crate) fn scaled_last(&self, len: u32) -> u32 {
        match self.last_nr_samples {
            n if n == len => self.last_nr_accesses,
            n => scale(self.last_nr_accesses, n, len),
        }
    }

    /// Puts this aggregation's counts by.
    pub(crate) fn reset(&mut self) {
        if self.nr_samples > 0 {
            self.last_nr_accesses = self.nr_accesses;
            self.last_nr_samples = self.nr_samples;
            self.last_nr_writes = self.nr_writes;
        }
        self.clear_counts();
    }

    /// Drops this aggregation's counts.
    pub(crate) fn clear_counts(&mut self) {
        self.nr_accesses = 0;
        self.nr_samples = 0;
        self.nr_writes = 0;
        self.reported = 0;
        self.reported_writes = 0;
        self.extent = Extent::GRANULE;
    }

    /// Brings counts and age to another length of an aggregation. Within one, its own counts are dropped.
    pub(crate) fn rescale(&mut self, old: rescale::Aggregation, new: rescale::Aggregation, mid_aggregation: bool) {
        let (n, m) = (old.samples, new.samples);
        for count in [&mut self.nr_accesses, &mut self.last_nr_accesses, &mut self.nr_writes, &mut self.last_nr_writes]
        {
            *count = rescale::count(*count, n, m);
        }
        if n != m {
            for samples in [&mut self.nr_samples, &mut self.last_nr_samples] {
                *samples = scale(*samples, n, m);
            }
        }
        // What does not fit, above 71 minutes, is the rest of an aggregation that is longer yet.
        let rest;
        (self.age, rest) = rescale::age(self.age, self.age_rest_us.into(), old, new);
        self.age_rest_us = u32::try_from(rest).unwrap_or(u32::MAX);
        if mid_aggregation {
            self.clear_counts();
        }
    }

    /// Takes in the next region: counts and age become means weighted by size, what was before stays this one's.
    ///
    /// Counterpart: `damon_merge_two_regions` (`mm/damon/core.c`, Linux 7.3).
    pub(crate) fn absorb(&mut self, next: &Self) {
        let (wl, wr) = (self.size(), next.size());
        let mean = |l, r| weighted_mean(l, wl, r, wr);
        self.nr_accesses = mean(self.nr_accesses, next.nr_accesses);
        self.nr_samples = mean(self.nr_samples, next.nr_samples);
        self.nr_writes = mean(self.nr_writes, next.nr_writes);
        self.age = mean(self.age, next.age);
        self.age_rest_us = mean(self.age_rest_us, next.age_rest_us);
        self.reported = mean(self.reported, next.reported);
        self.reported_writes = mean(self.reported_writes, next.reported_writes);
        self.extent = self.extent.max(next.extent);
        self.end = next.end;
    }

    /// Its addresses.
    pub const fn range(&self) -> AddrRange {
        AddrRange::ordered(self.start, self.end)
    }

    /// How many addresses.
    pub const fn size(&self) -> u64 {
        self.end - self.start
    }

    /// In how many samples of this aggregation an access was found.
    pub const fn nr_accesses(&self) -> u32 {
        self.nr_accesses
    }

    /// The same of the aggregation before.
    pub const fn last_nr_accesses(&self) -> u32 {
        self.last_nr_accesses
    }

    /// How many samples were taken in this aggregation. Fewer than its windows where checks are shared, or failed.
    pub const fn nr_samples(&self) -> u32 {
        self.nr_samples
    }

    /// The same of the aggregation before.
    pub const fn last_nr_samples(&self) -> u32 {
        self.last_nr_samples
    }

    /// In how many samples a write was found, where the backend can tell. Never more than [`nr_accesses`](Self::nr_accesses).
    pub const fn nr_writes(&self) -> u32 {
        self.nr_writes
    }

    /// The same of the aggregation before.
    pub const fn last_nr_writes(&self) -> u32 {
        self.last_nr_writes
    }

    /// For how many aggregations the access frequency has not changed significantly.
    pub const fn age(&self) -> u32 {
        self.age
    }

    /// What can be seen here.
    pub const fn sees(&self) -> Sees {
        self.sees
    }

    /// The access rate, 0 to 10,000: what the adjuster believes, else accesses by samples of this aggregation. `None` while
    /// there is neither. Where few hits come from scattered spots, `Adjust::Adaptive` says that of the pages around them.
    pub fn rate(&self) -> Option<Bp> {
        if self.evidence > 0 {
            return Some(Bp(self.believed_bp.into()));
        }
        (self.nr_samples > 0).then(|| Bp::of(self.nr_accesses.into(), self.nr_samples.into()))
    }

    /// The believed rate as a count of `len` samples, to the nearest, and at least 1 where an access was seen in this aggregation: what is
    /// not believed to be accessed was not. `None` where it is the counts that are believed.
    pub(crate) fn believed_count(&self, len: u32) -> Option<u32> {
        let nearest = (u64::from(self.believed_bp) * u64::from(len) + 5_000) / 10_000;
        (self.evidence > 0).then(|| (nearest as u32).max(u32::from(self.nr_accesses > 0)))
    }

    /// On how many checks the [`rate`](Self::rate) rests. Those of this aggregation, unless the adjuster keeps what it learned earlier.
    pub const fn evidence(&self) -> u32 {
        if self.evidence > 0 { self.evidence } else { self.nr_samples }
    }

    /// Says what is believed: a rate in 1/2^16, and the checks it rests on.
    pub(crate) fn estimate(&mut self, rate: u32, evidence: u32) {
        self.believed_bp = ((u64::from(rate) * 10_000 + (1 << 15)) >> 16).min(10_000) as u16;
        self.evidence = evidence;
    }

    /// Accesses by samples of the last aggregation that had any.
    pub fn last_rate(&self) -> Option<Bp> {
        (self.last_nr_samples > 0).then(|| Bp::of(self.last_nr_accesses.into(), self.last_nr_samples.into()))
    }

    /// Does joining it with the next region lose nothing: do they touch, and is all that is known the same?
    #[inline]
    pub fn continues_in(&self, next: &Self) -> bool {
        self.end == next.start && Self { start: self.start, end: self.end, reported: self.reported, ..*next } == *self
    }

    /// Age as time, given the length of an aggregation.
    #[inline]
    pub fn age_time(&self, aggregation: Duration) -> Duration {
        aggregation.saturating_mul(self.age).saturating_add(Duration::from_micros(self.age_rest_us.into()))
    }
}

/// `l` and `r`, weighted by sizes, rounded down.
pub(crate) fn weighted_mean(l: u32, wl: u64, r: u32, wr: u64) -> u32 {
    if l == r {
        return l;
    }
    // Equal to the wide division where that fits, which is nearly always.
    let mean = match (u64::from(l).checked_mul(wl), u64::from(r).checked_mul(wr)) {
        (Some(l), Some(r)) if l.checked_add(r).is_some() => (l + r) / (wl + wr),
        _ => {
            let sum = u128::from(l) * u128::from(wl) + u128::from(r) * u128::from(wr);
            (sum / (u128::from(wl) + u128::from(wr))) as u64
        }
    };
    mean as u32
}

/// `n` of `of`, as so many of `len`, to the nearest; 0 of 0 is 0.
fn scale(n: u32, of: u32, len: u32) -> u32 {
    let of = u64::from(of.max(1));
    ((u64::from(n) * u64::from(len) + of / 2) / of) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_huge_regions_does_not_overflow() {
        assert_eq!(weighted_mean(u32::MAX, 1 << 62, 1, 1 << 62), 1 << 31);
        assert_eq!(weighted_mean(20, 3, 10, 1), 17);
    }

    #[test]
    fn counts_of_fewer_samples_compare_on_the_full_scale() {
        let mut r = Region::new(AddrRange::ordered(0, 1), Sees::Accesses);
        (r.nr_accesses, r.nr_samples) = (3, 6);
        assert_eq!(r.scaled(20), 10);
        r.reset();
        assert_eq!((r.scaled(20), r.scaled_last(20)), (10, 10), "no sample: as before");
        r.reset();
        assert_eq!(r.last_nr_samples, 6, "an aggregation without a sample does not wipe out the last");
    }

    #[test]
    fn a_region_is_a_cache_line() {
        assert_eq!(size_of::<Region>(), 64);
    }
}
