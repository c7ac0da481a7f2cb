//! Heat over time × addresses, cell by cell.

use super::timing::Timing;
use crate::record::model::{Region, Series, Snapshot};

/// One side of a heat map: from a value, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Axis {
    /// Where it begins.
    pub start: u64,
    /// How long a step is, at least 1.
    pub step: u64,
    /// How many there are.
    pub steps: usize,
}

impl Axis {
    /// `start..end` in so many steps of whole units; what does not fill one more is left out. `None` where there are more
    /// steps than units, or none.
    pub fn new(start: u64, end: u64, steps: usize) -> Option<Self> {
        let step = end.checked_sub(start)?.checked_div(steps as u64)?;
        (step > 0).then_some(Self { start, step, steps })
    }

    /// Where step `i` begins.
    pub const fn at(&self, i: usize) -> u64 {
        self.start.saturating_add(self.step.saturating_mul(i as u64))
    }

    /// Where it ends.
    pub const fn end(&self) -> u64 {
        self.at(self.steps)
    }

    /// The steps that hold a part of `from..=to`.
    fn between(&self, from: u64, to: u64) -> core::ops::Range<usize> {
        if to < self.start {
            return 0..0;
        }
        let step = |value: u64| usize::try_from(value.saturating_sub(self.start) / self.step).unwrap_or(usize::MAX);
        step(from).min(self.steps)..step(to).saturating_add(1).min(self.steps)
    }

    /// How much of `from..to` lies in step `i`.
    const fn common(&self, i: usize, from: u64, to: u64) -> u64 {
        let (start, end) = (self.at(i), self.at(i + 1));
        let (from, to) = (if from > start { from } else { start }, if to < end { to } else { end });
        to.saturating_sub(from)
    }
}

/// What heat is measured in. Where a record says nothing of its intervals it is samples with an access, whatever was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeatUnit {
    /// Accesses seen per second.
    #[default]
    Hz,
    /// The part of the samples that found an access: 0 to 1.
    Rate,
}

/// The mean heat of each cell.
///
/// A region's age says that it was as hot before: of the time before the first snapshot that is all that is known, and it is used.
#[derive(Clone, Debug)]
pub struct HeatGrid {
    time: Axis,
    addresses: Axis,
    unit: HeatUnit,
    /// Row by row: a row is a step of time.
    cells: Vec<Option<f64>>,
    /// Which part of each is unseen; empty while none is.
    unseen: Vec<f32>,
    last_end_ns: Option<u64>,
}

impl HeatGrid {
    /// An empty one.
    pub fn new(time: Axis, addresses: Axis, unit: HeatUnit) -> Self {
        Self {
            time,
            addresses,
            unit,
            cells: vec![None; time.steps * addresses.steps],
            unseen: Vec::new(),
            last_end_ns: None,
        }
    }

    /// Time, in nanoseconds.
    pub const fn time(&self) -> Axis {
        self.time
    }

    /// Addresses, in bytes.
    pub const fn addresses(&self) -> Axis {
        self.addresses
    }

    /// The heat of a step of time and of addresses; `None` where nothing is known.
    pub fn heat(&self, time: usize, address: usize) -> Option<f64> {
        self.cells.get(self.at(time, address)?).copied().flatten()
    }

    /// Which part of a cell, 0 to 1, is [unseen](Region::is_unseen): it counts as not accessed there, as damo has it.
    pub fn unseen(&self, time: usize, address: usize) -> f32 {
        self.at(time, address).and_then(|at| self.unseen.get(at).copied()).unwrap_or(0.0)
    }

    fn at(&self, time: usize, address: usize) -> Option<usize> {
        time.checked_mul(self.addresses.steps)?.checked_add(address).filter(|_| address < self.addresses.steps)
    }

