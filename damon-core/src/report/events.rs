//! Reported accesses by region, and by the node that they came from: who is near?
//!
//! They stand beside the regions with bounds of their own, and are brought to the regions' bounds when those have changed. So
//! nothing that cuts, joins or fits regions has to know of them: where regions were joined their events are added, where
//! one was cut they are divided by size, to the last event, and what is watched no longer takes its events along.

use alloc::vec::Vec;

use super::intake::MAX_NODES;
use crate::region::Region;

/// Accesses that were reported in a region: the sum of the weights of the reports that start there, times the period of
/// their source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Events {
    /// All of them.
    pub total: u64,
    /// Those that came from each node of [`View::nodes`](crate::View::nodes), in its order. Not all came from a node that is known.
    pub by_node: [u64; MAX_NODES],
}

impl Events {
    fn add(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        for (n, other) in self.by_node.iter_mut().zip(other.by_node) {
            *n = n.saturating_add(other);
        }
    }

    /// What falls to the part from `from` to `to` of `whole`. Parts of a whole add up to it.
    fn part(&self, from: u64, to: u64, whole: u64) -> Self {
        let until = |n: u64, at: u64| (u128::from(n) * u128::from(at) / u128::from(whole)) as u64;
        let part = |n| until(n, to) - until(n, from);
        Self { total: part(self.total), by_node: self.by_node.map(part) }
    }
}

/// The events of a target's regions. Empty until there was a report.
#[derive(Debug, Default)]
pub(crate) struct EventRows {
    rows: Vec<Row>,
    spare: Vec<Row>,
}

/// Events between two addresses.
#[derive(Clone, Copy, Debug)]
struct Row {
    start: u64,
    end: u64,
    now: Events,
    last: Events,
}

impl EventRows {
    pub(crate) const fn new() -> Self {
        Self { rows: Vec::new(), spare: Vec::new() }
    }

    /// Of a region: in this aggregation, and in the one before. Fitted before.
    pub(crate) fn get(&self, index: usize) -> Option<(&Events, &Events)> {
        self.rows.get(index).map(|row| (&row.now, &row.last))
    }

    /// Brings them to the regions' bounds.
    pub(crate) fn fit(&mut self, regions: &[Region]) {
        let same = |(row, r): (&Row, &Region)| (row.start, row.end) == (r.start, r.end);
        if self.rows.is_empty() || self.rows.len() == regions.len() && self.rows.iter().zip(regions).all(same) {
            return;
        }
        let Self { rows, spare } = self;
        spare.clear();
        let mut old = rows.as_slice();
        for r in regions {
            let mut row = Row { start: r.start, end: r.end, now: Events::default(), last: Events::default() };
            while let Some((was, rest)) = old.split_first().filter(|(was, _)| was.start < r.end) {
                if was.end > r.start {
                    let (from, to) = (r.start.max(was.start) - was.start, r.end.min(was.end) - was.start);
                    row.now.add(&was.now.part(from, to, was.end - was.start));
                    row.last.add(&was.last.part(from, to, was.end - was.start));
                }
                if was.end > r.end {
                    break;
                }
                old = rest;
            }
            spare.push(row);
        }
        core::mem::swap(rows, spare);
    }

    /// Counts events at addresses, which ascend. Fitted before.
    pub(crate) fn count(&mut self, regions: &[Region], events: impl Iterator<Item = (u64, u64, usize)>) {
        if self.rows.is_empty() {
            let empty =
                |r: &Region| Row { start: r.start, end: r.end, now: Events::default(), last: Events::default() };
            self.rows.extend(regions.iter().map(empty));
        }
        let mut rows = self.rows.iter_mut().peekable();
        for (addr, n, node) in events {
            while rows.next_if(|row| row.end <= addr).is_some() {}
            // What starts before a range that it reaches into belongs to its first region.
            let Some(row) = rows.peek_mut() else { return };
            row.now.total = row.now.total.saturating_add(n);
            if let Some(of) = row.now.by_node.get_mut(node) {
                *of = of.saturating_add(n);
            }
        }
    }

    /// An aggregation begins: puts the events of the last one by.
    pub(crate) fn reset(&mut self) {
        for row in &mut self.rows {
            (row.last, row.now) = (row.now, Events::default());
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }
}
