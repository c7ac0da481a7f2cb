//! What was seen so far, in memory that is bounded: the longer ago, the coarser.

use std::collections::VecDeque;
use std::time::Duration;

use damon_core::{Bp, Instant, Snapshot, TargetId};

use super::panels::Panel;
use crate::heatmap::{Cell, HeatMap, Mapping};

/// Snapshots by time.
#[derive(Debug)]
pub struct History {
    frames: VecDeque<Frame>,
    regions: usize,
    most_regions: usize,
}

/// A snapshot, and the time that it stands for.
#[derive(Debug)]
struct Frame {
    from: Instant,
    snapshot: Snapshot,
    working_set: u64,
}

impl Default for History {
    /// So many regions are some 30 MiB.
    fn default() -> Self {
        Self::of(400_000)
    }
}

impl History {
    /// One that holds so many regions at most, but a snapshot at least.
    pub fn of(most_regions: usize) -> Self {
        Self { frames: VecDeque::new(), regions: 0, most_regions }
    }

    /// Takes in the next snapshot.
    pub fn push(&mut self, snapshot: Snapshot) {
        self.regions += snapshot.regions().count();
        let from = Instant::from_nanos(snapshot.at.as_nanos().saturating_sub(nanos(snapshot.took)));
        let working_set = snapshot.working_set(Bp(0));
        self.frames.push_back(Frame { from, snapshot, working_set });
        while self.regions > self.most_regions && self.frames.len() > 1 {
            self.thin();
        }
    }

    /// Of the older half every other snapshot is left, and stands for the time of both.
    fn thin(&mut self) {
        let older = self.frames.len().div_ceil(2);
        let mut left = VecDeque::with_capacity(self.frames.len());
        let mut before = None;
        for (i, mut frame) in self.frames.drain(..).enumerate() {
            if i < older && i % 2 == 0 {
                before = Some(frame.from);
                continue;
            }
            frame.from = before.take().unwrap_or(frame.from);
            left.push_back(frame);
        }
        self.frames = left;
        self.regions = self.frames.iter().map(|f| f.snapshot.regions().count()).sum();
    }

    /// The last snapshot.
    pub fn last(&self) -> Option<&Snapshot> {
        self.frames.back().map(|f| &f.snapshot)
    }

    /// The last snapshot that had ended by `at`; the first if none had.
    pub fn at(&self, at: Instant) -> Option<&Snapshot> {
        let after = self.frames.partition_point(|f| f.snapshot.at <= at);
        self.frames.get(after.saturating_sub(1)).map(|f| &f.snapshot)
    }

    /// Since when something is known.
    pub fn start(&self) -> Option<Instant> {
        self.frames.front().map(|f| f.from)
    }

    /// All that is left, by time.
    pub fn snapshots(&self) -> impl ExactSizeIterator<Item = &Snapshot> {
        self.frames.iter().map(|f| &f.snapshot)
    }

    /// A target's heat in `panels`, which ascend, during `time` from `start` on.
    pub fn map(&self, target: TargetId, panels: &[Panel], (start, time): (Instant, Duration)) -> HeatMap {
        let mapping = |p: &Panel| Mapping { name: p.name.clone(), range: p.range };
        let mut map = HeatMap::new(panels.iter().map(mapping).collect());
        for frame in self.between(start, start + time) {
            let target = frame.snapshot.targets.iter().find(|t| t.id == target);
            let regions = target.map_or(&[][..], |t| &t.regions);
            let shown = panels.iter().flat_map(|p| {
                let first = regions.partition_point(|r| r.range.end() <= p.range.start());
                regions[first..].iter().take_while(|r| r.range.start() < p.range.end())
            });
            map.push(frame.from - start, frame.snapshot.at - start, shown.map(|r| (r.range, Cell::from(r))));
        }
        map.push(time, time, []);
        map
    }

    /// The mean working set of each of so many steps from `start` on, in bytes; `None` where nothing is known.
    pub fn working_sets(&self, start: Instant, step: Duration, steps: usize) -> Vec<Option<u64>> {
        let mut sums = vec![(0_u128, 0_u128); steps];
        let time = step * u32::try_from(steps).unwrap_or(u32::MAX);
        for frame in self.between(start, start + time) {
            let (from, to) = (nanos(frame.from - start), nanos(frame.snapshot.at - start));
            let step = nanos(step).max(1);
            let first = usize::try_from(from / step).unwrap_or(usize::MAX);
            for (i, (sum, weight)) in sums.iter_mut().enumerate().skip(first) {
                let begin = i as u64 * step;
                let common = u128::from(to.min(begin + step).saturating_sub(from.max(begin)));
                if common == 0 {
                    break;
                }
                (*sum, *weight) = (*sum + u128::from(frame.working_set) * common, *weight + common);
            }
        }
        sums.into_iter().map(|(sum, weight)| u64::try_from(sum.checked_div(weight)?).ok()).collect()
    }

    fn between(&self, start: Instant, end: Instant) -> impl Iterator<Item = &Frame> {
        let first = self.frames.partition_point(|f| f.snapshot.at <= start);
        self.frames.range(first..).take_while(move |f| f.from < end)
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::{MIB, at, range, snapshot};

    #[test]
    fn a_full_history_thins_out_and_covers_all_the_time() {
        let mut history = History::of(40);
        (1..=100).for_each(|s| history.push(snapshot(s, &[(0, 1, 100), (1, 2, 0)])));
        assert!(history.regions <= 40 && history.snapshots().len() >= 10, "{}", history.regions);
        assert_eq!((history.start(), history.last().unwrap().at), (Some(at(0)), at(100)));
        assert!(history.frames.iter().zip(history.frames.iter().skip(1)).all(|(a, b)| a.snapshot.at == b.from));
        let late = history.snapshots().filter(|s| s.at > at(90)).count();
        assert!(late > 5, "what was last is fine: {late}");
    }

    #[test]
    fn heat_stands_where_and_when_it_was() {
        let mut history = History::default();
        history.push(snapshot(1, &[(0, 4, 0), (4, 8, 80)]));
        history.push(snapshot(2, &[(0, 4, 40), (4, 8, 0)]));
        let panel = Panel::new("heap", range(0, 8));
        let map = history.map(TargetId::new(0), &[panel], (at(0), Duration::from_secs(4)));
        let grid = map.grid(range(0, 8), 4, 2);
        assert_eq!(grid[..2], [[Cell::Rate(0.0), Cell::Rate(0.8)], [Cell::Rate(0.4), Cell::Rate(0.0)]]);
        assert_eq!(grid[2..], [[Cell::Unmapped; 2], [Cell::Unmapped; 2]]);
    }

    #[test]
    fn working_sets_are_means_of_their_step() {
        let mut history = History::default();
        history.push(snapshot(1, &[(0, 4, 10)]));
        history.push(snapshot(2, &[(0, 8, 10)]));
        history.push(snapshot(3, &[(0, 8, 0)]));
        let sets = history.working_sets(at(0), Duration::from_secs(2), 3);
        assert_eq!(sets, [Some(6 * MIB), Some(0), None]);
    }

    #[test]
    fn the_past_can_be_looked_up() {
        let mut history = History::default();
        assert_eq!(history.at(at(1)), None);
        (1..=3).for_each(|s| history.push(snapshot(s, &[(0, s, 0)])));
        let end = |t| history.at(at(t)).and_then(|s| s.regions().next()).map(|r| r.range.end() / MIB);
        assert_eq!([0, 1, 2, 9].map(end), [Some(1), Some(1), Some(2), Some(3)]);
    }
}
