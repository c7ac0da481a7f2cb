//! Accesses by idle flags: all samples of a window at once, whoever's they are.
//!
//! Counterpart: `damon_va_mkold`, `damon_va_young` (`mm/damon/vaddr.c`, Linux 7.3).

use std::path::Path;

use damon_core::{Extent, Seen};

use crate::linux::{FileError, Folio, KPageFlags, PageFlags, PageIdle, PagemapEntry, Pfn};

/// What is at a sampled address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum There {
    /// Nothing to look at: not mapped, its process gone, its frame hidden.
    Nowhere,
    /// Mapped, and no page in memory.
    Absent,
    /// A page.
    Page(Pfn),
}

impl There {
    /// What a page table says of a mapped address.
    pub(crate) fn of(entry: Option<PagemapEntry>) -> Self {
        match entry {
            Some(entry) if entry.present() => entry.pfn().map_or(Self::Nowhere, Self::Page),
            Some(_) => Self::Absent,
            None => Self::Nowhere,
        }
    }
}

/// What was armed for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Armed {
    /// Nothing: there was none, or a page without an idle flag (on no LRU list).
    No,
    /// There was no page: one that is there later was brought by an access.
    Absent,
    /// The folio of this page.
    Page(Pfn, Folio),
}

/// What was seen, and how many pages it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) seen: Seen,
    pub(crate) pages: u64,
}

impl Look {
    const UNKNOWN: Self = Self { seen: Seen::Unknown, pages: 1 };

    pub(crate) fn extent(self, page: u64) -> Extent {
        if self.pages > 1 { Extent::of(self.pages * page) } else { Extent::GRANULE }
    }
}

/// Sets and reads idle flags of whole windows.
#[derive(Debug)]
pub(crate) struct IdlePages {
    idle: PageIdle,
    flags: KPageFlags,
    /// Which of the samples the lists below are about.
    which: Vec<usize>,
    pfns: Vec<Pfn>,
    folios: Vec<Folio>,
    still: Vec<bool>,
    heads: Vec<PageFlags>,
}

impl IdlePages {
    pub(crate) fn open(root: &Path) -> Result<Self, FileError> {
        Ok(Self {
            idle: PageIdle::open(root)?,
            flags: KPageFlags::open(root)?,
            which: Vec::new(),
            pfns: Vec::new(),
            folios: Vec::new(),
            still: Vec::new(),
            heads: Vec::new(),
        })
    }

    pub(crate) const fn bitmap(&self) -> &PageIdle {
        &self.idle
    }

    /// Marks what is `there` as idle, and says in `armed` what was marked for each.
    pub(crate) fn arm(&mut self, there: &[There], armed: &mut Vec<Armed>) -> Result<(), FileError> {
        armed.clear();
        armed.extend(there.iter().map(|t| if *t == There::Absent { Armed::Absent } else { Armed::No }));
        self.select(there.iter().map(|t| if let There::Page(pfn) = t { Some(*pfn) } else { None }));
        self.flags.folios(&self.pfns, &mut self.folios)?;
        for ((&i, &pfn), folio) in self.which.iter().zip(&self.pfns).zip(&self.folios) {
            // Without the flag it would look accessed for ever.
            if folio.flags.any(PageFlags::LRU) {
                armed[i] = Armed::Page(pfn, *folio);
            }
        }
        self.select(armed.iter().map(|a| if let Armed::Page(_, folio) = a { Some(folio.head) } else { None }));
        self.idle.set(&self.pfns)
    }

    /// What was seen of `armed`, where `there` is what is at the same addresses now; in `looks`.
    pub(crate) fn check(&mut self, armed: &[Armed], there: &[There], looks: &mut Vec<Look>) -> Result<(), FileError> {
        looks.clear();
        looks.resize(armed.len(), Look::UNKNOWN);
        // Its page is the one that was marked: else nobody knows what happened to the other.
        let same = armed.iter().zip(there).map(|pair| match pair {
            (Armed::Page(pfn, folio), There::Page(now)) if pfn == now => Some(folio.head),
            _ => None,
        });
        self.select(same);
        self.idle.read(&self.pfns, &mut self.still)?;
        for ((look, armed), there) in looks.iter_mut().zip(armed).zip(there) {
            if (armed, there) == (&Armed::Absent, &There::Absent) {
                look.seen = Seen::Idle;
            }
        }
        let mut still = self.still.iter();
        self.which.retain(|&i| {
            let idle = still.next().is_some_and(|&idle| idle);
            if let (true, Armed::Page(_, folio)) = (idle, armed[i]) {
                looks[i] = Look { seen: Seen::Idle, pages: folio.pages() };
            }
            !idle
        });
        self.hits(armed, looks)?;
        self.arrived(armed, there, looks)
    }

