//! The truth at one time: heats in order of address, without overlap.

use std::collections::BTreeSet;

use damon_core::AddrRange;

use super::Heat;

/// What is accessed how often. Ascending, apart from each other; what is between them is idle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    heats: Vec<Heat>,
}

impl Picture {
    /// Flattens `heats`: where they overlap the later one counts, also where it is idle.
    ///
    /// ```
    /// use damon_core::AddrRange;
    /// use damon_ops_sim::workload::{Heat, Picture};
    /// let r = |a, b| AddrRange::new(a, b).unwrap();
    /// let p = Picture::new(&[Heat::reads(r(0, 10), 1.0), Heat::reads(r(4, 6), 0.0)]);
    /// assert_eq!(p.heats(), [Heat::reads(r(0, 4), 1.0), Heat::reads(r(6, 10), 1.0)]);
    /// ```
    pub fn new(heats: &[Heat]) -> Self {
        let mut picture = Self::default();
        picture.repaint(heats);
        picture
    }

    /// The same into a picture that exists, using its buffer again.
    pub(crate) fn repaint(&mut self, painted: &[Heat]) {
        self.heats.clear();
        if painted.is_sorted_by(|a, b| a.range.end() <= b.range.start()) {
            self.heats.extend_from_slice(painted);
        } else {
            self.sweep(painted);
        }
        self.heats.retain(|h| h.hz > 0.0);
    }

    /// Goes over all edges in order of address, knowing the heats that cover the place, of which the last painted counts.
    fn sweep(&mut self, painted: &[Heat]) {
        let mut edges: Vec<(u64, usize)> =
            painted.iter().enumerate().flat_map(|(i, h)| [(h.range.start(), i), (h.range.end(), i)]).collect();
        edges.sort_unstable();
        let mut covering = BTreeSet::new();
        for pair in edges.windows(2) {
            let &[(here, i), (next, _)] = pair else { continue };
            if !covering.insert(i) {
                covering.remove(&i);
            }
            let (Some(&top), Some(range)) = (covering.last(), AddrRange::new(here, next)) else { continue };
            self.push(Heat { range, ..painted[top] });
        }
    }

    fn push(&mut self, h: Heat) {
        if let Some(last) = self.heats.last_mut() {
            if last.range.end() == h.range.start() && last.hz == h.hz && last.writes == h.writes {
                if let Some(both) = AddrRange::new(last.range.start(), h.range.end()) {
                    last.range = both;
                    return;
                }
            }
        }
        self.heats.push(h);
    }

    /// The heats, none of them idle.
    pub fn heats(&self) -> &[Heat] {
        &self.heats
    }

    /// What happens at `addr`; `None` where it is idle.
    pub fn at(&self, addr: u64) -> Option<&Heat> {
        let i = self.heats.partition_point(|h| h.range.end() <= addr);
        self.heats.get(i).filter(|h| h.range.contains(addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heat(start: u64, end: u64, hz: f64) -> Heat {
        Heat::reads(AddrRange::new(start, end).unwrap(), hz)
    }

    #[test]
    fn neighbours_of_one_list_stay_apart_and_idle_ones_vanish() {
        let p = Picture::new(&[heat(0, 2, 1.0), heat(2, 4, 0.0), heat(4, 6, f64::NAN), heat(6, 8, 2.0)]);
        assert_eq!(p.heats(), [heat(0, 2, 1.0), heat(6, 8, 2.0)]);
    }

    #[test]
    fn equal_ranges_count_once() {
        assert_eq!(Picture::new(&[heat(1, 3, 5.0), heat(1, 3, 7.0)]).heats(), [heat(1, 3, 7.0)]);
    }

    proptest! {
        #[test]
        fn the_last_heat_painted_over_an_address_counts(
            spans in prop::collection::vec((0u64..40, 1u64..20, 0u32..4), 0..12)
        ) {
            let painted: Vec<Heat> = spans.iter().map(|&(s, n, hz)| heat(s, s + n, hz.into())).collect();
            let p = Picture::new(&painted);
            for addr in 0..64 {
                let expected = painted.iter().rev().find(|h| h.range.contains(addr)).map_or(0.0, |h| h.hz);
                prop_assert_eq!(p.at(addr).map_or(0.0, |h| h.hz), expected, "address {}", addr);
            }
            prop_assert!(p.heats().is_sorted_by(|a, b| a.range.end() <= b.range.start()));
        }
    }
}
