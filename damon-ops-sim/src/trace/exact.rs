//! The exact picture: in how many windows each page was touched, and by how many events.

use std::collections::HashMap;

use damon_core::AddrRange;

use super::{Footprint, Kind};
use crate::workload::{Heat, Picture};

/// What really happened in the aggregation under way.
#[derive(Debug)]
pub(super) struct Exact {
    page: u64,
    /// Ascending.
    pages: Vec<Page>,
    index: HashMap<u64, usize>,
    /// By kind, the last page: most events are there again.
    last: [(u64, usize); 4],
    /// The number of the window, from 1.
    window: u64,
}

#[derive(Debug)]
struct Page {
    start: u64,
    windows: u32,
    events: u64,
    touched_in: u64,
    written_in: u64,
}

/// Whether an event was a page's first in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// Neither.
    No,
    /// Its first of all.
    Touch,
    /// Its first write, after reads or of all.
    Write,
}

impl Exact {
    pub(super) fn new(footprint: &Footprint) -> Self {
        let pages: Vec<_> = footprint
            .pages()
            .map(|start| Page { start, windows: 0, events: 0, touched_in: 0, written_in: 0 })
            .collect();
        let index = pages.iter().enumerate().map(|(i, p)| (p.start, i)).collect();
        // No page starts at 1.
        Self { page: footprint.page(), pages, index, last: [(1, 0); 4], window: 1 }
    }

    pub(super) const fn page(&self) -> u64 {
        self.page
    }

    /// A page is touched. `None`: it is not in the footprint.
    pub(super) fn touch(&mut self, start: u64, kind: Kind) -> Option<First> {
        let last = &mut self.last[kind as usize];
        if last.0 != start {
            *last = (start, *self.index.get(&start)?);
        }
        let page = self.pages.get_mut(last.1)?;
        page.events += 1;
        let mut first = First::No;
        if page.touched_in != self.window {
            page.touched_in = self.window;
            page.windows += 1;
            first = First::Touch;
        }
        if matches!(kind, Kind::Write | Kind::Modify) && page.written_in != self.window {
            page.written_in = self.window;
            first = First::Write;
        }
        Some(first)
    }

    pub(super) const fn end_window(&mut self) {
        self.window += 1;
    }

    pub(super) fn end_aggregation(&mut self) {
        for page in &mut self.pages {
            (page.windows, page.events) = (0, 0);
        }
    }

    /// The aggregation's truth, of so many windows of `seconds`, in the terms that scores are in.
    pub(super) fn picture(&self, windows: u32, seconds: f64) -> Picture {
        let heats = self.pages.iter().filter(|p| p.windows > 0).filter_map(|p| {
            let rate = f64::from(p.windows) / f64::from(windows.max(1));
            // A page that was touched in each window has no finite rate of random accesses.
            let hz = if rate < 1.0 { -(1.0 - rate).ln() / seconds } else { 1e9 / seconds };
            AddrRange::from_len(p.start, self.page).map(|range| Heat::reads(range, hz))
        });
        Picture::new(&heats.collect::<Vec<_>>())
    }

    /// How many of the aggregation's events go to the hottest tenth of the pages: as many as can, and as many as go to
    /// as much of the memory that `found` names the hottest, regions of equal rate in equal parts.
    pub(super) fn captured(&self, found: &mut [(AddrRange, f64)]) -> (f64, f64) {
        let nr_pages = self.pages.len().div_ceil(10);
        let mut events: Vec<u64> = self.pages.iter().map(|p| p.events).collect();
        events.sort_unstable_by(|a, b| b.cmp(a));
        let best: u64 = events.iter().take(nr_pages).sum();

        let mut room = nr_pages as f64 * self.page as f64;
        let mut captured = 0.0;
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        for equal in found.chunk_by(|a, b| a.1 == b.1) {
            let size: f64 = equal.iter().map(|r| r.0.size() as f64).sum();
            let events: u64 = equal.iter().map(|r| self.events(r.0)).sum();
            let part = (room / size).clamp(0.0, 1.0);
            captured += part * events as f64;
            room -= part * size;
        }
        (captured, best as f64)
    }

    /// Events of the pages that start in `range`.
    fn events(&self, range: AddrRange) -> u64 {
        let from = self.pages.partition_point(|p| p.start < range.start());
        self.pages[from..].iter().take_while(|p| p.start < range.end()).map(|p| p.events).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::*;

    fn exact(pages: u64) -> Exact {
        let mut footprint = Footprint::new(4096);
        (0..pages).for_each(|i| footprint.add(&Event { at: 0, kind: Kind::Read, addr: i * 4096, len: 1 }));
        Exact::new(&footprint)
    }

    fn range(from: u64, to: u64) -> AddrRange {
        AddrRange::new(from * 4096, to * 4096).unwrap()
    }

    #[test]
    fn a_page_counts_once_a_window_and_its_first_write_is_told_from_its_first_touch() {
        let mut e = exact(2);
        assert_eq!(e.touch(0, Kind::Read), Some(First::Touch));
        assert_eq!(e.touch(0, Kind::Fetch), Some(First::No));
        assert_eq!(e.touch(0, Kind::Modify), Some(First::Write));
        assert_eq!(e.touch(0, Kind::Write), Some(First::No));
        assert_eq!(e.touch(9 * 4096, Kind::Read), None);
        e.end_window();
        assert_eq!(e.touch(0, Kind::Write), Some(First::Write));
        e.touch(4096, Kind::Read);
        let picture = e.picture(2, 1.0);
        let rates: Vec<_> = picture.heats().iter().map(|h| h.probability(1.0)).collect();
        assert!((rates[0] - 1.0).abs() < 1e-9 && (rates[1] - 0.5).abs() < 1e-9, "{rates:?}");
    }

    #[test]
    fn what_is_captured_is_of_the_memory_named_hottest() {
        let mut e = exact(20);
        for _ in 0..90 {
            e.touch(7 * 4096, Kind::Read);
        }
        for _ in 0..10 {
            e.touch(3 * 4096, Kind::Read);
        }
        // Two pages are a tenth.
        assert_eq!(e.captured(&mut [(range(0, 7), 0.0), (range(7, 8), 1.0), (range(8, 20), 0.0)]).1, 100.0);
        let (found, _) =
            e.captured(&mut [(range(0, 3), 0.0), (range(3, 4), 0.5), (range(4, 7), 0.0), (range(7, 8), 1.0)]);
        assert_eq!(found, 100.0);
        let (nothing_known, _) = e.captured(&mut [(range(0, 10), 0.0), (range(10, 20), 0.0)]);
        assert_eq!(nothing_known, 10.0, "of equal rates each gets its part");
        let (wrong, _) = e.captured(&mut [(range(0, 2), 1.0), (range(2, 20), 0.0)]);
        assert_eq!(wrong, 0.0);
    }
}
