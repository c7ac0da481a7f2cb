//! Bandwidth: part of what is hot goes to the slower tier while the faster one's latency under load is no better.
//!
//! Counterpart: weighted interleaving (`mm/mempolicy.c`, Linux 7.3), whose weights are fixed. That tiers are in balance when their
//! loaded latencies are equal is from "Tiered Memory Management: Access Latency is the Key!" (Colloid, SOSP 2024).

use damon_core::{Bp, Dest, Metric, Metrics, NodeId, PageFilter};

use super::benefit::Heat;
use super::fair::parts;
use super::{Direction, Plan, Route};
use crate::scheme::{Freq, Quota};

/// In hundredths of hot memory.
const WHOLE: u32 = 100;
/// The part changes by so much at first, and by half as much after each turn.
const STEP: u32 = 16;
/// Latencies are alike within so much: a tenth.
const ALIKE: u64 = 10;

/// The part of a node's hot memory that is on a node below it for the sake of bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    part: u32,
    step: u32,
    /// The last change was upwards.
    rose: bool,
    /// Bytes of hot memory that were not gone over yet since then: before that nothing is known of what it brought.
    left: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { part: 0, step: STEP, rose: true, left: 0 }
    }
}

impl Spread {
    /// Is there any?
    pub(super) const fn is_any(self) -> bool {
        self.part > 0
    }

    /// Follows the latencies under load of the upper and the lower node: the slower gets less, of `hot` bytes.
    fn follow(&mut self, upper_ns: u64, lower_ns: u64, hot: u64) {
        if self.left > 0 {
            return;
        }
        let rises = upper_ns > lower_ns.saturating_add(lower_ns / ALIKE);
        let falls = self.is_any() && upper_ns.saturating_add(upper_ns / ALIKE) < lower_ns;
        if !rises && !falls {
            return;
        }
        if self.is_any() && self.rose != rises {
            self.step = (self.step / 2).max(1);
        }
        (self.rose, self.left) = (rises, hot);
        self.part = if rises { (self.part + self.step).min(WHOLE) } else { self.part.saturating_sub(self.step) };
        if !self.is_any() {
            *self = Self::default();
        }
    }

    /// Where pages go. An address keeps its place in the order, so that a change of the part moves the difference alone.
    fn dests(self, upper: NodeId, lower: NodeId) -> Vec<Dest> {
        let dests =
            if self.is_any() { [(lower, self.part), (upper, WHOLE - self.part)] } else { [(lower, 0), (upper, 1)] };
        dests.into_iter().filter(|(_, weight)| *weight > 0).map(|(node, weight)| Dest { node, weight }).collect()
    }
}

impl Plan {
    /// Lets the spread between each two nodes follow their latencies, `lines` being the waterlines of the upper ones by route, `windows`
    /// the charge windows from one time to the next. Of physical memory nothing is spread: what moves gets another address, and
    /// another place in the order.
    pub(super) fn spread(&mut self, heat: &Heat, lines: &[Bp], windows: u64, metrics: &mut (impl Metrics + ?Sized)) {
        self.routes.truncate(self.spreads.len());
        self.schemes.truncate(self.spreads.len());
        if !self.space.is_virtual() {
            return;
        }
        for (i, line) in lines.iter().enumerate().take(self.spreads.len()) {
            let Route { direction: Direction::Promote, from: lower, to: upper } = self.routes[i] else { continue };
            let mut now = |node| metrics.read(Metric::NodeLatencyNs(node)).ok();
            let Some((upper_ns, lower_ns)) = now(upper).zip(now(lower)) else { continue };
            let (hot, size) = ((*line).max(Bp(1)), self.tiering.bytes_per_window());
            let spread = &mut self.spreads[i];
            spread.left = spread.left.saturating_sub(size.saturating_mul(windows));
            spread.follow(upper_ns, lower_ns, heat.above(hot));
            let dests = spread.dests(upper, lower);
            // What is to stay below is not promoted.
            self.schemes[i].dests = dests;
            if spread.is_any() && spread.left > 0 {
                let mut scheme = self.schemes[i].clone();
                scheme.pattern.freq = Freq::Rate(hot..=Bp(u32::MAX));
                // Not less where bandwidth is short: that is what it is for.
                scheme.quota = Quota { size, goals: Vec::new(), ..scheme.quota };
                (scheme.shares, scheme.primary) = parts(&self.tiering, Direction::Spread);
                let below = PageFilter::Node(lower);
                scheme.filters.iter_mut().filter(|f| f.page == below).for_each(|f| f.page = PageFilter::Node(upper));
                self.routes.push(Route { direction: Direction::Spread, from: upper, to: lower });
                self.schemes.push(scheme);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is above at once, so that each time is the next change.
    fn follow(spread: &mut Spread, upper_ns: u64, lower_ns: u64) -> u32 {
        spread.left = 0;
        spread.follow(upper_ns, lower_ns, 1);
        spread.part
    }

    #[test]
    fn the_slower_node_gets_less_until_both_are_alike() {
        let mut spread = Spread::default();
        assert_eq!(follow(&mut spread, 100, 250), 0, "the upper node is the faster one");
        // The upper latency falls by 4 ns with each hundredth that goes elsewhere, the lower one rises by 3.
        let next = |spread: &mut Spread| {
            let part = u64::from(spread.part);
            follow(spread, 400 - 4 * part, 200 + 3 * part)
        };
        let parts: Vec<u32> = (0..5).map(|_| next(&mut spread)).collect();
        assert_eq!(parts, [16, 32, 32, 32, 32]);
        assert_eq!(follow(&mut spread, 100, 400), 24, "the load is gone: less, and with care");
        assert_eq!([0; 4].map(|_| follow(&mut spread, 100, 400)), [16, 8, 0, 0]);
        assert_eq!(spread.step, STEP, "the next load is another one");
    }

    #[test]
    fn around_the_balance_steps_get_small() {
        let mut spread = Spread::default();
        // So steep that one hundredth makes the difference between too slow and too fast.
        let parts: Vec<u32> = (0..20)
            .map(|_| if spread.part < 21 { follow(&mut spread, 400, 200) } else { follow(&mut spread, 100, 200) })
            .collect();
        assert!(parts[10..].iter().all(|part| part.abs_diff(21) <= 1), "{parts:?}");
    }

    #[test]
    fn nothing_changes_before_the_last_change_was_made() {
        let mut spread = Spread::default();
        spread.follow(400, 200, 100);
        spread.follow(400, 200, 100);
        assert_eq!((spread.part, spread.left), (STEP, 100));
    }

    #[test]
    fn more_for_the_lower_node_leaves_there_what_is_there() {
        let goes_down = |part: u32, page: u32| {
            let dests = Spread { part, ..Spread::default() }.dests(NodeId(0), NodeId(1));
            dests[0].node == NodeId(1) && page % WHOLE < dests[0].weight
        };
        for page in 0..300 {
            assert!((0..100).all(|part| !goes_down(part, page) || goes_down(part + 1, page)));
        }
        assert_eq!(Spread::default().dests(NodeId(0), NodeId(1)), [Dest { node: NodeId(0), weight: 1 }]);
    }
}
