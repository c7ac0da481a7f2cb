//! How well a picture of memory agrees with the truth: precision and recall of hot bytes.

use damon_core::{AddrRange, RegionSnapshot};

use crate::truth::joined;

/// Bytes of agreement, summed over all aggregations that were scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Hot, and said to be.
    pub found: u64,
    /// Said to be hot.
    pub claimed: u64,
    /// Hot, and visible.
    pub hot: u64,
    /// Hot by reads where reads are invisible: neither in `hot` nor expected to be found.
    pub hidden: u64,
    /// How many pictures were added.
    pub pictures: u64,
}

impl Score {
    /// Adds what was `claimed` where `visible` was true of all that was `hot`. All ascending and apart from each other.
    pub fn add(&mut self, claimed: &[AddrRange], visible: &[AddrRange], hot: &[AddrRange]) {
        let size = |ranges: &[AddrRange]| ranges.iter().map(|r| r.size()).sum::<u64>();
        self.claimed += size(claimed);
        self.hot += size(visible);
        self.found += common(claimed, visible);
        self.hidden += size(hot) - common(visible, hot);
        self.pictures += 1;
    }

    /// Which part of the bytes said to be hot were: 0 to 1; 0 where nothing was said to be.
    pub fn precision(&self) -> f64 {
        self.found as f64 / self.claimed.max(1) as f64
    }

    /// Which part of the hot bytes were said to be: 0 to 1; 0 where nothing was hot.
    pub fn recall(&self) -> f64 {
        self.found as f64 / self.hot.max(1) as f64
    }
}

/// The regions said to be hot: accessed in at least half of their samples.
pub fn claimed(regions: &[RegionSnapshot]) -> Vec<AddrRange> {
    joined(regions.iter().filter(|r| r.rate.0 >= 5_000).map(|r| r.range))
}

/// How many bytes are in both of two ascending lists.
fn common(a: &[AddrRange], b: &[AddrRange]) -> u64 {
    let (mut i, mut j, mut sum) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        sum += x.intersection(*y).map_or(0, AddrRange::size);
        if x.end() <= y.end() { i += 1 } else { j += 1 }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn blocks(mib: &[(u64, u64)]) -> Vec<AddrRange> {
        mib.iter().map(|(start, end)| AddrRange::new(start * MIB, end * MIB).unwrap()).collect()
    }

    fn score(claimed: &[(u64, u64)], hot: &[(u64, u64)]) -> (f64, f64) {
        let mut score = Score::default();
        score.add(&blocks(claimed), &blocks(hot), &blocks(hot));
        (score.precision(), score.recall())
    }

    #[test]
    fn the_truth_itself_scores_full() {
        assert_eq!(score(&[(10, 50), (60, 70)], &[(10, 50), (60, 70)]), (1.0, 1.0));
    }

    #[test]
    fn a_picture_shifted_by_half_a_block_scores_half() {
        assert_eq!(score(&[(30, 70)], &[(10, 50)]), (0.5, 0.5));
    }

    #[test]
    fn a_picture_of_something_else_scores_nothing() {
        assert_eq!(score(&[(50, 90)], &[(10, 50)]), (0.0, 0.0));
        assert_eq!(score(&[], &[(10, 50)]), (0.0, 0.0));
        assert_eq!(score(&[(10, 50)], &[]), (0.0, 0.0));
    }

    #[test]
    fn calling_everything_hot_costs_precision_and_calling_little_hot_costs_recall() {
        assert_eq!(score(&[(0, 400)], &[(10, 50)]), (0.1, 1.0));
        assert_eq!(score(&[(10, 20)], &[(10, 50)]), (1.0, 0.25));
    }

    #[test]
    fn bytes_are_summed_over_aggregations() {
        let mut sum = Score::default();
        sum.add(&blocks(&[(0, 10)]), &blocks(&[(0, 30)]), &blocks(&[(0, 30)]));
        sum.add(&blocks(&[(0, 30)]), &blocks(&[(0, 30)]), &blocks(&[(0, 30)]));
        assert_eq!((sum.precision(), sum.recall(), sum.pictures), (1.0, 40.0 / 60.0, 2));
    }

    #[test]
    fn what_nobody_can_see_is_counted_apart() {
        let mut sum = Score::default();
        sum.add(&blocks(&[(0, 30)]), &blocks(&[(0, 30)]), &blocks(&[(0, 30), (50, 60)]));
        assert_eq!((sum.precision(), sum.recall(), sum.hidden), (1.0, 1.0, 10 * MIB));
    }
}
