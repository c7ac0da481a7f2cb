//! Follows the boundary between two regions by looking at both its sides.
//!
//! A cut between blocks is off by up to half a block, and what is hot moves. So at a boundary between clearly different rates a page is checked a little to the
//! left of it and one a little to the right. Where those on the left look like the right region the boundary moves left, and
//! the other way round; steps double while they go on in one direction, and halve when it turns or both sides are as they should be.

use super::log::ln_ratio;

/// Rates that differ by a fifth make a boundary worth following; in 1/256.
const CONTRAST: u32 = 51;
/// Below this nothing is learned from a single check.
const LEAST_CONTRAST: u32 = 38;
/// Rates are taken to be within these, so that a single check never proves anything: in 1/256.
const CLIP: (u32, u32) = (10, 246);
/// So much evidence moves a boundary, or says that it is right: 3.5 nats, a likelihood of 33 to 1.
const PROVEN: i16 = 896;
/// On both sides at once it says that neither rate is what it was: 1.5 nats.
const STALE: i16 = 384;

/// A region's left boundary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edge {
    /// It is followed: both sides are known, and differ.
    pub(super) strong: bool,
    /// How far to look and to step: a power of two, in granules.
    reach: u8,
    /// Where the last step went: −1, 1, or 0.
    heading: i8,
    /// For the page on that side being like the other region, in nats times 256.
    left: i16,
    right: i16,
}

/// Where a boundary goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Left,
    Right,
}

/// Which side of a boundary was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Edge {
    /// One that was just cut, and may be off by so many granules.
    pub(super) fn new(off: u64) -> Self {
        Self { strong: true, reach: off.max(1).ilog2() as u8, ..Self::default() }
    }

    /// How far to look and to step, in granules.
    pub(super) fn reach(&self) -> u64 {
        1 << self.reach
    }

    /// It was found to be right to the page, and has not moved since.
    pub(super) fn settled(&self) -> bool {
        self.reach == 0 && self.heading == 0
    }

    /// An aggregation is over, and these are the rates beside it now, in 1/2^16.
    pub(super) fn review(&mut self, left: u32, right: u32, off: u64) {
        let strong = left.abs_diff(right) >= CONTRAST << 8;
        if strong && !self.strong && *self == Self::default() {
            *self = Self::new(off);
        }
        self.strong = strong;
        (self.left, self.right) = (0, 0);
    }

    /// Takes in a check beside it, given the rates on both sides, in 1/256.
    #[inline]
    pub(super) fn learn(&mut self, side: Side, hit: bool, left: u32, right: u32) {
        let (l, r) = (left.clamp(CLIP.0, CLIP.1), right.clamp(CLIP.0, CLIP.1));
        if l.abs_diff(r) < LEAST_CONTRAST {
            return;
        }
        let for_right = if hit { ln_ratio(r, l) } else { ln_ratio(256 - r, 256 - l) } as i16;
        let floor = -(PROVEN + 256);
        match side {
            Side::Left => self.left = self.left.saturating_add(for_right).max(floor),
            Side::Right => self.right = self.right.saturating_sub(for_right).max(floor),
        }
    }

    /// What the checks of a window come to.
    #[inline]
    pub(super) fn decide(&mut self) -> Option<Move> {
        if self.left > STALE && self.right > STALE {
            // Where both look like the other side it is the rates that are wrong.
            self.strong = false;
            return None;
        }
        let to = match (self.left, self.right) {
            (l, r) if l > PROVEN && r < 0 => Move::Left,
            (l, r) if r > PROVEN && l < 0 => Move::Right,
            (l, r) if l < -PROVEN && r < -PROVEN => {
                self.reach = self.reach.saturating_sub(1);
                (self.heading, self.left, self.right) = (0, 0, 0);
                return None;
            }
            _ => return None,
        };
        (self.left, self.right) = (0, 0);
        Some(to)
    }

    /// It moved: the next step is twice as long, or half where it turned round.
    pub(super) fn moved(&mut self, to: Move) {
        let heading = if to == Move::Left { -1 } else { 1 };
        self.reach = match self.heading * heading {
            1 => (self.reach + 1).min(62),
            -1 => self.reach.saturating_sub(1),
            _ => self.reach,
        };
        self.heading = heading;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hot from page `truth` on; the boundary starts elsewhere. Gives where it is after each window.
    fn follow(mut at: i64, truth: i64, reach: u64, windows: usize) -> i64 {
        let mut e = Edge::new(reach);
        for _ in 0..windows {
            let reach = e.reach() as i64;
            e.learn(Side::Left, at - reach >= truth, 0, 256);
            e.learn(Side::Right, at + reach > truth, 0, 256);
            match e.decide() {
                Some(to) => {
                    at += if to == Move::Left { -reach } else { reach };
                    e.moved(to);
                }
                None if !e.strong => break,
                None => {}
            }
        }
        at
    }

    #[test]
    fn it_finds_a_boundary_on_either_side_to_the_page() {
        assert_eq!(follow(1_000, 1_000, 64, 100), 1_000);
        assert!((follow(1_000, 700, 64, 200) - 700).abs() <= 1, "{}", follow(1_000, 700, 64, 200));
        assert!((follow(1_000, 1_300, 64, 200) - 1_300).abs() <= 1, "{}", follow(1_000, 1_300, 64, 200));
    }

    #[test]
    fn rates_that_contradict_both_sides_are_stale_and_move_nothing() {
        let mut e = Edge::new(4);
        e.learn(Side::Left, true, 0, 256);
        e.learn(Side::Right, false, 0, 256);
        assert_eq!((e.decide(), e.strong), (None, false));
    }

    #[test]
    fn one_check_moves_nothing() {
        let mut e = Edge::new(4);
        e.learn(Side::Right, true, 0, 256);
        e.learn(Side::Left, true, 0, 256);
        assert_eq!(e.decide(), None);
    }

    #[test]
    fn a_faint_boundary_is_not_followed() {
        let mut e = Edge::default();
        e.review(20_000, 30_000, 8);
        assert!(!e.strong);
        e.review(20_000, 40_000, 8);
        assert_eq!((e.strong, e.reach()), (true, 8));
    }
}
