//! What can go wrong with memory that is handed over: offering it, taking it, stepping it.

use std::io;

use damon_core::AddrRange;

use super::wire::LinkError;
use crate::linux::MapsError;
use crate::own::error::IoAt;

/// Why memory could not be offered, or a request about it was not granted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// The kernel has no userfaultfd that resolves faults by itself.
    #[error("this kernel's userfaultfd has neither RWP_ASYNC (Linux 7.3) nor WP_ASYNC (Linux 6.7)")]
    NothingWorks,
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// More ranges than fit a hello.
    #[error("{0} ranges are too many: offer at most 1024, or none, which offers all private anonymous memory")]
    TooManyRanges(usize),
    /// The exchange with the monitor failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The monitor refused.
    #[error("the monitor refused: {0}")]
    Refused(Refusal),
}

/// Why a monitor refused what was offered or asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Another version of the protocol.
    #[error("it speaks another version of the protocol")]
    Version,
    /// A userfaultfd whose faults wait for somebody.
    #[error("the userfaultfd has neither WP_ASYNC nor RWP_ASYNC: make it with one of them")]
    Synchronous,
    /// Another userfaultfd has the range.
    #[error("another userfaultfd has the range: unregister it there first, or hand that one over")]
    RangeOwned,
    /// Anything else: the monitor's error says it.
    #[error("what was handed over cannot be watched; the monitor's error says why")]
    Unfit,
}

impl Refusal {
    /// As it goes over the socket; 0 means granted.
    pub(super) const fn status(self) -> u32 {
        match self {
            Self::Version => 1,
            Self::Synchronous => 2,
            Self::RangeOwned => 3,
            Self::Unfit => 4,
        }
    }

    pub(super) fn of_status(status: u32) -> Option<Self> {
        match status {
            0 => None,
            1 => Some(Self::Version),
            2 => Some(Self::Synchronous),
            3 => Some(Self::RangeOwned),
            _ => Some(Self::Unfit),
        }
    }
}

/// Why what a process handed over is not watched. The process is told, and all descriptors are closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The exchange failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Another version of the protocol.
    #[error("the process speaks version {0} of the protocol, this is version 1: use the same library on both sides")]
    Version(u32),
    /// Pages of another size.
    #[error("the process has pages of {theirs} bytes, here they have {ours}")]
    PageSize {
        /// The process's.
        theirs: u64,
        /// The monitor's.
        ours: u64,
    },
    /// A descriptor is not what it should be.
    #[error("descriptor {index} is {is:?}, not {should}")]
    WrongDescriptor {
        /// Its place in the hello.
        index: usize,
        /// What `/proc/self/fd` calls it; empty: there is none.
        is: String,
        /// What it should be.
        should: &'static str,
    },
    /// Faults of this userfaultfd wait for somebody to answer: whoever is armed would hang.
    #[error(
        "the userfaultfd (features {features:#x}) leaves faults to be answered: make it with \
         UFFD_FEATURE_WP_ASYNC (and WP_HUGETLBFS_SHMEM for shared memory), or with UFFD_FEATURE_RWP_ASYNC"
    )]
    Synchronous {
        /// What it was made with.
        features: u64,
    },
    /// Nobody is behind the socket, or nobody that can be named here.
    #[error("the process behind the socket cannot be named: {0}; it must have connected the socket, and live")]
    NoPeer(io::Error),
    /// One process connected the socket, another one's memory came over it.
    #[error("process {pid} connected the socket, but {file} came over it: a process must connect it by itself")]
    Foreign {
        /// Who connected.
        pid: u32,
        /// What came.
        file: String,
    },
    /// The userfaultfd and the page table are two processes'.
    #[error("the userfaultfd and the page table belong to different processes")]
    Mismatch,
    /// Another userfaultfd has an offered range.
    #[error("{range} is registered with another userfaultfd: its owner can hand over that one")]
    RangeOwned {
        /// The range.
        range: AddrRange,
    },
    /// None of what was offered can be watched.
    #[error("none of the offered memory can be watched: {0}")]
    NothingWatched(String),
    /// The process's mappings could not be read.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl AcceptError {
    /// What the process is told.
    pub(super) const fn refusal(&self) -> Refusal {
        match self {
            Self::Version(_) => Refusal::Version,
            Self::Synchronous { .. } => Refusal::Synchronous,
            Self::RangeOwned { .. } => Refusal::RangeOwned,
            _ => Refusal::Unfit,
        }
    }
}

/// Why a step, or a request, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandedError {
    /// The process's mappings could not be read.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// A system call failed.
    #[error("cannot {what} {at}: {source}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// Where: the first range, if there are several.
        at: String,
        /// Why not.
        source: io::Error,
    },
    /// Another userfaultfd has a range that is to be taken back. It stays released.
    #[error("{range} is registered with another userfaultfd: it stays released until that one unregisters it")]
    RangeOwned {
        /// The range.
        range: AddrRange,
    },
}

impl From<IoAt> for HandedError {
    fn from(IoAt { what, at, source }: IoAt) -> Self {
        Self::Io { what, at, source }
    }
}
