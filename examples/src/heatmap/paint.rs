//! What every picture is drawn with: text, lines, cells in their colours, the legend.

use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use super::{Cell, palette};

const FONT: &str = "sans-serif";
/// The size of text in pixels.
pub(crate) const TEXT: i32 = 15;
pub(crate) const FRAME: RGBColor = RGBColor(60, 60, 60);
const PAPER: RGBColor = RGBColor(225, 225, 225);
const HATCH: RGBColor = RGBColor(140, 140, 140);

pub(crate) type Area<B> = DrawingArea<B, Shift>;
pub(crate) type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Pixels, the lower right corner outside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) right: i32,
    pub(crate) bottom: i32,
}

pub(super) fn cell<B: DrawingBackend>(area: &Area<B>, cell: Cell, frame: Frame) -> Drawn<B> {
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

/// The colours of access rates, from `start` on in a line whose middle is `middle` pixels down.
pub(super) fn legend<B: DrawingBackend>(area: &Area<B>, start: i32, middle: i32) -> Drawn<B> {
    let (top, bottom) = (middle - 11, middle + 11);
    text(area, "access rate", (start, middle), HPos::Left, VPos::Center, TEXT)?;
    let (left, right) = (start + 130, start + 430);
    text(area, "0", (left - 8, middle), HPos::Right, VPos::Center, TEXT)?;
    for x in left..right {
        let rate = (x - left) as f32 / (right - left) as f32;
        cell(area, Cell::Rate(rate), Frame { left: x, top, right: x + 1, bottom })?;
    }
    text(area, "1: in every sample", (right + 8, middle), HPos::Left, VPos::Center, TEXT)
}

/// What is drawn where reads are invisible, and where nothing is known.
pub(super) fn unseen_legend<B: DrawingBackend>(area: &Area<B>, start: i32, middle: i32) -> Drawn<B> {
    let (top, bottom) = (middle - 11, middle + 11);
    let unseen = Frame { left: start, top, right: start + 50, bottom };
    cell(area, Cell::Unseen, unseen)?;
    outline(area, unseen)?;
    text(area, "unseen: reads invisible", (unseen.right + 10, middle), HPos::Left, VPos::Center, TEXT)?;
    let unknown = Frame { left: start + 285, right: start + 335, ..unseen };
    outline(area, unknown)?;
    text(area, "not watched", (unknown.right + 10, middle), HPos::Left, VPos::Center, TEXT)
}

pub(crate) fn text<B: DrawingBackend>(
    area: &Area<B>,
    what: &str,
    at: (i32, i32),
    h: HPos,
    v: VPos,
    size: i32,
) -> Drawn<B> {
    area.draw_text(what, &(FONT, size).into_text_style(area).color(&BLACK).pos(Pos::new(h, v)), at)
}

pub(crate) fn line<B: DrawingBackend>(area: &Area<B>, from: (i32, i32), to: (i32, i32), colour: &RGBColor) -> Drawn<B> {
    area.draw(&PathElement::new([from, to], colour))
}

pub(super) fn fill<B: DrawingBackend>(area: &Area<B>, frame: Frame, colour: &RGBColor) -> Drawn<B> {
    area.draw(&Rectangle::new([(frame.left, frame.top), (frame.right, frame.bottom)], colour.filled()))
}

pub(crate) fn outline<B: DrawingBackend>(area: &Area<B>, frame: Frame) -> Drawn<B> {
    area.draw(&Rectangle::new([(frame.left, frame.top), (frame.right, frame.bottom)], FRAME))
}

/// Text in a bitmap needs a font, and the system may have none.
pub(crate) fn embed_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A font that does not parse shows up in the first text that is drawn.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::HACK_REGULAR);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

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
