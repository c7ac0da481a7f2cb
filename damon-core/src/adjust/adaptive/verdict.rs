//! What a sample says: accessed or not, or in attributes-only mode, what part of the probes' weight its page passes.
//!
//! Everything here counts hits of checks. A page that passes a third of the weight is a hit one time in three: which time, a sequence
//! says that is spread evenly, so that over a region it comes out right.

use super::draw::Spread;
use crate::attrs::{Attrs, MAX_PROBES};
use crate::ops::Sample;
use crate::sight::Seen;

/// How samples are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judge {
    Accesses,
    Probes { weights: [u32; MAX_PROBES], sum: u64 },
}

impl Judge {
    pub(super) fn new(attrs: &Attrs) -> Self {
        if !attrs.attributes_only() {
            return Self::Accesses;
        }
        let mut weights = [0; MAX_PROBES];
        for (w, probe) in weights.iter_mut().zip(&attrs.spec().probes) {
            *w = probe.weight;
        }
        Self::Probes { weights, sum: weights.iter().map(|&w| u64::from(w)).sum() }
    }

    /// A hit, or not; none where nothing is known.
    #[inline]
    pub(super) fn of(&self, s: &Sample, spread: &mut Spread) -> Option<bool> {
        match self {
            Self::Accesses => (s.seen != Seen::Unknown).then(|| s.seen.is_access()),
            Self::Probes { weights, sum } => {
                let passed = weights.iter().enumerate().filter(|(bit, _)| s.attrs >> bit & 1 == 1);
                let part: u64 = passed.map(|(_, &w)| u64::from(w)).sum();
                // Fits: the sum is below 2^32.
                Some(part << 32 > u64::from(spread.next()) * sum)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attrs::AttrsSpec;
    use crate::filter::Probe;
    use crate::target::TargetId;
    use alloc::vec;

    #[test]
    fn a_third_of_the_weight_is_a_hit_one_time_in_three() {
        let probe = |weight| Probe { weight, ..Probe::default() };
        let spec = AttrsSpec { probes: vec![probe(1), probe(2)], ..AttrsSpec::default() };
        let judge = Judge::new(&Attrs::try_from(spec).unwrap());
        let mut spread = Spread::default();
        let mut hits = |attrs| {
            let s = Sample { attrs, ..Sample::new(TargetId::new(0), 0) };
            (0..300).filter(|_| judge.of(&s, &mut spread) == Some(true)).count()
        };
        assert_eq!((hits(0), hits(3)), (0, 300));
        assert!((99..=101).contains(&hits(1)), "{}", hits(1));
    }
}
