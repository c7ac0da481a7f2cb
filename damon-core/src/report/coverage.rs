//! Which addresses were reported in a window: intervals in any order in, disjoint and sorted ones out.

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

    pub(crate) fn push(&mut self, interval: Interval) {
        self.intervals.push(interval);
    }

    /// Sorts, and joins what overlaps or touches.
    pub(crate) fn settle(&mut self) {
        self.intervals.sort_unstable();
        self.intervals.dedup_by(|next, last| {
            let joined = next.target == last.target && next.start <= last.end;
            if joined {
                last.end = last.end.max(next.end);
            }
            joined
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Settled before: is the address in the set?
    pub(crate) fn covers(&self, target: TargetId, addr: u64) -> bool {
        let after = self.intervals.partition_point(|i| (i.target, i.start) <= (target, addr));
        let last = after.checked_sub(1).and_then(|i| self.intervals.get(i));
        last.is_some_and(|i| i.target == target && addr < i.end)
    }

    /// Settled before: a target's intervals, ascending.
    pub(crate) fn of(&self, target: TargetId) -> &[Interval] {
        let start = self.intervals.partition_point(|i| i.target < target);
        let rest = self.intervals.get(start..).unwrap_or_default();
        &rest[..rest.partition_point(|i| i.target == target)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_covers_what_was_pushed_and_nothing_else(pushed in prop::collection::vec((0u32..3, 0u64..50, 1u64..9), 0..30)) {
            let mut c = Coverage::default();
            for &(t, start, len) in &pushed {
                c.push(Interval { target: TargetId::new(t), start, end: start + len });
            }
            c.settle();
            for t in 0..3 {
                for addr in 0..60 {
                    let expected = pushed.iter().any(|&(u, start, len)| u == t && (start..start + len).contains(&addr));
                    prop_assert_eq!(c.covers(TargetId::new(t), addr), expected);
                }
                let own = c.of(TargetId::new(t));
                prop_assert!(own.windows(2).all(|w| w[0].end < w[1].start));
            }
        }
    }
}
