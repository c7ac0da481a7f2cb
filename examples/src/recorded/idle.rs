//! `report idle`: for how long memory has been idle.

use std::io::Write;

use damos::record::figures::idle_time_us;
use serde::Serialize;

use super::units::{bar, time};
use super::{ReportError, Source, Style, json_line};
use crate::heatmap::bytes;

const PERCENTILES: [f64; 9] = [0.0, 1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 100.0];
const BAR: usize = 40;

#[derive(Serialize)]
struct Line {
    percentile: f64,
    idle_us: f64,
}

/// Writes the percentiles of the last snapshot.
///
/// # Errors
/// When the record cannot be read, does not say its intervals, or the report cannot be written.
pub fn report(source: &Source, style: Style, out: &mut dyn Write) -> Result<(), ReportError> {
    let survey = source.survey()?;
    let (number, series) = source.chosen(&survey)?;
    let mut last = None;
    source.snapshots(number, |s| {
        last = Some(s);
        Ok(())
    })?;
    let Some(mut s) = last else { return Ok(()) };
    let all = s.regions_bytes();
    s.regions.retain(|r| !r.is_unseen());
    let (seen, unseen) = (s.regions_bytes(), all - s.regions_bytes());
    let timing = series.timing(&s).ok_or_else(|| source.no_intervals())?;
    let lines =
        idle_time_us(&s, &timing, &PERCENTILES).into_iter().map(|(percentile, idle_us)| Line { percentile, idle_us });
    let lines: Vec<_> = lines.collect();
    let most = lines.last().map_or(0.0, |l| l.idle_us).max(1.0);
    match style {
        Style::Json => return json_line(out, &lines),
        Style::Raw => lines.iter().try_for_each(|l| writeln!(out, "{} {:.0}", l.percentile, l.idle_us))?,
        Style::Units => {
            writeln!(out, "idle time of {}, by bytes, when the record ends", bytes(seen))?;
            for l in &lines {
                let (idle, bar) = (time(l.idle_us), bar(l.idle_us / most, BAR));
                writeln!(out, "{:>3}% of it at most {idle:>9} {bar}", l.percentile)?;
            }
            if unseen > 0 {
                writeln!(out, "left out: {}, where reads are invisible and no write was found", bytes(unseen))?;
            }
        }
    }
    Ok(())
}
