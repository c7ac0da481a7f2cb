//! Where in a region the hits were: counts by block of the address space.
//!
//! A region is seen as at most sixteen blocks, each a power of two in size and naturally aligned. Blocks of neighbours line up then,
//! whatever their sizes: regions are joined and cut by moving whole counts, and a cut falls where mappings, huge pages
//! and allocators put their edges. Two counts a block: this aggregation's, and what earlier ones left, fading.

use crate::addr::AddrRange;

/// At most so many blocks.
pub(super) const BLOCKS: usize = 16;

/// One piece of what was seen: hits of checks. In 1/32, so that fading leaves something of a single check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) hits: u32,
    pub(super) checks: u32,
}

/// Fading counts are in such parts.
pub(super) const UNIT: u32 = 32;
/// They are kept below this, by halving a region's all.
const FULL: u16 = (1 << 14) - 1;

/// The counts of a region's blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bins {
    /// The number of the first block: its address, by the size.
    first: u64,
    /// The size of a block, as a power of two.
    shift: u8,
    now_hits: [u8; BLOCKS],
    now_checks: [u8; BLOCKS],
    old_hits: [u16; BLOCKS],
    old_checks: [u16; BLOCKS],
}

/// Running sums over blocks, of either time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    hits: [u32; BLOCKS + 1],
    checks: [u32; BLOCKS + 1],
}

impl Sums {
    /// Of blocks `from..to`.
    #[inline]
    pub(super) fn of(&self, from: usize, to: usize) -> Tally {
        Tally { hits: self.hits[to] - self.hits[from], checks: self.checks[to] - self.checks[from] }
    }

    fn new(each: impl Fn(usize) -> (u32, u32)) -> Self {
        let mut sums = Self::default();
        for i in 0..BLOCKS {
            let (hits, checks) = each(i);
            sums.hits[i + 1] = sums.hits[i] + hits;
            sums.checks[i + 1] = sums.checks[i] + checks;
        }
        sums
    }
}

impl Bins {
    /// Empty ones for a region; blocks are no smaller than 2^`least`.
    pub(super) fn new(range: AddrRange, least: u32) -> Self {
        let shift = shift(range, least);
        Self { first: range.start() >> shift, shift: shift as u8, ..Self::default() }
    }

    /// Where block `i` begins.
    #[inline]
    pub(super) fn start_of(&self, i: usize) -> u64 {
        (self.first + i as u64) << self.shift
    }

    /// The size of a block.
    pub(super) fn block(&self) -> u64 {
        1 << self.shift
    }

    /// Counts a check; one outside the blocks (an edge moved) is left out.
    ///
    /// So is one in a block that is full: it has been seen well enough, and to halve all blocks for it would not do. A window's samples
    /// come in order of address, so whole blocks would be halved to nothing by those above them.
    #[inline]
    pub(super) fn count(&mut self, addr: u64, hit: bool) {
        let i = (addr >> self.shift).wrapping_sub(self.first) as usize;
        if let (Some(checks), Some(hits)) = (self.now_checks.get_mut(i), self.now_hits.get_mut(i)) {
            if *checks < u8::MAX {
                *checks += 1;
                *hits += u8::from(hit);
            }
        }
    }

    /// Counts a check of each block, at another address in each `turn`: by the golden ratio, so that any few of them are spread evenly.
    pub(super) fn sweep(&mut self, range: AddrRange, turn: u32, hit: impl Fn(u64) -> bool) {
        let part = u128::from(turn.wrapping_mul(0x9e37_79b9));
        for i in 0..BLOCKS {
            let (start, end) = self.common(i, range);
            if start < end {
                let addr = start + ((u128::from(end - start) * part) >> 32) as u64;
                self.count(addr, hit(addr));
            }
        }
    }

    /// Checks that nobody made of a block, up to `checks` of this aggregation, found nothing.
    pub(super) fn fill(&mut self, range: AddrRange, checks: u32) {
        let checks = u8::try_from(checks).unwrap_or(u8::MAX);
        for i in 0..BLOCKS {
            let (start, end) = self.common(i, range);
            if start < end {
                self.now_checks[i] = self.now_checks[i].max(checks);
            }
        }
    }

