//! Help, and what works here: pages that lie over the picture.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget as _};

use super::Page;
use crate::watch::keys::KEYS;
use crate::watch::state::{Overlay, State};

pub(super) fn draw(state: &State, overlay: Overlay, page: &mut Page<'_>) {
    Clear.render(page.area, page.buf);
    match overlay {
        Overlay::Help => help(state, page),
        Overlay::Info => info(state, page),
    }
}

fn help(state: &State, page: &mut Page<'_>) {
    for (y, b) in (0..).zip(&KEYS) {
        page.put_right(10, y, b.shown, page.ink.strong());
        page.put(12, y, b.what, Style::new());
    }
    let signs = [
        "A column is a step of time, a row a range of addresses; gaps are cut out. `/` is memory whose".to_owned(),
        "reads are invisible: not cold but unknown. hit: part of the samples that found an access; for: since".into(),
        format!("when it is so. Now: {}, sorted by {}.", state.units.name(), state.sort.name()),
    ];
    let width = usize::from(page.area.width.saturating_sub(2)).max(1);
    let text = signs.join(" ");
    for (y, line) in (KEYS.len()..).zip(wrapped(&text, width)) {
        page.put(2, u16::try_from(y).unwrap_or(u16::MAX), &line, page.ink.faint());
    }
}

fn info(state: &State, page: &mut Page<'_>) {
    let Rect { width, height, .. } = page.area;
    let lines = state.info.lines().flat_map(|line| wrapped(line, usize::from(width).max(1)));
    for (y, line) in (0..height).zip(lines) {
        page.put(0, y, &line, Style::new());
    }
}

/// Lines of so many characters at most, broken at spaces where there are any.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let full = |line: &String| line.chars().count() + 1 + word.chars().count() > width;
        match lines.last_mut() {
            Some(line) if !line.is_empty() && !full(line) => {
                line.push(' ');
                line.push_str(word);
            }
            Some(line) if line.is_empty() => line.push_str(word),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
