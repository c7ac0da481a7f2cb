//! `report heatmap`: time × addresses, as text or as a picture, the gaps between addresses cut out.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use damon_core::AddrRange;
use damos::record::figures::{Axis, Contiguous, HeatGrid, HeatUnit};
use damos::record::{Item, Mapping};
use serde::Serialize;

use super::mapped::names;
use super::{ReportError, Source, Style, is_svg, json_line};
use crate::heatmap::{self, Cell, HeatMap, Terminal};

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Options {
    /// A picture's file, SVG or PNG; text on standard output if there is none.
    pub picture: Option<PathBuf>,
    /// So many ranges of addresses at most, those with the most accesses.
    pub ranges: usize,
    /// How text is written: drawn, or cell by cell.
    pub style: Style,
}

#[derive(Serialize)]
struct CellLine {
    start_ns: u64,
    end_ns: u64,
    start: u64,
    end: u64,
    rate: f64,
    /// Most of it: reads are invisible there, and no write was found.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unseen: bool,
}

/// A cell of which so much is unseen, is.
const UNSEEN: f32 = 0.5;
/// Steps of a picture in each direction; more than its pixels would show nothing.
const PICTURE: (usize, usize) = (500, 300);

/// Writes it.
///
/// # Errors
/// When the record cannot be read, has no snapshots, or the picture cannot be written.
pub fn report(source: &Source, options: &Options, out: &mut dyn Write) -> Result<(), ReportError> {
    let svg = options.picture.as_deref().map(is_svg).transpose()?;
    let terminal = Terminal::stdout();
    let (times, addresses) = if svg.is_some() { PICTURE } else { (terminal.width, terminal.rows) };
    let survey = source.survey()?;
    let (number, series) = source.chosen(&survey)?;
    let shown = shown(series.ranges(), options.ranges);
    let time = axis(series.start_ns, series.end_ns, times);
    let total: u64 = shown.iter().map(|c| c.end - c.start).sum();
    let mut grids: Vec<HeatGrid> = shown
        .iter()
        .map(|c| {
            let steps = (addresses as f64 * ((c.end - c.start) as f64 / total as f64)).ceil() as usize;
            HeatGrid::new(time, axis(c.start, c.end, steps.max(1)), HeatUnit::Rate)
        })
        .collect();
    let mut mappings: Vec<Mapping> = Vec::new();
    source.each(|item| {
        match item {
            Item::Snapshot(n, s) if n == number => grids.iter_mut().for_each(|grid| grid.add(&series.series, &s)),
            Item::Mappings(n, new) if n == number => mappings = new,
            _ => {}
        }
        Ok(())
    })?;
    if options.picture.is_none() && options.style != Style::Units {
        return cells(&grids, options.style, out);
    }
    let map = map(&shown, &grids, &mappings);
    let hidden = series.ranges().len() - shown.len();
    let title = source.title(series.snapshots);
    match (&options.picture, svg) {
        (Some(path), Some(true)) => heatmap::svg(&map, &title, path)?,
        (Some(path), Some(false)) => heatmap::png(&map, &title, path)?,
        _ => write!(out, "{}", heatmap::render(&map, terminal))?,
    }
    if hidden > 0 {
        writeln!(out, "ranges with fewer accesses that are left out: {hidden}; show more with --ranges")?;
    }
    Ok(())
}

/// A line for each cell of which something is known.
fn cells(grids: &[HeatGrid], style: Style, out: &mut dyn Write) -> Result<(), ReportError> {
    if style == Style::Raw {
        writeln!(out, "# start_ns end_ns start end rate_bp")?;
    }
    for grid in grids {
        let (time, addresses) = (grid.time(), grid.addresses());
        for (t, a) in (0..time.steps).flat_map(|t| (0..addresses.steps).map(move |a| (t, a))) {
            let Some(rate) = grid.heat(t, a) else { continue };
            let (start_ns, end_ns, start, end) = (time.at(t), time.at(t + 1), addresses.at(a), addresses.at(a + 1));
            let line = CellLine { start_ns, end_ns, start, end, rate, unseen: grid.unseen(t, a) >= UNSEEN };
            match style {
                Style::Json => json_line(out, &line)?,
                _ if line.unseen => writeln!(out, "{start_ns} {end_ns} {start} {end} unseen")?,
                _ => writeln!(out, "{start_ns} {end_ns} {start} {end} {:.0}", rate * 1e4)?,
            }
        }
    }
    Ok(())
}

/// The ranges with the most accesses, by address.
fn shown(ranges: &[Contiguous], most: usize) -> Vec<Contiguous> {
    let mut shown = ranges.to_vec();
    shown.sort_by_key(|c| std::cmp::Reverse((c.heat, c.end - c.start)));
    shown.truncate(most.max(1));
    shown.sort_by_key(|c| c.start);
    shown
}

/// So many steps, or as many as there are units.
fn axis(start: u64, end: u64, steps: usize) -> Axis {
    let units = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX).max(1);
    let start = start.min(u64::MAX - 1);
    Axis::new(start, end.max(start + 1), steps.min(units)).expect("as many steps as units, or fewer")
}

fn map(ranges: &[Contiguous], grids: &[HeatGrid], mappings: &[Mapping]) -> HeatMap {
    let panels = ranges.iter().filter_map(|c| {
        let range = AddrRange::new(c.start, c.end)?;
        Some(heatmap::Mapping { name: names(range, mappings).unwrap_or_else(|| "memory".into()), range })
    });
    let mut map = HeatMap::new(panels.collect());
    let Some(time) = grids.first().map(HeatGrid::time) else { return map };
    for t in 0..time.steps {
        let at = |i: usize| Duration::from_nanos(time.at(i) - time.start);
        let cells = grids.iter().flat_map(|grid| {
            let axis = grid.addresses();
            (0..axis.steps).filter_map(move |a| {
                let cell = Cell::Rate(grid.heat(t, a)? as f32);
                let cell = if grid.unseen(t, a) < UNSEEN { cell } else { Cell::Unseen };
                Some((AddrRange::new(axis.at(a), axis.at(a + 1))?, cell))
            })
        });
        map.push(at(t), at(t + 1), cells);
    }
    map
}
