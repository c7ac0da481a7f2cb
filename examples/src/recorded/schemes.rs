//! `report schemes`: what schemes had done when the record ends.

use std::io::Write;

use damos::record::{Item, SchemeStats};
use serde::Serialize;

use super::{ReportError, Source, Style, json_line};
use crate::heatmap::bytes;

#[derive(Serialize)]
struct Line {
    series: usize,
    scheme: Option<u32>,
    tried: u64,
    tried_bytes: u64,
    applied: u64,
    applied_bytes: u64,
    filter_passed_bytes: u64,
    quota_exceeded: u64,
}

/// Writes a line for each series that a scheme looked at.
///
/// # Errors
/// When the record cannot be read, says nothing of schemes, or the report cannot be written.
pub fn report(source: &Source, style: Style, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut last: Vec<Option<SchemeStats>> = Vec::new();
    let mut schemes = Vec::new();
    source.each(|item| {
        match item {
            Item::Series(n, series) => {
                schemes.resize(schemes.len().max(n + 1), None);
                schemes[n] = series.scheme_idx;
            }
            Item::Snapshot(n, s) if s.stats.is_some() => {
                last.resize(last.len().max(n + 1), None);
                last[n] = s.stats;
            }
            _ => {}
        }
        Ok(())
    })?;
    let lines = last.into_iter().enumerate().filter(|(n, _)| source.series.is_none_or(|wanted| wanted == *n));
    let lines: Vec<Line> =
        lines.filter_map(|(n, stats)| Some(line(n, schemes.get(n).copied().flatten(), &stats?))).collect();
    if lines.is_empty() {
        return Err(source.nothing("statistics of schemes".into()));
    }
    for l in &lines {
        match style {
            Style::Json => json_line(out, l)?,
            Style::Raw => writeln!(
                out,
                "{} {} {} {} {} {} {}",
                l.series, l.tried, l.tried_bytes, l.applied, l.applied_bytes, l.filter_passed_bytes, l.quota_exceeded
            )?,
            Style::Units => writeln!(
                out,
                "scheme {}: tried {} regions, {}; applied to {}, {}; {} passed the filters; quota exceeded {} times",
                l.scheme.map_or("?".into(), |n| n.to_string()),
                l.tried,
                bytes(l.tried_bytes),
                l.applied,
                bytes(l.applied_bytes),
                bytes(l.filter_passed_bytes),
                l.quota_exceeded
            )?,
        }
    }
    Ok(())
}

const fn line(series: usize, scheme: Option<u32>, s: &SchemeStats) -> Line {
    Line {
        series,
        scheme,
        tried: s.nr_tried,
        tried_bytes: s.sz_tried,
        applied: s.nr_applied,
        applied_bytes: s.sz_applied,
        filter_passed_bytes: s.sz_ops_filter_passed,
        quota_exceeded: s.qt_exceeds,
    }
}
