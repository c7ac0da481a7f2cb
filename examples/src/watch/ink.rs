//! How heat, heights and words look: with the colours of a terminal, or with characters whose ink keeps the order.

use ratatui::style::{Color, Modifier, Style};

use crate::heatmap::Cell;
use crate::heatmap::palette::{INK, TERMINAL, step};
use crate::heatmap::terminal::{UNMAPPED, UNSEEN};

const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What it is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink {
    /// 256 colours.
    pub colour: bool,
    /// Characters beyond ASCII.
    pub unicode: bool,
}

impl Ink {
    /// A cell of the heat map.
    pub fn heat(self, cell: Cell) -> (char, Style) {
        let grey = |index| if self.colour { Style::new().fg(Color::Indexed(index)) } else { Style::new() };
        match cell {
            Cell::Rate(rate) if self.colour => (' ', Style::new().bg(Color::Indexed(TERMINAL[step(rate)]))),
            Cell::Rate(rate) => (INK[step(rate)], Style::new()),
            Cell::Unseen => (UNSEEN, grey(245)),
            Cell::Unmapped => (UNMAPPED, grey(240)),
        }
    }

    /// So high a part of a line; what is not nothing is never drawn as nothing.
    pub fn height(self, part: f64) -> char {
        let scale: &[char] = if self.unicode { &HEIGHTS } else { &INK };
        let top = scale.len() - 1;
        let step = (part.clamp(0.0, 1.0) * top as f64).ceil() as usize;
        scale[step.min(top)]
    }

    /// What carries a figure's name.
    pub const fn faint(self) -> Style {
        if self.colour { Style::new().fg(Color::Indexed(245)) } else { Style::new() }
    }

    /// What is to be seen first.
    pub const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is marked.
    pub const fn marked(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Does the terminal expect UTF-8? The first of these variables that is set tells.
pub fn expects_unicode() -> bool {
    let value =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| std::env::var(name).ok()).find(|v| !v.is_empty());
    value.is_some_and(|v| v.to_uppercase().replace('-', "").contains("UTF8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Ink = Ink { colour: false, unicode: false };

    #[test]
    fn without_colour_more_ink_is_hotter_and_no_style_is_needed() {
        let drawn: Vec<_> = (0..10).map(|i| PLAIN.heat(Cell::Rate(i as f32 / 9.0))).collect();
        assert!(drawn.iter().all(|(c, style)| c.is_ascii() && *style == Style::new()));
        assert_eq!(drawn.iter().map(|d| d.0).collect::<String>(), " .:-=+*#%@");
    }

    #[test]
    fn unseen_is_never_drawn_as_cold() {
        for colour in [false, true] {
            let ink = Ink { colour, ..PLAIN };
            let [cold, unseen, unmapped] = [Cell::Rate(0.0), Cell::Unseen, Cell::Unmapped].map(|c| ink.heat(c));
            assert!(cold != unseen && cold != unmapped && unseen != unmapped);
        }
    }

    #[test]
    fn heights_rise_and_a_little_is_not_nothing() {
        for ink in [PLAIN, Ink { unicode: true, ..PLAIN }] {
            let mut heights: Vec<_> = (0..=100).map(|i| ink.height(f64::from(i) / 100.0)).collect();
            assert_eq!((heights[0], heights[1] == ' '), (' ', false));
            heights.dedup();
            assert_eq!(heights.len(), if ink.unicode { 9 } else { 10 });
        }
    }
}
