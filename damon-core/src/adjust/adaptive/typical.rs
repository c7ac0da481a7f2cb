//! What a typical page of a region is accessed like, where hot spots are scattered that no region is made for.
//!
//! One page in a hundred is always accessed, or each page is in one window of a hundred: the mean is the same, and a hit alone does not tell.
//! The second look at it does: either it convicts or it clears. So the part of the suspects that were convicted is the part of
//! the hits that come from spots, and the rest of the rate is what nearly all pages have: their median, whose
//! absolute error is the least that one number can have. The mean would be wrong for the spots *and* for all others.

use super::suspect::{RARE, Verdict};

/// What second looks into a region came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Looks {
    hot: u8,
    chance: u8,
}

/// Of those cleared in truth one in so many is convicted by chance: *e*^3.
const CHANCE: u32 = 20;
/// So many are remembered: with each one more, half of what is older is forgotten.
const MOST: u8 = 64;

impl Looks {
    /// One more is over.
    pub(super) fn learn(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Open => return,
            Verdict::Hot => self.hot += 1,
            Verdict::Chance => self.chance += 1,
        }
        self.limit();
    }

    /// Takes in those of the next region.
    pub(super) fn join(&mut self, next: &Self) {
        self.hot += next.hot;
        self.chance += next.chance;
        self.limit();
    }

    fn limit(&mut self) {
        if self.hot + self.chance > MOST {
            (self.hot, self.chance) = (self.hot / 2, self.chance / 2);
        }
    }

    /// Of a region's mean rate, in 1/2^16, what is left without the spots. With one look more that cleared: without any it is the mean.
    pub(super) fn typical(&self, mean: u32) -> u32 {
        if mean >= RARE {
            return mean;
        }
        let (cleared, all) = (u32::from(self.chance) + 1, u32::from(self.hot) + u32::from(self.chance) + 1);
        (mean * cleared * CHANCE / (all * (CHANCE - 1))).min(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(hot: usize, chance: usize) -> Looks {
        let mut looks = Looks::default();
        (0..hot).for_each(|_| looks.learn(Verdict::Hot));
        (0..chance).for_each(|_| looks.learn(Verdict::Chance));
        looks
    }

    #[test]
    fn without_a_second_look_it_is_the_mean_and_what_chance_convicts_leaves_it_so() {
        assert_eq!([looks(0, 0), looks(0, 20), looks(1, 20)].map(|l| l.typical(700)), [700; 3]);
    }

    #[test]
    fn what_comes_from_spots_is_left_out() {
        assert_eq!([looks(9, 0), looks(10, 9)].map(|l| l.typical(700)), [73, 368]);
        assert_eq!(looks(9, 0).typical(RARE), RARE, "where hits are many they are no spots");
    }

    #[test]
    fn what_is_old_fades_and_nothing_overflows() {
        let mut l = looks(200, 0);
        let same = l;
        l.join(&same);
        assert!(l.typical(6_666) < 400);
        (0..500).for_each(|_| l.learn(Verdict::Chance));
        assert_eq!(l.typical(700), 700);
    }
}
