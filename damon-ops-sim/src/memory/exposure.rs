//! How many accesses to expect at each address over one sampling window, and the odds that follow.

use std::time::Duration;

use damon_core::{AddrRange, Instant};

use crate::chance::Odds;
use crate::workload::{Heat, Picture, Workload};

/// What is expected at each page of a range within a window.
#[derive(Clone, Copy, Debug)]
struct Dose {
    range: AddrRange,
    reads: f64,
    writes: f64,
    read_odds: Odds,
    write_odds: Odds,
}

/// The odds of a read and of a write.
pub(super) type ReadWrite = (Odds, Odds);

/// The expected accesses of a window. Built again only when the truth or the window's length changed.
#[derive(Debug, Default)]
pub(super) struct Exposure {
    doses: Vec<Dose>,
    /// The truth that holds from `painted_at` until `holds_until`.
    picture: Picture,
    painted_at: Instant,
    holds_until: Instant,
    /// What `doses` was made for, where one picture sufficed: its length, as then any window of that length is alike.
    made_for: Option<Duration>,
    scratch: Vec<Heat>,
}

impl Exposure {
    /// Forgets the truth: the workload is another one now.
    pub(super) fn void(&mut self) {
        self.holds_until = Instant::ZERO;
        self.made_for = None;
    }

    /// Makes it that of the window `from..to`.
    pub(super) fn cover(&mut self, workload: &dyn Workload, from: Instant, to: Instant) {
        self.look(workload, from);
        let length = to - from;
        if to <= self.holds_until {
            if self.made_for != Some(length) {
                self.doses.clear();
                self.doses.extend(self.picture.heats().iter().map(|h| Dose::new(h, length)));
                self.made_for = Some(length);
            }
            return;
        }
        // The truth changes within the window: expectations of its parts add up.
        self.made_for = None;
        self.doses.clear();
        let mut at = from;
        while at < to {
            self.look(workload, at);
            let end = self.holds_until.min(to);
            let part: Vec<Dose> = self.picture.heats().iter().map(|h| Dose::new(h, end - at)).collect();
            self.doses = sum(&self.doses, &part);
            at = end;
        }
    }

    fn look(&mut self, workload: &dyn Workload, at: Instant) {
        if self.painted_at <= at && at < self.holds_until {
            return;
        }
        self.scratch.clear();
        let until = workload.paint(at, &mut self.scratch);
        self.picture.repaint(&self.scratch);
        self.painted_at = at;
        // A workload that does not say until later would stop time.
        self.holds_until = until.max(Instant::from_nanos(at.as_nanos().saturating_add(1)));
        self.made_for = None;
    }

    /// The odds at the page that starts at `addr`; `None` where it is idle. `cursor` starts at 0 and makes a walk over
    /// ascending addresses cheap.
    #[inline]
    pub(super) fn page(&self, cursor: &mut usize, addr: u64) -> Option<ReadWrite> {
        *cursor = seek(&self.doses, *cursor, addr, |d| d.range);
        let dose = self.doses.get(*cursor).filter(|d| d.range.start() <= addr)?;
        Some((dose.read_odds, dose.write_odds))
    }

    /// The odds of anything in the block of `bytes` at `start`, of which a page has `page` bytes.
    pub(super) fn block(&self, cursor: &mut usize, start: u64, bytes: u64, page: u64) -> Option<ReadWrite> {
        let block = AddrRange::new(start, start.saturating_add(bytes))?;
        *cursor = seek(&self.doses, *cursor, start, |d| d.range);
        let (mut reads, mut writes) = (0.0, 0.0);
        for dose in &self.doses[*cursor..] {
            let Some(common) = dose.range.intersection(block) else { break };
            let pages = common.size() as f64 / page as f64;
            reads += dose.reads * pages;
            writes += dose.writes * pages;
        }
        Some((Odds::of_events(reads), Odds::of_events(writes)))
    }
}

impl Dose {
    fn new(heat: &Heat, length: Duration) -> Self {
        let events = heat.hz * length.as_secs_f64();
        let writes = events * if heat.writes > 0.0 { heat.writes.min(1.0) } else { 0.0 };
        Self::of(heat.range, events - writes, writes)
    }

    fn of(range: AddrRange, reads: f64, writes: f64) -> Self {
        Self { range, reads, writes, read_odds: Odds::of_events(reads), write_odds: Odds::of_events(writes) }
    }
}

