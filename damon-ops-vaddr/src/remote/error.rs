//! What can go wrong with other processes: making a [`Remote`](super::Remote), adding to it, stepping it.

use std::io;

use super::capabilities::MethodReport;
use crate::linux::{FileError, FilterError, MapsError, ProcessOpenError};
use crate::own::Outcome;

/// No way to see accesses of other processes works here: what was tried, why it failed, what would make it work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenError {
    /// All ways, with their outcomes.
    pub tried: Vec<MethodReport>,
}

impl std::error::Error for OpenError {}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no way to see accesses of other processes works:")?;
        let mut tried = self.tried.iter().filter(|report| report.outcome != Outcome::NotAsked);
        tried.try_for_each(|report| write!(f, "\n  {report}"))?;
        f.write_str("\nA process that cooperates can watch itself (Own), hand over a userfaultfd (Handed), or report its accesses.")
    }
}

/// Why processes are not watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The process cannot be held or read.
    #[error(transparent)]
    Process(#[from] ProcessOpenError),
    /// It is a target already.
    #[error(
        "process {pid} is watched already: unwatch it first, or watch the tree or the cgroup that it is in instead"
    )]
    Twice {
        /// Which.
        pid: u32,
    },
    /// Its mappings cannot be read.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// The members of the tree or the cgroup cannot be found out.
    #[error(transparent)]
    Members(#[from] FileError),
    /// So many targets there were that no number is left that was never used.
    #[error("no target id is left: make a new Remote")]
    NoIdLeft,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// A file of the kernel's failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The mappings of a process could not be read.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// Probes could not be answered.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

impl RemoteError {
    /// Is it worth another try: interrupted, busy, out of memory or descriptors for the moment?
    pub(crate) fn is_transient(&self) -> bool {
        use io::ErrorKind::{Interrupted, OutOfMemory, WouldBlock};
        let source = match self {
            Self::File(e) | Self::Filter(FilterError::File(e)) => &e.source,
            Self::Maps(MapsError::Read { source, .. }) => source,
            _ => return false,
        };
        // ENFILE, EMFILE
        matches!(source.kind(), Interrupted | WouldBlock | OutOfMemory)
            || matches!(source.raw_os_error(), Some(23 | 24))
    }
}
