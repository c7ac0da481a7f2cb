//! The heat map in a terminal: addresses go down, time goes right.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use super::{Cell, HeatMap, bytes, palette, time_ticks};

pub(crate) const UNSEEN: char = '/';
pub(crate) const UNMAPPED: char = '~';
const MARK: char = 'v';
/// Room for an offset, left of each row.
const MARGIN: usize = 11;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Characters in a line.
    pub width: usize,
    /// Lines of cells at most, over all mappings.
    pub rows: usize,
    /// It has 256 colours, and wants them.
    pub colour: bool,
}

impl Terminal {
    /// Standard output: without colours where it is no terminal, or does not [want](wants_colour) them.
    pub fn stdout() -> Self {
        let width = console::Term::stdout().size_checked().map_or(80, |(_, columns)| usize::from(columns));
        Self { width: width.max(40), rows: 36, colour: std::io::stdout().is_terminal() && wants_colour() }
    }
}

/// Neither is `NO_COLOR` set, nor says `TERM` that there are no 256 colours: `dumb`, the console, those of old.
pub fn wants_colour() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".into());
    !no_color && !["dumb", "linux", "vt", "ansi"].iter().any(|few| term.starts_with(few)) && !term.ends_with("-mono")
}

/// Draws `map` for `terminal`: a panel for each mapping, marks of time, and what the marks mean.
pub fn render(map: &HeatMap, terminal: Terminal) -> String {
    let width = terminal.width.saturating_sub(MARGIN + 2).max(1);
    let row_bytes = row_bytes(map, terminal.rows);
    let mut out = format!(
        "time goes right, {:.2} s a column; addresses go down, {} a row\n",
        map.time().as_secs_f64() / width as f64,
        bytes(row_bytes)
    );
    for mapping in map.mappings() {
        let _ = writeln!(out, "{}: {} at {:#x}", mapping.name, bytes(mapping.range.size()), mapping.range.start());
        let (size, rows) = (mapping.range.size(), mapping.range.size().div_ceil(row_bytes));
        let grid = map.grid(mapping.range, width, rows as usize);
        let marked = map.marked(mapping.range, width, rows as usize);
        for row in 0..rows as usize {
            let label = if row % 4 == 0 { bytes(row as u64 * (size / rows)) } else { String::new() };
            let _ = write!(out, "{label:>MARGIN$}|");
            let mut pen = Pen::new(terminal.colour);
            grid.iter().zip(&marked).for_each(|(column, marked)| pen.put(&mut out, column[row], marked[row]));
            pen.lift(&mut out);
            out.push_str("|\n");
        }
    }
    time_axis(&mut out, map, width);
    legend(&mut out, map, terminal.colour);
    out
}

/// The bytes of a row, a power of two: rows of all mappings are alike, and not more than `rows` if that is possible.
fn row_bytes(map: &HeatMap, rows: usize) -> u64 {
    let count = |row: u64| map.mappings().iter().map(|m| m.range.size().div_ceil(row)).sum::<u64>();
    let most = (rows as u64).max(map.mappings().len() as u64);
    (0..63).map(|shift| 1 << shift).find(|&row| count(row) <= most).unwrap_or(1 << 63)
}

