//! A figure over an axis as a picture, SVG or PNG: steps, filled below, and lines to read it by.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::paint::{Area, Drawn, FRAME, Frame, TEXT, embed_font, fill, line, outline, text};
use super::picture::{PictureError, SIZE, failed, writable};

const FRAME_AT: Frame = Frame { left: 120, top: 96, right: 1170, bottom: 700 };
const GRID: RGBColor = RGBColor(222, 222, 222);
/// Of viridis, and orange: told apart in grey and by colour-blind eyes.
const BELOW: RGBColor = RGBColor(176, 205, 222);
const EDGE: RGBColor = RGBColor(38, 88, 122);
const MARK: RGBColor = RGBColor(213, 94, 0);

/// An axis: from where to where, and what stands at it.
#[derive(Clone, Debug)]
pub struct Scale {
    /// What it measures, with the unit if its marks do not say it.
    pub label: &'static str,
    /// Its ends; the first above 0 where it is logarithmic.
    pub ends: (f64, f64),
    /// Each step is as many times as far, not as much further.
    pub logarithmic: bool,
    /// Where something stands, and what.
    pub ticks: Vec<(f64, String)>,
}

/// A picture of 1200 × 800.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What stands over it.
    pub title: String,
    /// The line below that.
    pub note: String,
    /// To the right.
    pub x: Scale,
    /// Up.
    pub y: Scale,
    /// From where to where, how much: rising and without overlap.
    pub steps: Vec<(f64, f64, f64)>,
    /// Lines across, with what they are.
    pub marks: Vec<(f64, String)>,
}

impl Scale {
    /// How far along the axis, 0 to 1.
    fn part(&self, value: f64) -> f64 {
        let (from, to) = self.ends;
        let part = if self.logarithmic { (value / from).ln() / (to / from).ln() } else { (value - from) / (to - from) };
        if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    }
}