    /// What reads "not idle" was accessed, unless it lost its flag on the way from one list to another, or was split.
    fn hits(&mut self, armed: &[Armed], looks: &mut [Look]) -> Result<(), FileError> {
        self.pfns.clear();
        let folio = |i: usize| if let Armed::Page(_, folio) = armed[i] { Some(folio) } else { None };
        self.pfns.extend(self.which.iter().filter_map(|&i| folio(i)).map(|f| f.head));
        self.flags.read(&self.pfns, &mut self.heads)?;
        for (&i, now) in self.which.iter().zip(&self.heads) {
            let Some(folio) = folio(i) else { continue };
            let whole = folio.order == 0 || now.any(PageFlags::COMPOUND_HEAD);
            if whole && now.any(PageFlags::LRU) && !now.any(PageFlags::IDLE) {
                looks[i] = Look { seen: Seen::Accessed, pages: folio.pages() };
            }
        }
        Ok(())
    }

    /// Pages where none were: brought by an access, to some page of their folio.
    fn arrived(&mut self, armed: &[Armed], there: &[There], looks: &mut [Look]) -> Result<(), FileError> {
        self.select(armed.iter().zip(there).map(|pair| match pair {
            (Armed::Absent, There::Page(pfn)) => Some(*pfn),
            _ => None,
        }));
        self.flags.folios(&self.pfns, &mut self.folios)?;
        for (&i, folio) in self.which.iter().zip(&self.folios) {
            looks[i] = Look { seen: Seen::Accessed, pages: folio.pages() };
        }
        Ok(())
    }

    fn select(&mut self, pages: impl Iterator<Item = Option<Pfn>>) {
        self.which.clear();
        self.pfns.clear();
        for (i, pfn) in pages.enumerate() {
            if let Some(pfn) = pfn {
                self.which.push(i);
                self.pfns.push(pfn);
            }
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::linux::fake::Root;

    const BITMAP: &str = "sys/kernel/mm/page_idle/bitmap";
    const LRU: u64 = PageFlags::LRU;
    const HEAD: u64 = PageFlags::LRU | PageFlags::COMPOUND_HEAD;
    const TAIL: u64 = PageFlags::COMPOUND_TAIL;

    /// 0 and 1 on an LRU list, 2 on none, 4 to 7 a folio.
    fn machine() -> (Root, IdlePages) {
        let root = Root::new();
        root.put(BITMAP, &[0]);
        root.put("proc/kpageflags", &[LRU, LRU, 0, LRU, HEAD, TAIL, TAIL, TAIL, LRU]);
        let pages = IdlePages::open(root.path()).unwrap();
        (root, pages)
    }

    fn page(n: u64) -> There {
        There::Page(Pfn(n))
    }

    fn window(there: &[There], touched: impl Fn(&Root), now: &[There]) -> Vec<(Seen, u64)> {
        let (root, mut pages) = machine();
        let (mut armed, mut looks) = (Vec::new(), Vec::new());
        pages.arm(there, &mut armed).unwrap();
        touched(&root);
        pages.check(&armed, now, &mut looks).unwrap();
        looks.iter().map(|l| (l.seen, l.pages)).collect()
    }

    #[test]
    fn a_cleared_flag_is_an_access_and_a_folio_has_one_flag() {
        let there = [page(1), page(0), page(6), page(7)];
        let seen = window(&there, |root| root.put(BITMAP, &[0b1]), &there);
        assert_eq!(seen, [(Seen::Accessed, 1), (Seen::Idle, 1), (Seen::Accessed, 4), (Seen::Accessed, 4)]);
        let seen = window(&there, |root| assert_eq!(root.get(BITMAP), [0b1_0011]), &there);
        assert!(seen.iter().all(|s| s.0 == Seen::Idle), "{seen:?}");
    }

    #[test]
    fn a_page_on_no_list_is_not_trusted() {
        assert_eq!(window(&[page(2)], |_| (), &[page(2)]), [(Seen::Unknown, 1)]);
        let leaves = |root: &Root| {
            root.put(BITMAP, &[0]);
            root.put("proc/kpageflags", &[0; 9]);
        };
        assert_eq!(window(&[page(0)], leaves, &[page(0)]), [(Seen::Unknown, 1)]);
    }

    #[test]
    fn another_page_at_the_address_voids_the_sample() {
        let seen = window(&[page(0), page(1), page(3)], |_| (), &[page(8), There::Absent, There::Nowhere]);
        assert!(seen.iter().all(|s| s.0 == Seen::Unknown), "{seen:?}");
    }

    #[test]
    fn a_page_where_none_was_is_an_access_and_none_still_is_idle() {
        let before = [There::Absent, There::Absent, There::Absent, There::Nowhere];
        let seen = window(&before, |_| (), &[page(0), page(5), There::Absent, page(1)]);
        assert_eq!(seen, [(Seen::Accessed, 1), (Seen::Accessed, 4), (Seen::Idle, 1), (Seen::Unknown, 1)]);
    }

    #[test]
    fn a_folio_that_was_split_is_unknown() {
        let split = |root: &Root| {
            root.put(BITMAP, &[0]);
            root.put("proc/kpageflags", &[LRU; 9]);
        };
        assert_eq!(window(&[page(5)], split, &[page(5)]), [(Seen::Unknown, 1)]);
    }
}
