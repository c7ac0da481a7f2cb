//! What watching has cost so far.

/// Counts since an [`Own`](crate::Own) was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Samples that had to be armed: zapped, protected, or both.
    pub armed: u64,
    /// Samples that needed nothing: not accessed since they were last armed, or not there.
    pub already_armed: u64,
    /// Samples that could not be armed.
    pub refused: u64,
    /// Samples that were checked.
    pub checks: u64,
    /// Those that gave [`Seen::Unknown`](damon_core::Seen::Unknown).
    pub unknown: u64,
    /// System calls of arming and checking.
    pub syscalls: u64,
}
