//! A live view of a monitor in a terminal.
//!
//! ```text
//!   kdamond ── Look ──▶┐                          ┌──▶ screen::draw ──▶ terminal, dump
//!   keys ──── Action ──▶ State::update ──▶ State ─┤
//!   /proc ─── Mapped ──▶┘        │                └──▶ plain: a line a second
//!                                └──▶ Wish: dump, suspend, quit
//! ```
//!
//! The state is a plain value; what draws it only reads it.

mod dump;
mod history;
mod ink;
pub mod keys;
mod live;
mod look;
mod meter;
mod panels;
mod plain;
pub mod screen;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod tty;
mod units;

pub use ink::{Ink, expects_unicode};
pub use live::Live;
pub use look::Look;
pub use state::{Event, State, Wish};

/// What is done where a process may not be watched page by page.
pub const COARSELY: &str = "watched coarsely instead: by whole mappings, which slows it down";

/// What can be done where a process may not be watched page by page.
pub const OTHERWISE: &str = "without page_idle: --coarse watches a process of one's own, by whole mappings once a second; --demo a \
    built-in program";
