//! A piece of memory whose bytes are assumed to be accessed alike.
//!
//! Counterpart: `struct damon_region` (`include/linux/damon.h`, Linux 7.3).

use core::time::Duration;

use crate::addr::AddrRange;
use crate::ops::{Extent, Sees};
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
    pub(crate) age_rest_us: u64,
    /// Reported bytes of this aggregation's windows as parts of the region, in 1/65,536: carried until it makes a count.
    pub(crate) reported: u32,
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
            age_rest_us: 0,
            reported: 0,
        }
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

    /// Accesses by samples of this aggregation, 0 to 10,000; `None` while there is no sample.
    pub fn rate(&self) -> Option<Bp> {
        (self.nr_samples > 0).then(|| Bp::of(self.nr_accesses.into(), self.nr_samples.into()))
    }

    /// Age as time, given the length of an aggregation.
    pub fn age_time(&self, aggregation: Duration) -> Duration {
        aggregation.saturating_mul(self.age).saturating_add(Duration::from_micros(self.age_rest_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_a_cache_line() {
        assert_eq!(size_of::<Region>(), 64);
    }
}
