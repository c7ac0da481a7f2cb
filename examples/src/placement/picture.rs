//! What happened over time on a machine as a picture, SVG or PNG: how fast its programs were, and where what they access was.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Comparison, POLICIES};
use crate::heatmap::paint::{Area, Drawn, FRAME, Frame, TEXT, embed_font, line, outline, text};
use crate::heatmap::{PictureError, failed, time_ticks, writable};

/// Pixels.
const SIZE: (u32, u32) = (1200, 800);
const LEFT: i32 = 80;
const RIGHT: i32 = 1040;
const PANELS: [(i32, i32); 2] = [(104, 408), (460, 730)];
/// Characters of a line of the note.
const NOTE: usize = 140;
const GRID: RGBColor = RGBColor(225, 225, 225);
/// So many points of a series are averaged: a percent of the time is one.
const MEAN: usize = 2;

/// Colours that are told apart by colour-blind eyes (Okabe and Ito), in the order of [`POLICIES`]; each has a mark of its own besides.
const INK: [RGBColor; 7] = [
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
];
const MARKS: [&str; 7] = ["N", "B", "T", "D", "H", "O", "*"];

/// Draws the runs of the first seed as SVG into the file `path`.
///
/// # Errors
/// When the file cannot be written.
pub fn svg(c: &Comparison, note: &str, path: &Path) -> Result<(), PictureError> {
    writable(path)?;
    draw(c, note, &SVGBackend::new(path, SIZE).into_drawing_area()).map_err(|e| failed(path, &e))
}

/// Draws the runs of the first seed as PNG, 1200 × 800, into the file `path`.
///
/// # Errors
/// When the file cannot be written.
pub fn png(c: &Comparison, note: &str, path: &Path) -> Result<(), PictureError> {
    writable(path)?;
    draw(c, note, &BitMapBackend::new(path, SIZE).into_drawing_area()).map_err(|e| failed(path, &e))
}

/// Points over time, in seconds and percent.
type Line = Vec<(f64, f64)>;

fn draw<B: DrawingBackend>(c: &Comparison, note: &str, area: &Area<B>) -> Drawn<B> {
    embed_font();
    area.fill(&WHITE)?;
    text(
        area,
        &format!("{}: throughput, and where the hot memory is", c.spec.name),
        (LEFT, 12),
        HPos::Left,
        VPos::Top,
        TEXT + 5,
    )?;
    for (i, part) in wrapped(note, NOTE).iter().enumerate() {
        text(area, part, (LEFT, 38 + 16 * i as i32), HPos::Left, VPos::Top, TEXT - 3)?;
    }
    let titles = [
        "throughput, in % of that with all memory in DRAM",
        "part of the accesses that go to DRAM, in % (by weight of programs)",
    ];
    for ((frame, title), lines) in PANELS.iter().zip(titles).zip([speeds(c), shares(c)]) {
        let frame = Frame { left: LEFT, top: frame.0, right: RIGHT, bottom: frame.1 };
        text(area, title, (LEFT, frame.top - 6), HPos::Left, VPos::Bottom, TEXT)?;
        panel(area, c, frame, &lines)?;
    }
    text(area, "time (s)", ((LEFT + RIGHT) / 2, SIZE.1 as i32 - 36), HPos::Center, VPos::Top, TEXT)?;
    let from = format!("measured from {} s on (dashed)", c.spec.measure_from_s);
    text(area, &from, (RIGHT, SIZE.1 as i32 - 36), HPos::Right, VPos::Top, TEXT - 2)?;
    area.present()
}

/// How fast the programs are, relative to what they were with all memory in DRAM: the mean by weight.
fn speeds(c: &Comparison) -> Vec<Line> {
    let Some(dram) = c.dram.first() else { return Vec::new() };
    let whole: f64 = dram.programs.iter().filter(|p| p.ops_per_s > 0.0).map(|p| p.weight).sum();
    let speed = |ops: &[f64]| {
        let counts = dram.programs.iter().zip(ops).filter(|(p, _)| p.weight > 0.0 && p.ops_per_s > 0.0);
        counts.map(|(p, ops)| p.weight * ops / p.ops_per_s).sum::<f64>() / whole.max(f64::MIN_POSITIVE)
    };
    series(c, |p| 100.0 * speed(&p.ops_per_s))
}