    /// Where block `i` and the range overlap; nowhere, if the second is not above the first.
    fn common(&self, i: usize, range: AddrRange) -> (u64, u64) {
        let start = self.start_of(i);
        (start.max(range.start()), start.saturating_add(self.block()).min(range.end()))
    }

    /// This aggregation's, in [`UNIT`]s.
    pub(super) fn now(&self) -> Sums {
        Sums::new(|i| (u32::from(self.now_hits[i]) * UNIT, u32::from(self.now_checks[i]) * UNIT))
    }

    /// All that is left, in [`UNIT`]s.
    pub(super) fn all(&self) -> Sums {
        Sums::new(|i| {
            let now = (u32::from(self.now_hits[i]) * UNIT, u32::from(self.now_checks[i]) * UNIT);
            (now.0 + u32::from(self.old_hits[i]), now.1 + u32::from(self.old_checks[i]))
        })
    }

    /// This aggregation's over all blocks, in checks.
    pub(super) fn total_now(&self) -> Tally {
        let sum = |of: &[u8]| of.iter().map(|&n| u32::from(n)).sum();
        Tally { hits: sum(&self.now_hits), checks: sum(&self.now_checks) }
    }

    /// The earlier ones' over all blocks, in [`UNIT`]s.
    pub(super) fn total_old(&self) -> Tally {
        let sum = |of: &[u16]| of.iter().map(|&n| u32::from(n)).sum();
        Tally { hits: sum(&self.old_hits), checks: sum(&self.old_checks) }
    }

    /// The aggregation is over: its counts join the earlier ones, all of which fade.
    pub(super) fn fade(&mut self) {
        fade(&mut self.old_hits, &mut self.now_hits);
        fade(&mut self.old_checks, &mut self.now_checks);
        if self.old_checks.iter().fold(0, |all, n| all | n) > FULL {
            self.old_hits.iter_mut().chain(&mut self.old_checks).for_each(|n| *n /= 2);
        }
    }

    /// Is there nothing to cut by: no hit, or nothing but hits?
    #[inline]
    pub(super) fn even(&self) -> bool {
        let (now, old) = (self.total_now(), self.total_old());
        (now.hits | old.hits) == 0 || (now.hits == now.checks && old.hits == old.checks)
    }

    /// Forgets earlier aggregations.
    pub(super) fn forget_old(&mut self) {
        (self.old_hits, self.old_checks) = ([0; BLOCKS], [0; BLOCKS]);
    }

    /// Leaves this aggregation out.
    pub(super) fn forget_now(&mut self) {
        (self.now_hits, self.now_checks) = ([0; BLOCKS], [0; BLOCKS]);
    }

    /// The same for another range: what lies outside is dropped, blocks are joined where it is larger, and begun anew where
    /// smaller ones tell more.
    pub(super) fn fitted(&self, range: AddrRange, least: u32) -> Self {
        let shift = shift(range, least);
        let mut out = Self { first: range.start() >> shift, shift: shift as u8, ..Self::default() };
        if out.first == self.first && out.shift == self.shift {
            return *self;
        }
        out.add(self);
        out
    }

    /// The counts of two neighbours, as those of one region.
    pub(super) fn joined(&self, next: &Self, range: AddrRange, least: u32) -> Self {
        let shift = shift(range, least).max(self.shift.into()).max(next.shift.into());
        let mut out = Self { first: range.start() >> shift, shift: shift as u8, ..Self::default() };
        out.add(self);
        out.add(next);
        out
    }

    /// Leaves what lies in the range, whose ends are among those of blocks.
    pub(super) fn clip(&mut self, range: AddrRange) {
        for i in 0..BLOCKS {
            let start = self.start_of(i);
            if start >= range.end() || start.saturating_add(self.block()) <= range.start() {
                (self.now_hits[i], self.now_checks[i], self.old_hits[i], self.old_checks[i]) = (0, 0, 0, 0);
            }
        }
    }

