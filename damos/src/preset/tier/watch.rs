//! How finely and how often memory is looked at, so that the waterline is seen clearly and looking costs little.
//!
//! Counterpart: none; the kernel's tuner (`kdamond_tune_intervals`) asks how much was seen, not whether that tells hot from cold.

use core::time::Duration;

use damon_core::{AttrsSpec, Bp};

use super::benefit::events;

/// What watching may cost, and on how small pieces of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// There may be a region for each so many bytes of all nodes, 1,000 at least and 16,384 at most. Default 8 MiB. Where
    /// the attributes say that there may be more regions, it is those.
    pub region_bytes: u64,
    /// What it costs to check a page. Default 1.5 µs, which page_idle takes.
    pub check: Duration,
    /// The part of one CPU that checks may take. Default 5%.
    pub cpu: Bp,
}

impl Default for Watch {
    fn default() -> Self {
        Self { region_bytes: 8 << 20, check: Duration::from_nanos(1_500), cpu: Bp(500) }
    }
}

/// So many regions at least and at most, whatever memory there is.
const REGIONS: (u64, u64) = (1_000, 16_384);
/// Samples are this far apart for each 1,000 regions at most: a change is followed after an aggregation.
const LONGEST: Duration = Duration::from_millis(50);
/// Accesses between two samples, in thousandths, to memory at the waterline: with fewer it takes many samples to tell it from idle
/// memory, and more takes longer to be seen than it has to. The ratio is above two, so that half or twice the interval is within.
const WANTED: (u64, u64) = (150, 400);

impl Watch {
    /// Attributes for so much memory.
    pub(super) fn attrs(&self, wanted: &AttrsSpec, bytes: u64) -> AttrsSpec {
        let regions = (bytes / self.region_bytes.max(1)).clamp(REGIONS.0, REGIONS.1);
        let regions = wanted.max_nr_regions.max(usize::try_from(regions).unwrap_or(usize::MAX));
        let mut attrs = AttrsSpec {
            max_nr_regions: regions,
            // What is hot is found in a region that is not much larger than it.
            min_nr_regions: wanted.min_nr_regions.max(regions / 2),
            intervals_goal: None,
            ..wanted.clone()
        };
        if wanted.intervals_goal.is_some() {
            // They go apart where too little is seen.
            self.set(&mut attrs, wanted, Duration::ZERO);
        }
        attrs
    }

    /// Sets the sampling interval, as near to `sampling` as may be.
    fn set(&self, attrs: &mut AttrsSpec, wanted: &AttrsSpec, sampling: Duration) {
        let Some(goal) = &wanted.intervals_goal else { return };
        let regions = u32::try_from(attrs.max_nr_regions).unwrap_or(u32::MAX);
        let cheap = self.check.saturating_mul(regions).saturating_mul(Bp::WHOLE.0) / self.cpu.0.max(1);
        let longest = (LONGEST.saturating_mul(regions) / 1_000).min(goal.max_sampling);
        let sampling = sampling.min(longest).max(cheap).max(goal.min_sampling);
        let sampling = Duration::from_micros(u64::try_from(sampling.as_micros()).unwrap_or(u64::MAX));
        let samples = wanted.aggregation.as_micros() / wanted.sampling.as_micros().max(1);
        attrs.sampling = sampling;
        attrs.aggregation = sampling.saturating_mul(u32::try_from(samples).unwrap_or(u32::MAX));
    }

    /// Lets the sampling interval follow the rate `line` of memory at the waterline. 0: there is none.
    pub(super) fn follow(&self, attrs: &mut AttrsSpec, wanted: &AttrsSpec, line: Bp) {
        let seen = events(line);
        if line == Bp(0) || (WANTED.0..=WANTED.1).contains(&seen) {
            return;
        }
        let sampling = if seen > WANTED.1 { attrs.sampling / 2 } else { attrs.sampling * 2 };
        self.set(attrs, wanted, sampling);
    }
}

#[cfg(test)]
mod tests {
    use damon_core::IntervalsGoal;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn wanted() -> AttrsSpec {
        super::super::Tiering::default().monitoring
    }

    #[test]
    fn there_are_more_regions_where_there_is_more_memory() {
        let regions = |gib| {
            let attrs = Watch::default().attrs(&wanted(), gib * GIB);
            (attrs.min_nr_regions, attrs.max_nr_regions)
        };
        assert_eq!([regions(1), regions(16), regions(4_096)], [(500, 1_000), (1_024, 2_048), (8_192, 16_384)]);
        let more = AttrsSpec { max_nr_regions: 50_000, ..wanted() };
        assert_eq!(Watch::default().attrs(&more, GIB).max_nr_regions, 50_000, "who asks for more gets that");
    }

    #[test]
    fn checks_stay_within_their_part_of_a_cpu() {
        for gib in [1, 16, 64, 300, 4_096] {
            let watch = Watch::default();
            let mut attrs = watch.attrs(&wanted(), gib * GIB);
            for _ in 0..20 {
                watch.follow(&mut attrs, &wanted(), Bp(9_999));
                let checks = watch.check.saturating_mul(u32::try_from(attrs.max_nr_regions).unwrap_or(0));
                assert!(checks * 20 <= attrs.sampling + Duration::from_micros(20), "{gib} GiB: {attrs:?}");
                assert_eq!(attrs.aggregation, attrs.sampling * 10);
            }
        }
    }

    #[test]
    fn the_interval_goes_where_memory_at_the_waterline_is_seen_now_and_then() {
        let watch = Watch::default();
        let mut attrs = watch.attrs(&wanted(), 16 * GIB);
        assert_eq!(attrs.sampling, Duration::from_micros(61_440), "the soonest that checks may cost");
        watch.follow(&mut attrs, &wanted(), Bp(100));
        let start = attrs.sampling;
        assert_eq!(start, LONGEST * 2_048 / 1_000, "further apart where too little is seen");
        let mut follow = |line| {
            watch.follow(&mut attrs, &wanted(), line);
            attrs.sampling
        };
        assert_eq!(follow(Bp(0)), start, "all fits: there is nothing to go by");
        assert_eq!(follow(Bp(3_000)), start, "as it should be");
        assert_eq!(follow(Bp(4_000)), Duration::from_micros(61_440), "half of that is enough, and sooner");
        assert_eq!((0..9).map(|_| follow(Bp(100))).last(), Some(LONGEST * 2_048 / 1_000), "no longer than that");
        assert!(attrs.aggregation <= LONGEST * 21, "a change is followed in two seconds");
    }

    #[test]
    fn who_gives_fixed_intervals_or_limits_keeps_them() {
        let watch = Watch::default();
        let fixed = AttrsSpec { sampling: Duration::from_millis(20), intervals_goal: None, ..wanted() };
        let mut attrs = watch.attrs(&fixed, GIB);
        watch.follow(&mut attrs, &fixed, Bp(9_999));
        assert_eq!(attrs.sampling, fixed.sampling);
        let ms = Duration::from_millis;
        let goal = IntervalsGoal { min_sampling: ms(35), max_sampling: ms(45), ..IntervalsGoal::default() };
        let limited = AttrsSpec { sampling: ms(40), intervals_goal: Some(goal), ..wanted() };
        let mut attrs = watch.attrs(&limited, GIB);
        for (line, limit) in [(9_999, 35), (1, 45)] {
            (0..9).for_each(|_| watch.follow(&mut attrs, &limited, Bp(line)));
            assert_eq!(attrs.sampling, ms(limit));
        }
    }
}
