//! By what regions are compared: their counts, or in attributes-only mode the weighted sum of their probe hits.
//!
//! Counterpart: `damon_merge_score`, `damon_probe_hits_wsum` (`mm/damon/core.c`, Linux 7.3).

use crate::attrs::{Attrs, MAX_PROBES};
use crate::region::Region;
use crate::sight::Extent;
use crate::target::{ProbeHits, Target};

#[derive(Clone, Copy, Debug)]
pub(super) enum Score {
    /// Counts, as of so many samples.
    Accesses { samples: u32 },
    /// Probe hits, each times its weight.
    Probes { weights: [u32; MAX_PROBES] },
}

impl Score {
    pub(super) fn of(attrs: &Attrs) -> Self {
        if !attrs.attributes_only() {
            return Self::Accesses { samples: attrs.samples_per_aggregation() };
        }
        let mut weights = [0; MAX_PROBES];
        for (w, probe) in weights.iter_mut().zip(&attrs.spec().probes) {
            *w = probe.weight;
        }
        Self::Probes { weights }
    }

    #[inline]
    pub(super) fn now(&self, r: &Region, hits: Option<&ProbeHits>) -> u64 {
        match self {
            Self::Accesses { samples } => r.scaled(*samples).into(),
            Self::Probes { weights } => hits.map_or(0, |h| sum(&h.now, weights)),
        }
    }

    #[inline]
    pub(super) fn last(&self, r: &Region, hits: Option<&ProbeHits>) -> u64 {
        match self {
            Self::Accesses { samples } => r.scaled_last(*samples).into(),
            Self::Probes { weights } => hits.map_or(0, |h| sum(&h.last, weights)),
        }
    }

    /// The highest of all, and the largest block that a check observed.
    pub(super) fn highest(&self, targets: &[Target]) -> (u64, Extent) {
        let mut highest = (0, Extent::GRANULE);
        for t in targets {
            for (i, r) in t.regions.iter().enumerate() {
                highest = (highest.0.max(self.now(r, t.probe_hits.get(i))), highest.1.max(r.extent));
            }
        }
        highest
    }
}

/// Fits: the weights' sum is below 2^32.
fn sum(hits: &[u32; MAX_PROBES], weights: &[u32; MAX_PROBES]) -> u64 {
    hits.iter().zip(weights).map(|(&h, &w)| u64::from(h) * u64::from(w)).sum()
}
