//! How much of a file is in the page cache.
//!
//! Counterpart: `cachestat(2)` (`mm/filemap.c`), `mincore(2)` (`mm/mincore.c`), Linux 7.3.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use damon_core::AddrRange;

use super::{in_memory, page_size};

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

/// How many bytes of the `len` from `offset` on, whole pages both, of `file` are in memory.
pub(crate) fn cached(file: &File, offset: u64, len: u64) -> io::Result<u64> {
    match by_cachestat(file, offset, len) {
        // Before Linux 6.5, and where it is left out of the kernel.
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => by_mincore(file, offset, len),
        result => result,
    }
}

fn by_cachestat(file: &File, offset: u64, len: u64) -> io::Result<u64> {
    let (range, mut stat) = (Range { offset, len }, Stat::default());
    // SAFETY: both are what the call expects.
    let r = unsafe { libc::syscall(CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut stat, 0 as libc::c_uint) };
    if r == 0 { Ok(stat.cached * page_size()) } else { Err(io::Error::last_os_error()) }
}

fn by_mincore(file: &File, offset: u64, len: u64) -> io::Result<u64> {
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let (size, offset) = (usize::try_from(len).map_err(too_long)?, libc::off_t::try_from(offset).map_err(too_long)?);
    // SAFETY: a new mapping, at an address that the kernel chooses, that nobody can access.
    let at =
        unsafe { libc::mmap(std::ptr::null_mut(), size, libc::PROT_NONE, libc::MAP_SHARED, file.as_raw_fd(), offset) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let mut pages = Vec::new();
    let asked = match AddrRange::from_len(at as u64, len) {
        Some(range) => in_memory(range, page_size(), &mut pages),
        None => Ok(()),
    };
    // SAFETY: mapped above, and nobody else knows of it.
    unsafe { libc::munmap(at, size) };
    asked?;
    Ok(pages.iter().map(|page| u64::from(page & 1)).sum::<u64>() * page_size())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sys::SharedMap;

    #[test]
    fn both_ways_count_the_pages_that_were_made() {
        let map = SharedMap::new("cached", 64 << 12).unwrap();
        map.atomics()
            .iter()
            .step_by(512)
            .skip(16)
            .take(8)
            .for_each(|w| w.store(1, std::sync::atomic::Ordering::Relaxed));
        let file = File::from(std::os::fd::AsFd::as_fd(&map).try_clone_to_owned().unwrap());
        for way in [by_cachestat, by_mincore] {
            match way(&file, 0, 64 << 12) {
                Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => {}
                all => {
                    assert_eq!(all.unwrap(), 8 * page_size());
                    assert_eq!(way(&file, 20 << 12, 44 << 12).unwrap(), 4 * page_size());
                }
            }
        }
    }
}
