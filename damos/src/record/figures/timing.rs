//! With which intervals a snapshot was made, where those are tuned.

use crate::record::model::{Region, Series, Snapshot};

/// Intervals of one snapshot, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Timing {
    /// The sampling interval.
    pub sampling_us: f64,
    /// The aggregation interval.
    pub aggregation_us: f64,
    /// The one that the series names: ages count in it where a region does not tell its age as time.
    pub named_aggregation_us: f64,
}

impl Timing {
    /// The intervals of a snapshot of a series. Where they are tuned and the snapshot does not say to what, its length tells.
    /// `None` where the record says nothing of intervals.
    pub fn of(series: &Series, s: &Snapshot) -> Option<Self> {
        let i = series.intervals.as_ref().filter(|i| i.sample_us.0 > 0 && i.aggr_us.0 > 0)?;
        let named = i.aggr_us.0 as f64;
        let whole = Self { sampling_us: i.sample_us.0 as f64, aggregation_us: named, named_aggregation_us: named };
        let ratio = whole.aggregation_us / whole.sampling_us;
        if i.intervals_goal.aggrs.0 == 0 {
            return Some(whole);
        }
        if let Some(sampling) = s.sampling {
            let sampling_us = sampling.as_nanos() as f64 / 1e3;
            return Some(Self { sampling_us, aggregation_us: sampling_us * ratio, ..whole });
        }
        let length_us = s.end_ns.saturating_sub(s.start_ns) as f64 / 1e3;
        // A tenth is what a busy machine adds.
        if length_us == 0.0 || (length_us - whole.aggregation_us).abs() / whole.aggregation_us < 0.1 {
            return Some(whole);
        }
        Some(Self { sampling_us: length_us / ratio, aggregation_us: length_us, ..whole })
    }

    /// So many samples of an aggregation, as accesses seen per second.
    pub fn hz(&self, nr_accesses: u32) -> f64 {
        f64::from(nr_accesses) / (self.aggregation_us / 1e6)
    }

    /// For how long a region's access frequency has not changed significantly, in microseconds.
    pub fn age_us(&self, r: &Region) -> f64 {
        r.age_us.map_or(f64::from(r.age) * self.named_aggregation_us, |us| us as f64)
    }

    /// For how long nothing was found in it, in microseconds: since before the aggregation that it was young in.
    pub fn idle_us(&self, r: &Region) -> f64 {
        if r.nr_accesses > 0 { 0.0 } else { self.age_us(r) + self.aggregation_us }
    }

    /// The most accesses per second that can be seen.
    pub fn max_hz(&self) -> f64 {
        1e6 / self.sampling_us
    }

    /// So many samples, as a part of all of an aggregation: 0 to 1.
    pub fn rate(&self, nr_accesses: u32) -> f64 {
        f64::from(nr_accesses) * self.sampling_us / self.aggregation_us
    }
}
