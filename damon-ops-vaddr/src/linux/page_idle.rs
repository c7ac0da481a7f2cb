//! The idle flag of physical pages: `/sys/kernel/mm/page_idle/bitmap`.
//!
//! Counterpart: `mm/page_idle.c`, `Documentation/admin-guide/mm/idle_page_tracking.rst`, Linux 7.3.

use std::io;
use std::path::Path;

use super::kpage::Pfn;
use super::words::{FileError, Words};
use crate::sys::lock;

/// Pages in a word.
const BITS: u64 = 64;
/// Zero words that are written to save a call: the kernel skips clear bits.
const BRIDGE: u64 = 4;

/// Sets and reads idle flags.
///
/// The flag is cleared by an access of any process through its page table, by `read` and `write` of a file's page, and
/// by reclaim. Only pages on an LRU list have one, a folio (a transparent huge page, say) only its head: setting it
/// elsewhere does nothing, and reading says "not idle", so look at [`PageFlags`](super::PageFlags) first.
///
/// A word is read whole: the kernel looks up the page tables of all its pages that are still idle, 64 at most, so checks
/// of memory that stays idle cost more than checks of memory that is used.
///
/// Setting or reading moves the accessed bits of all page tables that map the page into its flags: for others who go by
/// accessed bits (kernel DAMON) it is a disturbance, and they are one here.
#[derive(Debug)]
pub struct PageIdle {
    words: Words,
    marks: Vec<(u64, u64)>,
    got: Vec<Option<u64>>,
}

impl PageIdle {
    /// Opens the bitmap of the machine whose files are under `root` (normally `/`).
    ///
    /// # Errors
    /// When it cannot be opened: not root, not built in, `/sys` read-only.
    pub fn open(root: &Path) -> Result<Self, FileError> {
        let path = root.join("sys/kernel/mm/page_idle/bitmap");
        // Reading a word looks up the page tables of all its idle pages: none is read that nobody asked for.
        let words = Words::open(path, true, 0, needs)?;
        Ok(Self { words, marks: Vec::new(), got: Vec::new() })
    }

    /// Marks pages as idle, in any order. Neighbours are left as they are, and pages without the flag are passed over.
    ///
    /// # Errors
    /// When the bitmap cannot be written.
    pub fn set(&mut self, pages: &[Pfn]) -> Result<(), FileError> {
        self.marks.clear();
        self.marks.extend(pages.iter().map(|p| (p.0 / BITS, 1 << (p.0 % BITS))));
        self.marks.sort_unstable();
        self.marks.dedup_by(|next, last| {
            let same = next.0 == last.0;
            if same {
                last.1 |= next.1;
            }
            same
        });
        self.words.scatter(&self.marks, BRIDGE)
    }

    /// Which of `pages` are idle, in `idle`, in their order. It changes nothing: what is no longer idle stays so until it
    /// is set again.
    ///
    /// # Errors
    /// When the bitmap cannot be read.
    pub fn read(&mut self, pages: &[Pfn], idle: &mut Vec<bool>) -> Result<(), FileError> {
        self.words.gather(pages.iter().map(|p| p.0 / BITS), &mut self.got)?;
        idle.clear();
        idle.extend(pages.iter().zip(&self.got).map(|(p, w)| w.is_some_and(|w| w >> (p.0 % BITS) & 1 == 1)));
        Ok(())
    }

    /// Does nobody else who asks this have the bitmap open? Everybody who monitors by it should ask, time and again: who
    /// asks keeps a shared `flock(2)` on the file, whereby others see that they are not alone.
    ///
    /// # Errors
    /// When the file cannot be locked.
    pub fn is_alone(&self) -> io::Result<bool> {
        let alone = lock(self.words.file(), true)?;
        lock(self.words.file(), false)?;
        Ok(alone)
    }
}

pub(crate) fn needs(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::NotFound => {
            "it takes a kernel with CONFIG_IDLE_PAGE_TRACKING (Debian's has none: see .ci/vm), and /sys mounted"
        }
        io::ErrorKind::PermissionDenied => {
            "it takes root (in a container: a privileged one, and no seccomp or LSM rule against it)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "it takes a writable /sys: in a container, mount sysfs read-write or run it privileged"
        }
        io::ErrorKind::Unsupported => "it takes Linux",
        _ => "it takes a kernel with CONFIG_IDLE_PAGE_TRACKING",
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::words::fake::Root;
    use super::*;

    const BITMAP: &str = "sys/kernel/mm/page_idle/bitmap";

    #[test]
    fn a_word_holds_the_bits_of_64_pages_and_only_those_asked_for_are_set() {
        let root = Root::new();
        root.put(BITMAP, &[0; 8]);
        let mut idle = PageIdle::open(root.path()).unwrap();
        idle.set(&[130, 0, 63, 64, 130, 500].map(Pfn)).unwrap();
        let word = |bits: &[u64]| bits.iter().fold(0, |w, b| w | 1 << b);
        assert_eq!(root.get(BITMAP), [word(&[0, 63]), word(&[0]), word(&[2]), 0, 0, 0, 0, word(&[500 - 448])]);
    }

    #[test]
    fn what_was_set_reads_idle_in_the_order_of_the_question() {
        let root = Root::new();
        root.put(BITMAP, &[0; 200]);
        let mut idle = PageIdle::open(root.path()).unwrap();
        let set: Vec<Pfn> = (0..12_800).filter(|n| n % 7 == 3).map(Pfn).collect();
        idle.set(&set).unwrap();
        let mut out = Vec::new();
        let asked: Vec<Pfn> = (0..13_000).rev().map(Pfn).collect();
        idle.read(&asked, &mut out).unwrap();
        assert!(asked.iter().zip(out).all(|(p, idle)| idle == (p.0 % 7 == 3 && p.0 < 12_800)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn who_is_not_alone_learns_of_it_on_both_sides() {
        let root = Root::new();
        root.put(BITMAP, &[0]);
        let first = PageIdle::open(root.path()).unwrap();
        assert!(first.is_alone().unwrap() && first.is_alone().unwrap());
        let second = PageIdle::open(root.path()).unwrap();
        assert!(!second.is_alone().unwrap());
        assert!(!first.is_alone().unwrap() && !second.is_alone().unwrap());
        drop(first);
        assert!(second.is_alone().unwrap());
    }

    #[test]
    fn what_is_missing_is_said_with_the_way_out() {
        let e = PageIdle::open(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(
            e.contains("/nowhere/sys/kernel/mm/page_idle/bitmap") && e.contains("CONFIG_IDLE_PAGE_TRACKING"),
            "{e}"
        );
        for (os, hint) in [(13, "root"), (1, "root"), (30, "read-write")] {
            assert!(needs(&io::Error::from_raw_os_error(os)).contains(hint), "{os}");
        }
    }
}
