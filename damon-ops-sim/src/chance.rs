//! Chance by name: a draw is a function of what it is about, so that asking twice gives one answer.

/// The probability of at least one event of a Poisson process of which `expected` are expected.
pub(crate) fn probability(expected: f64) -> f64 {
    -libm::expm1(-expected)
}

/// A probability in 2^53rds: what a draw is compared with. 0 never hits, 2^53 always does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Odds(u64);

impl Odds {
    /// The odds of at least one event where `expected` are expected.
    pub(crate) fn of_events(expected: f64) -> Self {
        // The cast saturates, and NaN gives 0.
        Self((probability(expected) * (1u64 << 53) as f64) as u64)
    }

    /// Does the draw of `what` under `key` hit?
    #[inline]
    pub(crate) const fn hit(self, key: u64, what: u64) -> bool {
        self.0 > 0 && draw(key, what) >> 11 < self.0
    }
}

/// 64 random bits that belong to `what` under `key`: number `what` of the SplitMix64 sequence that starts at `key`.
#[inline]
pub(crate) const fn draw(key: u64, what: u64) -> u64 {
    let z = key.wrapping_add(what.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_published_sequence() {
        assert_eq!(draw(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(draw(1_234_567, 1), 3_203_168_211_198_807_973);
    }

    #[test]
    fn certain_is_certain_and_never_is_never() {
        let (never, always) = (Odds::of_events(0.0), Odds::of_events(500.0));
        assert!((0..100_000).all(|i| !never.hit(3, i) && always.hit(3, i)));
        assert_eq!(Odds::of_events(f64::NAN), never);
    }

    #[test]
    fn half_is_hit_half_the_time() {
        let half = Odds::of_events(core::f64::consts::LN_2);
        let hits = (0..1_000_000).filter(|&i| half.hit(9, i)).count();
        assert!((498_000..502_000).contains(&hits), "{hits}");
    }

    #[test]
    fn probabilities_are_these_bits_on_every_platform() {
        // From exp to 50 digits.
        assert_eq!(Odds::of_events(0.05), Odds(439_286_291_290_458));
        assert_eq!(Odds::of_events(1e-9), Odds(9_007_199));
    }
}
