//! What the kernel says of physical pages: `/proc/kpageflags`, `/proc/kpagecount`, `/proc/kpagecgroup`.
//!
//! Counterpart: `fs/proc/page.c`, `include/uapi/linux/kernel-page-flags.h`, Linux 7.3.

use std::fmt;
use std::io;
use std::path::Path;

use super::words::{FileError, Words};

/// A page frame number: which page of physical memory, counted from address 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn(pub u64);

impl fmt::Display for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PFN {:#x}", self.0)
    }
}

/// Words that are read to save a call: one costs 56 ns, a call 400.
const BRIDGE: u64 = 6;

/// The flags of a page. Those of a folio's tail pages are partly its head's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageFlags(u64);

impl PageFlags {
    /// The page is locked, for I/O or by who changes it.
    pub const LOCKED: u64 = 1 << 0;
    /// Referenced since reclaim last looked, as the LRU lists count: not an access.
    pub const REFERENCED: u64 = 1 << 2;
    /// Its content is not on disk yet.
    pub const DIRTY: u64 = 1 << 4;
    /// On an LRU list: reclaim can find it, and idle flags work.
    pub const LRU: u64 = 1 << 5;
    /// On an active LRU list.
    pub const ACTIVE: u64 = 1 << 6;
    /// On its way to disk.
    pub const WRITEBACK: u64 = 1 << 8;
    /// Free.
    pub const BUDDY: u64 = 1 << 10;
    /// Mapped by a process.
    pub const MMAP: u64 = 1 << 11;
    /// Anonymous memory.
    pub const ANON: u64 = 1 << 12;
    /// In swap space too.
    pub const SWAPCACHE: u64 = 1 << 13;
    /// Would go to swap space: anonymous memory and shmem.
    pub const SWAPBACKED: u64 = 1 << 14;
    /// The first page of a folio of several.
    pub const COMPOUND_HEAD: u64 = 1 << 15;
    /// Another page of a folio of several.
    pub const COMPOUND_TAIL: u64 = 1 << 16;
    /// Of hugetlbfs.
    pub const HUGE: u64 = 1 << 17;
    /// Not for reclaim: locked in memory.
    pub const UNEVICTABLE: u64 = 1 << 18;
    /// Broken hardware.
    pub const HWPOISON: u64 = 1 << 19;
    /// No memory is there.
    pub const NOPAGE: u64 = 1 << 20;
    /// Merged with equal pages of others.
    pub const KSM: u64 = 1 << 21;
    /// Of a transparent huge page.
    pub const THP: u64 = 1 << 22;
    /// The page of zeros that untouched memory reads as.
    pub const ZERO_PAGE: u64 = 1 << 24;
    /// Idle, as [`PageIdle`](super::PageIdle) would say, except that page tables were not asked again.
    pub const IDLE: u64 = 1 << 25;

    /// From a word of `kpageflags`.
    pub const fn new(word: u64) -> Self {
        Self(word)
    }

    /// Has it any of `flags`?
    pub const fn any(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    /// Has it all of `flags`?
    pub const fn all(self, flags: u64) -> bool {
        self.0 & flags == flags
    }

    /// All of them.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// A folio: a page, or several with one idle flag, one place on an LRU list, one set of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folio {
    /// Its first page.
    pub head: Pfn,
    /// It has 2 to the power of so many pages.
    pub order: u8,
    /// The flags of the first page.
    pub flags: PageFlags,
}

impl Folio {
    /// How many pages it has.
    pub const fn pages(self) -> u64 {
        1 << self.order
    }
}

/// The highest order that is looked for: 512 pages, 2 MiB of 4 KiB, is the largest on LRU lists.
const MAX_ORDER: u8 = 9;

/// Flags by page.
#[derive(Debug)]
pub struct KPageFlags {
    words: Words,
    got: Vec<Option<u64>>,
    flags: Vec<PageFlags>,
    pages: Vec<Pfn>,
    /// Which of the pages asked for are tails, and the order they are tried at.
    tails: Vec<usize>,
}

impl KPageFlags {
    /// Opens `proc/kpageflags` under `root` (normally `/`).
    ///
    /// # Errors
    /// When it cannot be opened: not root, or not built in.
    pub fn open(root: &Path) -> Result<Self, FileError> {
        let words = Words::open(root.join("proc/kpageflags"), false, BRIDGE, needs)?;
        Ok(Self { words, got: Vec::new(), flags: Vec::new(), pages: Vec::new(), tails: Vec::new() })
    }