    /// The lowest and the highest.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.cells.iter().flatten().fold(None, |range, &heat| {
            let (low, high) = range.unwrap_or((heat, heat));
            Some((f64::min(low, heat), f64::max(high, heat)))
        })
    }

    /// Takes in the next snapshot of a series.
    pub fn add(&mut self, series: &Series, s: &Snapshot) {
        let timing = Timing::of(series, s);
        let aggr_ns = series.intervals.as_ref().map_or(0, |i| i.aggr_us.0.saturating_mul(1_000));
        for r in &s.regions {
            if r.end < self.addresses.start || self.addresses.end() < r.start {
                continue;
            }
            let since = s.start_ns.saturating_sub(aggr_ns.saturating_mul(r.age.into()));
            let since = since.max(self.last_end_ns.unwrap_or(0));
            let heat = match (timing, self.unit) {
                (Some(t), HeatUnit::Hz) => t.hz(r.nr_accesses),
                (Some(t), HeatUnit::Rate) => t.rate(r.nr_accesses),
                (None, _) => f64::from(r.nr_accesses),
            };
            self.spread(r, since, s.end_ns, heat);
        }
        self.last_end_ns = Some(s.end_ns);
    }

    fn spread(&mut self, r: &Region, since_ns: u64, until_ns: u64, heat: f64) {
        let unseen = r.is_unseen();
        if unseen && self.unseen.is_empty() {
            self.unseen = vec![0.0; self.cells.len()];
        }
        let cell = self.time.step as f64 * self.addresses.step as f64;
        for t in self.time.between(since_ns, until_ns) {
            let ns = self.time.common(t, since_ns, until_ns) as f64;
            for a in self.addresses.between(r.start, r.end) {
                let (at, part) =
                    (t * self.addresses.steps + a, ns * self.addresses.common(a, r.start, r.end) as f64 / cell);
                *self.cells[at].get_or_insert(0.0) += heat * part;
                if unseen {
                    self.unseen[at] += part as f32;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unseen_is_told_from_what_is_cold() {
        let mut grid = HeatGrid::new(Axis::new(0, 20, 2).unwrap(), Axis::new(0, 30, 3).unwrap(), HeatUnit::Hz);
        let region = |start, end, sees| Region { sees, ..Region::new(start, end) };
        let (writes, all) = (Some(damon_core::Sees::Writes), Some(damon_core::Sees::ReadsAndWrites));
        let cold = vec![region(0, 10, all), region(10, 25, writes), region(25, 30, None)];
        grid.add(&Series::default(), &Snapshot { end_ns: 10, regions: cold, ..Snapshot::default() });
        let hot = vec![Region { nr_accesses: 1, ..region(10, 20, writes) }];
        grid.add(&Series::default(), &Snapshot { start_ns: 10, end_ns: 20, regions: hot, ..Snapshot::default() });
        let row = |t| [0, 1, 2].map(|a| grid.unseen(t, a));
        assert_eq!((row(0), row(1)), ([0.0, 1.0, 0.5], [0.0; 3]));
        assert_eq!((grid.heat(0, 1), grid.unseen(0, 3), grid.unseen(9, 0)), (Some(0.0), 0.0, 0.0));
    }

    #[test]
    fn heat_is_the_mean_over_time_and_bytes_of_a_cell() {
        let mut grid = HeatGrid::new(Axis::new(0, 40, 4).unwrap(), Axis::new(100, 180, 4).unwrap(), HeatUnit::Hz);
        let region = |nr_accesses, start, end| Region { nr_accesses, ..Region::new(start, end) };
        let s = Snapshot {
            start_ns: 10,
            end_ns: 25,
            regions: vec![region(8, 110, 140), region(2, 150, 200)],
            ..Snapshot::default()
        };
        grid.add(&Series::default(), &s);
        let row = |t| [0, 1, 2, 3].map(|a| grid.heat(t, a));
        assert_eq!(row(0), [None; 4]);
        assert_eq!(row(1), [Some(4.0), Some(8.0), Some(1.0), Some(2.0)]);
        assert_eq!(row(2), [Some(2.0), Some(4.0), Some(0.5), Some(1.0)]);
        assert_eq!((grid.heat(4, 0), grid.heat(0, 4), grid.range()), (None, None, Some((0.5, 8.0))));
    }
}
