//! Where each page of a target is: a map of extents whose pages cannot be told apart, so that it grows with the number
//! of things that were done and not with the size of memory.

use damon_core::{AddrRange, NodeId, Rng};

/// Bytes of a page.
pub(super) const PAGE: u64 = 4096;

/// Neighbours are joined where their swapped parts differ by less than this part of a whole.
const ALIKE: u128 = 32;

/// Pages of one mapping and one node. So many of them are swapped out; which ones is left open, as it was for chance to
/// say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first address and the one after the last: multiples of [`PAGE`].
    pub(super) start: u64,
    pub(super) end: u64,
    /// Its place in the target's list.
    pub(super) mapping: usize,
    /// Where its pages are, or come to when they are read in.
    pub(super) node: NodeId,
    /// On the active LRU list, as far as resident.
    pub(super) active: bool,
    /// How many pages are not resident.
    pub(super) swapped: u64,
}

impl Extent {
    pub(super) const fn pages(&self) -> u64 {
        (self.end - self.start) / PAGE
    }

    pub(super) const fn resident(&self) -> u64 {
        self.pages() - self.swapped
    }

    fn is_like(&self, next: &Self) -> bool {
        let (a, b) = (u128::from(self.swapped), u128::from(next.swapped));
        let (of_a, of_b) = (u128::from(self.pages()), u128::from(next.pages()));
        let whole = of_a * of_b;
        // None and all are states of their own: nothing is to fault in, or to page out.
        let pure = |e: &Self| (e.swapped == 0, e.resident() == 0);
        (self.end, self.mapping, self.node, self.active) == (next.start, next.mapping, next.node, next.active)
            && pure(self) == pure(next)
            && (a * of_b).abs_diff(b * of_a) * ALIKE < whole.max(1)
    }
}

/// The extents of a target, ascending and apart from each other.
#[derive(Debug)]
pub(super) struct Extents {
    list: Vec<Extent>,
    rng: Rng,
}

