//! Which targets share `max_nr_regions`: all in one pool, as in the kernel, or each its share by weight where weights differ.

use alloc::vec::Vec;
use core::slice;

use super::split::Past;
use crate::attrs::{Attrs, AttrsSpec};
use crate::control::shares::{Claim, Shares};
use crate::target::Target;

#[derive(Debug, Default)]
pub(super) struct Pools {
    /// What splitting remembers, for each pool.
    pasts: Vec<Past>,
    shares: Shares,
    claims: Vec<Claim>,
}

impl Pools {
    /// Calls `f` with each pool, its part of `max_nr_regions`, and what its last splitting left.
    pub(super) fn each(
        &mut self,
        attrs: &Attrs,
        targets: &mut [Target],
        mut f: impl FnMut(&mut [Target], usize, &mut Past),
    ) {
        let AttrsSpec { min_nr_regions, max_nr_regions, max_checks, .. } = *attrs.spec();
        // More regions than checks would have too few samples each to be told alike or different.
        let max = max_checks.map_or(max_nr_regions, |checks| max_nr_regions.min(checks.max(min_nr_regions)));
        let claim = |t: &Target| Claim { group: t.spec.group, weight: t.spec.weight, want: max };
        self.claims.clear();
        self.claims.extend(targets.iter().map(claim));
        let one_pool = self.claims.windows(2).all(|pair| pair.first() == pair.last());
        self.pasts.resize(if one_pool { 1 } else { targets.len() }, Past::default());
        if one_pool {
            self.pasts.iter_mut().for_each(|past| f(targets, max, past));
            return;
        }
        let shares = self.shares.divide(max, &self.claims);
        for ((t, &share), past) in targets.iter_mut().zip(shares).zip(&mut self.pasts) {
            f(slice::from_mut(t), share, past);
        }
    }
}
