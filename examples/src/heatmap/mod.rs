//! Access rates over time × addresses, to be drawn in a terminal or as a picture.

mod chart;
pub(crate) mod paint;
pub(crate) mod palette;
mod picture;
pub(crate) mod terminal;
mod tiles;

use std::time::Duration;

use damon_core::{AddrRange, RegionSnapshot};

pub use chart::{Chart, Scale};
pub(crate) use picture::failed;
pub use picture::{PictureError, png, svg, writable};
pub use terminal::{Terminal, render, wants_colour};
pub use tiles::{Row, tiles_png};

/// One piece of the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// In which part of the samples an access was found: 0 to 1.
    Rate(f32),
    /// Nothing was found, and that says nothing: reads are invisible here. Never drawn as cold.
    Unseen,
    /// Not watched at that time.
    Unmapped,
}

impl From<&RegionSnapshot> for Cell {
    fn from(region: &RegionSnapshot) -> Self {
        if region.nr_samples == 0 || (region.nr_accesses == 0 && !region.sees.sees_reads()) {
            return Self::Unseen;
        }
        Self::Rate(region.rate.0 as f32 / 10_000.0)
    }
}

/// What is mapped at a range: a panel of the map.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// What a person calls it.
    pub name: String,
    /// Where it is.
    pub range: AddrRange,
}

/// A picture of memory over time: for each aggregation the regions as they were.
#[derive(Clone, Debug)]
pub struct HeatMap {
    mappings: Vec<Mapping>,
    columns: Vec<Column>,
    marks: Vec<(Duration, AddrRange)>,
    /// What a mark means.
    marked: String,
}

#[derive(Clone, Debug)]
struct Column {
    from: Duration,
    to: Duration,
    regions: Vec<(AddrRange, Cell)>,
}

impl HeatMap {
    /// An empty map with a panel for each of `mappings`.
    pub const fn new(mappings: Vec<Mapping>) -> Self {
        Self { mappings, columns: Vec::new(), marks: Vec::new(), marked: String::new() }
    }

    /// Adds what was known of `regions` between two times after the start, which follow what was added before.
    pub fn push(&mut self, from: Duration, to: Duration, regions: impl IntoIterator<Item = (AddrRange, Cell)>) {
        self.columns.push(Column { from, to, regions: regions.into_iter().collect() });
    }

    /// Marks where something was done to memory, each at a time after the start; `what` it was is for the legend.
    pub fn mark(&mut self, what: &str, marks: impl IntoIterator<Item = (Duration, AddrRange)>) {
        self.marked = what.to_owned();
        self.marks.extend(marks);
    }

    /// The panels.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// How long what is drawn took, from the start.
    fn time(&self) -> Duration {
        self.columns.last().map_or(Duration::ZERO, |c| c.to)
    }

    /// The panel of `range` cut into `columns` × `rows` cells, column by column, the lowest address first. Each is the
    /// mean over its bytes and time, or what most of it is where nothing is known.
    pub fn grid(&self, range: AddrRange, columns: usize, rows: usize) -> Vec<Vec<Cell>> {
        let width = self.time().as_secs_f64() / columns as f64;
        (0..columns)
            .map(|i| {
                let start = i as f64 * width;
                let mut cells = vec![Mean::default(); rows];
                for column in &self.columns {
                    let overlap = column.to.as_secs_f64().min(start + width) - column.from.as_secs_f64().max(start);
                    if overlap > 0.0 {
                        column.regions.iter().for_each(|&(r, cell)| spread(&mut cells, range, r, cell, overlap));
                    }
                }
                cells.iter().map(Mean::cell).collect()
            })
            .collect()
    }
}

impl HeatMap {
    /// The marks in `range` while something is drawn.
    fn marks_in(&self, range: AddrRange) -> impl Iterator<Item = (Duration, AddrRange)> + '_ {
        let time = self.time();
        let marks = self.marks.iter().filter(move |m| m.0 < time);
        marks.filter_map(move |&(at, marked)| Some((at, marked.intersection(range)?)))
    }

    /// Which cells of a [`grid`](Self::grid) are marked: those that a mark fills by half, or lies in whole.
    fn marked(&self, range: AddrRange, columns: usize, rows: usize) -> Vec<Vec<bool>> {
        let mut out = vec![vec![false; rows]; columns];
        let (time, size) = (self.time().as_secs_f64(), range.size() as f64 / rows as f64);
        for (at, mark) in self.marks_in(range) {
            let column = ((at.as_secs_f64() / time * columns as f64) as usize).min(columns - 1);
            let (start, end) = ((mark.start() - range.start()) as f64, (mark.end() - range.start()) as f64);
            let enough = (size / 2.0).min(end - start);
            for (row, marked) in out[column].iter_mut().enumerate().skip((start / size) as usize) {
                let common = end.min((row + 1) as f64 * size) - start.max(row as f64 * size);
                if common <= 0.0 {
                    break;
                }
                *marked |= common >= enough;
            }
        }
        out
    }
}

/// The mean of a cell in the making: byte-seconds.
#[derive(Clone, Debug, Default)]
struct Mean {
    accessed: f64,
    seen: f64,
    unseen: f64,
}

impl Mean {
    fn cell(&self) -> Cell {
        match self {
            m if m.seen + m.unseen == 0.0 => Cell::Unmapped,
            m if m.seen < m.unseen => Cell::Unseen,
            m => Cell::Rate((m.accessed / m.seen) as f32),
        }
    }
}

