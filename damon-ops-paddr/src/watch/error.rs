//! What can go wrong with watching physical memory: making a [`Paddr`](super::Paddr), adding to it, stepping it.

use std::io;

use damon_core::TargetId;
use damon_ops_vaddr::linux::{FileError, FilterError};

use super::capabilities::Capabilities;
use crate::area::{Area, AreaError};

/// Why a [`Paddr`](crate::Paddr) could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The unit of addresses is not a power of two.
    #[error("addr_unit is {0}, but must be a power of two: 1, or what makes addresses fit")]
    Unit(u64),
    /// Something that it takes does not work.
    #[error("physical memory cannot be watched here:\n{0}")]
    Lacks(Box<Capabilities>),
}

/// Why a target is not watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// Its addresses could not be found.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// None of it is memory now.
    #[error("target {}: there is no memory in {area:?} now: `lsmem`, or Topology::read, shows what is online", .target.get())]
    Empty {
        /// The target.
        target: TargetId,
        /// What it was to be.
        area: Area,
    },
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PaddrError {
    /// The addresses of a target could not be found.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// Page flags or idle flags could not be read or set.
    #[error(transparent)]
    File(#[from] FileError),
    /// Probes could not be answered.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

impl PaddrError {
    /// Is it worth another try: interrupted, busy, out of memory?
    pub(super) fn is_transient(&self) -> bool {
        use io::ErrorKind::{Interrupted, OutOfMemory, WouldBlock};
        match self {
            Self::File(e) | Self::Filter(FilterError::File(e)) => {
                matches!(e.source.kind(), Interrupted | WouldBlock | OutOfMemory)
            }
            _ => false,
        }
    }
}
