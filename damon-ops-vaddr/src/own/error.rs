//! What can go wrong with one's own memory: making an [`Own`](super::Own), adding to it, stepping it, acting.

use std::io;

use damon_core::{Action, AddrRange, TargetId, Unsupported};

use super::capabilities::{MethodReport, Outcome};
use crate::linux::MapsError;
use crate::linux::act::ProcessError;
use crate::sys::errno;

/// Why an [`Own`](crate::Own) could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// This is not Linux.
    #[error("memory can be watched on Linux only: elsewhere, report accesses to the monitor (Monitor::report_access)")]
    Unsupported,
    /// None of the ways to see accesses works.
    #[error(transparent)]
    NothingWorks(#[from] NothingWorks),
}

/// No way to see accesses works here: what was tried, why it failed, and what would make it work.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct NothingWorks {
    /// All ways, with their outcomes.
    pub tried: Vec<MethodReport>,
}

impl std::error::Error for NothingWorks {}

impl std::fmt::Display for NothingWorks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no way to see accesses to this process's memory works:")?;
        let mut tried = self.tried.iter().filter(|report| report.outcome != Outcome::NotAsked);
        tried.try_for_each(|report| write!(f, "\n  {report}"))
    }
}

/// Why a range is not watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The mappings could not be read.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// Nothing, or not all of it, is mapped.
    #[error("{range} is not mapped from end to end")]
    NotMapped {
        /// The range.
        range: AddrRange,
    },
    /// Its pages must not be taken out of the page table.
    #[error("{range} ({name}) cannot be watched as shared memory: {why}; watch_private watches private memory")]
    NotShared {
        /// The mapping.
        range: AddrRange,
        /// Its name in `maps`.
        name: String,
        /// What speaks against it.
        why: &'static str,
    },
    /// It is not private anonymous memory.
    #[error("{range} ({name}) is not private anonymous memory; watch_shared and watch_raw watch shared memory")]
    NotPrivate {
        /// The mapping.
        range: AddrRange,
        /// Its name in `maps`.
        name: String,
    },
    /// Some of it is watched already.
    #[error("{range} overlaps {with}, which is watched already")]
    Overlaps {
        /// The range.
        range: AddrRange,
        /// What is watched.
        with: AddrRange,
    },
    /// Somebody else registered it with a userfaultfd.
    #[error("{range} is registered with another userfaultfd: let its owner report accesses, or unregister it first")]
    RangeOwned {
        /// The range.
        range: AddrRange,
    },
    /// The kernel refused to register it.
    #[error("cannot register {range} with userfaultfd: {source}")]
    Register {
        /// The range.
        range: AddrRange,
        /// Why.
        source: io::Error,
    },
    /// No way to see accesses to shared memory works.
    #[error("shared memory cannot be watched here: {0}")]
    NoMethod(NothingWorks),
    /// This is another process than the one that made it.
    #[error(transparent)]
    Forked(Forked),
}

/// A backend for one's own memory was used in a child process, whose memory is not what it watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("made by process {owner} and used in process {pid}: make a new one after fork")]
#[non_exhaustive]
pub struct Forked {
    /// Whose memory is watched.
    pub owner: u32,
    /// Who asked.
    pub pid: u32,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnError {
    /// This is another process than the one that made it.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The mappings could not be read.
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
}

/// A system call about a range failed.
#[derive(Debug)]
pub(crate) struct IoAt {
    /// What was to be done.
    pub(crate) what: &'static str,
    /// Where: the first range, if there are several.
    pub(crate) at: String,
    /// Why not.
    pub(crate) source: io::Error,
}

impl IoAt {
    pub(crate) fn of(what: &'static str, at: Option<&AddrRange>) -> impl FnOnce(io::Error) -> Self {
        let at = at.copied();
        move |source| Self { what, at: at.map_or_else(String::new, |r| r.to_string()), source }
    }

    /// Is it worth another try: interrupted, busy, out of memory?
    pub(crate) fn is_transient(e: &io::Error) -> bool {
        use io::ErrorKind::{Interrupted, OutOfMemory, WouldBlock};
        matches!(e.kind(), Interrupted | WouldBlock | OutOfMemory)
    }
}

impl From<IoAt> for OwnError {
    fn from(IoAt { what, at, source }: IoAt) -> Self {
        Self::Io { what, at, source }
    }
}

/// Why something was not done, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// This is another process than the one that made it.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Another target than the process.
    #[error("target {} is not this process, which is target {}: give each target an actor of its own", .target.get(), .own.get())]
    UnknownTarget {
        /// What was asked for.
        target: TargetId,
        /// What the process is called.
        own: TargetId,
    },
    /// Memory that is not watched.
    #[error("{range} is not watched: add it with watch_shared, watch_raw, watch_private or watch_found first")]
    UnknownRange {
        /// Which.
        range: AddrRange,
    },
    /// What [`OwnActor::supports`](damon_core::ApplyOps::supports) would have said.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The kernel would not.
    #[error("cannot apply {action:?} to {range}: {source}; {}", way_out(.source))]
    Advise {
        /// What was to be done.
        action: Action,
        /// The first part where it failed; the others were tried too.
        range: AddrRange,
        /// Why not.
        source: io::Error,
    },
    /// A migration failed, or some of it.
    #[error(transparent)]
    Migrate(#[from] ProcessError),
    /// The page table cannot be opened.
    #[error("cannot open /proc/self/pagemap: {0}; it takes /proc mounted, and CONFIG_PROC_PAGE_MONITOR")]
    Open(#[source] io::Error),
    /// The state of the pages cannot be read.
    #[error("cannot look at the pages of {range}: {source}; it takes /proc mounted, and all of the range mapped")]
    Look {
        /// Where.
        range: AddrRange,
        /// Why not.
        source: io::Error,
    },
}

/// What helps against what `madvise` answered.
fn way_out(e: &io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(errno::ENOMEM) => {
            "some of it is no longer mapped, or there is no memory for it: it is left out after the next update"
        }
        Some(errno::EAGAIN | errno::EBUSY) => "its pages are in use or locked right now: try again",
        Some(errno::EINVAL) => {
            "locked memory (mlock) and memory of devices cannot be advised: leave it out with a filter"
        }
        Some(errno::EPERM | errno::EACCES) => "a sandbox, or the file's permissions, forbid it",
        _ => "leave it out with a filter",
    }
}
