//! `report wss`: the working set's size, over time or as percentiles.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use damos::record::Item;
use damos::record::figures::at_percentile;
use serde::Serialize;

use super::times::Times;
use super::units::{bar, time};
use super::{ReportError, Source, Style, is_svg, json_line};
use crate::heatmap::{Chart, Scale, byte_ticks, bytes, time_ticks};

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Options {
    /// A picture's file, SVG or PNG; text on standard output if there is none.
    pub picture: Option<PathBuf>,
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
    /// Where not all of a long record were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    apart_ns: Option<u64>,
    mean_bytes: u64,
    percentiles: Vec<(u32, u64)>,
}

const PERCENTILES: [u32; 9] = [0, 5, 25, 50, 75, 90, 95, 99, 100];
const BAR: usize = 40;

/// Writes it: targets are summed up, so that it is that of all who were watched.
///
/// # Errors
/// When the record cannot be read, has no snapshot behind those that are skipped, or the report cannot be written.
pub fn report(source: &Source, options: &Options, out: &mut dyn Write) -> Result<(), ReportError> {
    let svg = options.picture.as_deref().map(is_svg).transpose()?;
    let mut times = Times::default();
    source.each(|item| {
        if let Item::Snapshot(n, s) = item {
            if source.series.is_none_or(|wanted| wanted == n) {
                times.add(s.start_ns, s.end_ns, s.working_set_bytes(options.min_accesses));
            }
        }
        Ok(())
    })?;
    let seen = times.iter().count();
    let kept: Vec<(u64, u64)> = times.iter().skip(options.skip).collect();
    if kept.is_empty() {
        return Err(
            source.nothing(format!("snapshot after the first {} (of {seen}): skip fewer with --skip", options.skip))
        );
    }
    if let Some((path, svg)) = options.picture.as_deref().zip(svg) {
        let steps: Vec<_> = times.steps().skip(options.skip).collect();
        return Ok(chart(&steps, source.title(kept.len() as u64)).draw(path, svg)?);
    }
    if options.by_time {
        by_time(&kept, options.style, out)
    } else {
        percentiles(&kept, times.apart_ns(), options.style, out)
    }
}

fn by_time(kept: &[(u64, u64)], style: Style, out: &mut dyn Write) -> Result<(), ReportError> {
    let most = kept.iter().map(|&(_, n)| n).max().unwrap_or(0).max(1) as f64;
    let start_ns = kept.first().map_or(0, |&(at, _)| at);
    match style {
        Style::Json => kept.iter().try_for_each(|time| json_line(out, time))?,
        Style::Raw => {
            writeln!(out, "# end_ns bytes")?;
            kept.iter().try_for_each(|(at, n)| writeln!(out, "{at} {n}"))?;
        }
        Style::Units => {
            writeln!(out, "working set after the first snapshot")?;
            for &(at, n) in kept {
                let seconds = (at - start_ns) as f64 / 1e9;
                writeln!(out, "{seconds:>10.1} s {:>9} {}", bytes(n), bar(n as f64 / most, BAR))?;
            }
        }
    }
    Ok(())
}

/// The working set over time, with its mean and its 90th percentile.
fn chart(steps: &[(u64, u64, u64)], title: String) -> Chart {
    let mut rising: Vec<u64> = steps.iter().map(|&(.., n)| n).collect();
    rising.sort_unstable();
    let most = rising.last().copied().unwrap_or(0);
    let sized_for = at_percentile(&rising, 90.0).unwrap_or(0);
    let (start, end) = (steps.first().map_or(0, |s| s.0), steps.last().map_or(0, |s| s.1));
    let seconds = |ns: u64| ns.saturating_sub(start) as f64 / 1e9;
    let ticks = byte_ticks(most);
    let time = Duration::from_nanos(end.saturating_sub(start));
    let marks = time_ticks(time, 10).into_iter().map(|s| (s, format!("{}", (s * 1000.0).round() / 1000.0)));
    Chart {
        title: title + ": working set",
        note: format!("mean {}, at most {}", bytes(mean(&rising)), bytes(most)),
        x: Scale {
            label: "time since the start (s)",
            ends: (0.0, seconds(end).max(1e-9)),
            logarithmic: false,
            ticks: marks.collect(),
        },
        y: Scale {
            label: "accessed memory",
            ends: (0.0, ticks.last().copied().unwrap_or(1).max(1) as f64),
            logarithmic: false,
            ticks: ticks.iter().map(|&n| (n as f64, bytes(n))).collect(),
        },
        steps: steps.iter().map(|&(from, to, n)| (seconds(from), seconds(to), n as f64)).collect(),
        marks: vec![(sized_for as f64, format!("{} or less in 90% of snapshots", bytes(sized_for)))],
    }
}

fn mean(figures: &[u64]) -> u64 {
    let sum = figures.iter().map(|&n| u128::from(n)).sum::<u128>();
    u64::try_from(sum / figures.len().max(1) as u128).unwrap_or(u64::MAX)
}

fn percentiles(
    kept: &[(u64, u64)],
    apart_ns: Option<u64>,
    style: Style,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let mut rising: Vec<u64> = kept.iter().map(|&(_, n)| n).collect();
    rising.sort_unstable();
    let at = |p: u32| (p, at_percentile(&rising, p.into()).unwrap_or(0));
    let mean_bytes = mean(&rising);
    let figures = Figures { snapshots: kept.len(), apart_ns, mean_bytes, percentiles: PERCENTILES.map(at).to_vec() };
    let most = rising.last().copied().unwrap_or(0).max(1) as f64;
    match style {
        Style::Json => return json_line(out, &figures),
        Style::Raw => {
            writeln!(out, "# mean {}", figures.mean_bytes)?;
            figures.percentiles.iter().try_for_each(|(p, n)| writeln!(out, "{p} {n}"))?;
        }
        Style::Units => {
            let each = apart_ns.map_or(String::new(), |ns| format!(", one each {}", time(ns as f64 / 1e3)));
            writeln!(out, "working set of {} snapshots{each}: mean {}", figures.snapshots, bytes(figures.mean_bytes))?;
            for (p, n) in &figures.percentiles {
                writeln!(out, "{p:>3}% of them at most {:>9} {}", bytes(*n), bar(*n as f64 / most, BAR))?;
            }
        }
    }
    Ok(())
}
