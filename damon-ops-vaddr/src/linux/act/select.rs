//! Which pages of a range are acted on: those that pass filters; for migrations whole folios in memory.

use std::path::Path;

use damon_core::{AddrRange, Extent, Filter};

use super::Run;
use crate::linux::{FilterError, Folio, PageFilters, PagemapEntry, ProcessPagemap, Whereabouts};

/// Pages that are looked at in one go.
const PAGES: u64 = 8_192;

/// Looks at the pages of processes.
#[derive(Debug)]
pub struct Selector {
    filters: PageFilters,
    page: u64,
    entries: Vec<Option<PagemapEntry>>,
    pages: Vec<Whereabouts>,
    pass: Vec<bool>,
    folios: Vec<Option<Folio>>,
}

impl Selector {
    /// On the machine whose files are under `root` (normally `/`), with pages of `page` bytes.
    pub fn new(root: &Path, page: u64) -> Self {
        Self {
            filters: PageFilters::new(root, page),
            page,
            entries: Vec::new(),
            pages: Vec::new(),
            pass: Vec::new(),
            folios: Vec::new(),
        }
    }

    /// Who answers filters.
    pub const fn filters(&mut self) -> &mut PageFilters {
        &mut self.filters
    }

    /// Can `filters` be answered here?
    ///
    /// # Errors
    /// What lacks.
    pub fn supports(&self, filters: &[Filter]) -> Result<(), FilterError> {
        if filters.is_empty() { Ok(()) } else { self.filters.supports(filters) }
    }

    /// The runs of pages of `range` that pass `filters`, appended to `out`.
    ///
    /// # Errors
    /// When they cannot be told.
    pub fn passing(
        &mut self,
        pagemap: &mut ProcessPagemap,
        range: AddrRange,
        filters: &[Filter],
        out: &mut Vec<AddrRange>,
    ) -> Result<(), FilterError> {
        if filters.is_empty() {
            out.push(range);
            return Ok(());
        }
        let page = self.page;
        for chunk in chunks(range, PAGES * page) {
            self.look(pagemap, chunk)?;
            self.filters.pass(&self.pages, filters, &mut self.pass)?;
            let passing = self.pass.iter().zip(pages(chunk, page)).filter_map(|(pass, at)| pass.then_some(at));
            passing.for_each(|at| extend(out, at));
        }
        Ok(())
    }

    /// The pages of `range` that are in memory and pass `filters`, as runs of folios of one size, appended to `out`; and
    /// how many bytes passed. A folio that is not all in the range is left out: it would move as a whole.
    ///
    /// Where frames are hidden (no `CAP_SYS_ADMIN`) folios are unknown and all pages taken for single ones, so a large
    /// folio at an edge of the range moves as a whole.
    ///
    /// # Errors
    /// When they cannot be told.
    pub fn movable(
        &mut self,
        pagemap: &mut ProcessPagemap,
        range: AddrRange,
        filters: &[Filter],
        out: &mut Vec<Run>,
    ) -> Result<u64, FilterError> {
        let (page, mut passed) = (self.page, 0);
        for chunk in chunks(range, PAGES * page) {
            self.look(pagemap, chunk)?;
            self.filters.pass(&self.pages, filters, &mut self.pass)?;
            if self.pages.contains(&Whereabouts::Hidden) {
                self.folios.clear();
                self.folios.resize(self.pages.len(), None);
            } else {
                self.filters.folios(&self.pages, &mut self.folios)?;
            }
            passed += self.pass.iter().filter(|pass| **pass).count() as u64 * page;
            let mut i = 0;
            while i < self.pages.len() {
                let pages = self.folios[i].map_or(1, Folio::pages) as usize;
                let in_memory = matches!(self.pages[i], Whereabouts::Memory(_) | Whereabouts::Hidden);
                let at = chunk.start() + i as u64 * page;
                if in_memory && self.pass[i] && self.is_whole(i, pages, at) {
                    let bytes = pages as u64 * page;
                    if let Some(range) = AddrRange::from_len(at, bytes) {
                        append(out, Run { range, page: bytes });
                    }
                    i += pages;
                } else {
                    i += 1;
                }
            }
        }
        Ok(passed)
    }

    /// Is what begins at page `i`, mapped at `addr`, a folio of so many pages, all of it and in order?
    fn is_whole(&self, i: usize, pages: usize, addr: u64) -> bool {
        let (Some(Some(folio)), Some(run)) = (self.folios.get(i), self.pages.get(i..i + pages)) else {
            return pages == 1;
        };
        let in_order =
            run.iter().zip(folio.head.0..).all(|(at, pfn)| matches!(at, Whereabouts::Memory(p) if p.0 == pfn));
        let passes = self.pass[i..i + pages].iter().all(|pass| *pass);
        pages == 1 || (in_order && passes && addr % (pages as u64 * self.page) == 0)
    }

    fn look(&mut self, pagemap: &mut ProcessPagemap, range: AddrRange) -> Result<(), FilterError> {
        pagemap.entries(pages(range, self.page).map(AddrRange::start), &mut self.entries)?;
        self.pages.clear();
        // The memory of a process that has ended is nowhere.
        self.pages.extend(self.entries.iter().map(|e| e.map_or(Whereabouts::Nowhere, Into::into)));
        Ok(())
    }
}