fn shares(c: &Comparison) -> Vec<Line> {
    series(c, |p| 100.0 * p.upper_share)
}

fn series(c: &Comparison, of: impl Fn(&damon_ops_sim::tiering::Point) -> f64) -> Vec<Line> {
    let line = |outcome: &damon_ops_sim::tiering::Outcome| {
        let mean = |points: &[damon_ops_sim::tiering::Point]| {
            let n = points.len().max(1) as f64;
            (points.iter().map(|p| p.at_s).sum::<f64>() / n, points.iter().map(&of).sum::<f64>() / n)
        };
        outcome.series.chunks(MEAN).map(mean).collect()
    };
    c.runs.iter().map(|runs| runs.first().map(line).unwrap_or_default()).collect()
}

/// What the axis goes over: what there is while throughput is measured, and a tenth more.
fn bounds(lines: &[Line], from: f64) -> (f64, f64) {
    let values = || lines.iter().flatten().filter(|p| p.0 >= from).map(|p| p.1);
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
    if low > high {
        return (0.0, 100.0);
    }
    let more = ((high - low) / 10.0).max(0.5);
    ((low - more).max(0.0), high + more)
}

fn panel<B: DrawingBackend>(area: &Area<B>, c: &Comparison, frame: Frame, lines: &[Line]) -> Drawn<B> {
    let (low, high) = bounds(lines, c.spec.measure_from_s);
    let seconds = c.spec.seconds;
    let x = |t: f64| frame.left + (t / seconds * f64::from(frame.right - frame.left)) as i32;
    let y = |v: f64| {
        let part = ((v - low) / (high - low)).clamp(0.0, 1.0);
        frame.bottom - (part * f64::from(frame.bottom - frame.top)) as i32
    };
    for v in steps(low, high) {
        line(area, (frame.left, y(v)), (frame.right, y(v)), &GRID)?;
        text(
            area,
            &format!("{}", (v * 10.0).round() / 10.0),
            (frame.left - 8, y(v)),
            HPos::Right,
            VPos::Center,
            TEXT - 2,
        )?;
    }
    for t in time_ticks(std::time::Duration::from_secs_f64(seconds), 8) {
        line(area, (x(t), frame.bottom), (x(t), frame.bottom + 5), &FRAME)?;
        text(area, &format!("{t}"), (x(t), frame.bottom + 8), HPos::Center, VPos::Top, TEXT - 2)?;
    }
    for top in (frame.top..frame.bottom).step_by(12) {
        let at = x(c.spec.measure_from_s);
        line(area, (at, top), (at, (top + 6).min(frame.bottom)), &FRAME)?;
    }
    for (i, points) in lines.iter().enumerate() {
        let style = INK[i % INK.len()].stroke_width(2);
        let inside = |p: &(f64, f64)| (low..=high).contains(&p.1);
        for run in points.chunk_by(|a, b| inside(a) && inside(b)).filter(|run| run.len() > 1) {
            area.draw(&PathElement::new(run.iter().map(|p| (x(p.0), y(p.1))).collect::<Vec<_>>(), style))?;
        }
        // Marks of different lines stand at different times.
        let every = (points.len() / 5).max(1);
        let marked = points.iter().skip(every / 2 + i * every / lines.len().max(1)).step_by(every);
        for p in marked.filter(|p| inside(p)) {
            mark(area, i, (x(p.0), y(p.1)))?;
        }
    }
    outline(area, frame)?;
    names(area, frame, lines, y)
}

