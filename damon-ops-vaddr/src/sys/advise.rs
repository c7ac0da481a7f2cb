//! Advice about memory that changes how it is kept and never what is in it, and where it is kept.
//!
//! Counterpart: `mm/madvise.c`, `mm/mincore.c`, `mm/mlock.c`, Linux 7.3. Advice that drops content (`MADV_DONTNEED`, `MADV_FREE`,
//! `MADV_REMOVE`) has no name here, so nobody can ask for it.

use std::io;

use damon_core::AddrRange;

use super::Advice;

/// Of Linux 6.1; not in every libc.
const MADV_COLLAPSE: libc::c_int = 25;

impl Advice {
    pub(super) const fn number(self) -> libc::c_int {
        match self {
            Self::Cold => libc::MADV_COLD,
            Self::Pageout => libc::MADV_PAGEOUT,
            Self::Willneed => libc::MADV_WILLNEED,
            Self::Hugepage => libc::MADV_HUGEPAGE,
            Self::Nohugepage => libc::MADV_NOHUGEPAGE,
            Self::Collapse => MADV_COLLAPSE,
        }
    }

    /// Does the kernel know it? Asked about no memory at all, it says so and does nothing.
    pub(crate) fn is_known(self) -> bool {
        // SAFETY: it concerns no memory.
        unsafe { libc::madvise(std::ptr::null_mut(), 0, self.number()) == 0 }
    }
}

/// Gives `advice` about whole pages. Whatever is mapped there keeps its content, and nothing is mapped or unmapped: safe
/// for any address.
pub(crate) fn advise(range: AddrRange, advice: Advice) -> io::Result<()> {
    // SAFETY: none of the advices changes the content of memory or its mapping.
    let r = unsafe { libc::madvise(range.start() as usize as *mut _, range.size() as usize, advice.number()) };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Which pages of `range`, one byte for each, are in memory, mapped here or not (`mincore`). `ENOMEM`: some of it is in
/// no mapping.
pub(crate) fn in_memory(range: AddrRange, page: u64, out: &mut Vec<u8>) -> io::Result<()> {
    out.clear();
    out.resize((range.size() / page) as usize, 0);
    // SAFETY: `out` has a byte for each page.
    let r = unsafe { libc::mincore(range.start() as usize as *mut _, range.size() as usize, out.as_mut_ptr()) };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps `range` in memory as long as it is mapped (`mlock`). `EPERM`, `ENOMEM`: `RLIMIT_MEMLOCK` does not allow it.
pub(crate) fn hold(range: AddrRange) -> io::Result<()> {
    // SAFETY: it changes no content and no mapping.
    let r = unsafe { libc::mlock(range.start() as usize as *const _, range.size() as usize) };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
