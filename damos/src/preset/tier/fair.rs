//! Who gets how much of what may be moved: for each route, since who comes first has its memory promoted first, and demoted last.
//!
//! Counterpart: none; the kernel's schemes know no workloads.

use damon_core::TargetId;

use super::{Direction, Plan, Tiering};
use crate::scheme::TargetShare;

impl Plan {
    /// Shares what may be moved between targets anew, and names those that come first: as [`Tiering::shares`] and [`Tiering::primary`].
    /// Says whether that changes anything, so that [`schemes`](Self::schemes) are to be given to the context anew.
    pub fn divide(&mut self, shares: Vec<TargetShare>, primary: Vec<TargetId>) -> bool {
        let changes = (&shares, &primary) != (&self.tiering.shares, &self.tiering.primary);
        (self.tiering.shares, self.tiering.primary) = (shares, primary);
        for (route, scheme) in self.routes.iter().zip(&mut self.schemes) {
            (scheme.shares, scheme.primary) = parts(&self.tiering, route.direction);
        }
        changes
    }
}

/// The shares of a route's quota, and who gets of it first. Of what leaves the faster node those that come first have the least share:
/// theirs goes when the others have no more to give.
pub(super) fn parts(tiering: &Tiering, direction: Direction) -> (Vec<TargetShare>, Vec<TargetId>) {
    let Tiering { shares, primary, .. } = tiering;
    match direction {
        Direction::Promote => (shares.clone(), primary.clone()),
        Direction::Demote | Direction::Spread => {
            let others = shares.iter().filter(|share| !primary.contains(&share.target)).copied();
            let least = primary.iter().map(|&target| TargetShare { target, weight: 1 });
            (others.chain(least).collect(), Vec::new())
        }
    }
}
