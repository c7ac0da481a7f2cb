//! What monitoring costs the watched program: pairs of slices with and without it, their median and its 95% interval.

use std::time::{Duration, Instant};

/// Measures `pairs` pairs of slices. `switch` turns monitoring on or off, `work` tells how much the program has done so
/// far. Which comes first alternates, so that a drift of the machine's speed cancels out. Gives speeds without and with.
///
/// # Errors
/// When `switch` fails.
pub fn measure<E>(
    pairs: usize,
    slice: Duration,
    work: impl Fn() -> u64,
    mut switch: impl FnMut(bool) -> Result<(), E>,
) -> Result<Vec<(f64, f64)>, E> {
    let mut speed = |on: bool| {
        switch(on)?;
        let (start, before) = (Instant::now(), work());
        std::thread::sleep(slice);
        Ok((work() - before) as f64 / start.elapsed().as_secs_f64())
    };
    (0..pairs)
        .map(|i| {
            let first_on = i % 2 == 1;
            let (a, b) = (speed(first_on)?, speed(!first_on)?);
            Ok(if first_on { (b, a) } else { (a, b) })
        })
        .collect()
}

/// The slowdown of a program, from pairs of its speeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slowdown {
    /// The middle of the pairs: 0.02 is 2% slower with monitoring, below 0 faster.
    pub median: f64,
    /// Where the true median is, with at least 95% probability.
    pub interval: (f64, f64),
}

impl Slowdown {
    /// The slowdown by pairs of speeds (without, with monitoring), in any unit; `None` for fewer than 6 pairs, which
    /// cannot give a 95% interval.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let mut slower: Vec<_> = pairs.iter().map(|(off, on)| 1.0 - on / off).collect();
        slower.sort_by(f64::total_cmp);
        let n = slower.len();
        let rank = interval_rank(n)?;
        let median = (slower[(n - 1) / 2] + slower[n / 2]) / 2.0;
        Some(Self { median, interval: (slower[rank], slower[n - 1 - rank]) })
    }

    /// Is the interval too wide to say anything: wider than 5%?
    pub fn inconclusive(&self) -> bool {
        self.interval.1 - self.interval.0 > 0.05
    }
}

impl std::fmt::Display for Slowdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |x: f64| x * 100.0;
        let (low, high) = self.interval;
        write!(f, "median {:.1}%, 95% interval {:.1}% to {:.1}%", percent(self.median), percent(low), percent(high))?;
        if self.inconclusive() { write!(f, ": inconclusive, the machine is too noisy") } else { Ok(()) }
    }
}

/// The index of the lower end of the interval among `n` ordered values; the upper end is as far from the last.
///
/// Each value is above the true median with probability 1/2, so how many are below it is binomial whatever the values'
/// distribution: the largest rank whose tail is at most 2.5%.
fn interval_rank(n: usize) -> Option<usize> {
    let mut term = 0.5_f64.powi(i32::try_from(n).ok()?);
    let mut tail = term;
    if tail > 0.025 {
        return None;
    }
    let mut rank = 0;
    while rank < n / 2 {
        term *= (n - rank) as f64 / (rank + 1) as f64;
        tail += term;
        if tail > 0.025 {
            break;
        }
        rank += 1;
    }
    Some(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_has_the_ranks_of_the_published_tables() {
        // Ranks from 0 of the lower end for a sign-test interval of at least 95%.
        let table = [
            (5, None),
            (6, Some(0)),
            (8, Some(0)),
            (9, Some(1)),
            (12, Some(2)),
            (15, Some(3)),
            (20, Some(5)),
            (25, Some(7)),
        ];
        for (n, rank) in table {
            assert_eq!(interval_rank(n), rank, "{n}");
        }
    }

    #[test]
    fn slices_alternate_and_each_pair_is_without_and_with() {
        let (mut order, on) = (Vec::new(), std::cell::Cell::new(false));
        let started = Instant::now();
        // Does nothing while it is monitored.
        let work = || if on.get() { 7 } else { started.elapsed().as_nanos() as u64 };
        let pairs = measure(2, Duration::from_millis(1), work, |switch| {
            order.push(switch);
            on.set(switch);
            Ok::<_, std::convert::Infallible>(())
        });
        assert!(pairs.unwrap().iter().all(|(off, on)| *off > 0.0 && *on == 0.0));
        assert_eq!(order, [false, true, true, false]);
    }

    #[test]
    fn a_known_slowdown_is_found_in_spite_of_an_outlier() {
        let mut pairs: Vec<_> = (0..11).map(|i| (100.0 + f64::from(i), (100.0 + f64::from(i)) * 0.98)).collect();
        pairs.push((100.0, 10.0));
        let s = Slowdown::of(&pairs).unwrap();
        assert!((s.median - 0.02).abs() < 1e-9 && !s.inconclusive());
        assert_eq!(s.to_string(), "median 2.0%, 95% interval 2.0% to 2.0%");
    }

    #[test]
    fn a_wide_interval_says_nothing() {
        let pairs: Vec<_> = (0..12).map(|i| (100.0, 90.0 + 2.0 * f64::from(i))).collect();
        let s = Slowdown::of(&pairs).unwrap();
        assert!(s.inconclusive() && s.to_string().ends_with("inconclusive, the machine is too noisy"));
    }

    #[test]
    fn too_few_pairs_give_no_figure() {
        assert_eq!(Slowdown::of(&[(1.0, 1.0); 5]), None);
    }
}
