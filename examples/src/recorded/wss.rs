//! `report wss`: the working set's size, over time or as percentiles.

use std::io::Write;

use damos::record::figures::at_percentile;
use serde::Serialize;

use super::units::bar;
use super::{ReportError, Source, Style, json_line};
use crate::heatmap::bytes;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// In so many samples of an aggregation at least an access must have been found.
    pub min_accesses: u32,
    /// The first snapshots, which are left out: monitoring learns.
    pub skip: usize,
    /// One line for each snapshot, instead of percentiles.
    pub by_time: bool,
    /// How figures are written.
    pub style: Style,
}

#[derive(Serialize)]
struct Figures {
    snapshots: usize,
    mean_bytes: u64,
    percentiles: Vec<(u32, u64)>,
}

const PERCENTILES: [u32; 9] = [0, 5, 25, 50, 75, 90, 95, 99, 100];
const BAR: usize = 40;

/// Writes it. Keeps eight bytes of each snapshot.
///
/// # Errors
/// When the record cannot be read, has no snapshot behind those that are skipped, or the report cannot be written.
pub fn report(source: &Source, options: Options, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut working_sets: Vec<u64> = Vec::new();
    let mut seen = 0;
    // Targets are summed up: the nth snapshot of each belongs to the same time.
    let mut of_series: Vec<usize> = Vec::new();
    source.each(|item| {
        let damos::record::Item::Snapshot(n, s) = item else { return Ok(()) };
        if source.series.is_some_and(|wanted| wanted != n) {
            return Ok(());
        }
        seen += 1;
        of_series.resize(of_series.len().max(n + 1), 0);
        let at = of_series[n];
        of_series[n] += 1;
        working_sets.resize(working_sets.len().max(at + 1), 0);
        working_sets[at] += s.working_set_bytes(options.min_accesses);
        Ok(())
    })?;
    let kept = working_sets.get(options.skip..).unwrap_or_default();
    if kept.is_empty() {
        return Err(
            source.nothing(format!("snapshot after the first {} (of {seen}): skip fewer with --skip", options.skip))
        );
    }
    let mut rising = kept.to_vec();
    rising.sort_unstable();
    let mean = rising.iter().map(|&n| u128::from(n)).sum::<u128>() / rising.len() as u128;
    let at = |p: u32| (p, at_percentile(&rising, p.into()).unwrap_or(0));
    let mean_bytes = u64::try_from(mean).unwrap_or(u64::MAX);
    let figures = Figures { snapshots: kept.len(), mean_bytes, percentiles: PERCENTILES.map(at).to_vec() };
    let most = rising.last().copied().unwrap_or(0).max(1) as f64;
    match options.style {
        Style::Json => return json_line(out, &figures),
        Style::Raw if options.by_time => kept.iter().try_for_each(|n| writeln!(out, "{n}"))?,
        Style::Raw => {
            writeln!(out, "# mean {}", figures.mean_bytes)?;
            figures.percentiles.iter().try_for_each(|(p, n)| writeln!(out, "{p} {n}"))?;
        }
        Style::Units if options.by_time => {
            for (i, &n) in kept.iter().enumerate() {
                writeln!(out, "{:>8} {:>9} {}", i + options.skip, bytes(n), bar(n as f64 / most, BAR))?;
            }
        }
        Style::Units => {
            writeln!(out, "working set of {} snapshots: mean {}", figures.snapshots, bytes(figures.mean_bytes))?;
            for (p, n) in &figures.percentiles {
                writeln!(out, "{p:>3}% of them at most {:>9} {}", bytes(*n), bar(*n as f64 / most, BAR))?;
            }
        }
    }
    Ok(())
}
