//! A process's page table, page by page: `/proc/PID/pagemap`.
//!
//! Counterpart: `pagemap_read` (`fs/proc/task_mmu.c`), `Documentation/admin-guide/mm/pagemap.rst`, Linux 7.3.

use std::io;
use std::path::PathBuf;

use super::kpage::Pfn;
use super::words::{FileError, Words};

/// Entries that are read to save a call: one costs 30 ns, a call 600 to 1,000.
const BRIDGE: u64 = 24;

/// What the page table holds for one page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagemapEntry(u64);

impl PagemapEntry {
    /// From a word of `pagemap`.
    pub const fn new(word: u64) -> Self {
        Self(word)
    }

    const fn bit(self, n: u32) -> bool {
        self.0 >> n & 1 == 1
    }

    /// A page is in memory and mapped here.
    pub const fn present(self) -> bool {
        self.bit(63)
    }

    /// Something else than a page: a swap entry, a page on its way to another node, the marker of a userfaultfd.
    pub const fn swapped(self) -> bool {
        self.bit(62)
    }

    /// The page belongs to a file or to shared anonymous memory.
    pub const fn is_file_or_shared(self) -> bool {
        self.bit(61)
    }

    /// Write-protected by a userfaultfd.
    pub const fn uffd_wp(self) -> bool {
        self.bit(57)
    }

    /// Mapped only here.
    pub const fn exclusive(self) -> bool {
        self.bit(56)
    }

    /// Written since soft-dirty bits were cleared (`clear_refs`); always set where the kernel tracks none.
    pub const fn soft_dirty(self) -> bool {
        self.bit(55)
    }

    /// The page; `None` where there is none, and where it is hidden from who lacks `CAP_SYS_ADMIN`.
    pub const fn pfn(self) -> Option<Pfn> {
        let pfn = self.0 & ((1 << 55) - 1);
        if self.present() && pfn != 0 { Some(Pfn(pfn)) } else { None }
    }
}

/// The page table of a process. It stays that of the memory the process had when it was opened: after exec and exit it
/// reads as ended, and a process that gets the same pid later is never taken for it.
#[derive(Debug)]
pub struct ProcessPagemap {
    words: Words,
    page: u64,
    got: Vec<Option<u64>>,
}

impl ProcessPagemap {
    /// Opens the pagemap at `path`, whose entries are of `page` bytes each.
    ///
    /// # Errors
    /// When it cannot be opened: the process is gone, or another user's.
    pub fn open(path: PathBuf, page: u64) -> Result<Self, FileError> {
        Ok(Self { words: Words::open(path, false, BRIDGE, needs)?, page, got: Vec::new() })
    }

    /// The entries of the pages at `addrs` in `out`, in their order. `None`: the memory is gone, by exit or exec.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entries(
        &mut self,
        addrs: impl IntoIterator<Item = u64>,
        out: &mut Vec<Option<PagemapEntry>>,
    ) -> Result<(), FileError> {
        let page = self.page;
        self.words.gather(addrs.into_iter().map(|a| a / page), &mut self.got)?;
        out.clear();
        out.extend(self.got.iter().map(|w| w.map(PagemapEntry)));
        Ok(())
    }

    /// Does the memory still exist? False after exit and exec.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_alive(&mut self) -> Result<bool, FileError> {
        // Any address will do: unmapped ones read as empty.
        self.words.gather(std::iter::once(0), &mut self.got)?;
        Ok(matches!(self.got[..], [Some(_)]))
    }
}

pub(crate) fn needs(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::NotFound => "the process is gone, or hidden from this user (/proc mounted with hidepid)",
        io::ErrorKind::PermissionDenied => {
            "it takes root (CAP_SYS_PTRACE, and CAP_DAC_READ_SEARCH for another user's process), or the same user and a process \
             that is not protected"
        }
        io::ErrorKind::Unsupported => "it takes Linux",
        // ESRCH
        _ if e.raw_os_error() == Some(3) => "the process is gone",
        _ => "it takes /proc mounted, and CONFIG_PROC_PAGE_MONITOR",
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::words::fake::Root;
    use super::*;

    #[test]
    fn an_entry_says_what_its_bits_say() {
        let e = PagemapEntry::new(1 << 63 | 1 << 61 | 1 << 56 | 0x1234);
        assert!(e.present() && e.is_file_or_shared() && e.exclusive());
        assert!(!e.swapped() && !e.soft_dirty() && !e.uffd_wp());
        assert_eq!(e.pfn(), Some(Pfn(0x1234)));
        // A swap entry's low bits are no page.
        assert_eq!(PagemapEntry::new(1 << 62 | 0x1234).pfn(), None);
        assert_eq!(PagemapEntry::new(1 << 63).pfn(), None, "hidden");
    }

    #[test]
    fn entries_come_in_the_order_of_the_addresses_and_end_with_the_memory() {
        let root = Root::new();
        root.put("pagemap", &(0..100).map(|i| 1 << 63 | i).collect::<Vec<_>>());
        let mut map = ProcessPagemap::open(root.path().join("pagemap"), 4096).unwrap();
        let mut out = Vec::new();
        map.entries([0x5000, 0x1fff, 0x63000, 0x64000, 0xffff_ffff_f000], &mut out).unwrap();
        let pfns: Vec<_> = out.iter().map(|e| e.and_then(PagemapEntry::pfn)).collect();
        assert_eq!(pfns, [Some(Pfn(5)), Some(Pfn(1)), Some(Pfn(99)), None, None]);
        assert!(out[3].is_none() && map.is_alive().unwrap());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_has_ended_reads_as_ended() {
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let path = format!("/proc/{}/pagemap", child.id());
        let mut map = ProcessPagemap::open(path.into(), 4096).unwrap();
        assert!(map.is_alive().unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        let mut out = Vec::new();
        map.entries([0x1000], &mut out).unwrap();
        assert_eq!((map.is_alive().unwrap(), out), (false, vec![None]));
    }
}
