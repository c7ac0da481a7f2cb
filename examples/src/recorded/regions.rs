//! `report regions`: all that a record says, a line for each region, as it is read.

use std::io::Write;

use damos::record::Item;
use serde::Serialize;

use super::{ReportError, Source, Style, json_line};

#[derive(Serialize)]
struct Line {
    series: usize,
    start_ns: u64,
    end_ns: u64,
    start: u64,
    end: u64,
    nr_accesses: u32,
    age: u32,
}

/// Writes them.
///
/// # Errors
/// When the record cannot be read on, or the report cannot be written.
pub fn report(source: &Source, style: Style, out: &mut dyn Write) -> Result<(), ReportError> {
    if style != Style::Json {
        writeln!(out, "# series start_ns end_ns start end nr_accesses age_in_aggregations")?;
    }
    source.each(|item| {
        let Item::Snapshot(series, s) = item else { return Ok(()) };
        if source.series.is_some_and(|wanted| wanted != series) {
            return Ok(());
        }
        for r in &s.regions {
            let (start_ns, end_ns, start, end) = (s.start_ns, s.end_ns, r.start, r.end);
            let line = Line { series, start_ns, end_ns, start, end, nr_accesses: r.nr_accesses, age: r.age };
            if style == Style::Json {
                json_line(out, &line)?;
                continue;
            }
            write!(out, "{series} {start_ns} {end_ns} ")?;
            if style == Style::Raw {
                write!(out, "{start} {end}")?;
            } else {
                write!(out, "{start:#x} {end:#x}")?;
            }
            writeln!(out, " {} {}", r.nr_accesses, r.age)?;
        }
        Ok(())
    })
}
