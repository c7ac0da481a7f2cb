//! Draws the state: what is where on a screen of whatever size.

mod figures;
mod heat;
mod overlay;
mod regions;
mod schemes;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::ink::Ink;
use super::state::State;
use super::units::Units;

/// From this width on there is room for figures beside the regions.
const BOTH: u16 = 76;
/// The width of the figures.
const FIGURES: u16 = 31;

/// Less room than that tells nobody what is watched.
const NAME: u16 = 20;

/// A part of the screen that is drawn on; whatever goes beyond it is cut.
struct Page<'a> {
    buf: &'a mut Buffer,
    area: Rect,
    ink: Ink,
}

impl Page<'_> {
    /// Writes `text` from column `x` of line `y` on, and says where it ends.
    fn put(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        if x >= self.area.width || y >= self.area.height {
            return x;
        }
        let room = usize::from(self.area.width - x);
        let (end, _) = self.buf.set_stringn(self.area.x + x, self.area.y + y, text, room, style);
        end - self.area.x
    }

    /// The same so that it ends before column `end`, as far as there is room.
    fn put_right(&mut self, end: u16, y: u16, text: &str, style: Style) {
        let width = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
        self.put(end.min(self.area.width).saturating_sub(width), y, text, style);
    }

    /// A part of it.
    fn part(&mut self, x: u16, y: u16, width: u16, height: u16) -> Page<'_> {
        let Rect { width: w, height: h, .. } = self.area;
        let (x, y) = (x.min(w), y.min(h));
        let area = Rect { x: self.area.x + x, y: self.area.y + y, width: width.min(w - x), height: height.min(h - y) };
        Page { buf: self.buf, area, ink: self.ink }
    }
}

/// Draws `state` on all of `area`.
pub fn draw(state: &State, ink: Ink, area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    let mut page = Page { buf, area, ink };
    let Rect { width, height, .. } = area;
    title(state, &mut page);
    let body = height.saturating_sub(2);
    if body > 0 {
        footer(state, &mut page.part(0, height - 1, width, 1));
    }
    let list = schemes::lines(state);
    let scheme_lines = u16::try_from(list.len()).unwrap_or(u16::MAX).min(body / 4);
    let rest = body - scheme_lines;
    // Where there is little room the picture has it.
    let lower = if rest >= 12 { rest * 5 / 11 } else { 0 };
    heat::draw(state, &mut page.part(0, 1, width, rest - lower));
    let regions = if width >= BOTH { width - FIGURES } else { width };
    regions::draw(state, &mut page.part(0, 1 + rest - lower, regions.saturating_sub(u16::from(width >= BOTH)), lower));
    if width >= BOTH {
        figures::draw(state, &mut page.part(regions, 1 + rest - lower, FIGURES, lower));
    }
    let mut page_of_schemes = page.part(0, 1 + rest, width, scheme_lines);
    for (y, line) in (0..scheme_lines).zip(&list) {
        page_of_schemes.put(0, y, line, Style::new());
    }
    if let Some(overlay) = state.overlay {
        overlay::draw(state, overlay, &mut page.part(0, 1, width, body));
    }
}

/// Whose memory it is, how much, and how the picture stands, which is worth more than the rest where there is little room.
fn title(state: &State, page: &mut Page<'_>) {
    let ink = page.ink;
    let status = match (&state.ended, state.paused()) {
        (Some(how), _) => format!(" {how} "),
        (None, Some(ago)) => format!(" PAUSED, {} ago ", Units::Percent.time(ago)),
        (None, None) if state.look.is_none() => " waiting for the first aggregation ".into(),
        _ => String::new(),
    };
    let width = page.area.width;
    page.put_right(width, 0, &status, ink.marked());
    let taken = u16::try_from(status.chars().count()).unwrap_or(u16::MAX);
    let mut left = page.part(0, 0, width.saturating_sub(taken), 1);
    let mut figures = String::new();
    if let Some((id, n, all)) = state.target().filter(|(.., all)| *all > 1) {
        let pid = state.mapped.get(&id).and_then(|m| m.0);
        let pid = pid.map_or(String::new(), |pid| format!(" = process {pid}"));
        figures += &format!("  target {} of {all}{pid}", n + 1);
    }
    if let Some(s) = state.snapshot() {
        let all = Units::Percent.size(s.watched_bytes());
        figures += &format!("  {all} in {} regions", s.regions().count());
    }
    // A command may be of any length; its beginning tells what it is, and is worth more than the rest.
    let all = left.area.width;
    let room = all.saturating_sub(u16::try_from(figures.chars().count()).unwrap_or(u16::MAX));
    let mut name = left.part(0, 0, if room < NAME { all } else { room }, 1);
    let x = name.put(0, 0, "watch ", ink.strong());
    let x = name.put(x, 0, &state.title, ink.strong());
    left.put(x, 0, &figures, Style::new());
}

fn footer(state: &State, page: &mut Page<'_>) {
    if let Some(said) = &state.said {
        page.put(0, 0, said, page.ink.marked());
        return;
    }
    let keys = [
        ("q", "quit"),
        ("?", "help"),
        ("space", "pause"),
        ("s", "sort"),
        ("u", "units"),
        ("+-", "time"),
        ("enter", "zoom"),
        ("d", "dump"),
    ];
    let mut x = 0;
    for (key, what) in keys {
        x = page.put(x, 0, key, page.ink.strong());
        x = page.put(x, 0, &format!(" {what}  "), page.ink.faint());
    }
}

#[cfg(test)]
mod tests;
