//! The heat map as a picture, SVG or PNG, drawn without any library of the system.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::paint::{
    Area, Drawn, FRAME, Frame, TEXT, cell, embed_font, fill, legend, line, outline, text, unseen_legend,
};
use super::{HeatMap, Mapping, bytes, time_ticks};

/// Pixels of a picture.
pub(super) const SIZE: (u32, u32) = (1200, 800);
const MARGIN: Margin = Margin { left: 110, right: 30, top: 56, bottom: 118 };
/// Between panels, where the name of the lower one stands.
const GAP: i32 = 36;
/// A panel is at least so high where there is room.
const LEAST: i32 = 30;
const MARK: RGBColor = RGBColor(64, 224, 224);
/// The width of a mark in pixels.
const MARK_WIDTH: i32 = 4;

struct Margin {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw {path}: {cause}; check that the directory exists and can be written")]
pub struct PictureError {
    path: String,
    cause: String,
}

/// Makes an empty file at `path`: what cannot be drawn should be told before there is something to draw.
///
/// # Errors
/// When the file cannot be written.
pub fn writable(path: &Path) -> Result<(), PictureError> {
    std::fs::File::create(path).map(drop).map_err(|e| failed(path, &e))
}

/// Draws `map` as SVG into the file `path`.
///
/// # Errors
/// When the file cannot be written.
pub fn svg(map: &HeatMap, title: &str, path: &Path) -> Result<(), PictureError> {
    writable(path)?;
    draw(map, title, &SVGBackend::new(path, SIZE).into_drawing_area()).map_err(|e| failed(path, &e))
}

/// Draws `map` as PNG, 1200 × 800, into the file `path`.
///
/// # Errors
/// When the file cannot be written.
pub fn png(map: &HeatMap, title: &str, path: &Path) -> Result<(), PictureError> {
    writable(path)?;
    draw(map, title, &BitMapBackend::new(path, SIZE).into_drawing_area()).map_err(|e| failed(path, &e))
}

pub(crate) fn failed(path: &Path, cause: &dyn std::error::Error) -> PictureError {
    PictureError { path: path.display().to_string(), cause: cause.to_string() }
}

fn draw<B: DrawingBackend>(map: &HeatMap, title: &str, area: &Area<B>) -> Drawn<B> {
    embed_font();
    area.fill(&WHITE)?;
    text(area, title, (MARGIN.left, 12), HPos::Left, VPos::Top, TEXT + 5)?;
    let (width, height) = (SIZE.0 as i32 - MARGIN.left - MARGIN.right, SIZE.1 as i32 - MARGIN.top - MARGIN.bottom);
    let panels = map.mappings().len().max(1) as i32;
    let total: u64 = map.mappings().iter().map(|m| m.range.size()).sum();
    let room = height - panels * GAP;
    // What is small may be what is hot.
    let least = LEAST.min(room / (2 * panels)).max(4);
    let mut top = MARGIN.top;
    for mapping in map.mappings() {
        let share = mapping.range.size() as f64 / total.max(1) as f64;
        top += GAP;
        let bottom = top + least + (f64::from((room - panels * least).max(0)) * share) as i32;
        panel(area, map, mapping, Frame { left: MARGIN.left, top, right: MARGIN.left + width, bottom })?;
        top = bottom;
    }
    time_axis(area, map, Frame { left: MARGIN.left, top, right: MARGIN.left + width, bottom: top })?;
    let middle = SIZE.1 as i32 - 27;
    legend(area, MARGIN.left, middle)?;
    unseen_legend(area, MARGIN.left + 615, middle)?;
    if !map.marked.is_empty() {
        let (right, y) = (MARGIN.left + width, top + 38);
        let width = map.marked.len() as i32 * TEXT * 5 / 8;
        fill(area, Frame { left: right - width - 12, top: y - 8, right: right - width - 8, bottom: y + 8 }, &MARK)?;
        text(area, &map.marked, (right, y), HPos::Right, VPos::Center, TEXT)?;
    }
    area.present()
}

/// One mapping: its name, offsets in it, and its cells.
fn panel<B: DrawingBackend>(area: &Area<B>, map: &HeatMap, mapping: &Mapping, frame: Frame) -> Drawn<B> {
    let size = mapping.range.size();
    let name = format!("{}: {} at {:#x}", mapping.name, bytes(size), mapping.range.start());
    text(area, &name, (frame.left, frame.top - 5), HPos::Left, VPos::Bottom, TEXT)?;
    let (width, height) = ((frame.right - frame.left) as usize, (frame.bottom - frame.top) as usize);
    let columns = map.columns.len().clamp(1, width / 2);
    for (i, column) in map.grid(mapping.range, columns, height).iter().enumerate() {
        let x = |i: usize| frame.left + (i * width / columns) as i32;
        let mut top = frame.top;
        for run in column.chunk_by(|a, b| a == b) {
            let bottom = top + run.len() as i32;
            cell(area, run[0], Frame { left: x(i), top, right: x(i + 1), bottom })?;
            top = bottom;
        }
    }
    let time = map.time().as_secs_f64().max(f64::MIN_POSITIVE);
    for (at, marked) in map.marks_in(mapping.range) {
        let x = frame.left + (at.as_secs_f64() / time * width as f64) as i32;
        let y = |addr: u64| frame.top + ((addr - mapping.range.start()) as f64 / size as f64 * height as f64) as i32;
        let (top, right) = (y(marked.start()), (x + MARK_WIDTH).min(frame.right));
        fill(area, Frame { left: x, top, right, bottom: y(marked.end()).max(top + 1) }, &MARK)?;
    }
    outline(area, frame)?;
    let step = (size / (height as u64 / 45).max(1)).next_power_of_two();
    for offset in (0..size).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let y = frame.top + (offset as f64 / size as f64 * height as f64) as i32;
        line(area, (frame.left - 5, y), (frame.left, y), &FRAME)?;
        text(area, &bytes(offset), (frame.left - 9, y), HPos::Right, VPos::Center, TEXT - 2)?;
    }
    Ok(())
}