/// The lines' names beside their ends, in the order of the ends.
fn names<B: DrawingBackend>(area: &Area<B>, frame: Frame, lines: &[Line], y: impl Fn(f64) -> i32) -> Drawn<B> {
    const LINE: i32 = 24;
    let mut ends: Vec<(i32, usize)> = lines.iter().enumerate().filter_map(|(i, l)| Some((y(l.last()?.1), i))).collect();
    ends.sort_unstable();
    let mut next = frame.top;
    let count = ends.len() as i32;
    for (n, (end, i)) in ends.into_iter().enumerate() {
        // Below the one before, and with room for those after.
        let at = end.max(next).min(frame.bottom - LINE * (count - 1 - n as i32));
        next = at + LINE;
        line(area, (frame.right, end), (frame.right + 18, at), &INK[i % INK.len()])?;
        mark(area, i, (frame.right + 30, at))?;
        text(
            area,
            POLICIES.get(i).copied().unwrap_or_default(),
            (frame.right + 46, at),
            HPos::Left,
            VPos::Center,
            TEXT,
        )?;
    }
    Ok(())
}

fn mark<B: DrawingBackend>(area: &Area<B>, policy: usize, at: (i32, i32)) -> Drawn<B> {
    let ink = INK[policy % INK.len()];
    area.draw(&Circle::new(at, 9, WHITE.filled()))?;
    area.draw(&Circle::new(at, 9, ink.stroke_width(2)))?;
    text(area, MARKS[policy % MARKS.len()], at, HPos::Center, VPos::Center, TEXT - 3)
}

/// Lines of so many characters at most, cut between words.
fn wrapped(what: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in what.split_whitespace() {
        match lines.last_mut().filter(|line| line.len() + word.len() < width) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.into()),
        }
    }
    lines
}

/// Some round values between two.
fn steps(low: f64, high: f64) -> Vec<f64> {
    let rough = ((high - low) / 6.0).max(1e-6);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|s| s * power).into_iter().find(|s| *s >= rough).unwrap_or(power * 10.0);
    let first = (low / step).ceil() as i64;
    (first..).map(|i| i as f64 * step).take_while(|v| *v <= high).collect()
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::small;
    use super::*;

    #[test]
    fn a_line_is_a_percentage_of_what_all_dram_gives_and_none_is_the_lowest() {
        let c = small();
        let (speeds, shares) = (speeds(&c), shares(&c));
        assert_eq!((speeds.len(), shares.len()), (POLICIES.len(), POLICIES.len()));
        let end = |line: &Line| line.last().unwrap().1;
        let (none, oracle) = (end(&speeds[0]), end(&speeds[POLICIES.len() - 1]));
        assert!(none < oracle && (98.0..=101.0).contains(&oracle), "{none} {oracle}");
        assert!(end(&shares[0]) < 60.0 && end(&shares[POLICIES.len() - 1]) > 95.0);
    }

    #[test]
    fn every_policy_has_a_colour_and_a_mark_of_its_own() {
        assert_eq!((INK.len(), MARKS.len()), (POLICIES.len(), POLICIES.len()));
        assert!((0..7).all(|i| (0..i).all(|j| INK[i] != INK[j] && MARKS[i] != MARKS[j])));
    }

    #[test]
    fn a_picture_is_of_1200_by_800_and_one_that_cannot_be_written_says_where() {
        let path = std::env::temp_dir().join(format!("damon-placement-{}.png", std::process::id()));
        png(&small(), "a note", &path).unwrap();
        let file = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let size = |at: usize| u32::from_be_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
        assert_eq!((size(16), size(20)), SIZE);
        let refused = svg(&small(), "", Path::new("/nowhere/x.svg")).unwrap_err().to_string();
        assert!(refused.contains("/nowhere/x.svg"), "{refused}");
    }

    #[test]
    fn long_notes_are_cut_between_words() {
        assert_eq!(wrapped("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("", 9), Vec::<String>::new());
    }

    #[test]
    fn steps_are_round_and_between_the_bounds() {
        assert_eq!(steps(0.3, 10.2), [2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(bounds(&[vec![(0.0, 5.0), (10.0, 20.0), (11.0, 30.0)]], 10.0), (19.0, 31.0));
        assert_eq!(bounds(&[], 0.0), (0.0, 100.0));
    }
}
