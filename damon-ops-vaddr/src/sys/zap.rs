//! Dropping pages from the page table: one by one, or many with one call and one flush of other CPUs' translations.
//!
//! Counterpart: `MADV_DONTNEED` and `process_madvise` (`mm/madvise.c`, Linux 7.3).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use damon_core::AddrRange;

use super::IoVec;

/// Ranges handed over in one call at most.
const BATCH: usize = 128;

/// How pages are dropped here.
#[derive(Debug)]
pub(crate) struct Zapper {
    advice: libc::c_int,
    /// Ourselves, where `process_madvise` takes the advice.
    batch: Option<OwnedFd>,
}

impl Zapper {
    /// For kernels that drop locked pages too, and many ranges at once.
    pub(crate) fn best() -> Self {
        // SAFETY: it makes a descriptor of the own process.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, std::process::id(), 0) };
        let batch = libc::c_int::try_from(fd).ok().filter(|&fd| fd >= 0);
        // SAFETY: a new descriptor that nobody else knows.
        let batch = batch.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        Self { advice: libc::MADV_DONTNEED_LOCKED, batch }
    }

    /// The same, a call for each range.
    pub(crate) fn one_by_one(self) -> Self {
        Self { batch: None, ..self }
    }

    /// For kernels before 5.18: locked pages are refused.
    pub(crate) fn unlocked_only(self) -> Self {
        Self { advice: libc::MADV_DONTNEED, ..self }
    }

    pub(crate) const fn is_batched(&self) -> bool {
        self.batch.is_some()
    }

    /// Drops the pages of `ranges`, which are whole pages; how many system calls it took.
    ///
    /// # Safety
    /// All of them are mapped `MAP_SHARED` from a memfd, shmem or a regular file, and stay so.
    pub(crate) unsafe fn zap(&self, ranges: &[AddrRange]) -> io::Result<u32> {
        let mut calls = 0;
        match &self.batch {
            Some(this) if ranges.len() > 1 => {
                for chunk in ranges.chunks(BATCH) {
                    // SAFETY: passed on to the caller.
                    calls += unsafe { self.zap_batch(this, chunk)? };
                }
            }
            _ => {
                for range in ranges {
                    calls += 1;
                    // SAFETY: passed on to the caller; the pages come back from their file.
                    let r = unsafe {
                        libc::madvise(range.start() as usize as *mut libc::c_void, range.size() as usize, self.advice)
                    };
                    if r != 0 {
                        return Err(io::Error::last_os_error());
                    }
                }
            }
        }
        Ok(calls)
    }

    /// # Safety
    /// As for [`zap`](Self::zap).
    unsafe fn zap_batch(&self, this: &OwnedFd, ranges: &[AddrRange]) -> io::Result<u32> {
        let mut vec = [IoVec::default(); BATCH];
        for (v, range) in vec.iter_mut().zip(ranges) {
            *v = IoVec::from(*range);
        }
        let (mut done, mut calls) = (0, 0);
        while done < ranges.len() {
            let rest = &vec[done..ranges.len()];
            // SAFETY: `rest` has the layout of an array of iovecs; the ranges are passed on to the caller.
            let bytes = unsafe {
                libc::syscall(
                    libc::SYS_process_madvise,
                    this.as_raw_fd(),
                    rest.as_ptr(),
                    rest.len(),
                    self.advice,
                    0 as libc::c_uint,
                )
            };
            calls += 1;
            let Ok(mut bytes) = usize::try_from(bytes) else { return Err(io::Error::last_os_error()) };
            let before = done;
            while done < ranges.len() && vec[done].len <= bytes {
                bytes -= vec[done].len;
                done += 1;
            }
            if done == before {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
        }
        Ok(calls)
    }
}
