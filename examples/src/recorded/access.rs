//! `report access`: the regions of a snapshot, by address or by temperature.

use std::cmp::Ordering;
use std::io::Write;

use damon_core::AddrRange;
use damos::record::figures::Timing;
use damos::record::{Item, Mapping, Region, Snapshot};
use serde::Serialize;

use super::mapped::names;
use super::units::{hz, percent, time};
use super::{ReportError, Source, Style, json_line};
use crate::heatmap::bytes;

/// In which order regions are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// The hottest first: by access rate, of equals the longest; then the coldest last, by how long nothing was seen.
    #[default]
    Temperature,
    /// Ascending addresses.
    Address,
    /// The largest first.
    Size,
}

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// In which order.
    pub order: Order,
    /// So many regions at most of each snapshot.
    pub most: usize,
    /// Every snapshot, not the last alone.
    pub all: bool,
    /// How figures are written.
    pub style: Style,
}

#[derive(Serialize)]
struct Line {
    start: u64,
    bytes: u64,
    rate: f64,
    hz: f64,
    age_us: f64,
    /// Nothing was found, and that says nothing: reads are invisible there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unseen: bool,
    /// What is mapped there, where the record says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mapped: Option<String>,
}

#[derive(Serialize)]
struct Picture {
    start_ns: u64,
    end_ns: u64,
    sampling_us: f64,
    aggregation_us: f64,
    bytes: u64,
    bandwidth_bytes_per_s: f64,
    regions: Vec<Line>,
}

/// Writes it.
///
/// # Errors
/// When the record cannot be read, does not say its intervals, or the report cannot be written.
pub fn report(source: &Source, options: Options, out: &mut dyn Write) -> Result<(), ReportError> {
    let survey = source.survey()?;
    let (number, series) = source.chosen(&survey)?;
    let (mut last, mut mappings) = (None, Vec::new());
    source.each(|item| {
        match item {
            Item::Mappings(n, new) if n == number => mappings = new,
            Item::Snapshot(n, s) if n == number && options.all => {
                let timing = series.timing(&s).ok_or_else(|| source.no_intervals())?;
                write(&s, &timing, &mappings, options, out)?;
            }
            Item::Snapshot(n, s) if n == number => last = Some(s),
            _ => {}
        }
        Ok(())
    })?;
    let Some(s) = last else { return Ok(()) };
    let timing = series.timing(&s).ok_or_else(|| source.no_intervals())?;
    write(&s, &timing, &mappings, options, out)
}

fn write(
    s: &Snapshot,
    timing: &Timing,
    mappings: &[Mapping],
    options: Options,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let mut regions: Vec<&Region> = s.regions.iter().collect();
    match options.order {
        Order::Address => regions.sort_by_key(|r| r.start),
        Order::Temperature => regions.sort_by(|a, b| hotter(a, b, timing)),
        Order::Size => regions.sort_by_key(|r| std::cmp::Reverse(r.size())),
    }
    let line = |r: &&Region| Line {
        start: r.start,
        bytes: r.size(),
        rate: timing.rate(r.nr_accesses),
        hz: timing.hz(r.nr_accesses),
        age_us: timing.age_us(r),
        unseen: r.is_unseen(),
        mapped: AddrRange::new(r.start, r.end).and_then(|range| names(range, mappings)),
    };
    let picture = Picture {
        start_ns: s.start_ns,
        end_ns: s.end_ns,
        sampling_us: timing.sampling_us,
        aggregation_us: timing.aggregation_us,
        bytes: s.regions_bytes(),
        bandwidth_bytes_per_s: s.bandwidth(timing),
        regions: regions.iter().take(options.most).map(line).collect(),
    };
    match options.style {
        Style::Json => json_line(out, &picture),
        Style::Units => units(&picture, regions.len(), timing, out),
        Style::Raw => raw(&picture, out),
    }
}

fn hotter(a: &Region, b: &Region, timing: &Timing) -> Ordering {
    let age = |r: &Region| timing.age_us(r);
    b.nr_accesses
        .cmp(&a.nr_accesses)
        .then_with(|| if a.nr_accesses > 0 { age(b).total_cmp(&age(a)) } else { age(a).total_cmp(&age(b)) })
}

fn units(p: &Picture, regions: usize, timing: &Timing, out: &mut dyn Write) -> Result<(), ReportError> {
    let (sampling, aggregation, most) = (time(p.sampling_us), time(p.aggregation_us), hz(timing.max_hz()));
    let named = p.regions.iter().any(|r| r.mapped.is_some());
    let head = if named { "  mapped" } else { "" };
    writeln!(out, "{:>18} {:>9} {:>8} {:>10} {:>9}{head}", "address", "size", "samples", "seen", "age")?;
    for r in &p.regions {
        let (size, age) = (bytes(r.bytes), time(r.age_us));
        let (part, often) = if r.unseen { ("unseen".into(), "-".into()) } else { (percent(r.rate), hz(r.hz)) };
        let mapped = r.mapped.as_ref().map_or(String::new(), |names| format!("  {names}"));
        writeln!(out, "{:>#18x} {size:>9} {part:>8} {often:>10} {age:>9}{mapped}", r.start)?;
    }
    if p.regions.len() < regions {
        writeln!(out, "{:>18} {} more regions", "..", regions - p.regions.len())?;
    }
    if p.regions.iter().any(|r| r.unseen) {
        writeln!(out, "unseen: reads are invisible there and no write was found; not cold, unknown")?;
    }
    writeln!(out, "samples: part of them that found an access, one each {sampling} in {aggregation}; at most {most}")?;
    let seconds = |ns: u64| ns as f64 / 1e9;
    let (total, bandwidth) = (bytes(p.bytes), bytes(p.bandwidth_bytes_per_s as u64));
    writeln!(
        out,
        "snapshot of {:.3} s to {:.3} s; {total} in {regions} regions; at least {bandwidth} accessed a second",
        seconds(p.start_ns),
        seconds(p.end_ns)
    )?;
    Ok(())
}

fn raw(p: &Picture, out: &mut dyn Write) -> Result<(), ReportError> {
    writeln!(out, "# start bytes rate_bp hz age_us")?;
    for r in &p.regions {
        if r.unseen {
            writeln!(out, "{} {} unseen unseen {:.0}", r.start, r.bytes, r.age_us)?;
        } else {
            writeln!(out, "{} {} {:.0} {:.6} {:.0}", r.start, r.bytes, r.rate * 1e4, r.hz, r.age_us)?;
        }
    }
    writeln!(out, "# {} ns to {} ns, {} bytes, {:.0} bytes/s", p.start_ns, p.end_ns, p.bytes, p.bandwidth_bytes_per_s)?;
    Ok(())
}