/// Adds what `a` and `b` expect. Both ascend without overlap, and so does the sum.
fn sum(a: &[Dose], b: &[Dose]) -> Vec<Dose> {
    let mut edges: Vec<u64> = a.iter().chain(b).flat_map(|d| [d.range.start(), d.range.end()]).collect();
    edges.sort_unstable();
    edges.dedup();
    let (mut i, mut j) = (0, 0);
    let between = |pair: &[u64]| {
        let &[start, end] = pair else { return None };
        i = seek(a, i, start, |d| d.range);
        j = seek(b, j, start, |d| d.range);
        let here = [a.get(i), b.get(j)].map(|d| d.filter(|d| d.range.start() <= start));
        let add = |part: fn(&Dose) -> f64| here.iter().flatten().map(|d| part(d)).sum::<f64>();
        here.iter().any(Option::is_some).then_some(())?;
        Some(Dose::of(AddrRange::new(start, end)?, add(|d| d.reads), add(|d| d.writes)))
    };
    edges.windows(2).filter_map(between).collect()
}

/// The first of `items`, which ascend without overlap, that ends above `addr`, searched from `from` on in steps that
/// double: samples are sorted, so few samples skip much and many samples walk.
#[inline]
pub(super) fn seek<T>(items: &[T], from: usize, addr: u64, range: impl Fn(&T) -> AddrRange) -> usize {
    let behind = |i: usize| items.get(i).is_some_and(|t| range(t).end() <= addr);
    if from > 0 && !behind(from - 1) {
        return items.partition_point(|t| range(t).end() <= addr);
    }
    let (mut low, mut step) = (from, 1);
    while behind(low + step - 1) {
        low += step;
        step *= 2;
    }
    let high = (low + step - 1).min(items.len());
    low + items[low..high].partition_point(|t| range(t).end() <= addr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Blocks, Moving, Phases};
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start, end).unwrap()
    }

    fn expected(e: &Exposure, addr: u64) -> f64 {
        e.doses.iter().find(|d| d.range.contains(addr)).map_or(0.0, |d| d.reads + d.writes)
    }

    #[test]
    fn a_window_over_a_change_expects_the_sum_of_both_parts() {
        let half = Blocks::new([Heat::reads(range(0, 10), 4.0)]);
        let other = Blocks::new([Heat { range: range(5, 20), hz: 10.0, writes: 0.5 }]);
        let w = Phases::new().then(SECOND, half).then(SECOND, other);
        let mut e = Exposure::default();
        e.cover(&w, Instant::ZERO + SECOND / 2, Instant::ZERO + SECOND * 2);
        assert_eq!([0, 5, 15, 20].map(|a| expected(&e, a)), [2.0, 12.0, 10.0, 0.0]);
    }

    #[test]
    fn a_window_longer_than_many_changes_expects_their_sum() {
        let w = Moving { heat: Heat::reads(range(0, 1), 8.0), within: range(0, 4), by: 1, every: SECOND / 8 };
        let mut e = Exposure::default();
        e.cover(&w, Instant::ZERO, Instant::ZERO + SECOND);
        assert_eq!([0, 1, 2, 3].map(|a| expected(&e, a)), [2.0; 4]);
    }

    #[test]
    fn windows_of_one_length_share_their_odds() {
        let w = Blocks::new([Heat::reads(range(0, 10), 4.0)]);
        let mut e = Exposure::default();
        for (from, to, events) in [(0, 1, 4.0), (1, 2, 4.0), (2, 5, 12.0), (5, 6, 4.0)] {
            e.cover(&w, Instant::ZERO + SECOND * from, Instant::ZERO + SECOND * to);
            assert_eq!(expected(&e, 3), events);
        }
    }

    #[test]
    fn a_block_expects_what_all_its_pages_do() {
        let w = Blocks::new([Heat::reads(range(0, 2), 1.0), Heat::reads(range(6, 20), 1.0)]);
        let mut e = Exposure::default();
        e.cover(&w, Instant::ZERO, Instant::ZERO + SECOND);
        assert_eq!(e.block(&mut 0, 0, 8, 2), Some((Odds::of_events(2.0), Odds::default())));
        assert_eq!(e.block(&mut 0, 2, 4, 2), Some((Odds::default(), Odds::default())));
    }

    proptest! {
        #[test]
        fn seeking_finds_what_a_search_from_the_start_finds(
            sizes in prop::collection::vec((0u64..3, 1u64..4), 0..40), from in 0usize..50, addr in 0u64..200
        ) {
            let mut end = 0;
            let items: Vec<AddrRange> = sizes.iter().map(|&(gap, size)| {
                let r = range(end + gap, end + gap + size);
                end = r.end();
                r
            }).collect();
            let from = from.min(items.len());
            let found = items.iter().position(|r| r.end() > addr).unwrap_or(items.len());
            prop_assert_eq!(seek(&items, from, addr, |r| *r), found);
        }
    }
}
