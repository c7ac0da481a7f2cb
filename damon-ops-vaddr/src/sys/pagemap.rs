//! `/proc/PID/pagemap`: what is in the page table, read word by word or asked for by category.
//!
//! Counterpart: `fs/proc/task_mmu.c`, Linux 7.3.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use damon_core::AddrRange;

use super::ScanRegion;
use crate::linux::Page;

/// `struct pm_scan_arg`.
#[derive(Default)]
#[repr(C)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

impl ScanArg {
    /// All pages of `range`, their categories in `wanted` written to `out`.
    fn of(range: AddrRange, wanted: u64, out: &mut [ScanRegion]) -> Self {
        Self {
            size: size_of::<Self>() as u64,
            start: range.start(),
            end: range.end(),
            vec: out.as_mut_ptr() as u64,
            vec_len: out.len() as u64,
            return_mask: wanted,
            ..Self::default()
        }
    }
}

const PAGEMAP_SCAN: libc::Ioctl = libc::_IOWR::<ScanArg>(b'f' as u32, 16);

/// The page table of a process.
#[derive(Debug)]
pub(crate) struct Pagemap {
    file: File,
    page: u64,
}

impl Pagemap {
    pub(crate) fn open(page: u64) -> io::Result<Self> {
        File::open("/proc/self/pagemap").map(|file| Self::of(file, page))
    }

    /// Of the process that `file` was opened for. The kernel asks for rights (`PTRACE_MODE_READ`) when it is opened and
    /// never again, so whoever is handed one may read it.
    pub(crate) fn of(file: File, page: u64) -> Self {
        Self { file, page }
    }

    /// That of the process whose `pagemap` is at `path`.
    pub(crate) fn open_at(path: &Path, page: u64) -> io::Result<Self> {
        File::open(path).map(|file| Self { file, page })
    }

    /// The words of `out.len()` pages from the one at `addr`.
    pub(crate) fn read(&self, addr: u64, out: &mut [Page]) -> io::Result<()> {
        let mut bytes = [0u8; 512];
        for (i, chunk) in out.chunks_mut(64).enumerate() {
            let bytes = &mut bytes[..chunk.len() * 8];
            self.file.read_exact_at(bytes, (addr / self.page + i as u64 * 64) * 8)?;
            for (page, word) in chunk.iter_mut().zip(bytes.chunks_exact(8)) {
                *page = Page::from_pagemap(word.try_into().map_or(0, u64::from_ne_bytes));
            }
        }
        Ok(())
    }

    /// Write-protects the pages of `range` that are there, were written, and are no huge pages; where they belong to a
    /// `file`, those that are not there too. Were there any? `EPERM`: some of it is not registered for it.
    pub(crate) fn protect_written(&self, range: AddrRange, file: bool) -> io::Result<bool> {
        /// `PM_SCAN_WP_MATCHING`, `PM_SCAN_CHECK_WPASYNC`.
        const PROTECT_OR_FAIL: u64 = 1 << 0 | 1 << 1;
        let mut out = [ScanRegion::default()];
        let mut arg = ScanArg {
            flags: PROTECT_OR_FAIL,
            category_mask: Page::WRITTEN | Page::HUGE,
            category_inverted: Page::HUGE,
            category_anyof_mask: if file { 0 } else { Page::PRESENT | Page::SWAPPED },
            ..ScanArg::of(range, Page::WRITTEN, &mut out)
        };
        // SAFETY: as for `scan`. What it protects is unprotected by the next write, which changes no content.
        let n = unsafe { libc::ioctl(self.file.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
        if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n > 0) }
    }

    /// The categories of the mapped pages of `range`, those in `wanted` only, as runs in `out`: how many runs, and up to
    /// which address. It reads and changes nothing.
    pub(crate) fn scan(&self, range: AddrRange, wanted: u64, out: &mut [ScanRegion]) -> io::Result<(usize, u64)> {
        let mut arg = ScanArg::of(range, wanted, out);
        // SAFETY: `arg` is what the call expects, and `vec` has room for `vec_len` regions.
        let n = unsafe { libc::ioctl(self.file.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
        usize::try_from(n).map(|n| (n, arg.walk_end)).map_err(|_| io::Error::last_os_error())
    }
}
