//! How much of a node is to be free: for what waits to come there, and for memory that programs are about to touch first.
//!
//! Counterpart: none; the kernel's goal is a constant part, and what is new goes below when that is used up.

use damon_core::{Bp, Metric, Metrics, NodeId};

use super::{Direction, Plan, Route};
use crate::engine::Schemes;

/// A node gives up at most this part of its memory at once, to make room.
const ROOM: u64 = 500;

/// How much new memory comes to a node from one look to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Growth {
    /// When it was looked last: bytes that were free and those that schemes had moved there, less those that they had moved away.
    last: Option<(u64, i128)>,
    bytes: u64,
}

impl Growth {
    /// What is taken to come until the next look: as much as lately, and where it was more before almost that.
    fn look(&mut self, free: u64, moved: i128) -> u64 {
        let now = (free, moved);
        if let Some((free_before, moved_before)) = self.last.replace(now) {
            let came = i128::from(free_before) - i128::from(free) - (moved - moved_before);
            self.bytes = u64::try_from(came).unwrap_or(0).max(self.bytes - self.bytes / 4);
        }
        self.bytes
    }
}

impl Plan {
    /// Looks what comes to each node, and sets the goals of schemes by it.
    pub(super) fn make_rooms(
        &mut self,
        windows: u64,
        unit: u64,
        schemes: &Schemes,
        metrics: &mut (impl Metrics + ?Sized),
    ) {
        let mut nodes: Vec<_> =
            self.hierarchy.nodes.iter().map(|n| (n.tier, n.id, n.bytes.max(1))).enumerate().collect();
        // From the upper tiers down: what leaves one comes to the next.
        nodes.sort_unstable_by_key(|&(_, (tier, id, _))| (tier, id));
        let mut leaving: Vec<(NodeId, u64)> = Vec::new();
        for (at, (_, node, bytes)) in nodes {
            let part = |part: u64| u64::from(Bp::of(part, bytes).0);
            let size = |bp: u64| u64::try_from(u128::from(bytes) * u128::from(bp) / 10_000).unwrap_or(u64::MAX);
            let Ok(free) = metrics.read(Metric::NodeMemFreeBp(node)) else { continue };
            let new = match self.growth.get_mut(at) {
                Some(growth) => part(growth.look(size(free), moved(&self.routes, node, schemes) * i128::from(unit))),
                None => 0,
            };
            let waiting = self.waiting(node, windows, schemes).saturating_mul(unit);
            let coming = leaving.iter().filter(|(to, _)| *to == node).fold(0, |sum, &(_, n)| n.saturating_add(sum));
            let new = new.min(ROOM);
            let (keeps, fills) =
                (self.tiering.free_on(&self.hierarchy, node), self.tiering.used_on(&self.hierarchy, node));
            let target = u64::from(keeps.0) + (new + part(waiting.saturating_add(coming))).min(ROOM);
            for (route, scheme) in self.routes.iter().zip(&mut self.schemes) {
                let Some(goal) = scheme.quota.goals.first_mut() else { continue };
                match route.direction {
                    Direction::Demote if route.from == node => {
                        goal.target_value = target;
                        leaving.push((route.to, size(target.saturating_sub(free))));
                    }
                    // What is free for new memory is not for what is promoted.
                    Direction::Promote if route.to == node => {
                        goal.target_value = u64::from(fills.0).saturating_sub(new).max(1);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Addresses that wait to be promoted to a node, as many as so many charge windows can move.
    fn waiting(&self, to: NodeId, windows: u64, schemes: &Schemes) -> u64 {
        let into = |(_, route): &(usize, &Route)| route.direction == Direction::Promote && route.to == to;
        let waits = |(i, _): (usize, &Route)| {
            // What is below for the sake of bandwidth does not wait.
            if self.spreads.get(i).is_some_and(|spread| spread.is_any()) {
                return None;
            }
            let (waits, size) = (schemes.eligible(i)?, self.schemes.get(i)?.quota.size);
            // More was not looked for.
            Some(if waits < size { waits } else { size.saturating_mul(windows) })
        };
        self.routes.iter().enumerate().filter(into).filter_map(waits).fold(0, u64::saturating_add)
    }
}

/// Addresses that schemes have moved to a node, less those that they have moved away.
fn moved(routes: &[Route], node: NodeId, schemes: &Schemes) -> i128 {
    let of = |(i, route): (usize, &Route)| {
        let size = i128::from(schemes.stats(i)?.sz_applied);
        Some(match (route.to == node, route.from == node) {
            (true, _) => size,
            (_, true) => -size,
            _ => 0,
        })
    };
    routes.iter().enumerate().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_that_nobody_moved_is_expected_again_and_forgotten_slowly() {
        let mut growth = Growth::default();
        assert_eq!(growth.look(1_000, 0), 0, "nothing is known yet");
        assert_eq!(growth.look(900, 0), 100);
        assert_eq!(growth.look(700, 150), 75, "of 200 schemes moved 150: 50, and it was 100");
        assert_eq!(growth.look(600, -100), 350, "100 less are free, though 250 were moved away");
        assert_eq!(growth.look(900, -100), 263, "300 were freed");
    }
}