    /// Takes in blocks that are no larger.
    fn add(&mut self, from: &Self) {
        let Some(by) = self.shift.checked_sub(from.shift) else { return };
        for i in 0..BLOCKS {
            if from.now_checks[i] == 0 && from.old_checks[i] == 0 {
                continue;
            }
            let to = ((from.first + i as u64) >> by).wrapping_sub(self.first) as usize;
            if to < BLOCKS {
                self.now_hits[to] = self.now_hits[to].saturating_add(from.now_hits[i]);
                self.now_checks[to] = self.now_checks[to].saturating_add(from.now_checks[i]);
                self.old_hits[to] = (self.old_hits[to] + from.old_hits[i]).min(2 * FULL);
                self.old_checks[to] = (self.old_checks[to] + from.old_checks[i]).min(2 * FULL);
            }
        }
    }
}

/// Adds to what was seen earlier, of which an eighth fades. Rounded alike for hits and checks, so that of nothing but hits nothing
/// else is left. Fits: what was is at most [`FULL`], and what comes below 2^13.
#[inline]
fn fade(old: &mut [u16; BLOCKS], now: &mut [u8; BLOCKS]) {
    for (old, now) in old.iter_mut().zip(now) {
        let sum = *old + u16::from(*now) * UNIT as u16;
        *old = sum - (sum >> 3) - u16::from(sum & 7 != 0);
        *now = 0;
    }
}

/// The smallest power of two, from 2^`least` on, of which at most [`BLOCKS`] touch the range.
fn shift(range: AddrRange, least: u32) -> u32 {
    let size = range.size().div_ceil(BLOCKS as u64);
    let shift = least.max(u64::BITS - (size - 1).leading_zeros());
    let blocks = ((range.end() - 1) >> shift) - (range.start() >> shift) + 1;
    if blocks > BLOCKS as u64 { shift + 1 } else { shift }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start, end).unwrap()
    }

    #[test]
    fn neighbours_of_other_sizes_are_joined_count_by_count() {
        let (l, r) = (range(0, 16 << 12), range(16 << 12, 80 << 12));
        let (mut left, mut right) = (Bins::new(l, 12), Bins::new(r, 12));
        (0..16).for_each(|page| left.count(page << 12, page < 8));
        (16..80).for_each(|page| right.count(page << 12, page >= 48));
        let both = left.joined(&right, range(0, 80 << 12), 12);
        assert_eq!(both.total_now(), Tally { hits: 40, checks: 80 });
        assert_eq!((both.block(), both.now().of(0, 1)), (8 << 12, Tally { hits: 8 * UNIT, checks: 8 * UNIT }));
    }

    #[test]
    fn what_was_seen_earlier_fades_and_hits_stay_hits() {
        let mut bins = Bins::new(range(0, 1 << 16), 12);
        (0..4).for_each(|_| bins.count(0, true));
        bins.fade();
        assert_eq!(bins.total_old(), Tally { hits: 4 * UNIT * 7 / 8, checks: 4 * UNIT * 7 / 8 });
        (0..99).for_each(|_| bins.fade());
        assert_eq!(bins.total_old(), Tally::default());
    }

    #[test]
    fn a_full_block_takes_no_more_and_leaves_the_others_alone() {
        let mut bins = Bins::new(range(0, 1 << 16), 12);
        for window in 0..5 {
            // In order of address, more than fit: the lower half is idle.
            (0..16 * 500).for_each(|i| bins.count((i / 500) << 12, i / 500 >= 8));
            assert!(!bins.even(), "window {window}");
        }
        assert_eq!(bins.now().of(0, 8), Tally { hits: 0, checks: 8 * 255 * UNIT });
        assert_eq!(bins.now().of(8, 16), Tally { hits: 8 * 255 * UNIT, checks: 8 * 255 * UNIT });
    }

    proptest! {
        #[test]
        fn at_most_sixteen_blocks_and_as_few_as_that_allows(start in 0u64..1 << 50, size in 1u64..1 << 50) {
            let (start, end) = (start << 12, (start + size) << 12);
            let bins = Bins::new(range(start, end), 12);
            prop_assert!(bins.start_of(0) <= start && end <= bins.start_of(BLOCKS).max(bins.start_of(0) + 1));
            prop_assert!(bins.block() == 4_096 || bins.block() * BLOCKS as u64 <= 4 * (end - start));
        }
    }
}
