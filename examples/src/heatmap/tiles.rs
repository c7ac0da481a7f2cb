//! Heat maps beside each other: a row for each memory, a column for each who drew it.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::paint::{Area, Drawn, FRAME, Frame, TEXT, cell, embed_font, legend, line, outline, text};
use super::picture::{PictureError, failed, writable};
use super::{HeatMap, bytes, time_ticks};

/// Pixels of a tile, of what is between tiles and of what is around them.
const TILE: (i32, i32) = (340, 240);
const GAP: (i32, i32) = (26, 84);
const LEFT: i32 = 110;
const TOP: i32 = 118;
const BOTTOM: i32 = 118;
const RIGHT: i32 = 30;

/// The maps of one memory, each with what stands over it. All are of the first mapping of the first.
#[derive(Clone, Debug)]
pub struct Row {
    /// What stands over the row.
    pub title: String,
    /// From left to right.
    pub maps: Vec<(String, HeatMap)>,
}

/// Draws `rows` as PNG into the file `path`, with the names of `columns` over the first.
///
/// # Errors
/// When the file cannot be written.
pub fn tiles_png(rows: &[Row], columns: &[&str], title: &str, path: &Path) -> Result<(), PictureError> {
    writable(path)?;
    let (across, down) = (columns.len() as i32, rows.len() as i32);
    let size = (LEFT + across * (TILE.0 + GAP.0) - GAP.0 + RIGHT, TOP + down * (TILE.1 + GAP.1) - GAP.1 + BOTTOM);
    let backend = BitMapBackend::new(path, (size.0 as u32, size.1 as u32)).into_drawing_area();
    draw(rows, columns, title, &backend, size.1).map_err(|e| failed(path, &e))
}

fn draw<B: DrawingBackend>(rows: &[Row], columns: &[&str], title: &str, area: &Area<B>, height: i32) -> Drawn<B> {
    embed_font();
    area.fill(&WHITE)?;
    text(area, title, (LEFT, 12), HPos::Left, VPos::Top, TEXT + 5)?;
    let left = |i: usize| LEFT + i as i32 * (TILE.0 + GAP.0);
    for (i, name) in columns.iter().enumerate() {
        text(area, name, (left(i), 52), HPos::Left, VPos::Top, TEXT + 2)?;
    }
    for (r, row) in rows.iter().enumerate() {
        let top = TOP + r as i32 * (TILE.1 + GAP.1);
        text(area, &row.title, (LEFT, top - 27), HPos::Left, VPos::Bottom, TEXT)?;
        for (i, (note, map)) in row.maps.iter().enumerate() {
            let frame = Frame { left: left(i), top, right: left(i) + TILE.0, bottom: top + TILE.1 };
            text(area, note, (frame.left, top - 6), HPos::Left, VPos::Bottom, TEXT - 2)?;
            tile(area, map, frame)?;
            if i == 0 {
                offsets(area, map, frame)?;
            }
        }
    }
    let last = TOP + rows.len() as i32 * (TILE.1 + GAP.1) - GAP.1;
    text(area, "time (s)", (LEFT + TILE.0 / 2, last + 30), HPos::Center, VPos::Top, TEXT)?;
    text(area, "offset", (LEFT - 9, last + 30), HPos::Right, VPos::Top, TEXT - 2)?;
    legend(area, LEFT, height - 30)?;
    area.present()
}

/// A map's first mapping, with the times under it.
fn tile<B: DrawingBackend>(area: &Area<B>, map: &HeatMap, frame: Frame) -> Drawn<B> {
    let Some(mapping) = map.mappings().first() else { return Ok(()) };
    let columns = map.columns.len().clamp(1, TILE.0 as usize);
    for (i, column) in map.grid(mapping.range, columns, TILE.1 as usize).iter().enumerate() {
        let x = |i: usize| frame.left + (i * TILE.0 as usize / columns) as i32;
        let mut top = frame.top;
        for run in column.chunk_by(|a, b| a == b) {
            let bottom = top + run.len() as i32;
            cell(area, run[0], Frame { left: x(i), top, right: x(i + 1), bottom })?;
            top = bottom;
        }
    }
    outline(area, frame)?;
    let seconds = map.time().as_secs_f64().max(f64::MIN_POSITIVE);
    for tick in time_ticks(map.time(), 4) {
        let x = frame.left + (tick / seconds * f64::from(TILE.0)) as i32;
        line(area, (x, frame.bottom), (x, frame.bottom + 5), &FRAME)?;
        let label = format!("{}", (tick * 1000.0).round() / 1000.0);
        text(area, &label, (x, frame.bottom + 8), HPos::Center, VPos::Top, TEXT - 2)?;
    }
    Ok(())
}

fn offsets<B: DrawingBackend>(area: &Area<B>, map: &HeatMap, frame: Frame) -> Drawn<B> {
    let Some(size) = map.mappings().first().map(|m| m.range.size()) else { return Ok(()) };
    let step = (size / 5).next_power_of_two();
    for offset in (0..=size).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let y = frame.top + (offset as f64 / size as f64 * f64::from(TILE.1)) as i32;
        line(area, (frame.left - 5, y), (frame.left, y), &FRAME)?;
        text(area, &bytes(offset), (frame.left - 9, y), HPos::Right, VPos::Center, TEXT - 2)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::small;
    use super::*;

    #[test]
    fn rows_and_columns_make_the_size_of_the_picture() {
        let path = std::env::temp_dir().join(format!("damon-tiles-{}.png", std::process::id()));
        let row = Row { title: "a row".into(), maps: vec![("one".into(), small()), ("two".into(), small())] };
        tiles_png(&[row.clone(), row], &["truth", "seen"], "a title", &path).unwrap();
        let file = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let size = |at: usize| u32::from_be_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
        assert_eq!((size(16), size(20)), (110 + 340 + 26 + 340 + 30, 118 + 240 + 84 + 240 + 118));
    }
}
