//! When a scheme works at all: between a high and a low mark of some metric.
//!
//! Counterpart: `damos_wmark_wait_us` (`mm/damon/core.c`, Linux 7.3).

/// The marks, in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Marks {
    /// Above it there is no need.
    pub high: u64,
    /// From above it starts here, so that it does not flap around `high`.
    pub mid: u64,
    /// Below it others must help: this would be in the way.
    pub low: u64,
}

/// Is it active from here on, given that it was or was not?
///
/// ```
/// use damon_core::control::watermarks::{Marks, active};
/// let marks = Marks { high: 500, mid: 400, low: 200 };
/// assert!(!active(false, 450, marks) && active(true, 450, marks));
/// assert!(active(false, 399, marks) && !active(true, 199, marks));
/// ```
pub const fn active(was: bool, metric: u64, marks: Marks) -> bool {
    if metric > marks.high || metric < marks.low {
        return false;
    }
    was || metric < marks.mid
}
