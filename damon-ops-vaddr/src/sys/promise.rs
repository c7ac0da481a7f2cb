//! Which memory may be dropped from the page table: what the library owns, and what somebody promised.
//!
//! The kernel brings a dropped page back from the file it belongs to. A private page belongs to no file: it would come
//! back as zeroes. Addresses alone cannot tell, because another thread may map something private there at any time.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use damon_core::AddrRange;

use super::{Mode, SharedMap, Uffd, Zapper};
use crate::own::{Own, WatchError};

/// A range whose pages may be dropped from the page table, for as long as it is held or its promise stands.
#[derive(Debug)]
pub(crate) struct Zappable {
    range: AddrRange,
    keep: Keep,
}

#[derive(Debug)]
enum Keep {
    /// Mapped as long as this lives. Only what maps and unmaps it by raw calls could break that.
    Map(Arc<SharedMap>),
    /// The caller's word, until the guard goes.
    Promise(Arc<Mutex<bool>>),
}

impl Zappable {
    pub(crate) fn of(map: &Arc<SharedMap>) -> Self {
        Self { range: map.range(), keep: Keep::Map(Arc::clone(map)) }
    }

    /// # Safety
    /// Until the guard is dropped every page of `range` stays mapped `MAP_SHARED` from a memfd, shmem or regular file.
    unsafe fn promised(range: AddrRange, uffd: Weak<Uffd>) -> (Self, Guard) {
        let stands = Arc::new(Mutex::new(true));
        let guard = Guard { range, stands: Arc::clone(&stands), uffd, pid: std::process::id() };
        (Self { range, keep: Keep::Promise(stands) }, guard)
    }

    pub(crate) const fn range(&self) -> AddrRange {
        self.range
    }

    pub(crate) fn stands(&self) -> bool {
        match &self.keep {
            Keep::Map(map) => map.range() == self.range,
            Keep::Promise(stands) => *lock(stands),
        }
    }

    /// Drops the pages of `ranges` that are within this one; how many system calls that took. Nothing if the promise
    /// was taken back; while it works, it cannot be.
    pub(crate) fn zap(&self, zapper: &Zapper, ranges: &[AddrRange]) -> io::Result<u32> {
        let held = match &self.keep {
            Keep::Map(_) => None,
            Keep::Promise(stands) => Some(lock(stands)),
        };
        if held.as_deref() == Some(&false) {
            return Ok(0);
        }
        let within = |r: &AddrRange| self.range.start() <= r.start() && r.end() <= self.range.end();
        if !ranges.iter().all(within) {
            return Err(io::Error::other("a range to be dropped is outside what may be dropped"));
        }
        // SAFETY: all ranges are within one that stays mapped as it is: owned, or promised with the promise held.
        unsafe { zapper.zap(ranges) }
    }
}

fn lock(stands: &Mutex<bool>) -> MutexGuard<'_, bool> {
    stands.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The promise that [`Own::watch_raw`] was given stands as long as this does. Dropping it ends the watch: it waits for
/// a drop of pages that is under way, and then the memory is its owner's alone.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct Guard {
    range: AddrRange,
    stands: Arc<Mutex<bool>>,
    uffd: Weak<Uffd>,
    pid: u32,
}

impl Guard {
    /// What is watched: whole pages.
    pub const fn range(&self) -> AddrRange {
        self.range
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        *lock(&self.stands) = false;
        // In a child the descriptor still speaks of the parent's memory.
        if let Some(uffd) = self.uffd.upgrade().filter(|_| self.pid == std::process::id()) {
            // Nothing is left to do where it fails: the range is no longer registered.
            let _ = uffd.unregister(self.range);
        }
    }
}

impl Own {
    /// Watches shared memory that the caller mapped: guest memory, a cache's arena, a mapped file. Reads and writes are
    /// told apart where userfaultfd works, as in a [`SharedMap`]. Partial pages are watched whole.
    ///
    /// What `/proc/self/maps` can tell is checked. It cannot tell what another thread maps there a moment later.
    ///
    /// # Safety
    /// Until the returned guard is dropped, every page that `range` touches stays mapped, `MAP_SHARED`, from a memfd,
    /// shmem or a regular file: not unmapped, not replaced (`MAP_FIXED`, `mremap`), not a driver's memory, not a ring
    /// shared with the kernel (io_uring, packets, perf). Anything else loses its content when it is sampled. Nobody
    /// else handles faults there (userfaultfd `MINOR` mode, `EVENT_REMOVE`).
    ///
    /// # Errors
    /// When `maps` shows memory that is private, a driver's, a ring, huge (hugetlbfs) or not mapped; when the range is
    /// watched already or registered with another userfaultfd; when no way to see it works.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use damon_ops_vaddr::{Own, SharedMap};
    /// # use damon_core::TargetId;
    /// let guest = SharedMap::new("guest", 1 << 20)?; // stands for memory that a program mapped by itself
    /// let mut own = Own::new(TargetId::new(0))?;
    /// // SAFETY: it is a memfd, mapped shared, and outlives the guard.
    /// let guard = unsafe { own.watch_raw(guest.range())? };
    /// drop(guard);
    /// drop(guest);
    /// # Ok(()) }
    /// # #[cfg(not(target_os = "linux"))] fn main() {}
    /// ```
    pub unsafe fn watch_raw(&mut self, range: AddrRange) -> Result<Guard, WatchError> {
        let (range, method) = self.inspect_shared(range)?;
        let uffd = self.register_shared(range, method)?;
        // SAFETY: passed on to the caller.
        let (zappable, guard) = unsafe { Zappable::promised(range, uffd) };
        self.add_shared(zappable, method)?;
        Ok(guard)
    }
}

impl Mode {
    /// The features of userfaultfd that it needs.
    pub(crate) const fn features(self) -> u64 {
        use super::feature::{RWP, RWP_ASYNC, WP_ASYNC, WP_SHMEM};
        match self {
            Self::Wp => WP_ASYNC | WP_SHMEM,
            Self::Rwp => RWP | RWP_ASYNC,
        }
    }
}
