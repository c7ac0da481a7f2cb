//! Which key does what: the one table that keys are looked up in, and that the help is made of.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a person can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stops and continues the picture; monitoring goes on.
    Pause,
    /// Looks back in time.
    Earlier,
    /// Looks forward in time.
    Later,
    /// Less time in a column.
    TimeIn,
    /// More time in a column.
    TimeOut,
    /// The region above.
    Up,
    /// The region below.
    Down,
    /// Fewer addresses: those around the region.
    ZoomIn,
    /// More addresses.
    ZoomOut,
    /// Sorts regions otherwise.
    Sort,
    /// Shows figures in other units.
    Units,
    /// Goes to the next target.
    Target,
    /// Draws with colours, or with characters.
    Colour,
    /// Writes picture and record into files.
    Dump,
    /// Says what works here and what is missed.
    Info,
    /// Explains keys and signs.
    Help,
    /// Draws all anew.
    Redraw,
    /// Gives the terminal back for a while.
    Suspend,
    /// Ends.
    Quit,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The keys.
    pub keys: &'static [KeyCode],
    /// What they do.
    pub action: Action,
    /// How a person calls the keys.
    pub shown: &'static str,
    /// What they do, in a few words.
    pub what: &'static str,
}

const fn binding(keys: &'static [KeyCode], action: Action, shown: &'static str, what: &'static str) -> Binding {
    Binding { keys, action, shown, what }
}

use KeyCode::{Backspace, Char, Esc};

/// All keys, in the order in which the help lists them.
pub const KEYS: [Binding; 17] = [
    binding(&[Char(' '), Char('p')], Action::Pause, "space", "pause and go on: monitoring never stops"),
    binding(&[KeyCode::Left, Char('h')], Action::Earlier, "left", "earlier"),
    binding(&[KeyCode::Right, Char('l')], Action::Later, "right", "later"),
    binding(&[Char('+'), Char('=')], Action::TimeIn, "+", "less time in a column"),
    binding(&[Char('-')], Action::TimeOut, "-", "more time in a column"),
    binding(&[KeyCode::Up, Char('k')], Action::Up, "up", "the region above"),
    binding(&[KeyCode::Down, Char('j')], Action::Down, "down", "the region below"),
    binding(&[KeyCode::Enter, Char('z')], Action::ZoomIn, "enter", "zoom: to the region's mapping, then to the region"),
    binding(&[Esc, Backspace], Action::ZoomOut, "esc", "all addresses again"),
    binding(&[Char('s')], Action::Sort, "s", "sort by hotness, size, age, address"),
    binding(&[Char('u')], Action::Units, "u", "units: % of samples, Hz, plain numbers"),
    binding(&[Char('t'), KeyCode::Tab], Action::Target, "t", "next target"),
    binding(&[Char('c')], Action::Colour, "c", "colours or characters"),
    binding(&[Char('d')], Action::Dump, "d", "dump: this picture and the record into files"),
    binding(&[Char('i')], Action::Info, "i", "what works here, and what is missed"),
    binding(&[Char('?'), KeyCode::F(1)], Action::Help, "?", "this help"),
    binding(&[Char('q')], Action::Quit, "q", "quit"),
];

impl Action {
    /// What a key asks for, if anything.
    pub fn of(key: KeyEvent) -> Option<Self> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                Char('c') => Some(Self::Quit),
                Char('z') => Some(Self::Suspend),
                Char('l') => Some(Self::Redraw),
                _ => None,
            };
        }
        KEYS.iter().find(|b| b.keys.contains(&key.code)).map(|b| b.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_and_each_is_found() {
        let all: Vec<_> = KEYS.iter().flat_map(|b| b.keys.iter().map(|k| (*k, b.action))).collect();
        for (i, &(key, action)) in all.iter().enumerate() {
            assert!(!all[..i].iter().any(|(k, _)| *k == key), "{key:?} is there twice");
            assert_eq!(Action::of(KeyEvent::from(key)), Some(action));
        }
    }

    #[test]
    fn control_keys_are_not_taken_for_letters() {
        let control = |c| Action::of(KeyEvent::new(Char(c), KeyModifiers::CONTROL));
        assert_eq!([control('c'), control('z'), control('s')], [Some(Action::Quit), Some(Action::Suspend), None]);
    }
}
