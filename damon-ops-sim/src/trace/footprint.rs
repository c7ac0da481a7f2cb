//! Which pages a trace touches at all: what a monitor that replays it watches.

use std::collections::BTreeSet;

use damon_core::AddrRange;

use super::Event;

/// Pages that were touched.
#[derive(Clone, Debug)]
pub struct Footprint {
    page: u64,
    pages: BTreeSet<u64>,
    /// The page of the last event: most are there again.
    last: Option<u64>,
}

impl Footprint {
    /// Nothing yet, in pages of `page` bytes, rounded up to a power of two.
    pub fn new(page: u64) -> Self {
        Self { page: page.max(1).checked_next_power_of_two().unwrap_or(1 << 63), pages: BTreeSet::new(), last: None }
    }

    /// Adds what an event touches.
    pub fn add(&mut self, event: &Event) {
        for page in pages(event, self.page) {
            if self.last != Some(page) {
                self.pages.insert(page);
                self.last = Some(page);
            }
        }
    }

    /// How many bytes a page has.
    pub const fn page(&self) -> u64 {
        self.page
    }

    /// The pages' first addresses, ascending.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = u64> {
        self.pages.iter().copied()
    }

    /// The pages as ranges, ascending; gaps of at most `gap` bytes between them are closed. The last page of all
    /// addresses is in no range.
    pub fn ranges(&self, gap: u64) -> Vec<AddrRange> {
        let mut ranges: Vec<AddrRange> = Vec::new();
        for range in self.pages.iter().filter_map(|&start| AddrRange::from_len(start, self.page)) {
            match ranges.last_mut() {
                Some(last) if range.start() - last.end() <= gap => {
                    *last = AddrRange::new(last.start(), range.end()).unwrap_or(range);
                }
                _ => ranges.push(range),
            }
        }
        ranges
    }
}

/// The first addresses of the pages that an event touches; no byte is above 2^64 − 1. A size of 0 counts as 1, and of
/// sizes that only a damaged trace has, the first 64 pages count.
pub(super) fn pages(event: &Event, page: u64) -> impl Iterator<Item = u64> {
    let last = event.addr.saturating_add(u64::from(event.len.max(1)) - 1) & !(page - 1);
    let first = event.addr & !(page - 1);
    (0..64).map_while(move |i| first.checked_add(i * page).filter(|&at| at <= last))
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn event(addr: u64, len: u32) -> Event {
        Event { at: 0, kind: Kind::Read, addr, len }
    }

    #[test]
    fn an_access_across_an_edge_touches_both_pages() {
        assert_eq!(pages(&event(4095, 2), 4096).collect::<Vec<_>>(), [0, 4096]);
        assert_eq!(pages(&event(4095, 0), 4096).collect::<Vec<_>>(), [0]);
        assert_eq!(pages(&event(u64::MAX, 8), 4096).collect::<Vec<_>>(), [u64::MAX - 4095]);
        assert_eq!(pages(&event(0, u32::MAX), 4096).count(), 64);
    }

    #[test]
    fn small_gaps_are_closed_and_the_last_page_of_all_is_left_out() {
        let mut f = Footprint::new(4096);
        for addr in [0x1000, 0x3000, 0x2_0000, u64::MAX] {
            f.add(&event(addr, 1));
        }
        assert_eq!(f.pages().len(), 4);
        let range = |a, b| AddrRange::new(a, b).unwrap();
        assert_eq!(f.ranges(0x1000), [range(0x1000, 0x4000), range(0x2_0000, 0x2_1000)]);
        assert_eq!(f.ranges(0).len(), 3);
    }
}