/// Adds `cell`, which was so for `region` during `seconds`, to those of the equal parts of `range` that it meets.
fn spread(parts: &mut [Mean], range: AddrRange, region: AddrRange, cell: Cell, seconds: f64) {
    let Some(common) = range.intersection(region) else { return };
    let size = range.size() as f64 / parts.len() as f64;
    let (start, end) = ((common.start() - range.start()) as f64, (common.end() - range.start()) as f64);
    let first = ((start / size) as usize).min(parts.len() - 1);
    for (i, part) in parts.iter_mut().enumerate().skip(first) {
        let bytes = end.min((i + 1) as f64 * size) - start.max(i as f64 * size);
        if bytes <= 0.0 {
            break;
        }
        match cell {
            Cell::Rate(rate) => {
                part.accessed += f64::from(rate) * bytes * seconds;
                part.seen += bytes * seconds;
            }
            Cell::Unseen => part.unseen += bytes * seconds,
            Cell::Unmapped => {}
        }
    }
}

/// Marks for a time axis, in seconds: steps of 1, 2 or 5 times a power of ten, about `most` of them.
pub(crate) fn time_ticks(time: Duration, most: usize) -> Vec<f64> {
    let rough = (time.as_secs_f64() / most.max(1) as f64).max(1e-6);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|s| s * power).into_iter().find(|s| *s >= rough).unwrap_or(power * 10.0);
    let last = (time.as_secs_f64() / step + 1e-9) as u32;
    (0..=last).map(|i| f64::from(i) * step).collect()
}

/// Marks for an axis of bytes from 0 to at least `most`: steps of a power of two, a handful of them.
pub(crate) fn byte_ticks(most: u64) -> Vec<u64> {
    let step = (most / 5).max(1).checked_next_power_of_two().unwrap_or(1 << 63);
    (0..=most.div_ceil(step)).map(|i| i.saturating_mul(step)).collect()
}

/// A number of bytes for people: `48 MiB`, `1.5 GiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value.fract() < 0.05 || value >= 100.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start, end).unwrap()
    }

    /// Two mappings of 4 KiB with a gap between them, 4 seconds: a hot half that moves, and one that shows no reads.
    pub(crate) fn small() -> HeatMap {
        let mut map = HeatMap::new(vec![
            Mapping { name: "heap".into(), range: range(0x1000, 0x2000) },
            Mapping { name: "file".into(), range: range(0x8000, 0x9000) },
        ]);
        for s in 0..4 {
            let (low, high) = if s < 2 { (1.0, 0.0) } else { (0.0, 1.0) };
            let regions = [
                (range(0x1000, 0x1800), Cell::Rate(low)),
                (range(0x1800, 0x2000), Cell::Rate(high)),
                (range(0x8000, 0x8800), Cell::Unseen),
                (range(0x8800, 0x9000), Cell::Rate(0.5)),
            ];
            map.push(Duration::from_secs(s), Duration::from_secs(s + 1), regions);
        }
        map
    }

    #[test]
    fn a_cell_is_the_mean_over_its_bytes_and_time() {
        let map = small();
        assert_eq!(
            map.grid(range(0x1000, 0x2000), 2, 2),
            [[Cell::Rate(1.0), Cell::Rate(0.0)], [Cell::Rate(0.0), Cell::Rate(1.0)]]
        );
        assert_eq!(map.grid(range(0x1000, 0x2000), 1, 1), [[Cell::Rate(0.5)]]);
    }

    #[test]
    fn a_mark_is_in_the_cells_that_it_fills_by_half_or_lies_in() {
        let mut map = small();
        let at = |s, start, end| (Duration::from_secs(s), range(start, end));
        map.mark("done", [at(1, 0x1400, 0x1e00), at(3, 0x1100, 0x1180), at(3, 0x7000, 0x7800), at(4, 0x1000, 0x2000)]);
        let (no, low, high) = ([false, false], [true, false], [false, true]);
        assert_eq!(map.marked(range(0x1000, 0x2000), 4, 2), [no, [true, true], no, low]);
        map.mark("done", [at(2, 0x1700, 0x2000)]);
        assert_eq!(map.marked(range(0x1000, 0x2000), 4, 2)[2], high);
    }

    #[test]
    fn what_most_of_a_cell_is_decides_where_nothing_is_known() {
        let map = small();
        assert_eq!(map.grid(range(0x8000, 0x8c00), 1, 1), [[Cell::Unseen]]);
        assert_eq!(map.grid(range(0x4000, 0x5000), 1, 1), [[Cell::Unmapped]]);
    }

    #[test]
    fn bytes_read_like_a_person_says_them() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(48 << 20), "48 MiB");
        assert_eq!(bytes(3 << 29), "1.5 GiB");
        assert_eq!(bytes(1023 << 10), "1023 KiB");
    }

    #[test]
    fn marks_stand_at_round_numbers() {
        assert_eq!(byte_ticks(20 << 20), [0, 4, 8, 12, 16, 20].map(|n| n << 20));
        assert_eq!((byte_ticks(0), byte_ticks(u64::MAX).last()), (vec![0], Some(&u64::MAX)));
        assert_eq!(time_ticks(Duration::from_secs(20), 6), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(time_ticks(Duration::from_secs(1), 2), [0.0, 0.5, 1.0]);
        assert_eq!(time_ticks(Duration::ZERO, 2), [0.0]);
    }
}
