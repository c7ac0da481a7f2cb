//! A figure for each time of a record, in memory that does not grow with it.

use std::collections::BTreeMap;

/// Times that are kept at most; above that every other one goes. It is seven hours of ten a second.
const MOST: usize = 1 << 18;

/// The sum over targets at each time: the ends of aggregations, in nanoseconds.
#[derive(Debug)]
pub(super) struct Times {
    at: BTreeMap<u64, u64>,
    /// The begin of the first.
    start_ns: Option<u64>,
    /// Kept ones lie so far apart; 0 while all are kept.
    apart_ns: u64,
    most: usize,
}

impl Default for Times {
    fn default() -> Self {
        Self { at: BTreeMap::new(), start_ns: None, apart_ns: 0, most: MOST }
    }
}

impl Times {
    /// Adds a figure of what was seen from `start_ns` to `end_ns`. What ends at nearly the same time is of another target.
    pub(super) fn add(&mut self, start_ns: u64, end_ns: u64, figure: u64) {
        self.start_ns = Some(self.start_ns.map_or(start_ns, |first| first.min(start_ns)));
        let near_ns = end_ns.saturating_sub(start_ns) / 2;
        if let Some(sum) = self.within(end_ns, near_ns) {
            *sum = sum.saturating_add(figure);
        } else if self.apart_ns == 0 || self.within(end_ns, self.apart_ns - 1).is_none() {
            self.at.insert(end_ns, figure);
        }
        if self.at.len() > self.most {
            self.thin_out();
        }
    }

    /// The times and their sums.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.at.iter().map(|(&at, &sum)| (at, sum))
    }

    /// From when to when each figure was so.
    pub(super) fn steps(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let mut from = self.start_ns.unwrap_or(0);
        self.iter().map(move |(to, sum)| (std::mem::replace(&mut from, to), to, sum))
    }

    /// How far apart the kept ones are, if not all were kept.
    pub(super) fn apart_ns(&self) -> Option<u64> {
        (self.apart_ns > 0).then_some(self.apart_ns)
    }

    fn within(&mut self, at: u64, ns: u64) -> Option<&mut u64> {
        self.at.range_mut(at.saturating_sub(ns)..=at.saturating_add(ns)).next().map(|(_, sum)| sum)
    }

    fn thin_out(&mut self) {
        let ends = self.at.first_key_value().zip(self.at.last_key_value());
        let span = ends.map_or(0, |((first, _), (last, _))| last - first);
        self.apart_ns = (2 * (span / self.at.len() as u64)).max(self.apart_ns.saturating_mul(2)).max(2);
        let mut kept = None;
        self.at.retain(|&at, _| {
            let keep = kept.is_none_or(|kept| at - kept >= self.apart_ns);
            kept = if keep { Some(at) } else { kept };
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_summed_where_their_times_are_nearly_the_same() {
        let mut times = Times::default();
        for (start, end, figure) in [(0, 100, 1), (100, 200, 2), (3, 104, 10), (110, 201, 20), (200, 260, 5)] {
            times.add(start, end, figure);
        }
        assert_eq!(times.iter().collect::<Vec<_>>(), [(100, 11), (200, 22), (260, 5)]);
        assert_eq!(times.steps().collect::<Vec<_>>(), [(0, 100, 11), (100, 200, 22), (200, 260, 5)]);
    }

    #[test]
    fn of_a_long_record_times_are_kept_evenly_and_for_all_targets_alike() {
        let mut times = Times { most: 100, ..Times::default() };
        for target in 0..2 {
            (0..1_000).for_each(|i| times.add(i * 10, i * 10 + 10, 1 + target));
        }
        let kept: Vec<_> = times.iter().collect();
        assert!((50..=100).contains(&kept.len()), "{}", kept.len());
        assert!(kept.iter().all(|&(_, sum)| sum == 3), "{kept:?}");
        let apart = times.apart_ns().unwrap();
        assert!(kept.windows(2).all(|pair| (apart..apart + 10).contains(&(pair[1].0 - pair[0].0))), "{kept:?}");
        assert!(kept[0].0 == 10 && kept.last().unwrap().0 > 9_700);
    }
}