impl Chart {
    /// Draws it into the file `path`, as SVG or PNG.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn draw(&self, path: &Path, svg: bool) -> Result<(), PictureError> {
        writable(path)?;
        if svg {
            self.on(&SVGBackend::new(path, SIZE).into_drawing_area()).map_err(|e| failed(path, &e))
        } else {
            self.on(&BitMapBackend::new(path, SIZE).into_drawing_area()).map_err(|e| failed(path, &e))
        }
    }

    fn on<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        embed_font();
        area.fill(&WHITE)?;
        let frame = FRAME_AT;
        text(area, &self.title, (frame.left, 12), HPos::Left, VPos::Top, TEXT + 5)?;
        text(area, &self.note, (frame.left, 44), HPos::Left, VPos::Top, TEXT)?;
        let y = |value| frame.bottom - (self.y.part(value) * f64::from(frame.bottom - frame.top)) as i32;
        let x = |value| frame.left + (self.x.part(value) * f64::from(frame.right - frame.left)) as i32;
        for (at, label) in &self.y.ticks {
            line(area, (frame.left, y(*at)), (frame.right, y(*at)), &GRID)?;
            text(area, label, (frame.left - 9, y(*at)), HPos::Right, VPos::Center, TEXT - 2)?;
        }
        self.steps(area, &y)?;
        for (at, label) in &self.x.ticks {
            line(area, (x(*at), frame.bottom), (x(*at), frame.bottom + 5), &FRAME)?;
            text(area, label, (x(*at), frame.bottom + 8), HPos::Center, VPos::Top, TEXT - 2)?;
        }
        outline(area, frame)?;
        for (at, label) in &self.marks {
            fill(area, Frame { left: frame.left, top: y(*at) - 1, right: frame.right, bottom: y(*at) + 1 }, &MARK)?;
            let width = label.chars().count() as i32 * (TEXT * 5 / 8) + 12;
            let above = y(*at) - 24;
            let (left, top) = (frame.right - width - 8, if above > frame.top { above } else { y(*at) + 4 });
            let paper = Frame { left, top, right: left + width, bottom: top + 20 };
            fill(area, paper, &WHITE)?;
            text(area, label, (left + 6, top + 10), HPos::Left, VPos::Center, TEXT)?;
        }
        text(area, self.y.label, (frame.left, frame.top - 8), HPos::Left, VPos::Bottom, TEXT)?;
        let middle = (frame.left + frame.right) / 2;
        text(area, self.x.label, (middle, frame.bottom + 34), HPos::Center, VPos::Top, TEXT)?;
        area.present()
    }

    /// Pixel by pixel, from the least to the most of what falls into one.
    fn steps<B: DrawingBackend>(&self, area: &Area<B>, y: &impl Fn(f64) -> i32) -> Drawn<B> {
        let columns = self.columns((FRAME_AT.right - FRAME_AT.left) as usize);
        let mut left = FRAME_AT.left;
        for run in columns.chunk_by(|a, b| a == b) {
            let right = left + run.len() as i32;
            if let Some((low, high)) = run[0] {
                fill(area, Frame { left, top: y(low), right, bottom: FRAME_AT.bottom }, &BELOW)?;
                fill(area, Frame { left, top: y(high) - 1, right, bottom: y(low) + 2 }, &EDGE)?;
            }
            left = right;
        }
        Ok(())
    }

    /// The least and the most of each of so many columns; from one to the next the line is not broken.
    fn columns(&self, width: usize) -> Vec<Option<(f64, f64)>> {
        let mut out: Vec<Option<(f64, f64)>> = vec![None; width];
        let mut last: Option<(f64, f64)> = None;
        for &(from, to, value) in &self.steps {
            let column = |at: f64| (self.x.part(at) * width as f64 + 1e-9) as usize;
            let first = column(from).min(width - 1);
            let after = column(to).clamp(first + 1, width);
            let mut widen = |i: usize, value: f64| {
                let (low, high) = out[i].unwrap_or((value, value));
                out[i] = Some((low.min(value), high.max(value)));
            };
            (first..after).for_each(|i| widen(i, value));
            if let Some((_, before)) = last.filter(|(until, _)| *until >= from) {
                widen(first, before);
            }
            last = Some((to, value));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(label: &'static str, ends: (f64, f64), logarithmic: bool) -> Scale {
        Scale { label, ends, logarithmic, ticks: vec![(ends.0, "low".into()), (ends.1, "high".into())] }
    }

    fn chart(logarithmic: bool) -> Chart {
        Chart {
            title: "a title".into(),
            note: "a note".into(),
            x: scale("time (s)", (1.0, 10_000.0), logarithmic),
            y: scale("bytes", (0.0, 4.0), false),
            steps: vec![(1.0, 10.0, 1.0), (10.0, 100.0, 3.0), (1_000.0, 10_000.0, 2.0)],
            marks: vec![(2.0, "the mean".into())],
        }
    }

    #[test]
    fn columns_hold_what_falls_into_them_and_gaps_stay_empty() {
        let of = |low, high| Some((low, high));
        assert_eq!(chart(true).columns(4), [of(1.0, 1.0), of(1.0, 3.0), None, of(2.0, 2.0)]);
        assert_eq!(chart(false).columns(2), [of(1.0, 3.0), of(2.0, 2.0)]);
    }

    #[test]
    fn a_picture_has_its_words_and_its_size() {
        let path = std::env::temp_dir().join(format!("damon-chart-{}.svg", std::process::id()));
        chart(true).draw(&path, true).unwrap();
        let drawn = std::fs::read_to_string(&path).unwrap();
        for word in ["a title", "a note", "time (s)", "bytes", "low", "high", "the mean"] {
            assert!(drawn.contains(word), "{word}");
        }
        std::fs::remove_file(&path).unwrap();
        let path = path.with_extension("png");
        chart(false).draw(&path, false).unwrap();
        let file = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((&file[16..20], &file[20..24]), (&1200_u32.to_be_bytes()[..], &800_u32.to_be_bytes()[..]));
        assert!(chart(true).draw(Path::new("/nowhere/x.png"), false).is_err());
    }
}