fn time_axis(out: &mut String, map: &HeatMap, width: usize) {
    let seconds = map.time().as_secs_f64().max(f64::MIN_POSITIVE);
    let mut line = " ".repeat(MARGIN + 1);
    for tick in time_ticks(map.time(), (width / 12).max(1)) {
        let at = MARGIN + 1 + (tick / seconds * width as f64) as usize;
        let label = format!("{} s", (tick * 1000.0).round() / 1000.0);
        if at + label.len() <= MARGIN + 2 + width && at >= line.len() {
            let _ = write!(line, "{:1$}{label}", "", at - line.len());
        }
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

fn legend(out: &mut String, map: &HeatMap, colour: bool) {
    out.push_str("access rate 0 ");
    let mut pen = Pen::new(colour);
    (0..10).for_each(|step| pen.put(out, Cell::Rate(step as f32 / 9.0), false));
    pen.lift(out);
    out.push_str(" 1   ");
    (0..3).for_each(|_| pen.put(out, Cell::Unseen, false));
    pen.lift(out);
    out.push_str(" unseen: reads are invisible here\n");
    (0..3).for_each(|_| pen.put(out, Cell::Unmapped, false));
    pen.lift(out);
    out.push_str(" not watched then\n");
    if !map.marked.is_empty() {
        pen.put(out, Cell::Rate(0.0), true);
        pen.lift(out);
        let _ = writeln!(out, " {}", map.marked);
    }
}

/// Writes cells, and says a colour only where it changes.
#[derive(Debug)]
struct Pen {
    colour: bool,
    now: Option<Colour>,
}

/// Indices among the 256 colours of terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Ink(u8),
    Paper(u8),
    /// The ink of marks, on paper.
    Mark(u8),
}

impl Pen {
    const fn new(colour: bool) -> Self {
        Self { colour, now: None }
    }

    fn put(&mut self, out: &mut String, cell: Cell, marked: bool) {
        let (ink, colour) = match cell {
            Cell::Rate(rate) => {
                let step = palette::step(rate);
                (if self.colour { ' ' } else { palette::INK[step] }, Colour::Paper(palette::TERMINAL[step]))
            }
            Cell::Unseen => (UNSEEN, Colour::Ink(245)),
            Cell::Unmapped => (UNMAPPED, Colour::Ink(240)),
        };
        let (ink, colour) = match colour {
            Colour::Paper(paper) if marked => (MARK, Colour::Mark(paper)),
            _ if marked => (MARK, colour),
            _ => (ink, colour),
        };
        if self.colour && self.now != Some(colour) {
            let _ = match colour {
                Colour::Paper(n) => write!(out, "\x1b[48;5;{n}m"),
                Colour::Mark(n) => write!(out, "\x1b[38;5;255;48;5;{n}m"),
                Colour::Ink(n) => write!(out, "\x1b[0;38;5;{n}m"),
            };
            self.now = Some(colour);
        }
        out.push(ink);
    }

    fn lift(&mut self, out: &mut String) {
        if self.now.take().is_some() {
            out.push_str("\x1b[0m");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::small;
    use super::*;

    #[test]
    fn a_map_without_colour_is_drawn_in_ink() {
        let drawn = render(&small(), Terminal { width: 33, rows: 4, colour: false });
        let expected = "\
time goes right, 0.20 s a column; addresses go down, 2 KiB a row
heap: 4 KiB at 0x1000
        0 B|@@@@@@@@@@          |
           |          @@@@@@@@@@|
file: 4 KiB at 0x8000
        0 B|////////////////////|
           |++++++++++++++++++++|
            0 s
access rate 0  .:-=+*#%@ 1   /// unseen: reads are invisible here
~~~ not watched then
";
        assert_eq!(drawn, expected, "{drawn}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [66, 80, 200] {
            let drawn = render(&small(), Terminal { width, rows: 8, colour: false });
            assert!(drawn.lines().all(|l| l.chars().count() <= width), "{width}\n{drawn}");
        }
    }

    #[test]
    fn colours_are_said_where_they_change_and_end_with_the_line() {
        let drawn = render(&small(), Terminal { width: 17, rows: 4, colour: true });
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines[2], "        0 B|\x1b[48;5;226m  \x1b[48;5;53m  \x1b[0m|");
        assert_eq!(lines[5], "        0 B|\x1b[0;38;5;245m////\x1b[0m|");
    }

    #[test]
    fn marks_stand_over_the_cells_and_in_the_legend() {
        let mut map = small();
        map.mark("marked cold", [(std::time::Duration::from_secs(2), map.mappings()[0].range)]);
        let terminal = Terminal { width: 33, rows: 4, colour: false };
        let drawn = render(&map, terminal);
        assert!(drawn.contains("        0 B|@@@@@@@@@@v         |\n"), "{drawn}");
        assert!(drawn.ends_with("then\nv marked cold\n"), "{drawn}");
        let drawn = render(&map, Terminal { colour: true, ..terminal });
        assert!(drawn.contains("\x1b[38;5;255;48;5;53mv\x1b[48;5;53m "), "{drawn:?}");
    }

    #[test]
    fn rows_are_shared_by_size() {
        assert_eq!(row_bytes(&small(), 4), 2048);
        assert_eq!(row_bytes(&small(), 5), 2048);
        assert_eq!(row_bytes(&small(), 1), 4096);
    }
}
