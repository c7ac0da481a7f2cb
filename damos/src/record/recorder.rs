//! Records what a monitor sees.

use core::time::Duration;
use std::io::Write;

use damon_core::{Attrs, RegionSnapshot, TargetId, TargetSnapshot};

use super::{BinaryWriter, Mapping, Region, Series, Snapshot, TargetName, WriteError};
use crate::config::document::{Intervals, IntervalsGoal};
use crate::config::quantity::{BasisPoints, Count, Micros};

/// Writes the snapshots of a monitor into a binary record, a series for each target.
///
/// ```
/// use damon_core::{Attrs, Monitor};
/// use damos::record::Recorder;
///
/// let monitor = Monitor::new(Attrs::default(), 1);
/// let mut recorder = Recorder::new(Vec::new())?;
/// // After each `Window::Aggregated`:
/// recorder.record(monitor.attrs(), &monitor.view().snapshot())?;
/// # Ok::<(), damos::record::WriteError>(())
/// ```
#[derive(Debug)]
pub struct Recorder<W> {
    writer: BinaryWriter<W>,
    /// The targets met so far, and the series of each.
    series: Vec<(TargetId, usize)>,
}

impl<W: Write> Recorder<W> {
    /// Into a new record.
    ///
    /// # Errors
    /// When its beginning cannot be written.
    pub fn new(to: W) -> Result<Self, WriteError> {
        BinaryWriter::new(to).map(Self::from)
    }

    /// Writes what a finished aggregation says. Addresses become bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&mut self, attrs: &Attrs, s: &damon_core::Snapshot) -> Result<(), WriteError> {
        for target in &s.targets {
            let number = self.series_of(target.id, attrs)?;
            self.writer.snapshot(number, &snapshot(s, target))?;
        }
        Ok(())
    }

    /// Writes what is mapped in a target's addresses from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mappings(&mut self, target: TargetId, attrs: &Attrs, mappings: &[Mapping]) -> Result<(), WriteError> {
        let number = self.series_of(target, attrs)?;
        self.writer.mappings(number, mappings)
    }

    /// What it writes to.
    pub const fn get_ref(&self) -> &W {
        self.writer.get_ref()
    }

    /// Ends it.
    pub fn into_inner(self) -> W {
        self.writer.into_inner()
    }

    fn series_of(&mut self, target: TargetId, attrs: &Attrs) -> Result<usize, WriteError> {
        if let Some(&(_, number)) = self.series.iter().find(|(id, _)| *id == target) {
            return Ok(number);
        }
        let series = Series {
            intervals: Some(intervals(attrs)),
            target_id: Some(TargetName::Number(target.get().into())),
            kdamond_idx: Some(0),
            context_idx: Some(0),
            ..Series::default()
        };
        let number = self.writer.series(&series)?;
        self.series.push((target, number));
        Ok(number)
    }
}

/// Goes on in a record: each target begins a series of its own there.
impl<W> From<BinaryWriter<W>> for Recorder<W> {
    fn from(writer: BinaryWriter<W>) -> Self {
        Self { writer, series: Vec::new() }
    }
}

fn intervals(attrs: &Attrs) -> Intervals {
    let goal = attrs.spec().intervals_goal.as_ref().map(|goal| IntervalsGoal {
        access_bp: BasisPoints(goal.access_bp.0.into()),
        aggrs: Count(goal.aggregations.into()),
        min_sample_us: micros(goal.min_sampling),
        max_sample_us: micros(goal.max_sampling),
    });
    Intervals {
        sample_us: micros(attrs.sampling()),
        aggr_us: micros(attrs.aggregation()),
        ops_update_us: micros(attrs.spec().update),
        intervals_goal: goal.unwrap_or_default(),
    }
}

fn micros(d: Duration) -> Micros {
    Micros(u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

fn snapshot(s: &damon_core::Snapshot, target: &TargetSnapshot) -> Snapshot {
    let start =
        damon_core::Instant::from_nanos(s.at.as_nanos().saturating_sub(s.took.as_nanos().try_into().unwrap_or(0)));
    Snapshot {
        start_ns: start.as_nanos(),
        end_ns: s.at.as_nanos(),
        sampling: Some(s.sampling),
        regions: target.regions.iter().map(|r| region(s, r)).collect(),
        ..Snapshot::default()
    }
}

fn region(s: &damon_core::Snapshot, r: &RegionSnapshot) -> Region {
    let bytes = |addr: u64| addr.saturating_mul(s.addr_unit);
    let of_all = |hits: u32| of_aggregation(hits, r.nr_samples, s.samples_per_aggregation);
    Region {
        nr_accesses: of_all(r.nr_accesses),
        age: r.age,
        age_us: Some(micros(r.age_time).0),
        nr_samples: (r.nr_samples != s.samples_per_aggregation).then_some(r.nr_samples),
        nr_writes: (r.nr_writes > 0).then_some(of_all(r.nr_writes)),
        rate: Some(r.rate),
        sees: Some(r.sees),
        ..Region::new(bytes(r.range.start()), bytes(r.range.end()))
    }
}

/// What `hits` in `samples` are of as many as an aggregation has: whoever reads a record knows no other number. One at least if there
/// was any.
fn of_aggregation(hits: u32, samples: u32, aggregation: u32) -> u32 {
    if hits == 0 || samples == 0 {
        return 0;
    }
    let (hits, samples, aggregation) = (u64::from(hits), u64::from(samples), u64::from(aggregation));
    let scaled = (2 * hits * aggregation + samples) / (2 * samples);
    u32::try_from(scaled.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_of_as_many_samples_as_an_aggregation_has() {
        let of_20 = |hits, samples| of_aggregation(hits, samples, 20);
        assert_eq!(
            [(512, 512), (14, 14), (20, 20), (7, 20), (256, 512)].map(|(h, n)| of_20(h, n)),
            [20, 20, 20, 7, 10]
        );
        assert_eq!((of_20(1, 512), of_20(0, 512), of_20(0, 0)), (1, 0, 0), "what was accessed is not idle");
    }
}
