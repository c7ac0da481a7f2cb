//! How much of a file is in the page cache.
//!
//! Counterpart: `cachestat(2)` (`mm/filemap.c`, Linux 7.3).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Of Linux 6.5; not in every libc.
const CACHESTAT: libc::c_long = 451;

/// `struct cachestat_range`.
#[repr(C)]
struct Range {
    offset: u64,
    len: u64,
}

/// `struct cachestat`.
#[derive(Default)]
#[repr(C)]
struct Stat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// How many bytes of the pages of `file` from `offset` on are in memory, in swap's cache included.
pub(crate) fn cached(file: &File, offset: u64, len: u64) -> io::Result<u64> {
    let (range, mut stat) = (Range { offset, len }, Stat::default());
    // SAFETY: both are what the call expects.
    let r = unsafe { libc::syscall(CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut stat, 0 as libc::c_uint) };
    if r == 0 { Ok(stat.cached * super::page_size()) } else { Err(io::Error::last_os_error()) }
}
