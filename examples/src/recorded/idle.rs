//! `report idle`: for how long memory has been idle.

use std::io::Write;
use std::path::Path;

use damos::record::Snapshot;
use damos::record::figures::{Timing, idle_time_us};
use serde::Serialize;

use super::units::{bar, time};
use super::{ReportError, Source, Style, is_svg, json_line};
use crate::heatmap::{Chart, Scale, byte_ticks, bytes};

const PERCENTILES: [f64; 9] = [0.0, 1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 100.0];
const BAR: usize = 40;

#[derive(Serialize)]
struct Line {
    percentile: f64,
    idle_us: f64,
}

/// Writes the percentiles of the last snapshot; or draws into the file `picture` how much has been idle for how long.
///
/// # Errors
/// When the record cannot be read, does not say its intervals, or the report cannot be written.
pub fn report(source: &Source, style: Style, picture: Option<&Path>, out: &mut dyn Write) -> Result<(), ReportError> {
    let svg = picture.map(is_svg).transpose()?;
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
    if let Some((path, svg)) = picture.zip(svg) {
        let note = match unseen {
            0 => String::new(),
            n => format!("; left out: {}, where reads are invisible", bytes(n)),
        };
        return Ok(chart(&s, &timing, source.title(series.snapshots), &note).draw(path, svg)?);
    }
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

/// How much has been idle for at least so long. What is in use is left of all.
fn chart(s: &Snapshot, timing: &Timing, title: String, note: &str) -> Chart {
    let mut idle: Vec<(f64, u64)> = s.regions.iter().map(|r| (timing.idle_us(r), r.size())).collect();
    idle.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total = s.regions_bytes();
    let in_use = idle.iter().take_while(|(us, _)| *us == 0.0).map(|(_, bytes)| bytes).sum::<u64>();
    // Nothing is idle for less than an aggregation.
    let from = timing.aggregation_us.max(1.0) / 2.0;
    let to = idle.last().map_or(0.0, |l| l.0).max(10.0 * from) * 1.2;
    let (mut steps, mut left, mut since) = (Vec::new(), total - in_use, from);
    for of_one in idle.iter().filter(|(us, _)| *us > 0.0).collect::<Vec<_>>().chunk_by(|a, b| a.0 == b.0) {
        steps.push((since, of_one[0].0, left as f64));
        since = of_one[0].0;
        left -= of_one.iter().map(|(_, bytes)| bytes).sum::<u64>();
    }
    steps.push((since, to, 0.0));
    let ticks = byte_ticks(total);
    Chart {
        title: title + ": idle memory when it ends",
        note: format!("{} of {} in use{note}", bytes(in_use), bytes(total)),
        x: Scale {
            label: "idle for at least",
            ends: (from, to),
            logarithmic: true,
            ticks: TIMES_US.into_iter().filter(|us| (from..=to).contains(us)).map(|us| (us, round(us))).collect(),
        },
        y: Scale {
            label: "memory",
            ends: (0.0, ticks.last().copied().unwrap_or(1).max(1) as f64),
            logarithmic: false,
            ticks: ticks.iter().map(|&n| (n as f64, bytes(n))).collect(),
        },
        steps,
        marks: vec![((total - in_use) as f64, format!("not in use: {}", bytes(total - in_use)))],
    }
}

/// What stands at the axis: times that a person would say.
const TIMES_US: [f64; 18] = [
    10.0, 100.0, 1e3, 10e3, 100e3, 300e3, 1e6, 3e6, 10e6, 30e6, 60e6, 180e6, 600e6, 1_800e6, 3_600e6, 10_800e6,
    36_000e6, 86_400e6,
];

/// A round time without a fraction.
fn round(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us} us"),
        us if us < 1e6 => format!("{} ms", us / 1e3),
        us if us < 60e6 => format!("{} s", us / 1e6),
        us if us < 3_600e6 => format!("{} min", us / 60e6),
        us if us < 86_400e6 => format!("{} h", us / 3_600e6),
        us => format!("{} d", us / 86_400e6),
    }
}
