//! What schemes would have done on a record.

use core::time::Duration;

use damon_core::{
    AddrRange, Applied, ApplyOps, Attrs, AttrsSpec, BadAttrs, Instant, Metrics, Request, TargetId, Unsupported, classic,
};

use super::figures::Timing;
use super::model::{Series, Snapshot};
use crate::engine::{SchemeError, Schemes, Stats, Tried};
use crate::scheme::Scheme;

/// Schemes, tried on one recorded snapshot after the other. Quotas, watermarks and intervals run in the record's time.
///
/// It is a what-if: memory stays as it was recorded. Every action succeeds at once and costs no time, so that quotas of time never bind;
/// an age that an action would have ended goes on. Pages were not recorded, so that filters on them pass all.
///
/// ```
/// use damos::config::document::Intervals;
/// use damos::record::{Region, Replay, Series, Snapshot};
/// use damos::scheme::Scheme;
/// use damon_core::Action;
///
/// let series = Series { intervals: Some(Intervals::default()), ..Series::default() };
/// let mut replay = Replay::new(vec![Scheme::new(Action::Stat)]);
/// let regions = vec![Region::new(0, 4096), Region { nr_accesses: 9, ..Region::new(4096, 12_288) }];
/// let snapshot = Snapshot { end_ns: 100_000_000, regions, ..Snapshot::default() };
/// replay.step(&series, &snapshot, &mut (), &mut |tried| println!("{tried:?}"))?;
/// assert_eq!(replay.stats(0).map(|s| s.sz_tried), Some(12_288));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Replay {
    /// Until the first snapshot.
    list: Vec<Scheme>,
    schemes: Schemes,
    skipped: u64,
}

/// Why schemes cannot be tried on a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// Without intervals there is no time.
    #[error("the record does not say its intervals, so that schemes would have no time to run in")]
    NoIntervals,
    /// Its intervals are none.
    #[error("the record's intervals cannot be: {0}")]
    Attrs(#[from] BadAttrs),
    /// A scheme that cannot be.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
}

impl Replay {
    /// Tries these.
    pub fn new(list: Vec<Scheme>) -> Self {
        Self { list, schemes: Schemes::default(), skipped: 0 }
    }

    /// The next snapshot of a series. `observe` is told of each region that a scheme would have been tried on; `metrics` is for goals
    /// and watermarks: `()` knows none, and then those do nothing but count.
    ///
    /// # Errors
    /// When the record says nothing of its intervals, or a scheme cannot be.
    pub fn step(
        &mut self,
        series: &Series,
        s: &Snapshot,
        metrics: &mut (impl Metrics + ?Sized),
        observe: &mut dyn FnMut(&Tried),
    ) -> Result<(), ReplayError> {
        let timing = Timing::of(series, s).ok_or(ReplayError::NoIntervals)?;
        let sampling = Duration::from_micros((timing.sampling_us as u64).max(1));
        let samples = (timing.aggregation_us / timing.sampling_us).round().max(1.0) as u32;
        let aggregation = sampling.checked_mul(samples).unwrap_or(Duration::MAX);
        let attrs = Attrs::try_from(AttrsSpec { sampling, aggregation, granule: 1, ..AttrsSpec::default() })?;
        let regions = self.regions(s, &attrs);
        let mut monitor = classic::finished(attrs, regions);
        if !self.list.is_empty() {
            self.schemes = Schemes::new(&monitor.view(), &Whole, core::mem::take(&mut self.list))?;
        }
        let now = Instant::from_nanos(s.end_ns);
        // Nothing fails: there is nobody who acts.
        let _ = self.schemes.apply_with(now, true, &mut monitor, &mut Whole, metrics, observe);
        Ok(())
    }

    /// What a scheme would have done so far.
    pub fn stats(&self, scheme: usize) -> Option<Stats> {
        self.schemes.stats(scheme)
    }

    /// Regions that were left out, since they overlap others: a scheme's view of several targets.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    fn regions(&mut self, s: &Snapshot, attrs: &Attrs) -> Vec<damon_core::Region> {
        let mut by_address: Vec<_> = s.regions.iter().collect();
        by_address.sort_by_key(|r| r.start);
        let most = attrs.samples_per_aggregation();
        let mut end = 0;
        let mut regions = Vec::with_capacity(by_address.len());
        for r in by_address {
            let nr_accesses = u64::from(r.nr_accesses.min(most));
            match classic::region([r.start, r.end, nr_accesses, nr_accesses, r.age.into()], attrs) {
                Some(region) if r.start >= end => {
                    end = r.end;
                    regions.push(region);
                }
                _ => self.skipped += 1,
            }
        }
        regions
    }
}

/// Every action is done at once.
#[derive(Debug)]
struct Whole;

impl ApplyOps for Whole {
    type Error = core::convert::Infallible;

    fn supports(&self, _: Option<TargetId>, _: &Request<'_>) -> Result<(), Unsupported> {
        Ok(())
    }

    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Self::Error> {
        Applied::whole(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Intervals;
    use crate::record::Region;
    use crate::scheme::{AccessPattern, Age, Freq, Quota};
    use damon_core::Action;

    fn snapshot(i: u64) -> Snapshot {
        let regions = vec![
            Region { age: i as u32, ..Region::new(0, 1 << 20) },
            Region { nr_accesses: 20, age: 50, ..Region::new(1 << 20, 2 << 20) },
            Region { age: i as u32, ..Region::new(3 << 20, 5 << 20) },
        ];
        Snapshot { start_ns: i * 100_000_000, end_ns: (i + 1) * 100_000_000, regions, ..Snapshot::default() }
    }

    #[test]
    fn a_scheme_would_have_done_what_its_pattern_and_quota_allow() {
        let series = Series { intervals: Some(Intervals::default()), ..Series::default() };
        let pattern = AccessPattern {
            freq: Freq::NONE,
            age: Age::Time(Duration::from_millis(300)..=Duration::MAX),
            ..AccessPattern::default()
        };
        let quota = Quota { size: 1 << 20, reset_interval: Duration::from_secs(1), ..Quota::default() };
        let scheme = |quota| Scheme { pattern: pattern.clone(), quota, ..Scheme::new(Action::Pageout) };
        // One at a time: what the first does would end the age that the second asks for.
        let mut hot = 0;
        let mut applied = |quota| {
            let mut replay = Replay::new(vec![scheme(quota)]);
            for i in 0..20 {
                let mut count = |tried: &Tried| hot += u64::from(tried.nr_accesses > 0);
                replay.step(&series, &snapshot(i), &mut (), &mut count).unwrap();
            }
            assert_eq!(replay.skipped(), 0);
            replay.stats(0).unwrap().sz_applied
        };
        assert_eq!(applied(Quota::default()), 51 << 20, "from the age of 3 on, 17 times 3 MiB");
        let limited = applied(quota);
        assert!((1 << 20..=3 << 20).contains(&limited), "a MiB a second for two seconds: {limited}");
        assert_eq!(hot, 0);
    }

    #[test]
    fn what_does_not_say_its_intervals_has_no_time_for_schemes() {
        let mut replay = Replay::new(vec![Scheme::new(Action::Stat)]);
        let bad = replay.step(&Series::default(), &snapshot(0), &mut (), &mut |_| ()).unwrap_err();
        assert!(bad.to_string().starts_with("the record does not say its intervals"));
    }
}
