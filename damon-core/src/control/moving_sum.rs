//! A count of the last full window's length, at any moment within the window under way.
//!
//! Counterpart: `damon_nr_accesses_mvsum` (`mm/damon/core.c`, Linux 7.3).

/// The count so far plus the still missing part of the window's length of the last count.
///
/// `left` of `len` samples are still to come. With nothing left this is `count`, with all left it is `last`.
///
/// ```
/// use damon_core::control::moving_sum;
/// assert_eq!(moving_sum(3, 10, 10, 20), 8);
/// ```
#[inline]
pub fn moving_sum(count: u32, last: u32, left: u32, len: u32) -> u32 {
    if left == 0 {
        return count;
    }
    let left_bp = u64::from(left) * 10_000 / u64::from(len.max(1));
    if left_bp == 10_000 {
        return last;
    }
    let rest = u128::from(last) * u128::from(left_bp) / 10_000;
    count.saturating_add(u32::try_from(rest).unwrap_or(u32::MAX))
}
