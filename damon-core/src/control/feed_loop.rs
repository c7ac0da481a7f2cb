//! The feedback loop that all self-tuning is built on: more input where the score is below the goal, less above it.
//!
//! Counterpart: `damon_feed_loop_next_input` (`mm/damon/core.c`, Linux 7.3).

/// The score that means "as wanted".
pub const GOAL: u64 = 10_000;

/// No input is tuned below this.
pub const MIN_INPUT: u64 = 10_000;

/// The input that should bring the score to [`GOAL`], given the last input and the score that it got.
///
/// In proportion to how far the score is off: nothing scored doubles the input, twice the goal or more gives
/// [`MIN_INPUT`]. Saturates at `u64::MAX`. Below an input of 10,000 it is not monotone, as in the kernel.
///
/// ```
/// use damon_core::control::feed_loop::next_input;
/// assert_eq!(next_input(1_000_000, 10_000), 1_000_000);
/// assert_eq!(next_input(1_000_000, 0), 2_000_000);
/// assert_eq!(next_input(1_000_000, 12_500), 750_000);
/// ```
pub fn next_input(last_input: u64, score: u64) -> u64 {
    if score == GOAL {
        return last_input;
    }
    if score >= GOAL * 2 {
        return MIN_INPUT;
    }
    let off = score.abs_diff(GOAL);
    let compensation = if last_input < u64::MAX / off { last_input * off / GOAL } else { last_input / GOAL * off };
    if score > GOAL { (last_input - compensation).max(MIN_INPUT) } else { last_input.saturating_add(compensation) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn below_the_goal_the_input_never_shrinks_and_above_it_never_grows(last in MIN_INPUT.., score in 0..30_000u64) {
            let next = next_input(last, score);
            if score <= GOAL { prop_assert!(next >= last) }
            if score >= GOAL { prop_assert!(next <= last) }
            prop_assert!(next >= MIN_INPUT);
        }
    }
}
