//! The next sampling interval, from how many of the possible access events were seen.
//!
//! Too short an interval sees nothing, since hardly a page is touched in it; too long a one sees everything, since all are.
//!
//! Counterpart: `damon_get_intervals_score`, `kdamond_tune_intervals` (`mm/damon/core.c`, Linux 7.3).

use super::feed_loop;
use crate::units::Bp;

/// Seen access events against the wanted part of the possible ones: 10,000 is as wanted.
///
/// Events are bytes × counts; what was possible is bytes × samples.
pub fn score(seen_events: u128, possible_events: u128, goal: Bp) -> u64 {
    let wanted = (possible_events * u128::from(goal.0) / 10_000).max(1);
    u64::try_from(seen_events * 10_000 / wanted).unwrap_or(u64::MAX)
}

/// The next sampling interval, in the unit of `sampling`: at most twice and at least half as long, within `min..=max`.
pub fn next_sampling(sampling: u64, score: u64, min: u64, max: u64) -> u64 {
    let mut step_bp = feed_loop::next_input(100_000_000, score) / 10_000;
    if step_bp == 10_000 {
        return sampling;
    }
    if step_bp < 10_000 {
        // From 1..10,000 to 5,000..10,000: intervals never shrink faster than by half.
        step_bp = 5_000 + step_bp / 2;
    }
    let next = u128::from(sampling) * u128::from(step_bp) / 10_000;
    u64::try_from(next).unwrap_or(u64::MAX).min(max).max(min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_seen_part_of_the_wanted_part() {
        assert_eq!(score(4, 100, Bp(400)), 10_000);
        assert_eq!(score(8, 100, Bp(400)), 20_000);
        assert_eq!(score(0, 100, Bp(400)), 0);
        assert_eq!(score(5, 0, Bp(400)), 50_000, "nothing was possible: no division by zero");
    }

    #[test]
    fn a_step_doubles_at_most_and_halves_at_most() {
        assert_eq!(next_sampling(5_000, 0, 1, u64::MAX), 10_000);
        assert_eq!(next_sampling(5_000, 1_000_000, 1, u64::MAX), 2_500);
        assert_eq!(next_sampling(5_000, 10_000, 1, u64::MAX), 5_000);
        assert_eq!(next_sampling(5_000, 0, 1, 7_000), 7_000);
        assert_eq!(next_sampling(5_000, 1_000_000, 4_000, 7_000), 4_000);
    }
}
