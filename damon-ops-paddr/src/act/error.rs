//! What can go wrong with acting on physical memory.

use std::path::PathBuf;

use damon_core::{Action, TargetId, Unsupported};
use damon_ops_vaddr::linux::act::ProcessError;
use damon_ops_vaddr::linux::{FileError, FilterError};

use crate::area::AreaError;
use crate::files::ReadError;
use crate::metrics::CgroupError;

/// Why an actor could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActorError {
    /// The unit of addresses is not a power of two.
    #[error("addr_unit is {0}, but must be a power of two: that of the backend that watches")]
    Unit(u64),
    /// Who maps a page cannot be told.
    #[error("physical memory cannot be acted on here: {0}")]
    File(#[from] FileError),
    /// Processes could not be listed.
    #[error("cannot find out who maps a page: {0}")]
    Processes(ReadError),
}

/// Why something was not done, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// Nobody does it: [`supports`](damon_core::ApplyOps::supports) says so before.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The addresses are not known to be physical.
    #[error("target {} is not physical memory: name it in ActorOptions::targets if it is", .0.get())]
    UnknownTarget(TargetId),
    /// Processes could not be listed.
    #[error("cannot find out who maps a page: {0}")]
    Processes(ReadError),
    /// Page flags or counts could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Filters could not be answered.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// It was refused for all of a process's memory.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The memory of a node could not be found.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// There is no cgroup to reclaim from.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// A cgroup's `memory.reclaim` could not be used.
    #[error("cannot write {}: {source}; it takes root and Linux 5.19", path.display())]
    Reclaim {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// What the kernel has no call for, and what to do instead.
pub(super) const fn unsupported(action: Action) -> Option<&'static str> {
    match action {
        Action::Pageout | Action::Cold | Action::LruDeprio => None,
        Action::MigrateHot | Action::MigrateCold | Action::Stat => None,
        Action::LruPrio => Some("no system call does it to others' memory: use lru_deprio on what is cold"),
        Action::Willneed => Some("what has a physical address is in memory already: watch virtual addresses"),
        Action::Hugepage | Action::Nohugepage | Action::Collapse => {
            Some("huge pages are made of virtual addresses: watch those of the process")
        }
        _ => Some("the kernel knows no such action: use an actor of your own"),
    }
}
