//! What is believed of a region's access rate: evidence kept while nothing changes, and dropped at once when something did.
//!
//! An aggregation alone has too few checks to tell rates apart. While counts agree with what was believed they are added up, fading
//! slowly; one that disagrees by more than chance allows starts anew.

use super::bins::Tally;
use super::log::{contrast, threshold};
use crate::region::weighted_mean;

/// Counts are in such parts, so that fading leaves something of a single check.
pub(super) const UNIT: u32 = 16;
/// So many checks are evidence enough: more would keep a slow change out.
const MOST: u32 = 8_192 * UNIT;
/// With each aggregation one part in so many fades: a memory of 32 aggregations.
const FADES: u32 = 32;
/// A change must tell so much, by how many aggregations it ends: what was learned in one is soon learned again, so
/// young evidence goes sooner. *z* of 2, 2.5, 3 and 3.5.
const CHANGED: [(u32, u64); 3] = [(2, threshold(400, UNIT)), (5, threshold(625, UNIT)), (10, threshold(900, UNIT))];
const CHANGED_OLD: u64 = threshold(1_225, UNIT);
/// Neighbours whose rates differ by no more than two standard errors are one region.
const ALIKE: u64 = threshold(400, UNIT);

/// Hits of checks, in [`UNIT`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Belief {
    pub(super) hits: u32,
    pub(super) checks: u32,
}

impl Belief {
    /// What these counts alone say.
    pub(super) fn of(hits: u32, checks: u32) -> Self {
        let scale = |n: u32| n.min(MOST / UNIT) * UNIT;
        if checks <= MOST / UNIT {
            return Self { hits: scale(hits), checks: scale(checks) };
        }
        Self { hits: (u64::from(hits) * u64::from(MOST) / u64::from(checks)) as u32, checks: MOST }
    }

    /// The same of a tally in other units.
    pub(super) fn of_tally(t: Tally, unit: u32) -> Self {
        let scale = |n: u32| (u64::from(n) * u64::from(UNIT) / u64::from(unit)) as u32;
        Self { hits: scale(t.hits), checks: scale(t.checks) }
    }

    /// Whole checks that it rests on.
    pub(super) fn evidence(&self) -> u32 {
        self.checks.div_ceil(UNIT)
    }

    /// The rate in 1/2^16; 0 without evidence.
    #[inline]
    pub(super) fn rate(&self) -> u32 {
        if self.checks == 0 { 0 } else { ((u64::from(self.hits) << 16) / u64::from(self.checks)) as u32 }
    }

    /// The rate in 1/2^16, never quite 0 or 1: half a hit in one check more.
    #[inline]
    pub(super) fn cautious_rate(&self) -> u32 {
        (((u64::from(self.hits) + u64::from(UNIT / 2)) << 16) / u64::from(self.checks + UNIT)) as u32
    }

    /// Is a check surprising: a hit, where `checks` checks or more say that the [`cautious_rate`](Self::cautious_rate) is below this?
    /// By one comparison: hits come at random, and a branch for each of these would be guessed wrong too often.
    #[inline]
    pub(super) fn is_surprised(&self, hit: bool, rate: u32, checks: u32) -> bool {
        let (hits, of) = (u64::from(self.hits) + u64::from(UNIT / 2), u64::from(self.checks) + u64::from(UNIT));
        hits << 16 < u64::from(hit) * u64::from(self.checks >= checks * UNIT) * u64::from(rate) * of
    }

    /// Takes in an aggregation's counts, in checks. False if they cannot be of the same rate: then they are all that is believed.
    pub(super) fn learn(&mut self, hits: u32, checks: u32, age: u32) -> bool {
        let new = Self::of(hits, checks);
        let limit = CHANGED.iter().find(|(below, _)| age < *below).map_or(CHANGED_OLD, |(_, limit)| *limit);
        if self.checks > 0 && contrast([self.hits, new.hits], [self.checks, new.checks]) > limit {
            *self = new;
            return false;
        }
        self.blend(new);
        true
    }

