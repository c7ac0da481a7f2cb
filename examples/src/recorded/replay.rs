//! `replay`: what schemes would have done, and how much of it was accessed soon after.

use std::io::Write;

use damon_core::AddrRange;
use damos::record::{Replay, Snapshot};
use damos::scheme::Scheme;

use super::units::percent;
use super::{ReportError, Source};
use crate::heatmap::bytes;

/// What became of what a scheme would have acted on.
#[derive(Clone, Debug, Default)]
struct Regret {
    /// Acted on by the last snapshot.
    fresh: Vec<AddrRange>,
    acted: u64,
    accessed: u64,
}

impl Regret {
    /// How much of what was acted on is accessed in the snapshot after.
    fn look(&mut self, s: &Snapshot) {
        let hot = |range: AddrRange| {
            let common = |r: &damos::record::Region| AddrRange::new(r.start, r.end)?.intersection(range);
            s.regions.iter().filter(|r| r.nr_accesses > 0).filter_map(common).map(AddrRange::size).sum::<u64>()
        };
        for range in std::mem::take(&mut self.fresh) {
            self.acted += range.size();
            self.accessed += hot(range);
        }
    }
}

/// Tries `schemes` on the record and writes a line for each.
///
/// # Errors
/// When the record cannot be read, schemes cannot be tried on it, or the report cannot be written.
pub fn report(source: &Source, schemes: &[Scheme], out: &mut dyn Write) -> Result<(), ReportError> {
    let survey = source.survey()?;
    let (number, series) = source.chosen(&survey)?;
    let mut replay = Replay::new(schemes.to_vec());
    let mut regrets = vec![Regret::default(); schemes.len()];
    source.snapshots(number, |s| {
        regrets.iter_mut().for_each(|r| r.look(&s));
        replay.step(&series.series, &s, &mut (), &mut |tried| {
            if tried.applied > 0 {
                regrets[tried.scheme].fresh.push(tried.range);
            }
        })?;
        Ok(())
    })?;
    for (i, (scheme, regret)) in schemes.iter().zip(&regrets).enumerate() {
        let stats = replay.stats(i).unwrap_or_default();
        let (tried, applied) = (bytes(stats.sz_tried), bytes(stats.sz_applied));
        let again = match regret.acted {
            0 => "nothing is known of what came after".to_owned(),
            acted => format!("{} of it accessed in the snapshot after", percent(regret.accessed as f64 / acted as f64)),
        };
        writeln!(
            out,
            "scheme {i}, {}: in {} snapshots tried {} regions, {tried}; applied to {}, {applied}; quota exceeded {} times; {again}",
            format!("{:?}", scheme.action).to_lowercase(),
            series.snapshots,
            stats.nr_tried,
            stats.nr_applied,
            stats.qt_exceeds
        )?;
    }
    if replay.skipped() > 0 {
        writeln!(out, "left out: {} regions that overlap others", replay.skipped())?;
    }
    Ok(())
}
