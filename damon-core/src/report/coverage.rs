//! Which addresses were reported in a window: sets of disjoint intervals, made and walked in ascending order.

use alloc::vec::Vec;

use crate::target::TargetId;

/// A set of addresses of all targets.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    intervals: Vec<Interval>,
}

/// Addresses of a target, the end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interval {
    pub(crate) target: TargetId,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Coverage {
    pub(crate) fn clear(&mut self) {
        self.intervals.clear();
    }

    /// Adds addresses. Calls ascend by target and start.
    #[inline]
    pub(crate) fn push(&mut self, next: Interval) {
        match self.intervals.last_mut() {
            Some(last) if last.target == next.target && next.start <= last.end => last.end = last.end.max(next.end),
            _ => self.intervals.push(next),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// A target's intervals, ascending and apart from each other.
    pub(crate) fn of(&self, target: TargetId) -> &[Interval] {
        let start = self.intervals.partition_point(|i| i.target < target);
        let rest = self.intervals.get(start..).unwrap_or_default();
        &rest[..rest.partition_point(|i| i.target == target)]
    }

    /// Walks along all of it.
    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk { rest: &self.intervals }
    }
}

/// A walk along intervals, with questions that ascend too.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    rest: &'a [Interval],
}

impl<'a> Walk<'a> {
    /// Along one target's.
    pub(crate) fn along(intervals: &'a [Interval]) -> Self {
        Self { rest: intervals }
    }

    /// Is the address covered?
    #[inline]
    pub(crate) fn covers(&mut self, target: TargetId, addr: u64) -> bool {
        while let Some((_, rest)) = self.rest.split_first().filter(|(i, _)| (i.target, i.end) <= (target, addr)) {
            self.rest = rest;
        }
        self.rest.first().is_some_and(|i| i.target == target && i.start <= addr)
    }

    /// Those that touch `start..end`, of one target's.
    #[inline]
    pub(crate) fn touching(&mut self, start: u64, end: u64) -> &'a [Interval] {
        while let Some((_, rest)) = self.rest.split_first().filter(|(i, _)| i.end <= start) {
            self.rest = rest;
        }
        let all = self.rest;
        let mut n = 0;
        while all.get(n).is_some_and(|i| i.start < end) {
            n += 1;
        }
        // The last one may touch what comes next as well.
        self.rest = &all[n.saturating_sub(1)..];
        &all[..n]
    }
}

/// How many addresses of `start..end` these cover.
pub(crate) fn covered(intervals: &[Interval], start: u64, end: u64) -> u64 {
    intervals.iter().map(|i| i.end.min(end).saturating_sub(i.start.max(start))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_covers_what_was_pushed_and_nothing_else(mut pushed in prop::collection::vec((0u32..3, 0u64..50, 1u64..9), 0..30)) {
            pushed.sort_unstable();
            let mut c = Coverage::default();
            for &(t, start, len) in &pushed {
                c.push(Interval { target: TargetId::new(t), start, end: start + len });
            }
            let is_in = |t, addr| pushed.iter().any(|&(u, start, len)| u == t && (start..start + len).contains(&addr));
            let mut walk = c.walk();
            for t in 0..3 {
                for addr in 0..60 {
                    prop_assert_eq!(walk.covers(TargetId::new(t), addr), is_in(t, addr));
                }
                let own = c.of(TargetId::new(t));
                prop_assert!(own.windows(2).all(|w| w[0].end < w[1].start));
                let mut walk = Walk::along(own);
                for (start, end) in [(0, 7), (7, 8), (8, 30), (31, 60)] {
                    let expected = (start..end).filter(|&addr| is_in(t, addr)).count() as u64;
                    prop_assert_eq!(covered(walk.touching(start, end), start, end), expected);
                }
            }
        }
    }
}