    /// Takes in counts whatever they say.
    pub(super) fn blend(&mut self, new: Self) {
        let fade = |n: u32| n - n.div_ceil(FADES);
        self.hits = fade(self.hits).min(fade(self.checks)) + new.hits;
        self.checks = fade(self.checks) + new.checks;
        if self.checks > MOST {
            self.hits = (u64::from(self.hits) * u64::from(MOST) / u64::from(self.checks)) as u32;
            self.checks = MOST;
        }
    }

    /// May chance alone have made the two different? Nothing is known against it where one has no evidence.
    #[inline]
    pub(super) fn is_like(&self, next: &Self) -> bool {
        if self.checks == 0 || next.checks == 0 {
            return true;
        }
        contrast([self.hits, next.hits], [self.checks, next.checks]) <= ALIKE
    }

    /// That of both together: the mean rate by size, resting on as many checks as tell that mean as well.
    pub(super) fn join(&mut self, next: &Self, size: u64, next_size: u64) {
        if self.checks == 0 || next.checks == 0 {
            let (known, part) = if self.checks == 0 { (next, next_size) } else { (&*self, size) };
            *self = known.part(part, size.saturating_add(next_size));
            return;
        }
        let rate = weighted_mean(self.rate(), size, next.rate(), next_size);
        // Variances of rates go with the squares of sizes: n = 1 / (a² / n₁ + b² / n₂), a and b the parts, in 1/2^12.
        let sum = size.saturating_add(next_size);
        let down = (u64::BITS - sum.leading_zeros()).saturating_sub(52);
        let a = ((size >> down) << 12) / (sum >> down).max(1);
        let (a, b) = (a, (1 << 12) - a);
        let (n1, n2) = (u64::from(self.checks), u64::from(next.checks));
        let n = ((n1 * n2) << 24) / (a * a * n2 + b * b * n1).max(1);
        self.checks = n.clamp(1, u64::from(MOST)) as u32;
        self.hits = ((u64::from(self.checks) * u64::from(rate) + (1 << 15)) >> 16) as u32;
    }

    /// What is left of the evidence for a part of the region.
    pub(super) fn part(&self, size: u64, of: u64) -> Self {
        let scale = |n: u32| (u128::from(n) * u128::from(size) / u128::from(of.max(1))) as u32;
        Self { hits: scale(self.hits), checks: scale(self.checks) }
    }

    /// The rate becomes another, and rests on a quarter of the evidence: the sampling interval changed.
    pub(super) fn rescale(&mut self, rate: impl Fn(u32) -> u32) {
        let rate = rate(self.rate());
        self.checks /= 4;
        self.hits = ((u64::from(self.checks) * u64::from(rate)) >> 16) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_that_agrees_adds_up_and_fades_beyond_32_aggregations() {
        let mut b = Belief::of(10, 20);
        for age in 0..500 {
            assert!(b.learn(10, 20, age));
        }
        assert!((500..=640).contains(&b.evidence()), "{b:?}");
        assert!(b.rate().abs_diff(1 << 15) < 700, "{b:?}");
    }

    #[test]
    fn a_change_is_believed_at_once_and_chance_is_not() {
        let mut old = Belief::of(200, 400);
        assert!(old.learn(7, 20, 50), "seven of twenty is chance");
        assert!(!old.learn(0, 20, 50));
        assert_eq!(old, Belief::of(0, 20));
        // Young evidence goes sooner.
        assert!(Belief::of(6, 10).learn(10, 10, 50) && !Belief::of(6, 10).learn(10, 10, 0));
    }

    #[test]
    fn a_hit_where_there_were_none_in_hundreds_is_no_change() {
        assert!(Belief::of(0, 300).learn(1, 5, 50));
    }

    #[test]
    fn a_join_is_the_mean_by_size_and_equal_halves_are_worth_both() {
        let mut b = Belief::of(100, 100);
        b.join(&Belief::of(0, 100), 1 << 40, 1 << 40);
        assert_eq!((b.rate(), b.evidence()), (1 << 15, 200));
        b.join(&Belief::default(), 1 << 12, 3 << 12);
        assert_eq!(b.evidence(), 50, "of an unknown part nothing is known");
    }

    #[test]
    fn there_is_never_more_than_full_evidence() {
        let b = Belief::of(1_000_000, 4_000_000);
        assert_eq!((b.evidence(), b.rate()), (8_192, 1 << 14));
    }
}
