//! How much a region deserves an action, 0 to 99; and from which score on, so that a quota is used up by the most deserving.
//!
//! Counterpart: `damon_hot_score`, `damon_cold_score` (`mm/damon/ops-common.c`), `damos_adjust_quota`
//! (`mm/damon/core.c`), Linux 7.3. There the size weight is ignored; here it counts.

/// The highest score.
pub const MAX_SCORE: u32 = 99;

/// How much each property counts, relative to the others'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Weights {
    /// Its size.
    pub size: u32,
    /// Its access frequency.
    pub nr_accesses: u32,
    /// Its age.
    pub age: u32,
}

/// What is known of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its size, in the same unit as `largest`.
    pub size: u64,
    /// The size of the largest region it competes with.
    pub largest: u64,
    /// Its count, of so many `samples`.
    pub nr_accesses: u32,
    /// Samples of a full aggregation.
    pub samples: u32,
    /// Its age in whole seconds.
    pub age_secs: u64,
}

/// How hot it is: often accessed, and for long; where it is not accessed at all, not for long. 99 less that is how cold.
///
/// ```
/// use damon_core::control::priority::{Standing, Weights, hot_score};
/// let idle = Standing { size: 1, largest: 1, nr_accesses: 0, samples: 20, age_secs: 3_600 };
/// let hot = Standing { nr_accesses: 20, ..idle };
/// let weights = Weights { size: 0, nr_accesses: 1, age: 1 };
/// assert_eq!((hot_score(&idle, weights), hot_score(&hot, weights)), (14, 83));
/// ```
#[inline]
pub fn hot_score(r: &Standing, weights: Weights) -> u32 {
    let frequency = u64::from(r.nr_accesses) * 100 / u64::from(r.samples.max(1));
    let age = i64::from(bits(r.age_secs).min(32)) * if frequency == 0 { -1 } else { 1 };
    let age = u64::try_from((age + 32) * 100 / 64).unwrap_or(0);
    // By orders of magnitude, as the age: twice the size is one step more.
    let size = if weights.size == 0 { 0 } else { u64::from(bits(r.size)) * 100 / u64::from(bits(r.largest).max(1)) };
    let parts = [(weights.nr_accesses, frequency), (weights.age, age), (weights.size, size)];
    let sum: u64 = parts.iter().map(|&(w, part)| u64::from(w) * part).sum();
    let weight: u64 = parts.iter().map(|&(w, _)| u64::from(w)).sum();
    let hotness = sum / weight.max(1);
    u32::try_from(hotness * u64::from(MAX_SCORE) / 100).unwrap_or(MAX_SCORE).min(MAX_SCORE)
}

/// Binary digits: 0 for 0, 1 for 1, 2 for 2 and 3.
const fn bits(n: u64) -> u32 {
    u64::BITS - n.leading_zeros()
}

/// How much there is of each score.
#[derive(Clone, Debug)]
pub struct Histogram {
    sizes: [u64; MAX_SCORE as usize + 1],
    highest: usize,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { sizes: [0; MAX_SCORE as usize + 1], highest: 0 }
    }
}

impl Histogram {
    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds `size` of a score.
    pub fn add(&mut self, score: u32, size: u64) {
        let score = score.min(MAX_SCORE) as usize;
        self.sizes[score] = self.sizes[score].saturating_add(size);
        self.highest = self.highest.max(score);
    }

    /// The lowest score that is still served if `quota` is given to the highest first.
    pub fn min_score(&self, quota: u64) -> u32 {
        let mut served: u64 = 0;
        for score in (0..=self.highest).rev() {
            served = served.saturating_add(self.sizes[score]);
            if served >= quota {
                return score as u32;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quota_is_given_to_the_highest_scores_first() {
        let mut h = Histogram::default();
        for (score, size) in [(10, 100), (50, 200), (90, 50)] {
            h.add(score, size);
        }
        assert_eq!([0, 1, 50, 51, 250, 251, 9_999].map(|quota| h.min_score(quota)), [90, 90, 90, 50, 50, 10, 0]);
    }

    #[test]
    fn the_size_counts_where_it_has_a_weight() {
        let small = Standing { size: 1 << 12, largest: 1 << 30, nr_accesses: 10, samples: 20, age_secs: 9 };
        let large = Standing { size: 1 << 30, ..small };
        let by = |size| Weights { size, nr_accesses: 1, age: 1 };
        assert_eq!(hot_score(&small, by(0)), hot_score(&large, by(0)));
        assert!(hot_score(&small, by(1)) < hot_score(&large, by(1)));
    }
}
