//! Where and when a record has something to show: what must be known before a picture of it can be drawn.

use super::timing::Timing;
use crate::record::model::{Item, Series, Snapshot};

/// The extent of each series of a record. Its memory grows with the gaps between addresses, up to a bound, not with the record's
/// length: above some ten thousand the smallest are no gaps any more.
///
/// ```
/// use damos::record::{figures::Survey, Item, Region, Series, Snapshot};
///
/// let mut survey = Survey::default();
/// survey.add(&Item::Series(0, Series::default()));
/// let regions = vec![Region::new(0, 10), Region::new(10, 20), Region::new(50, 60)];
/// survey.add(&Item::Snapshot(0, Snapshot { end_ns: 7, regions, ..Snapshot::default() }));
/// let ranges: Vec<_> = survey.series()[0].ranges().iter().map(|r| (r.start, r.end)).collect();
/// assert_eq!(ranges, [(0, 20), (50, 60)]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Survey {
    series: Vec<Surveyed>,
}

/// Gaps that are kept in any case.
const GAPS: usize = 1 << 14;

/// The extent of one series.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Surveyed {
    /// What the record says of it.
    pub series: Series,
    /// Since when something is known: the begin of the first snapshot, less the age of its oldest region.
    pub start_ns: u64,
    /// The end of the last snapshot.
    pub end_ns: u64,
    /// Its snapshots.
    pub snapshots: u64,
    /// Their regions.
    pub regions: u64,
    ranges: Vec<Contiguous>,
}

/// Addresses without a gap that no snapshot filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contiguous {
    /// The first address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// Byte-samples with an access, of all snapshots.
    pub heat: u128,
}

impl Survey {
    /// Takes in the next thing of a record.
    pub fn add(&mut self, item: &Item) {
        match item {
            Item::Series(n, series) if *n < self.series.len() => self.series[*n].series = series.clone(),
            Item::Series(_, series) => self.series.push(Surveyed { series: series.clone(), ..Surveyed::default() }),
            Item::Snapshot(n, snapshot) => {
                if let Some(surveyed) = self.series.get_mut(*n) {
                    surveyed.add(snapshot);
                }
            }
            Item::Mappings(..) => {}
        }
    }

    /// The series, by number.
    pub fn series(&self) -> &[Surveyed] {
        &self.series
    }
}

impl Surveyed {
    /// The addresses that were watched at some time, ascending.
    pub fn ranges(&self) -> &[Contiguous] {
        &self.ranges
    }

    /// The range with the most accesses per byte.
    pub fn hottest(&self) -> Option<&Contiguous> {
        let denser = |a: &Contiguous, b: &Contiguous| a.heat_per_byte().total_cmp(&b.heat_per_byte());
        // Of equals the first.
        self.ranges.iter().rev().max_by(|a, b| denser(a, b))
    }

    fn add(&mut self, s: &Snapshot) {
        if self.snapshots == 0 {
            let oldest = s.regions.iter().map(|r| r.age).max().unwrap_or(0);
            let aggr_ns = self.series.intervals.as_ref().map_or(0, |i| i.aggr_us.0.saturating_mul(1_000));
            self.start_ns = s.start_ns.saturating_sub(aggr_ns.saturating_mul(oldest.into()));
        }
        self.end_ns = s.end_ns;
        self.snapshots += 1;
        self.regions += s.regions.len() as u64;
        let mut run: Option<Contiguous> = None;
        for r in &s.regions {
            let heat = u128::from(r.size()) * u128::from(r.nr_accesses);
            run = match run {
                Some(c) if c.end == r.start => Some(Contiguous { end: r.end, heat: c.heat + heat, ..c }),
                last => {
                    last.into_iter().for_each(|c| self.insert(c));
                    Some(Contiguous { start: r.start, end: r.end, heat })
                }
            };
        }
        run.into_iter().for_each(|c| self.insert(c));
    }

    /// Joins it with all that it overlaps or touches.
    fn insert(&mut self, mut new: Contiguous) {
        let first = self.ranges.partition_point(|c| c.end < new.start);
        let after = first + self.ranges[first..].partition_point(|c| c.start <= new.end);
        for c in &self.ranges[first..after] {
            new = Contiguous { start: new.start.min(c.start), end: new.end.max(c.end), heat: new.heat + c.heat };
        }
        if after == first + 1 {
            self.ranges[first] = new;
        } else {
            self.ranges.splice(first..after, [new]);
        }
        if self.ranges.len() > 2 * GAPS {
            self.coalesce();
        }
    }

    /// Joins ranges across all but the widest gaps.
    fn coalesce(&mut self) {
        let mut gaps: Vec<u64> = self.ranges.windows(2).map(|pair| pair[1].start - pair[0].end).collect();
        let at = gaps.len() - GAPS;
        let narrow = *gaps.select_nth_unstable(at).1;
        self.ranges.dedup_by(|next, last| {
            let joined = next.start - last.end <= narrow;
            if joined {
                (last.end, last.heat) = (next.end, last.heat + next.heat);
            }
            joined
        });
    }

    /// The intervals of one of its snapshots.
    pub fn timing(&self, s: &Snapshot) -> Option<Timing> {
        Timing::of(&self.series, s)
    }
}

impl Contiguous {
    /// Byte-samples with an access, for each byte.
    pub fn heat_per_byte(&self) -> f64 {
        self.heat as f64 / (self.end - self.start) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Region;

    #[test]
    fn of_many_ranges_those_with_small_gaps_become_one() {
        let mut series = Surveyed::default();
        // Every hundredth gap is wide.
        let start = |i: u64| i * 0x3000 + i / 100 * 0x1000;
        let regions = |from| (from..from + 500).map(|i| Region::new(start(i), start(i) + 0x1000)).collect();
        for i in 0..200 {
            series.add(&Snapshot { regions: regions(i * 500), ..Snapshot::default() });
        }
        let ranges = series.ranges();
        assert!(ranges.len() <= 2 * GAPS && ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
        let wide = ranges.windows(2).filter(|pair| pair[1].start - pair[0].end == 0x3000).count();
        assert_eq!((wide, ranges[0].start, ranges[ranges.len() - 1].end), (999, 0, start(99_999) + 0x1000));
    }

    #[test]
    fn gaps_that_a_later_snapshot_fills_are_none() {
        let mut survey = Survey::default();
        survey.add(&Item::Series(0, Series::default()));
        let mut add = |regions: &[(u64, u64)]| {
            let regions =
                regions.iter().map(|&(start, end)| Region { nr_accesses: 1, ..Region::new(start, end) }).collect();
            survey.add(&Item::Snapshot(0, Snapshot { regions, ..Snapshot::default() }));
        };
        add(&[(0, 4), (8, 12), (20, 30)]);
        add(&[(4, 6), (7, 9), (30, 31)]);
        add(&[(5, 8)]);
        let ranges: Vec<_> = survey.series()[0].ranges().iter().map(|c| (c.start, c.end, c.heat)).collect();
        assert_eq!(ranges, [(0, 12, 8 + 2 + 2 + 3), (20, 31, 11)]);
    }
}
