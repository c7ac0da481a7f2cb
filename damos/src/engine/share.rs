//! Divides a scheme's quota between targets: by weight, a primary one first, what one leaves to the others.

use damon_core::control::priority::Histogram;
use damon_core::control::quota;
use damon_core::control::shares::{Claim, Shares};
use damon_core::{Attrs, Instant, Monitor, TargetId};

use super::filter::{self, Verdict};
use super::{QuotaState, Running};
use crate::scheme::pattern::Bounds;

/// What one target gets of a charge window.
#[derive(Clone, Debug)]
pub(super) struct Portion {
    pub(super) target: TargetId,
    /// The size that may be worked on, and what of it is charged.
    pub(super) limit: u64,
    pub(super) charged: u64,
    /// Regions of it with a lower score have to wait.
    pub(super) min_score: u32,
    /// Where the last window stopped.
    pub(super) resume: Option<u64>,
}

impl Portion {
    pub(super) fn is_full(&self, granule: u64) -> bool {
        quota::is_full(self.charged, self.limit, granule)
    }
}

impl QuotaState {
    /// What a target gets; `None` where the quota is not divided.
    pub(super) fn portion(&self, target: TargetId) -> Option<&Portion> {
        self.portions.binary_search_by_key(&target, |p| p.target).ok().and_then(|i| self.portions.get(i))
    }

    pub(super) fn portion_mut(&mut self, target: TargetId) -> Option<&mut Portion> {
        self.portions.binary_search_by_key(&target, |p| p.target).ok().and_then(|i| self.portions.get_mut(i))
    }
}

impl Running {
    /// Has each target a part of the quota of its own?
    pub(super) fn is_divided(&self) -> bool {
        !self.scheme.shares.is_empty() || !self.scheme.primary.is_empty()
    }

    /// Divides what the charge window may work on by what each target has to work on.
    pub(super) fn divide(
        &mut self,
        now: Instant,
        bounds: &Bounds,
        targets: &[TargetId],
        monitor: &mut Monitor,
        histogram: &mut Histogram,
    ) {
        if !self.is_divided() {
            self.quota.portions.clear();
            return;
        }
        let attrs = monitor.attrs().clone();
        let granule = attrs.spec().granule;
        // Sorted, as the monitor's targets are.
        self.quota.portions.retain(|p| targets.contains(&p.target));
        for (i, &target) in targets.iter().enumerate() {
            if self.quota.portions.get(i).is_none_or(|p| p.target != target) {
                let new = Portion { target, limit: 0, charged: 0, min_score: 0, resume: None };
                self.quota.portions.insert(i, new);
            }
        }
        let mut claims = Vec::with_capacity(targets.len());
        for (i, &target) in targets.iter().enumerate() {
            histogram.clear();
            let fits = self.rank(now, bounds, target, &attrs, monitor, histogram);
            let want = self.quota.portions[i].charged.saturating_add(fits) / granule;
            let weight = self.scheme.shares.iter().find(|s| s.target == target).map_or(100, |s| s.weight);
            claims.push(Claim { group: 0, weight, want: usize::try_from(want).unwrap_or(usize::MAX >> 8) });
        }
        let mut left = usize::try_from(self.quota.effective / granule).unwrap_or(usize::MAX >> 8);
        let mut shares = Shares::default();
        for first in [true, false] {
            let turn = |target: &TargetId| self.scheme.primary.contains(target) == first;
            let wants = |(target, claim): (&TargetId, &Claim)| Claim {
                want: if turn(target) { claim.want } else { 0 },
                ..*claim
            };
            let wanted: Vec<Claim> = targets.iter().zip(&claims).map(wants).collect();
            let given = shares.divide(left, &wanted);
            for (p, given) in self.quota.portions.iter_mut().zip(given).filter(|(p, _)| turn(&p.target)) {
                p.limit = (*given as u64).saturating_mul(granule);
                left = left.saturating_sub(*given);
            }
        }
        for (i, &target) in targets.iter().enumerate() {
            histogram.clear();
            self.rank(now, bounds, target, &attrs, monitor, histogram);
            self.quota.portions[i].min_score = histogram.min_score(self.quota.portions[i].limit);
        }
    }

    /// Adds what the scheme could act on in a target to the histogram; gives how much that is.
    pub(super) fn rank(
        &self,
        now: Instant,
        bounds: &Bounds,
        target: TargetId,
        attrs: &Attrs,
        monitor: &mut Monitor,
        histogram: &mut Histogram,
    ) -> u64 {
        let largest = monitor.region_size_limit();
        let Some(mut editor) = monitor.edit(target) else { return 0 };
        let (mut i, mut size) = (0, 0);
        while let Some(r) = editor.regions().get(i) {
            let n = bounds.count(&editor, r);
            let fits = bounds.hold(r, n) && !self.is_blind(r.sees()) && !self.spares(target, i, now, &mut editor);
            if fits && filter::judge(&self.scheme, target, i, &mut editor) != Verdict::Out {
                // It may have been cut.
                if let Some(r) = editor.regions().get(i) {
                    let eligible = self.eligible(target, r.range());
                    histogram.add(self.score(r, n, attrs, largest), eligible);
                    size += eligible;
                }
            }
            i += 1;
        }
        size
    }
}
