//! The heat map as a picture, SVG or PNG, drawn without any library of the system.

use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use super::{Cell, HeatMap, Mapping, bytes, palette, time_ticks};

/// Pixels of a picture.
const SIZE: (u32, u32) = (1200, 800);
const MARGIN: Margin = Margin { left: 110, right: 30, top: 56, bottom: 118 };
/// Between panels, where the name of the lower one stands.
const GAP: i32 = 36;
const FONT: &str = "sans-serif";
const TEXT: i32 = 15;
const FRAME: RGBColor = RGBColor(60, 60, 60);
const PAPER: RGBColor = RGBColor(225, 225, 225);
const HATCH: RGBColor = RGBColor(140, 140, 140);
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

fn failed(path: &Path, cause: &dyn std::error::Error) -> PictureError {
    PictureError { path: path.display().to_string(), cause: cause.to_string() }
}

type Area<B> = DrawingArea<B, Shift>;
type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

fn draw<B: DrawingBackend>(map: &HeatMap, title: &str, area: &Area<B>) -> Drawn<B> {
    embed_font();
    area.fill(&WHITE)?;
    text(area, title, (MARGIN.left, 12), HPos::Left, VPos::Top, TEXT + 5)?;
    let (width, height) = (SIZE.0 as i32 - MARGIN.left - MARGIN.right, SIZE.1 as i32 - MARGIN.top - MARGIN.bottom);
    let panels = map.mappings().len() as i32;
    let total: u64 = map.mappings().iter().map(|m| m.range.size()).sum();
    let mut top = MARGIN.top;
    for mapping in map.mappings() {
        let share = mapping.range.size() as f64 / total.max(1) as f64;
        top += GAP;
        let bottom = top + ((f64::from(height - panels * GAP) * share) as i32).max(4);
        panel(area, map, mapping, Frame { left: MARGIN.left, top, right: MARGIN.left + width, bottom })?;
        top = bottom;
    }
    time_axis(area, map, Frame { left: MARGIN.left, top, right: MARGIN.left + width, bottom: top })?;
    legend(area)?;
    if !map.marked.is_empty() {
        let (right, y) = (MARGIN.left + width, top + 38);
        let width = map.marked.len() as i32 * TEXT * 5 / 8;
        fill(area, Frame { left: right - width - 12, top: y - 8, right: right - width - 8, bottom: y + 8 }, &MARK)?;
        text(area, &map.marked, (right, y), HPos::Right, VPos::Center, TEXT)?;
    }
    area.present()
}

/// Pixels, the lower right corner outside.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Frame {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
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

fn cell<B: DrawingBackend>(area: &Area<B>, cell: Cell, frame: Frame) -> Drawn<B> {
    match cell {
        Cell::Rate(rate) => {
            let (r, g, b) = palette::rgb(rate);
            fill(area, frame, &RGBColor(r, g, b))
        }
        Cell::Unseen => {
            fill(area, frame, &PAPER)?;
            hatch(frame).try_for_each(|(from, to)| line(area, from, to, &HATCH))
        }
        Cell::Unmapped => Ok(()),
    }
}

/// Diagonal lines inside a frame that go on in the frame beside it.
fn hatch(frame: Frame) -> impl Iterator<Item = ((i32, i32), (i32, i32))> {
    const STEP: i32 = 9;
    let Frame { left, top, right, bottom } = frame;
    let first = (left + top).div_euclid(STEP) * STEP;
    (first..right + bottom).step_by(STEP as usize).filter_map(move |sum| {
        let (from, to) = (left.max(sum - bottom + 1), (right - 1).min(sum - top));
        (from <= to).then_some(((from, sum - from), (to, sum - to)))
    })
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

fn legend<B: DrawingBackend>(area: &Area<B>) -> Drawn<B> {
    let (top, bottom) = (SIZE.1 as i32 - 38, SIZE.1 as i32 - 16);
    let middle = (top + bottom) / 2;
    text(area, "access rate", (MARGIN.left, middle), HPos::Left, VPos::Center, TEXT)?;
    let (left, right) = (MARGIN.left + 130, MARGIN.left + 430);
    text(area, "0", (left - 8, middle), HPos::Right, VPos::Center, TEXT)?;
    for x in left..right {
        let rate = (x - left) as f32 / (right - left) as f32;
        cell(area, Cell::Rate(rate), Frame { left: x, top, right: x + 1, bottom })?;
    }
    text(area, "1 (found in every sample)", (right + 8, middle), HPos::Left, VPos::Center, TEXT)?;
    let unseen = Frame { left: MARGIN.left + 680, top, right: MARGIN.left + 730, bottom };
    cell(area, Cell::Unseen, unseen)?;
    outline(area, unseen)?;
    text(area, "unseen: reads are invisible here", (unseen.right + 10, middle), HPos::Left, VPos::Center, TEXT)
}

fn text<B: DrawingBackend>(area: &Area<B>, what: &str, at: (i32, i32), h: HPos, v: VPos, size: i32) -> Drawn<B> {
    area.draw_text(what, &(FONT, size).into_text_style(area).color(&BLACK).pos(Pos::new(h, v)), at)
}

fn line<B: DrawingBackend>(area: &Area<B>, from: (i32, i32), to: (i32, i32), colour: &RGBColor) -> Drawn<B> {
    area.draw(&PathElement::new([from, to], colour))
}

fn fill<B: DrawingBackend>(area: &Area<B>, frame: Frame, colour: &RGBColor) -> Drawn<B> {
    area.draw(&Rectangle::new([(frame.left, frame.top), (frame.right, frame.bottom)], colour.filled()))
}

fn outline<B: DrawingBackend>(area: &Area<B>, frame: Frame) -> Drawn<B> {
    area.draw(&Rectangle::new([(frame.left, frame.top), (frame.right, frame.bottom)], FRAME))
}

/// Text in a bitmap needs a font, and the system may have none.
fn embed_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A font that does not parse shows up in the first text that is drawn.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::HACK_REGULAR);
    });
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

    #[test]
    fn hatching_stays_inside_and_goes_on_next_door() {
        let (a, b) =
            (Frame { left: 3, top: 2, right: 20, bottom: 30 }, Frame { left: 20, top: 2, right: 31, bottom: 30 });
        for frame in [a, b] {
            for ((x0, y0), (x1, y1)) in hatch(frame) {
                assert!(frame.left <= x0 && x1 < frame.right && frame.top <= y1 && y0 < frame.bottom);
                assert_eq!((x0 + y0, (x0 + y0) % 9), (x1 + y1, 0));
            }
        }
        assert!(hatch(a).count() > 3 && hatch(b).count() > 2);
    }
}
