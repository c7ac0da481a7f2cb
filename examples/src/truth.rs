//! What was really accessed: the workers' own record of what they touched, and which bytes that made hot.

use std::time::Duration;

use damon_core::{AddrRange, Instant};

/// A worker touched every page of a range, at about one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// When it began. Ranges are small, so that it ended a fraction of a sampling interval later.
    pub at: Instant,
    /// Which pages.
    pub range: AddrRange,
    /// Some of them were written, and not only read.
    pub wrote: bool,
}

/// The record of all workers, by time.
#[derive(Debug, Default)]
pub struct Truth {
    touches: Vec<Touch>,
}

impl FromIterator<Touch> for Truth {
    fn from_iter<I: IntoIterator<Item = Touch>>(touches: I) -> Self {
        let mut touches: Vec<_> = touches.into_iter().collect();
        touches.sort_by_key(|t| t.at);
        Self { touches }
    }
}

impl Truth {
    /// The bytes touched in at least half of the `windows` equal windows that end at `end`, ascending and apart from
    /// each other. Only touches that `count` does not refuse are counted.
    pub fn hot(&self, end: Instant, took: Duration, windows: u32, count: impl Fn(&Touch) -> bool) -> Vec<AddrRange> {
        let window = (took / windows.max(1)).max(Duration::from_nanos(1));
        let start = Instant::from_nanos(end.as_nanos().saturating_sub(took.as_nanos() as u64));
        let first = self.touches.partition_point(|t| t.at < start);
        let last = self.touches.partition_point(|t| t.at < end);
        let touches: Vec<_> = self.touches[first..last].iter().filter(|t| count(t)).collect();

        // Between two neighbouring edges all bytes were touched alike.
        let mut edges: Vec<_> = touches.iter().flat_map(|t| [t.range.start(), t.range.end()]).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut counts = vec![Count::default(); edges.len()];
        for touch in touches {
            let index = ((touch.at - start).as_nanos() / window.as_nanos()) as u32 + 1;
            let from = edges.partition_point(|e| *e < touch.range.start());
            let to = edges.partition_point(|e| *e < touch.range.end());
            counts[from..to].iter_mut().filter(|c| c.last_window != index).for_each(|c| {
                *c = Count { last_window: index, windows: c.windows + 1 };
            });
        }
        let pieces = edges.windows(2).zip(&counts).filter(|(_, c)| 2 * c.windows >= windows);
        joined(pieces.filter_map(|(e, _)| AddrRange::new(e[0], e[1])))
    }
}

/// In how many windows a piece was touched; windows are numbered from 1 and come in order.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    last_window: u32,
    windows: u32,
}

/// Ascending ranges with neighbours that meet made one.
pub(crate) fn joined(ranges: impl Iterator<Item = AddrRange>) -> Vec<AddrRange> {
    let mut out: Vec<AddrRange> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if last.end() == range.start() => {
                *last = AddrRange::new(last.start(), range.end()).unwrap_or(range);
            }
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start, end).unwrap()
    }

    fn touch(ms: u64, start: u64, end: u64) -> Touch {
        Touch { at: Instant::from_nanos(ms * 1_000_000), range: range(start, end), wrote: true }
    }

    /// Hot bytes of four windows of 10 ms that begin at 100 ms.
    fn hot(touches: &[Touch]) -> Vec<AddrRange> {
        let truth: Truth = touches.iter().copied().collect();
        truth.hot(Instant::from_nanos(140_000_000), Duration::from_millis(40), 4, |t| t.wrote)
    }

    #[test]
    fn hot_is_what_was_touched_in_at_least_half_of_the_windows() {
        assert_eq!(hot(&[touch(100, 0, 10), touch(110, 0, 10)]), [range(0, 10)]);
        assert_eq!(hot(&[touch(100, 0, 10)]), []);
    }

    #[test]
    fn many_touches_in_one_window_are_one() {
        assert_eq!(hot(&[touch(101, 0, 10), touch(102, 0, 10), touch(109, 0, 10)]), []);
    }

    #[test]
    fn touches_outside_the_windows_do_not_count() {
        assert_eq!(hot(&[touch(99, 0, 10), touch(100, 0, 10), touch(140, 0, 10)]), []);
    }

    #[test]
    fn only_the_common_part_of_different_touches_is_hot_and_neighbours_are_joined() {
        assert_eq!(hot(&[touch(100, 0, 10), touch(130, 5, 15)]), [range(5, 10)]);
        let halves = [touch(100, 0, 5), touch(101, 5, 9), touch(110, 0, 5), touch(111, 5, 9)];
        assert_eq!(hot(&halves), [range(0, 9)]);
    }

    #[test]
    fn the_record_may_come_in_any_order() {
        assert_eq!(hot(&[touch(130, 0, 10), touch(100, 0, 10)]), [range(0, 10)]);
    }

    #[test]
    fn touches_that_do_not_count_make_nothing_hot() {
        let reads = [touch(100, 0, 10), touch(110, 0, 10)].map(|t| Touch { wrote: false, ..t });
        assert_eq!(hot(&reads), []);
    }
}
