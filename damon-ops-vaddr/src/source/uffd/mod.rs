//! The first touch of each page of a shared mapping since it was dropped from the page table, reported by userfaultfd: for the
//! memory of a guest, a cache or an arena that lives in a memfd.
//!
//! Counterpart: `Documentation/admin-guide/mm/userfaultfd.rst`, "Minor fault", Linux 7.3.
//!
//! ```text
//!  rearm ──▶ the page is in the memfd, not in the page table
//!  a thread touches it ──▶ it waits ──▶ this source's thread: maps the page, lets it go on, reports it
//! ```
//!
//! Unlike a check it costs something only where memory is accessed, and tells the thread; but who accesses a page for the
//! first time waits for another thread.

#[cfg(not(target_os = "linux"))]
mod absent;
#[cfg(target_os = "linux")]
mod handler;

use std::io;

#[cfg(not(target_os = "linux"))]
pub use absent::UffdSource;
#[cfg(target_os = "linux")]
pub use handler::UffdSource;

use damon_core::TargetId;

/// How faults are reported.
#[derive(Clone, Copy, Debug)]
pub struct UffdSpec {
    /// The target that the addresses are of.
    pub target: TargetId,
    /// Takes no privileges. But a system call that touches a page which is not in the page table then fails with `EFAULT`,
    /// instead of waiting: only for memory that no system call and no virtual machine ever reads or writes. Default false.
    pub user_mode_only: bool,
}

impl UffdSpec {
    /// Faults of user mode and of the kernel, reported as accesses to `target`.
    pub const fn new(target: TargetId) -> Self {
        Self { target, user_mode_only: false }
    }
}

/// What a source did since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UffdStats {
    /// Faults that were answered and reported.
    pub faults: u64,
    /// Of these, those by a write.
    pub writes: u64,
    /// Of these, those that the monitor had no room for: its source counts them as lost too.
    pub refused: u64,
    /// Faults that were over when they should have been answered: two threads at one page, or it left the file.
    pub retried: u64,
}

/// Why faults cannot be reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UffdError {
    /// Faults of the kernel too take a privilege.
    #[error(
        "userfaultfd is not permitted: {source}. Be root, have CAP_SYS_PTRACE or set vm.unprivileged_userfaultfd to 1; or, if no \
         system call ever touches the memory, set `user_mode_only`"
    )]
    Forbidden {
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel has no userfaultfd, or none for this kind of fault.
    #[error(
        "userfaultfd tells of no minor faults of shared memory here: {source}. It takes Linux 5.14 with CONFIG_USERFAULTFD"
    )]
    Unsupported {
        /// What the kernel said.
        source: io::Error,
    },
    /// Another userfaultfd has the memory.
    #[error("{name} is registered with another userfaultfd: unwatch it there first ({source})")]
    Taken {
        /// The mapping.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// It is not all within the mapping.
    #[error("{start:#x}..{end:#x} is not within {name}")]
    Outside {
        /// The first address.
        start: u64,
        /// The address after the last.
        end: u64,
        /// The mapping.
        name: String,
    },
    /// Anything else.
    #[error("cannot {what}: {source}")]
    Other {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}
