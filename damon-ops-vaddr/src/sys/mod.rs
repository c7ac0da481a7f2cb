//! The kernel's calls that need `unsafe`, each behind a signature that no caller can break memory safety with.
//!
//! Dropping pages from the page table needs a [`Zappable`]: a mapping that the library owns, or a promise.
#![allow(unsafe_code)]

#[cfg(not(target_os = "linux"))]
mod absent;
#[cfg(target_os = "linux")]
mod advise;
#[cfg(target_os = "linux")]
mod cache;
#[cfg(target_os = "linux")]
mod flush;
#[cfg(target_os = "linux")]
mod lock;
#[cfg(target_os = "linux")]
mod map;
#[cfg(target_os = "linux")]
mod minor;
#[cfg(target_os = "linux")]
mod numa;
#[cfg(target_os = "linux")]
mod pagemap;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
mod perf;
#[cfg(target_os = "linux")]
mod poll;
#[cfg(target_os = "linux")]
mod process;
mod promise;
#[cfg(target_os = "linux")]
mod uffd;
#[cfg(target_os = "linux")]
mod zap;

#[cfg(not(target_os = "linux"))]
pub(crate) use absent::{
    Event, PageStatus, Pagemap, RANGES_MAX, Ring, Uffd, Zapper, advise, bind, cached, errno, flush, hold, in_memory,
    lock, move_to, nodes_of, prefer, read_bytes,
};
#[cfg(not(target_os = "linux"))]
pub use absent::{Pidfd, PrivateMap, SharedMap, page_size};
#[cfg(target_os = "linux")]
pub(crate) use advise::{advise, hold, in_memory};
#[cfg(target_os = "linux")]
pub(crate) use cache::cached;
#[cfg(target_os = "linux")]
pub(crate) use flush::flush;
#[cfg(target_os = "linux")]
pub(crate) use lock::lock;
#[cfg(target_os = "linux")]
pub use map::{PrivateMap, SharedMap, page_size};
#[cfg(target_os = "linux")]
pub(crate) use minor::MinorUffd;
#[cfg(target_os = "linux")]
pub(crate) use numa::{PageStatus, bind, move_to, nodes_of, prefer};
#[cfg(target_os = "linux")]
pub(crate) use pagemap::Pagemap;
#[cfg(target_os = "linux")]
pub(crate) use peer::pidfd_of_peer;
#[cfg(target_os = "linux")]
pub(crate) use perf::{Event, Ring};
#[cfg(target_os = "linux")]
pub(crate) use poll::poll;
#[cfg(target_os = "linux")]
pub use process::Pidfd;
#[cfg(target_os = "linux")]
pub(crate) use process::{RANGES_MAX, read_bytes};
pub use promise::Guard;
pub(crate) use promise::Zappable;
#[cfg(target_os = "linux")]
pub(crate) use uffd::Uffd;
#[cfg(target_os = "linux")]
pub(crate) use zap::Zapper;

/// Userfaultfd features by their bits (`include/uapi/linux/userfaultfd.h`, Linux 7.3).
pub(crate) mod feature {
    /// Write protection of shmem and hugetlbfs.
    pub(crate) const WP_SHMEM: u64 = 1 << 12;
    /// The kernel resolves write faults by itself.
    pub(crate) const WP_ASYNC: u64 = 1 << 15;
    /// Protection of reads and writes.
    pub(crate) const RWP: u64 = 1 << 17;
    /// The kernel resolves those faults by itself.
    pub(crate) const RWP_ASYNC: u64 = 1 << 18;
}

/// What the kernel answers.
#[cfg(target_os = "linux")]
pub(crate) mod errno {
    pub(crate) use libc::{
        EACCES, EAGAIN, EBADF, EBUSY, EFAULT, EINTR, EINVAL, EIO, ENODEV, ENOENT, ENOMEM, ENOSYS, EPERM, ESRCH,
    };
}

/// What is sampled: the part of `struct perf_event_attr` that is used here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventAttr {
    pub(crate) kind: u32,
    pub(crate) config: u64,
    pub(crate) config1: u64,
    pub(crate) config2: u64,
    pub(crate) period: u64,
    pub(crate) sample_type: u64,
    pub(crate) precise: u8,
    pub(crate) exclude_kernel: bool,
    /// New threads have it too.
    pub(crate) inherit: bool,
}

/// A thread that waits for a page.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MinorFault {
    pub(crate) addr: u64,
    pub(crate) write: bool,
    pub(crate) thread: u32,
}

/// What is the matter with a descriptor.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// There is something to read.
    pub(crate) readable: bool,
    /// Its other side is gone, or it is no good.
    pub(crate) over: bool,
}

/// What a range is registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write protection.
    Wp,
    /// Protection of reads and writes.
    Rwp,
}

impl Mode {
    /// Its bit in `UFFDIO_REGISTER`.
    pub(crate) const fn bit(self) -> u64 {
        match self {
            Self::Wp => 1 << 1,
            Self::Rwp => 1 << 3,
        }
    }
}

/// What can be said about memory without changing what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// First to go.
    Cold,
    /// Go now.
    Pageout,
    /// Come back.
    Willneed,
    /// May get huge pages.
    Hugepage,
    /// Gets none.
    Nohugepage,
    /// Gets huge pages now.
    Collapse,
}

/// `struct iovec`, with addresses as numbers.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct IoVec {
    start: usize,
    len: usize,
}

impl From<damon_core::AddrRange> for IoVec {
    fn from(range: damon_core::AddrRange) -> Self {
        Self { start: range.start() as usize, len: range.size() as usize }
    }
}

/// A run of pages of equal categories, as `PAGEMAP_SCAN` returns it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct ScanRegion {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) categories: u64,
}
