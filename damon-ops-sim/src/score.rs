//! How far a monitor's picture is from the truth.

use damon_core::AddrRange;
use serde::Serialize;

use crate::workload::{Picture, Place};

/// Phases of fewer aggregations are too short to ask how soon quality was reached.
const LONG_PHASE: u64 = 20;
/// So many snapshots in a row make quality.
const STREAK: u64 = 3;
/// Precision and recall of a good snapshot.
const QUALITY: f64 = 0.9;

/// The figures of a run. Bytes count alike, whatever region they are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// Mean absolute error of the reported access rate, 0 to 1 per sampling window, over bytes and snapshots.
    pub mae: f64,
    /// Root of the mean squared error over bytes and snapshots.
    pub rmse: f64,
    /// Of the bytes reported hot, over the run: the part that is. 0 where nothing was reported hot.
    pub precision: f64,
    /// Of the bytes that are hot, over the run: the part that was reported. 0 where nothing is hot.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
    /// Aggregations from a phase's start to the first of three good snapshots in a row, averaged over the phases of 20
    /// or more where that happened. The first snapshot comes after 1. −1 if it never happened.
    pub time_to_quality: f64,
    /// The part of the phases of 20 or more where that happened; 0 where there is no such phase.
    pub quality_reached: f64,
    /// Aggregations from the run's start, warm-up included, to the first of three good snapshots in a row. −1 if there
    /// were none.
    pub start_to_quality: f64,
    /// Mean checks in a sampling window.
    pub checks_per_window: f64,
    /// Mean checks in a second.
    pub checks_per_second: f64,
    /// Mean regions.
    pub regions: f64,
    /// The monitor's own nanoseconds per check: not those of the backend. Real time, so no two runs give the same.
    pub ns_per_check: f64,
}

/// Bytes of one or more snapshots, by what was reported of them and what is true.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    bytes: f64,
    error: f64,
    squared: f64,
    /// Reported hot, truly hot, and both.
    reported: f64,
    hot: f64,
    both: f64,
}

impl Tally {
    fn add(&mut self, bytes: u64, rate: f64, truth: f64, hot_rate: f64) {
        let bytes = bytes as f64;
        let off = rate - truth;
        self.bytes += bytes;
        self.error += bytes * off.abs();
        self.squared += bytes * off * off;
        let (reported, hot) = (rate >= hot_rate, truth >= hot_rate);
        self.reported += if reported { bytes } else { 0.0 };
        self.hot += if hot { bytes } else { 0.0 };
        self.both += if reported && hot { bytes } else { 0.0 };
    }

    fn precision(&self) -> f64 {
        ratio(self.both, self.reported)
    }

    fn recall(&self) -> f64 {
        ratio(self.both, self.hot)
    }

