//! Who accesses what, how often, when: pieces that compose.
//!
//! A piece is a pure function of time, so a run can be repeated and a truth can be asked for afterwards.

mod blocks;
mod motion;
mod phases;
mod picture;

use damon_core::{AddrRange, Instant};

pub use blocks::{Blocks, zipf};
pub use motion::{Growing, Moving, Scanning};
pub use phases::{Cycle, Phases, Place, Stack};
pub use picture::Picture;

/// How often the pages of a range are accessed: independent Poisson processes, one a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heat {
    /// The addresses.
    pub range: AddrRange,
    /// Mean accesses to each page per second. Below zero and NaN count as 0.
    pub hz: f64,
    /// What part of them are writes, 0 to 1; what is outside counts as the nearer end.
    pub writes: f64,
}

impl Heat {
    /// Accesses without writes.
    pub const fn reads(range: AddrRange, hz: f64) -> Self {
        Self { range, hz, writes: 0.0 }
    }

    /// The probability that a page is accessed within `seconds`.
    pub fn probability(&self, seconds: f64) -> f64 {
        crate::chance::probability(self.hz.max(0.0) * seconds)
    }
}

/// What accesses memory.
pub trait Workload: Send {
    /// Appends what is accessed at time `at`, in painting order: where heats overlap the later one counts.
    ///
    /// Returns until when that holds, later than `at`; [`Instant::MAX`] if it does not change any more.
    fn paint(&self, at: Instant, out: &mut Vec<Heat>) -> Instant;
}

impl<W: Workload + ?Sized> Workload for Box<W> {
    fn paint(&self, at: Instant, out: &mut Vec<Heat>) -> Instant {
        (**self).paint(at, out)
    }
}