impl Extents {
    /// These; chance is from `seed`.
    pub(super) fn new(list: Vec<Extent>, seed: u64) -> Self {
        Self { list, rng: Rng::new(seed) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Extent> {
        self.list.iter()
    }

    /// Pages that are swapped out.
    pub(super) fn swapped(&self) -> u64 {
        self.list.iter().map(|e| e.swapped).sum()
    }

    /// Calls `f` with the extents that make up the whole pages of `range`, and joins what is alike then.
    pub(super) fn within(&mut self, range: AddrRange, mut f: impl FnMut(&mut Extent)) {
        let (start, end) = (range.start().div_ceil(PAGE) * PAGE, range.end() / PAGE * PAGE);
        if start >= end {
            return;
        }
        let from = self.cut(start);
        let to = self.cut(end);
        self.list[from..to].iter_mut().for_each(&mut f);
        self.tidy(from, to);
    }

    /// Has each swapped page in `range` accessed with `probability`: how many are read in for that.
    pub(super) fn fault(&mut self, range: AddrRange, probability: f64) -> u64 {
        let first = self.list.partition_point(|e| e.end <= range.start());
        let touched = self.list[first..].iter().take_while(|e| e.start < range.end());
        if touched.map(|e| e.swapped).sum::<u64>() == 0 {
            return 0;
        }
        let mut faults = 0;
        let mut rng = self.rng.fork();
        self.within(range, |e| {
            let expected = e.swapped as f64 * probability;
            let whole = expected as u64;
            let chance = ((expected - whole as f64) * f64::from(1u32 << 31)) as u64;
            let n = (whole + u64::from(rng.below(1 << 31) < chance)).min(e.swapped);
            e.swapped -= n;
            faults += n;
        });
        faults
    }

    /// Moves the pages of `range` to `node`, those that `may` allows and as many as there is `room` for: how many were moved, and
    /// from where.
    pub(super) fn migrate(
        &mut self,
        range: AddrRange,
        node: NodeId,
        mut room: u64,
        mut may: impl FnMut(&Extent) -> bool,
    ) -> Vec<(NodeId, u64)> {
        let (start, end) = (range.start().div_ceil(PAGE) * PAGE, range.end() / PAGE * PAGE);
        let mut moved = Vec::new();
        if start >= end {
            return moved;
        }
        let from = self.cut(start);
        self.cut(end);
        let mut i = from;
        while let Some(&e) = self.list.get(i).filter(|e| e.start < end && room > 0) {
            if e.node != node && e.resident() > 0 && may(&e) {
                // So many pages that even if all of them are resident there is room.
                self.cut(e.start + e.pages().min(room) * PAGE);
                let e = &mut self.list[i];
                room -= e.resident();
                moved.push((e.node, e.resident()));
                e.node = node;
            }
            i += 1;
        }
        self.tidy(from, i);
        moved
    }

    /// Makes `at` an edge, if it is within an extent: the index of what begins there, or after it.
    fn cut(&mut self, at: u64) -> usize {
        let i = self.list.partition_point(|e| e.end <= at);
        let Some(e) = self.list.get_mut(i).filter(|e| e.start < at) else { return i };
        // The swapped pages are spread evenly; a page that cannot be halved falls to either side by chance.
        let (left, all) = ((at - e.start) / PAGE, e.pages());
        let share = u128::from(e.swapped) * u128::from(left);
        let rest = (share % u128::from(all)) as u64;
        let swapped = (share / u128::from(all)) as u64 + u64::from(self.rng.below(all) < rest);
        let right = Extent { start: at, swapped: e.swapped - swapped, ..*e };
        (e.end, e.swapped) = (at, swapped);
        self.list.insert(i + 1, right);
        i + 1
    }

    /// Joins what is alike, from the one before `from` to the one after `to`.
    fn tidy(&mut self, from: usize, to: usize) {
        let from = from.saturating_sub(1);
        let to = (to + 1).min(self.list.len());
        let mut kept = from;
        for i in from + 1..to {
            let next = self.list[i];
            let last = &mut self.list[kept];
            if last.is_like(&next) {
                last.end = next.end;
                last.swapped += next.swapped;
            } else {
                kept += 1;
                self.list[kept] = next;
            }
        }
        self.list.drain((kept + 1).min(to)..to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start * PAGE, end * PAGE).unwrap()
    }

    fn extents(pages: u64) -> Extents {
        let e = Extent { start: 0, end: pages * PAGE, mapping: 0, node: NodeId(0), active: false, swapped: 0 };
        Extents::new(vec![e], 7)
    }

    fn out(e: &mut Extent) {
        e.swapped = e.pages();
    }

    #[test]
    fn neighbours_in_one_state_are_one_extent() {
        let mut e = extents(100);
        e.within(range(10, 20), out);
        e.within(range(30, 40), out);
        assert_eq!((e.list.len(), e.swapped()), (5, 20));
        e.within(range(20, 30), out);
        assert_eq!((e.list.len(), e.swapped()), (3, 30));
        assert_eq!((e.fault(range(0, 100), 1.0), e.list.len()), (30, 1));
    }

    #[test]
    fn faults_are_as_many_as_the_odds_say() {
        let mut e = extents(1 << 20);
        e.within(range(0, 1 << 20), out);
        let n: u64 = (0..1_000).map(|_| e.fault(range(0, 1 << 19), 1e-7)).sum();
        assert!((30..80).contains(&n), "{n} instead of about 52");
        assert_eq!(e.swapped(), (1 << 20) - n);
    }

    #[test]
    fn a_move_stops_where_the_room_ends() {
        let mut e = extents(100);
        e.within(range(10, 20), out);
        let moved: u64 = e.migrate(range(0, 50), NodeId(1), 25, |_| true).iter().map(|m| m.1).sum();
        let on_1: u64 = e.iter().filter(|e| e.node == NodeId(1)).map(Extent::resident).sum();
        assert_eq!((moved, on_1), (25, 25));
    }

    proptest! {
        #[test]
        fn no_page_is_lost_and_extents_stay_in_order(
            steps in prop::collection::vec((0u64..300, 1u64..60, 0u32..4), 0..80)
        ) {
            let mut e = extents(300);
            let mut swapped = 0;
            for (start, size, what) in steps {
                let r = range(start, (start + size).min(300));
                match what {
                    0 => e.within(r, |e| { swapped += e.resident(); out(e) }),
                    1 => swapped -= e.fault(r, 0.3),
                    2 => { let _ = e.migrate(r, NodeId(1), 20, |_| true); }
                    _ => e.within(r, |e| e.active = !e.active),
                }
                prop_assert_eq!(e.swapped(), swapped);
                prop_assert_eq!(e.iter().map(Extent::pages).sum::<u64>(), 300);
                prop_assert!(e.iter().all(|e| e.swapped <= e.pages() && e.start < e.end));
                prop_assert!(e.list.is_sorted_by(|a, b| a.end == b.start));
            }
        }
    }
}