    fn is_good(&self) -> bool {
        self.precision() >= QUALITY && self.recall() >= QUALITY
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Adds up snapshots against their truth.
///
/// ```
/// use damon_core::AddrRange;
/// use damon_ops_sim::score::Scorer;
/// use damon_ops_sim::workload::{Heat, Picture, Place};
/// let r = |a, b| AddrRange::new(a, b).unwrap();
/// let truth = Picture::new(&[Heat::reads(r(0, 50), 1e9)]);
/// let mut s = Scorer::new(0.5);
/// s.snapshot([(r(0, 60), 1.0), (r(60, 100), 0.0)], &truth, 0.005, Place { phase: 0, since: 0, of: 1 });
/// assert_eq!((s.score().mae, s.score().recall, s.score().precision), (0.1, 1.0, 50.0 / 60.0));
/// ```
#[derive(Clone, Debug)]
pub struct Scorer {
    hot_rate: f64,
    snapshots: u64,
    mae: f64,
    squared: f64,
    sum: Tally,
    regions: u64,
    /// Of the phase that runs: good snapshots in a row, while it is asked how soon they come.
    streak: Streak,
    long_phases: u64,
    times_to_quality: Vec<u64>,
    /// Of the run, warm-up included.
    start: Streak,
    start_to_quality: Option<u64>,
    seen: u64,
}

/// Good snapshots in a row, while it is asked how soon so many come; `None` once they came.
#[derive(Clone, Copy, Debug)]
struct Streak(Option<u64>);

impl Streak {
    const ASKED: Self = Self(Some(0));
    const DONE: Self = Self(None);

    /// Takes snapshot `at`, from 0; when the row is long enough, the aggregation that it began with, from 1.
    fn add(&mut self, good: bool, at: u64) -> Option<u64> {
        let n = self.0.as_mut()?;
        *n = if good { *n + 1 } else { 0 };
        if *n < STREAK {
            return None;
        }
        *self = Self::DONE;
        Some(at + 2 - STREAK)
    }
}

impl Scorer {
    /// Bytes of this rate or more are hot.
    pub fn new(hot_rate: f64) -> Self {
        Self {
            hot_rate,
            snapshots: 0,
            mae: 0.0,
            squared: 0.0,
            sum: Tally::default(),
            regions: 0,
            streak: Streak::DONE,
            long_phases: 0,
            times_to_quality: Vec::new(),
            start: Streak::ASKED,
            start_to_quality: None,
            seen: 0,
        }
    }

    /// Looks at a snapshot of the warm-up: asks of it only whether it is good already.
    pub fn warm_up(&mut self, regions: impl IntoIterator<Item = (AddrRange, f64)>, truth: &Picture, seconds: f64) {
        let (now, _) = self.tally(regions, truth, seconds);
        self.see(now.is_good());
    }

    /// Adds a snapshot: regions that ascend without overlap, each with its rate, against what is accessed in a sampling
    /// window of `seconds`. What no region covers is left out.
    pub fn snapshot(
        &mut self,
        regions: impl IntoIterator<Item = (AddrRange, f64)>,
        truth: &Picture,
        seconds: f64,
        place: Place,
    ) {
        let (now, regions) = self.tally(regions, truth, seconds);
        self.regions += regions;
        self.count(now, place);
    }

    /// What the snapshot comes to, and how many regions it has.
    fn tally(
        &self,
        regions: impl IntoIterator<Item = (AddrRange, f64)>,
        truth: &Picture,
        seconds: f64,
    ) -> (Tally, u64) {
        let (mut now, mut n) = (Tally::default(), 0);
        let mut heats = truth.heats().iter().map(|h| (h.range, h.probability(seconds))).peekable();
        for (region, rate) in regions {
            n += 1;
            let mut at = region.start();
            while at < region.end() {
                let (to, p) = match heats.peek() {
                    Some((heat, _)) if heat.end() <= at => {
                        heats.next();
                        continue;
                    }
                    Some((heat, p)) if heat.start() <= at => (heat.end(), *p),
                    Some((heat, _)) => (heat.start(), 0.0),
                    None => (region.end(), 0.0),
                };
                let to = to.min(region.end());
                now.add(to - at, rate, p, self.hot_rate);
                at = to;
            }
        }
        (now, n)
    }

    fn see(&mut self, good: bool) {
        let reached = self.start.add(good, self.seen);
        self.start_to_quality = self.start_to_quality.or(reached);
        self.seen += 1;
    }

    fn count(&mut self, now: Tally, place: Place) {
        self.snapshots += 1;
        self.mae += ratio(now.error, now.bytes);
        self.squared += ratio(now.squared, now.bytes);
        let s = &mut self.sum;
        (s.reported, s.hot, s.both) = (s.reported + now.reported, s.hot + now.hot, s.both + now.both);

        let good = now.is_good();
        self.see(good);
        if place.since == 0 {
            let long = place.of >= LONG_PHASE;
            self.streak = if long { Streak::ASKED } else { Streak::DONE };
            self.long_phases += u64::from(long);
        }
        self.times_to_quality.extend(self.streak.add(good, place.since));
    }

    /// How many snapshots there were.
    pub const fn snapshots(&self) -> u64 {
        self.snapshots
    }

    /// The figures of accuracy, and the regions; those of cost are left 0.
    pub fn score(&self) -> Score {
        let n = self.snapshots.max(1) as f64;
        let (precision, recall) = (self.sum.precision(), self.sum.recall());
        let reached = self.times_to_quality.len();
        let times: u64 = self.times_to_quality.iter().sum();
        Score {
            mae: self.mae / n,
            rmse: (self.squared / n).sqrt(),
            precision,
            recall,
            f1: ratio(2.0 * precision * recall, precision + recall),
            time_to_quality: if reached == 0 { -1.0 } else { times as f64 / reached as f64 },
            quality_reached: ratio(reached as f64, self.long_phases as f64),
            start_to_quality: self.start_to_quality.map_or(-1.0, |n| n as f64),
            regions: self.regions as f64 / n,
            ..Score::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Heat;

    /// A window in which 1,000 accesses a second are certain, and ln 2 of them even odds.
    const SECOND: f64 = 1.0;
    const ALWAYS: f64 = 1_000.0;
    const HALF: f64 = core::f64::consts::LN_2;
    const SHORT: Place = Place { phase: 0, since: 0, of: 1 };

    fn r(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start, end).unwrap()
    }

    fn truth(heats: &[(u64, u64, f64)]) -> Picture {
        Picture::new(&heats.iter().map(|&(s, e, hz)| Heat::reads(r(s, e), hz)).collect::<Vec<_>>())
    }

    fn score(regions: &[(u64, u64, f64)], heats: &[(u64, u64, f64)]) -> Score {
        let mut s = Scorer::new(0.5);
        s.snapshot(regions.iter().map(|&(s, e, rate)| (r(s, e), rate)), &truth(heats), SECOND, SHORT);
        s.score()
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn all_hot_and_reported_so_is_perfect() {
        let s = score(&[(0, 100, 1.0)], &[(0, 100, ALWAYS)]);
        assert_eq!((s.mae, s.rmse, s.precision, s.recall, s.f1, s.regions), (0.0, 0.0, 1.0, 1.0, 1.0, 1.0));
    }

    #[test]
    fn all_hot_and_none_reported_is_all_wrong() {
        let s = score(&[(0, 100, 0.0)], &[(0, 100, ALWAYS)]);
        assert_eq!((s.mae, s.rmse, s.precision, s.recall, s.f1), (1.0, 1.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn none_hot_and_none_reported_has_no_error_and_nothing_to_find() {
        let s = score(&[(0, 100, 0.0)], &[]);
        assert_eq!((s.mae, s.rmse, s.precision, s.recall, s.f1), (0.0, 0.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn none_hot_and_all_reported_is_all_wrong() {
        let s = score(&[(0, 100, 1.0)], &[]);
        assert_eq!((s.mae, s.rmse, s.precision, s.recall, s.f1), (1.0, 1.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn a_picture_computed_by_hand() {
        // Truth: 0 on 0..20, 1 on 20..60, 0.5 on 60..80, 0 on 80..100. Reported: 0.25 on 0..40, 0.75 on 40..100.
        let heats = [(20, 60, ALWAYS), (60, 80, HALF)];
        let s = score(&[(0, 40, 0.25), (40, 100, 0.75)], &heats);
        // Errors: 20 × 0.25, 20 × 0.75, 20 × 0.25, 20 × 0.25, 20 × 0.75.
        assert!(near(s.mae, 0.45), "{s:?}");
        assert!(near(s.rmse, ((3.0 * 0.0625 + 2.0 * 0.5625) / 5.0_f64).sqrt()), "{s:?}");
        // Reported hot: 60, of which 40..80 are. Truly hot: 60.
        assert!(near(s.precision, 40.0 / 60.0) && near(s.recall, 40.0 / 60.0) && near(s.f1, 2.0 / 3.0), "{s:?}");
        assert_eq!(s.regions, 2.0);
    }

    #[test]
    fn what_no_region_covers_is_left_out() {
        let s = score(&[(10, 20, 1.0), (90, 100, 1.0)], &[(0, 20, ALWAYS), (30, 50, ALWAYS)]);
        assert_eq!((s.mae, s.precision, s.recall), (0.5, 0.5, 1.0));
    }

    #[test]
    fn errors_are_averaged_over_snapshots_and_hot_bytes_summed() {
        let mut s = Scorer::new(0.5);
        let heats = truth(&[(0, 10, ALWAYS)]);
        // All found; then none found of a snapshot whose picture reports nothing hot.
        s.snapshot([(r(0, 10), 1.0), (r(10, 100), 0.0)], &heats, SECOND, SHORT);
        s.snapshot([(r(0, 100), 0.0)], &heats, SECOND, SHORT);
        let s = s.score();
        assert!(near(s.mae, 0.05) && near(s.rmse, 0.05_f64.sqrt()), "{s:?}");
        assert_eq!((s.precision, s.recall, s.regions), (1.0, 0.5, 1.5));
    }

    fn time_to_quality(phases: &[&str]) -> f64 {
        let mut s = Scorer::new(0.5);
        for (phase, good) in phases.iter().enumerate() {
            for (since, c) in good.chars().enumerate() {
                let rate = if c == 'g' { 1.0 } else { 0.0 };
                let place = Place { phase, since: since as u64, of: good.len() as u64 };
                s.snapshot([(r(0, 10), rate)], &truth(&[(0, 10, ALWAYS)]), SECOND, place);
            }
        }
        let reached = s.score().quality_reached;
        assert_eq!(reached > 0.0, s.score().time_to_quality > 0.0);
        s.score().time_to_quality
    }

    #[test]
    fn quality_is_three_good_snapshots_in_a_row_of_one_long_phase() {
        assert_eq!(time_to_quality(&["gggggggggggggggggggg"]), 1.0);
        assert_eq!(time_to_quality(&["-gg-ggg-------------"]), 5.0);
        assert_eq!(time_to_quality(&["-----------------ggg", "ggg-----------------"]), 9.5);
        assert_eq!(time_to_quality(&["------------------gg", "g-------------------"]), -1.0);
        assert_eq!(time_to_quality(&["ggggggggggggggggggg"]), -1.0, "19 aggregations are too few");
        assert_eq!(time_to_quality(&["--------------------", "ggg-----------------"]), 1.0);
    }

    #[test]
    fn from_the_start_the_warm_up_counts_too() {
        let (always, place) = (truth(&[(0, 10, ALWAYS)]), Place { phase: 0, since: 0, of: 30 });
        let seen = |rate| [(r(0, 10), rate)];
        let mut s = Scorer::new(0.5);
        assert_eq!(s.score().start_to_quality, -1.0);
        for rate in [0.0, 1.0, 1.0] {
            s.warm_up(seen(rate), &always, SECOND);
        }
        assert_eq!((s.score().start_to_quality, s.snapshots()), (-1.0, 0));
        s.snapshot(seen(1.0), &always, SECOND, place);
        let s = s.score();
        assert_eq!((s.start_to_quality, s.quality_reached, s.recall), (2.0, 0.0, 1.0));
    }
}
