//! The atomics of the bag: loom's where all interleavings are explored, else those of `core`.

#[cfg(not(loom))]
pub(super) use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicU32, Ordering};

/// A cache line of its own, with the one that is fetched beside it.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Line<T>(pub(super) T);