    /// The flags of `pages`, in any order, in `out`; [`NOPAGE`](PageFlags::NOPAGE) beyond the last.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self, pages: &[Pfn], out: &mut Vec<PageFlags>) -> Result<(), FileError> {
        self.words.gather(pages.iter().map(|p| p.0), &mut self.got)?;
        out.clear();
        out.extend(self.got.iter().map(|w| PageFlags(w.unwrap_or(PageFlags::NOPAGE))));
        Ok(())
    }

    /// The folio that each of `pages` is part of, in `out`, in their order. A page that is in no folio, and one of a folio
    /// that changes meanwhile or is larger than 512 pages, is its own.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn folios(&mut self, pages: &[Pfn], out: &mut Vec<Folio>) -> Result<(), FileError> {
        let mut flags = std::mem::take(&mut self.flags);
        let result = self.find_folios(pages, out, &mut flags);
        self.flags = flags;
        result
    }

    fn find_folios(
        &mut self,
        pages: &[Pfn],
        out: &mut Vec<Folio>,
        flags: &mut Vec<PageFlags>,
    ) -> Result<(), FileError> {
        self.read(pages, flags)?;
        out.clear();
        out.extend(pages.iter().zip(flags.iter()).map(|(&head, &flags)| Folio { head, order: 0, flags }));
        let mut tails = std::mem::take(&mut self.tails);
        tails.clear();
        tails.extend((0..out.len()).filter(|&i| out[i].flags.any(PageFlags::COMPOUND_TAIL | PageFlags::COMPOUND_HEAD)));
        // A folio begins at a multiple of its size, and the page after it is nobody's tail. So a head has at least order
        // n if and only if the page half of 2^n after it is a tail. The largest first: they are the usual ones.
        let mut result = Ok(());
        for order in (1..=MAX_ORDER).rev() {
            if tails.is_empty() {
                break;
            }
            self.pages.clear();
            for &i in &tails {
                let head = pages[i].0 >> order << order;
                self.pages.extend([Pfn(head), Pfn(head + (1 << (order - 1)))]);
            }
            let asked = std::mem::take(&mut self.pages);
            result = self.read(&asked, flags);
            let found = |k: usize| match (&flags[2 * k..], &asked[2 * k..]) {
                ([head, half, ..], [at, ..])
                    if head.any(PageFlags::COMPOUND_HEAD) && half.any(PageFlags::COMPOUND_TAIL) =>
                {
                    Some(Folio { head: *at, order, flags: *head })
                }
                _ => None,
            };
            if result.is_ok() {
                let mut k = 0;
                tails.retain(|&i| {
                    let folio = found(k);
                    k += 1;
                    if let Some(folio) = folio {
                        out[i] = folio;
                    }
                    folio.is_none()
                });
            }
            self.pages = asked;
            if result.is_err() {
                break;
            }
        }
        self.tails = tails;
        result
    }
}

/// How often each page is mapped.
#[derive(Debug)]
pub struct KPageCount(Numbers);

impl KPageCount {
    /// Opens `proc/kpagecount` under `root` (normally `/`).
    ///
    /// # Errors
    /// When it cannot be opened: not root, or not built in.
    pub fn open(root: &Path) -> Result<Self, FileError> {
        Numbers::open(root, "proc/kpagecount").map(Self)
    }

    /// How often each of `pages` is mapped, in `out`; 0 where there is no page.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self, pages: &[Pfn], out: &mut Vec<u64>) -> Result<(), FileError> {
        self.0.read(pages, out)
    }
}

/// Which memory cgroup each page is charged to.
#[derive(Debug)]
pub struct KPageCgroup(Numbers);

impl KPageCgroup {
    /// Opens `proc/kpagecgroup` under `root` (normally `/`).
    ///
    /// # Errors
    /// When it cannot be opened: not root, or a kernel without `CONFIG_MEMCG`.
    pub fn open(root: &Path) -> Result<Self, FileError> {
        Numbers::open(root, "proc/kpagecgroup").map(Self)
    }

    /// The inodes of the cgroups' directories that `pages` are charged to, in `out`; 0: to none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self, pages: &[Pfn], out: &mut Vec<u64>) -> Result<(), FileError> {
        self.0.read(pages, out)
    }
}

/// A number for each page.
#[derive(Debug)]
struct Numbers {
    words: Words,
    got: Vec<Option<u64>>,
}

impl Numbers {
    fn open(root: &Path, file: &str) -> Result<Self, FileError> {
        Ok(Self { words: Words::open(root.join(file), false, BRIDGE, needs)?, got: Vec::new() })
    }

