//! How far a goal is reached, and how much a quota may do until it is.
//!
//! Counterpart: `damos_quota_score`, `damos_goal_tune_esz_bp_consist`, `damos_goal_tune_esz_bp_temporal` (`mm/damon/core.c`,
//! Linux 7.3). [`SelfTuning`] has none: it learns what the kernel's find out step by step.

use super::feed_loop;

mod model;
mod self_tuning;

pub use self_tuning::SelfTuning;

/// `current` against `target`: 10,000 is reached, more is overshot.
pub fn score(current: u64, target: u64) -> u64 {
    u64::try_from(u128::from(current) * 10_000 / u128::from(target.max(1))).unwrap_or(u64::MAX)
}

/// The kernel's `consist`: grows or shrinks the size of the last window, in ten-thousandths of a byte, in proportion to
/// how far the score is off. It starts at one byte.
pub fn consist(last_bp: u64, score: u64) -> u64 {
    feed_loop::next_input(last_bp.max(feed_loop::MIN_INPUT), score)
}

/// The kernel's `temporal`: all that the size limit allows until the goal is reached, then nothing. In ten-thousandths of
/// a byte; a limit of 0 is none.
pub fn temporal(score: u64, size_limit: u64) -> u64 {
    match score {
        feed_loop::GOAL.. => 0,
        _ if size_limit > 0 => size_limit.saturating_mul(10_000),
        _ => u64::MAX,
    }
}

/// What is missing, where the goal is a part of `whole` addresses (`target_bp`), and each that is worked on brings it nearer by
/// itself: migrating to a node fills it by as much. In ten-thousandths of an address. No counterpart.
///
/// ```
/// use damon_core::control::goal::{exact, score};
/// // 0.5% of 1 GiB shall be free, and 0.2% is.
/// let missing = exact(score(20, 50), 50, 1 << 30) / 10_000;
/// assert_eq!(missing, (1 << 30) * 3 / 1_000);
/// assert_eq!(exact(score(60, 50), 50, 1 << 30), 0);
/// ```
pub fn exact(score: u64, target_bp: u64, whole: u64) -> u64 {
    let missing = feed_loop::GOAL.saturating_sub(score);
    let size = u128::from(whole) * u128::from(target_bp.min(feed_loop::GOAL)) * u128::from(missing);
    u64::try_from(size / u128::from(feed_loop::GOAL)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consist_starts_at_a_byte_and_temporal_at_the_limit() {
        assert_eq!(consist(0, 0) / 10_000, 2);
        assert_eq!(consist(40_960_000, 20_000) / 10_000, 1);
        assert_eq!(temporal(9_999, 4_096) / 10_000, 4_096);
        assert_eq!((temporal(9_999, 0), temporal(10_000, 4_096)), (u64::MAX, 0));
    }

    #[test]
    fn a_score_never_overflows() {
        assert_eq!(score(u64::MAX, 1), u64::MAX);
        assert_eq!(score(3, 4), 7_500);
        assert_eq!(score(3, 0), 30_000);
    }
}