/// The whole pages of `size` bytes in `range`.
pub(crate) fn whole_pages(range: AddrRange, size: u64) -> Option<AddrRange> {
    AddrRange::new(range.start().checked_next_multiple_of(size)?, Extent::of(size).start(range.end()))
}

/// `range` in parts that end at multiples of `size`, so that no aligned folio of up to that size is cut.
fn chunks(range: AddrRange, size: u64) -> impl Iterator<Item = AddrRange> {
    let mut at = range.start();
    std::iter::from_fn(move || {
        let end = (at / size + 1).saturating_mul(size).min(range.end());
        let chunk = AddrRange::new(at, end)?;
        at = end;
        Some(chunk)
    })
}

fn pages(range: AddrRange, page: u64) -> impl Iterator<Item = AddrRange> {
    (0..range.size() / page).filter_map(move |i| AddrRange::from_len(range.start() + i * page, page))
}

/// Appends `next`, or makes the last one longer.
fn extend(out: &mut Vec<AddrRange>, next: AddrRange) {
    match out.last_mut().filter(|last| last.end() == next.start()) {
        Some(last) => *last = AddrRange::new(last.start(), next.end()).unwrap_or(*last),
        None => out.push(next),
    }
}

fn append(out: &mut Vec<Run>, next: Run) {
    match out.last_mut().filter(|last| last.page == next.page && last.range.end() == next.range.start()) {
        Some(last) => last.range = AddrRange::new(last.range.start(), next.range.end()).unwrap_or(last.range),
        None => out.push(next),
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use damon_core::PageFilter;

    use super::super::super::words::fake::Root;
    use super::*;
    use crate::linux::PageFlags;

    const PAGE: u64 = 4096;
    const PRESENT: u64 = 1 << 63;

    /// A process whose pages 0..16 are in the frames 0..16 but for 5, which is nowhere, and 6, which is in swap. Frames
    /// 8..12 are a folio, and 12..16 another; single frames are active where even.
    fn process() -> (Root, ProcessPagemap) {
        let root = Root::new();
        let frames: Vec<u64> = (0..16)
            .map(|pfn| match pfn {
                8 | 12 => PageFlags::LRU | PageFlags::ANON | PageFlags::COMPOUND_HEAD,
                9.. => PageFlags::COMPOUND_TAIL,
                pfn => PageFlags::LRU | PageFlags::ANON | if pfn % 2 == 0 { PageFlags::ACTIVE } else { 0 },
            })
            .collect();
        root.put("proc/kpageflags", &frames);
        let mut words: Vec<u64> = (0..16).map(|pfn| PRESENT | pfn).collect();
        (words[0], words[5], words[6]) = (0, 0, 1 << 62 | 77);
        root.put("pagemap", &words);
        let map = ProcessPagemap::open(root.path().join("pagemap"), PAGE).unwrap();
        (root, map)
    }

    fn part(from: u64, to: u64) -> AddrRange {
        AddrRange::new(from * PAGE, to * PAGE).unwrap()
    }

    #[test]
    fn a_range_is_cut_to_the_runs_that_pass() {
        let (root, mut map) = process();
        let mut selector = Selector::new(root.path(), PAGE);
        let mut runs = |page, range| {
            let mut out = Vec::new();
            let filters = [Filter { page, matching: true, allow: true }];
            selector.passing(&mut map, range, &filters, &mut out).unwrap();
            out
        };
        assert_eq!(runs(PageFilter::Anon, part(0, 16)), [part(1, 5), part(6, 16)]);
        assert_eq!(runs(PageFilter::Active, part(0, 8)), [part(2, 3), part(4, 5)]);
        assert_eq!(runs(PageFilter::HugepageSize { min: 4 * PAGE, max: u64::MAX }, part(10, 16)), [part(10, 16)]);
    }

    #[test]
    fn what_moves_is_in_memory_and_whole() {
        let (root, mut map) = process();
        let mut selector = Selector::new(root.path(), PAGE);
        let mut runs = |range, filters: &[Filter]| {
            let mut out = Vec::new();
            let passed = selector.movable(&mut map, range, filters, &mut out).unwrap();
            (passed / PAGE, out.iter().map(|run| (run.range, run.page / PAGE)).collect::<Vec<_>>())
        };
        let all = [(part(1, 5), 1), (part(7, 8), 1), (part(8, 16), 4)];
        assert_eq!(runs(part(0, 16), &[]), (16, all.to_vec()));
        assert_eq!(runs(part(7, 14), &[]), (7, vec![(part(7, 8), 1), (part(8, 12), 4)]), "the last folio sticks out");
        assert_eq!(runs(part(9, 16), &[]), (7, vec![(part(12, 16), 4)]), "the first does");
        let not_active = [Filter { page: PageFilter::Active, matching: true, allow: false }];
        assert_eq!(runs(part(0, 8), &not_active).1, [(part(1, 2), 1), (part(3, 4), 1), (part(7, 8), 1)]);
    }

    #[test]
    fn parts_meet_and_no_folio_lies_across_two() {
        let parts: Vec<_> = chunks(part(3, 20), 8 * PAGE).collect();
        assert_eq!(parts, [part(3, 8), part(8, 16), part(16, 20)]);
        assert_eq!(chunks(AddrRange::new(u64::MAX - 5, u64::MAX).unwrap(), 8).count(), 1);
    }
}