    fn read(&mut self, pages: &[Pfn], out: &mut Vec<u64>) -> Result<(), FileError> {
        self.words.gather(pages.iter().map(|p| p.0), &mut self.got)?;
        out.clear();
        out.extend(self.got.iter().map(|w| w.unwrap_or(0)));
        Ok(())
    }
}

pub(crate) fn needs(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::NotFound => {
            "it takes /proc mounted, and CONFIG_PROC_PAGE_MONITOR (for kpagecgroup CONFIG_MEMCG too)"
        }
        io::ErrorKind::PermissionDenied => "it takes root (CAP_SYS_ADMIN)",
        io::ErrorKind::Unsupported => "it takes Linux",
        _ => "it takes /proc mounted, and CONFIG_PROC_PAGE_MONITOR",
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::words::fake::Root;
    use super::*;

    const HEAD: u64 = PageFlags::COMPOUND_HEAD | PageFlags::LRU;
    const TAIL: u64 = PageFlags::COMPOUND_TAIL;

    /// Memory of folios, by their orders.
    fn memory(orders: &[u8]) -> (Root, Vec<Folio>) {
        let (mut words, mut truth) = (Vec::new(), Vec::new());
        for &order in orders {
            let (head, pages) = (words.len() as u64, 1 << order);
            assert_eq!(head % pages, 0, "folios are aligned to their size");
            words.push(if order == 0 { PageFlags::LRU } else { HEAD });
            words.extend((1..pages).map(|_| TAIL));
            let flags = PageFlags(words[head as usize]);
            truth.extend((0..pages).map(|_| Folio { head: Pfn(head), order, flags }));
        }
        let root = Root::new();
        root.put("proc/kpageflags", &words);
        (root, truth)
    }

    #[test]
    fn every_page_of_a_folio_finds_its_head_and_size() {
        let mixed = [9, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 1, 2, 2, 2, 2, 9];
        let (root, mut truth) = memory(&mixed[..11]);
        assert_eq!(truth.len(), 1024);
        let mut flags = KPageFlags::open(root.path()).unwrap();
        let mut out = Vec::new();
        let pages: Vec<Pfn> = (0..truth.len() as u64).rev().map(Pfn).collect();
        flags.folios(&pages, &mut out).unwrap();
        truth.reverse();
        assert_eq!(out, truth);
    }

    proptest::proptest! {
        #[test]
        fn any_layout_of_folios_is_read_back(wanted in proptest::collection::vec(0u8..=9, 1..40)) {
            let (mut at, mut orders) = (0u64, Vec::new());
            for order in wanted {
                // As large as the place allows.
                let order = order.min(if at == 0 { 9 } else { at.trailing_zeros().min(9) as u8 });
                orders.push(order);
                at += 1 << order;
            }
            let (root, truth) = memory(&orders);
            let pages: Vec<Pfn> = (0..at).map(Pfn).collect();
            let mut out = Vec::new();
            KPageFlags::open(root.path()).unwrap().folios(&pages, &mut out).unwrap();
            assert_eq!(out, truth);
        }
    }

    #[test]
    fn beyond_the_last_page_there_is_none_and_tails_without_a_head_stand_alone() {
        let root = Root::new();
        root.put("proc/kpageflags", &[TAIL, TAIL, PageFlags::LRU]);
        let mut flags = KPageFlags::open(root.path()).unwrap();
        let (mut out, mut folios) = (Vec::new(), Vec::new());
        flags.read(&[Pfn(2), Pfn(3), Pfn(u64::MAX)], &mut out).unwrap();
        assert_eq!(out, [PageFlags::LRU, PageFlags::NOPAGE, PageFlags::NOPAGE].map(PageFlags));
        flags.folios(&[Pfn(1)], &mut folios).unwrap();
        assert_eq!(folios, [Folio { head: Pfn(1), order: 0, flags: PageFlags(TAIL) }]);
    }

    #[test]
    fn counts_and_cgroups_are_numbers_by_page() {
        let root = Root::new();
        root.put("proc/kpagecount", &[3, 0, 1]);
        root.put("proc/kpagecgroup", &[70, 71, 0]);
        let (mut n, pages) = (Vec::new(), [Pfn(2), Pfn(0), Pfn(9)]);
        KPageCount::open(root.path()).unwrap().read(&pages, &mut n).unwrap();
        assert_eq!(n, [1, 3, 0]);
        KPageCgroup::open(root.path()).unwrap().read(&pages, &mut n).unwrap();
        assert_eq!(n, [0, 70, 0]);
    }
}
