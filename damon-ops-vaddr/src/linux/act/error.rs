//! What can go wrong with another process's memory, and what helps.

use std::io;

use damon_core::{Action, AddrRange, NodeId, Unsupported};

use crate::sys::errno;

/// Why something was not done to a process's memory, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// No call does it to others' memory.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The process has ended, before it or during it.
    #[error("process {pid} has ended: nothing is left to act on, its target leaves with the next update")]
    Gone {
        /// Its pid, which may be another's by now.
        pid: u32,
    },
    /// This process may not do it, or the kernel cannot.
    #[error("{call} on process {pid}: {source}; {}", lacking(.call, .source))]
    NotAllowed {
        /// Whose memory.
        pid: u32,
        /// The system call.
        call: &'static str,
        /// What it answered.
        source: io::Error,
    },
    /// Reading its memory did not come back.
    #[error(
        "reading memory of process {pid} waits for somebody: a userfaultfd or a file system (FUSE, NFS) serves its faults; \
         leave that memory out with a filter, or use willneed"
    )]
    Stuck {
        /// Whose memory.
        pid: u32,
    },
    /// The kernel refused a range, and not those around it.
    #[error("cannot apply {action:?} to {range} of process {pid}: {source}; {}", refusal(.action, .source))]
    Range {
        /// Whose memory.
        pid: u32,
        /// What was to be done.
        action: Action,
        /// To what.
        range: AddrRange,
        /// Why not.
        source: io::Error,
    },
    /// Pages cannot go to a node at all.
    #[error("cannot migrate pages of process {pid} to node {}: {source}; {}", .node.0, no_node(.source))]
    Node {
        /// Whose memory.
        pid: u32,
        /// The node.
        node: NodeId,
        /// Why not.
        source: io::Error,
    },
    /// Some pages did not go to their node.
    #[error("{pages} pages of process {pid} did not go to node {}, the first at {addr:#x}: {}", .node.0, stuck(*.errno))]
    Pages {
        /// Whose memory.
        pid: u32,
        /// The node.
        node: NodeId,
        /// How many, of all that were asked to go there at once.
        pages: u64,
        /// The first of them.
        addr: u64,
        /// What the kernel says of it, if it says anything.
        errno: Option<i32>,
    },
}

impl ProcessError {
    /// Is it over for this process, or for this way of acting? If not, the other ranges are worth a try.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Unsupported(_) | Self::Gone { .. } | Self::NotAllowed { .. } | Self::Stuck { .. })
    }

    /// What `call` on all of `range` answered.
    pub(super) fn of(call: &'static str, pid: u32, action: Action, range: AddrRange, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(errno::ESRCH) => Self::Gone { pid },
            Some(errno::EPERM | errno::EACCES | errno::ENOSYS) => Self::NotAllowed { pid, call, source },
            _ => Self::Range { pid, action, range, source },
        }
    }
}

/// What a call that failed as a whole lacks.
pub(super) fn lacking(call: &str, e: &io::Error) -> &'static str {
    match (call, e.raw_os_error()) {
        // The order in which the kernel asks: to trace (EACCES), then CAP_SYS_NICE (EPERM).
        ("process_madvise", Some(errno::EPERM)) => {
            "it takes CAP_SYS_NICE in the initial user namespace (setcap cap_sys_nice,cap_sys_ptrace+ep, or root), and a \
             sandbox (seccomp) that lets process_madvise through"
        }
        (_, Some(errno::EPERM | errno::EACCES)) => {
            "it takes the right to trace the process: its user, or CAP_SYS_PTRACE, and no Yama or LSM that forbids it"
        }
        (_, Some(errno::ENOSYS)) => {
            "the kernel or a sandbox (seccomp) has no such call: Linux 5.10 has process_madvise, CONFIG_NUMA \
             move_pages, CONFIG_CROSS_MEMORY_ATTACH process_vm_readv"
        }
        ("process_madvise", Some(errno::EINVAL)) => {
            "the kernel does not take this advice about others: Linux 5.10 has cold, pageout and willneed, 6.1 collapse"
        }
        (_, Some(errno::ESRCH)) => "the process has ended: remove its target",
        _ => "the kernel refuses it here",
    }
}

fn refusal(action: &Action, e: &io::Error) -> &'static str {
    match (action, e.raw_os_error()) {
        (Action::Collapse, Some(errno::ENOMEM | errno::EBUSY | errno::EAGAIN)) => {
            "no huge page is free, or its pages are in use right now: try again, or compact memory"
        }
        (Action::Collapse, _) => "the mapping cannot have huge pages, or is too sparse: leave it out with a filter",
        (Action::LruPrio, _) => "the process may not read it itself: leave it out with a filter",
        (_, Some(errno::ENOMEM)) => "some of it is no longer mapped: it is left out after the next update",
        (_, Some(errno::EINVAL)) => {
            "locked memory (mlock), hugetlbfs and memory of devices cannot be advised: leave it out with a filter"
        }
        (_, Some(errno::EAGAIN | errno::EBUSY | errno::EINTR)) => "its pages are in use right now: try again",
        (_, Some(errno::EBADF)) => "there is no file nor swap to read it from: leave it out with a filter",
        _ => "leave it out with a filter",
    }
}

fn no_node(e: &io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(errno::ENODEV) => "the node has no memory: choose one of /sys/devices/system/node/has_memory",
        Some(errno::EACCES) => "the process's cpuset leaves the node out: allow it in cpuset.mems",
        _ => "choose another node",
    }
}

fn stuck(errno: Option<i32>) -> &'static str {
    match errno {
        Some(errno::ENOENT) => "it is not in memory",
        Some(errno::EFAULT) => "it is not mapped, or is the zero page",
        Some(errno::EACCES) => "others map it too: acting as root with shared pages allowed moves it",
        Some(errno::EBUSY) => "it is in use right now, or pinned (DMA): try again",
        Some(errno::ENOMEM) => "the node is full",
        _ => "it is pinned, or the node is full",
    }
}
