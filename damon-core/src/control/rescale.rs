//! Counts and ages, when the intervals under which they were made change.
//!
//! Counterpart: `damon_update_monitoring_result` (`mm/damon/core.c`, Linux 7.3).

/// The length of an aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// In samples.
    pub samples: u32,
    /// In microseconds.
    pub us: u64,
}

/// A count of `old_len` samples, as one of `new_len`. By way of whole basis points, as the kernel does it: a count may
/// come out one lower even where the lengths are equal.
pub fn count(n: u32, old_len: u32, new_len: u32) -> u32 {
    let bp = u64::from(n) * 10_000 / u64::from(old_len.max(1));
    u32::try_from(bp * u64::from(new_len) / 10_000).unwrap_or(u32::MAX)
}

/// An age of whole aggregations and microseconds on top, as such of another aggregation interval. No time is lost.
pub fn age(age: u32, rest_us: u64, old: Aggregation, new: Aggregation) -> (u32, u64) {
    let time = u128::from(age) * u128::from(old.us) + u128::from(rest_us);
    let new = u128::from(new.us.max(1));
    match u32::try_from(time / new) {
        Ok(whole) => (whole, u64::try_from(time % new).unwrap_or(0)),
        Err(_) => (u32::MAX, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_survives_a_longer_interval_and_the_way_back() {
        let (short, long) = (Aggregation { samples: 20, us: 100 }, Aggregation { samples: 20, us: 2_000 });
        assert_eq!(age(7, 0, short, long), (0, 700));
        assert_eq!(age(0, 700, long, short), (7, 0));
    }

    #[test]
    fn the_detour_over_basis_points_is_the_kernels() {
        assert_eq!(count(1, 7, 7), 0);
        assert_eq!(count(10, 20, 40), 20);
        assert_eq!(count(u32::MAX, u32::MAX, 20), 20);
    }
}
