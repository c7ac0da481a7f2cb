//! Another process, held by a descriptor: is it alive, advice about its memory, and reading it.
//!
//! Counterpart: `pidfd_open(2)`, `process_madvise(2)`, `process_vm_readv(2)` (`mm/madvise.c`, Linux 7.3). None of them
//! changes what is in the process's memory or its mappings.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use damon_core::AddrRange;

use super::{Advice, IoVec};

/// Ranges handed over in one call at most: `IOV_MAX`.
pub(crate) const RANGES_MAX: usize = 1024;

/// A process, held so that its pid, once it is another's, is not taken for it.
#[derive(Debug)]
pub struct Pidfd {
    fd: OwnedFd,
    pid: u32,
}

impl Pidfd {
    /// Holds the process that has `pid` now: the id of its first thread.
    ///
    /// # Errors
    /// `ESRCH` where there is none; `EINVAL` for 0 and, before Linux 6.9, for another of its threads; `ENOSYS` before
    /// Linux 5.3 and in sandboxes.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// let this = damon_ops_vaddr::linux::Pidfd::open(std::process::id()).unwrap();
    /// assert!(this.is_alive());
    /// # }
    /// ```
    pub fn open(pid: u32) -> io::Result<Self> {
        // SAFETY: it makes a descriptor and nothing else.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        match libc::c_int::try_from(fd) {
            // SAFETY: a new descriptor that nobody else knows.
            Ok(fd) if fd >= 0 => Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, pid }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The process of a descriptor that somebody got otherwise.
    pub(crate) const fn of(fd: OwnedFd, pid: u32) -> Self {
        Self { fd, pid }
    }

    /// Its pid, while [`is_alive`](Self::is_alive).
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Has it not ended yet? A zombie has: it has no memory any more. It takes no permission to ask.
    pub fn is_alive(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one descriptor, and the call does not wait.
        let n = unsafe { libc::poll(&raw mut poll, 1, 0) };
        n == 0 || (n < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted)
    }

    /// Gives `advice` about `ranges`, [`RANGES_MAX`] of them at most, of whole pages. Of how many bytes from the first
    /// one on the kernel took it: less than all where it stopped at a range that it refuses, or at its limit of 2 GiB.
    ///
    /// An error means that not all of the first range took it; what it did of that it does not say.
    pub(crate) fn advise(&self, ranges: &[AddrRange], advice: Advice) -> io::Result<u64> {
        let mut vec = [IoVec::default(); RANGES_MAX];
        let n = ranges.len().min(RANGES_MAX);
        vec.iter_mut().zip(ranges).for_each(|(v, range)| *v = IoVec::from(*range));
        // SAFETY: `vec` has the layout of an array of iovecs. None of the advices changes the content of memory or its
        // mapping, here or in another process.
        let bytes = unsafe {
            let number = advice.number();
            libc::syscall(libc::SYS_process_madvise, self.fd.as_raw_fd(), vec.as_ptr(), n, number, 0 as libc::c_uint)
        };
        u64::try_from(bytes).map_err(|_| io::Error::last_os_error())
    }
}

/// Reads the byte at each of `addrs`, [`RANGES_MAX`] of them at most, of process `pid`, as a debugger would. What is not
/// in memory is brought in, so it may wait, and a signal does not end that. How many could be read, from the first one on.
pub(crate) fn read_bytes(pid: u32, addrs: &[u64]) -> io::Result<usize> {
    let mut bytes = [0u8; RANGES_MAX];
    let mut there = [IoVec::default(); RANGES_MAX];
    let n = addrs.len().min(RANGES_MAX);
    there.iter_mut().zip(addrs).for_each(|(v, &addr)| *v = IoVec { start: addr as usize, len: 1 });
    let here = IoVec { start: bytes.as_mut_ptr() as usize, len: n };
    let (here, there) = (&raw const here, there.as_ptr());
    // SAFETY: both have the layout of iovecs; the one here is of `n` bytes that are ours.
    let read = unsafe { libc::syscall(libc::SYS_process_vm_readv, pid, here, 1usize, there, n, 0usize) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