fn time_axis<B: DrawingBackend>(area: &Area<B>, map: &HeatMap, under: Frame) -> Drawn<B> {
    let seconds = map.time().as_secs_f64().max(f64::MIN_POSITIVE);
    for tick in time_ticks(map.time(), 10) {
        let x = under.left + (tick / seconds * f64::from(under.right - under.left)) as i32;
        line(area, (x, under.bottom), (x, under.bottom + 5), &FRAME)?;
        let label = format!("{}", (tick * 1000.0).round() / 1000.0);
        text(area, &label, (x, under.bottom + 8), HPos::Center, VPos::Top, TEXT - 2)?;
    }
    let middle = (under.left + under.right) / 2;
    text(area, "time since the start (s)", (middle, under.bottom + 30), HPos::Center, VPos::Top, TEXT)?;
    let y = under.bottom + 30;
    text(area, "offset", (MARGIN.left - 9, y), HPos::Right, VPos::Top, TEXT - 2)
}

#[cfg(test)]
mod tests {
    use super::super::tests::small;
    use super::*;

    #[test]
    fn a_picture_names_mappings_units_and_what_is_unseen() {
        let path = std::env::temp_dir().join(format!("damon-heatmap-{}.svg", std::process::id()));
        let mut map = small();
        map.mark("paged out", [(std::time::Duration::from_secs(1), map.mappings()[0].range)]);
        svg(&map, "a title", &path).unwrap();
        let drawn = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for word in [
            "a title",
            "heap: 4 KiB at 0x1000",
            "file: 4 KiB at 0x8000",
            "(s)",
            "unseen",
            "access rate",
            "paged out",
            "#40E0E0",
        ] {
            assert!(drawn.contains(word), "{word}");
        }
    }

    #[test]
    fn a_png_of_the_promised_size_is_written() {
        let path = std::env::temp_dir().join(format!("damon-heatmap-{}.png", std::process::id()));
        png(&small(), "a title", &path).unwrap();
        let file = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!((&file[16..20], &file[20..24]), (&1200_u32.to_be_bytes()[..], &800_u32.to_be_bytes()[..]));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_with_the_way_out() {
        let e = png(&small(), "", Path::new("/nowhere/x.png")).unwrap_err().to_string();
        let wrong = "cannot draw /nowhere/x.png: No such file or directory (os error 2)";
        assert_eq!(e, format!("{wrong}; check that the directory exists and can be written"));
        assert!(svg(&small(), "", Path::new("/nowhere/x.svg")).is_err());
    }
}
