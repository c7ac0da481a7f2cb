//! Which pages of a process are in memory, found without a look at those that are not.
//!
//! Counterpart: `PAGEMAP_SCAN` (`Documentation/admin-guide/mm/pagemap.rst`, Linux 7.3).

use std::io;
use std::path::Path;

use damon_core::AddrRange;

use super::Page;
use super::pagemap::needs;
use super::words::FileError;
use crate::sys::{Pagemap, ScanRegion, page_size};

/// The page table of a process, asked for what is present: 8 ns a page, next to nothing for a hole of any size.
#[derive(Debug)]
pub struct Resident(Pagemap);

impl Resident {
    /// Opens the pagemap at `path`.
    ///
    /// # Errors
    /// When it cannot be opened: the process is gone, or another user's.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let opened = Pagemap::open_at(path, page_size());
        opened.map(Self).map_err(|source| FileError { what: "open", path: path.into(), needs: needs(&source), source })
    }

    /// The runs of pages of `range` that are in memory, ascending, appended to `out`.
    ///
    /// # Errors
    /// `ENOTTY` before Linux 6.7; then `out` is as it was.
    pub fn runs(&self, range: AddrRange, out: &mut Vec<AddrRange>) -> io::Result<()> {
        let (mut regions, before) = ([ScanRegion::default(); 64], out.len());
        let mut rest = Some(range);
        while let Some(at) = rest {
            let (n, walked) = self.0.scan(at, Page::PRESENT, &mut regions).inspect_err(|_| out.truncate(before))?;
            let present = regions[..n].iter().filter(|r| r.categories & Page::PRESENT != 0);
            out.extend(present.filter_map(|r| AddrRange::new(r.start, r.end)));
            rest = AddrRange::new(walked, range.end()).filter(|_| walked > at.start());
        }
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn touched_pages_are_in_memory_and_others_are_not() {
        let map = crate::PrivateMap::new(64 << 12).unwrap();
        let words = map.atomics();
        for page in [3, 4, 5, 40] {
            words[page * 512].store(1, Relaxed);
        }
        let mut runs = Vec::new();
        match Resident::open(Path::new("/proc/self/pagemap")).unwrap().runs(map.range(), &mut runs) {
            Err(e) => println!("skipped: PAGEMAP_SCAN: {e}"),
            Ok(()) => {
                let at = |from: u64, to: u64| {
                    AddrRange::new(map.range().start() + (from << 12), map.range().start() + (to << 12))
                };
                assert_eq!(runs.iter().map(|r| Some(*r)).collect::<Vec<_>>(), [at(3, 6), at(40, 41)]);
            }
        }
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let e = Resident::open(Path::new("/nowhere/pagemap")).unwrap_err().to_string();
        assert!(e.contains("/nowhere/pagemap"), "{e}");
    }
}
