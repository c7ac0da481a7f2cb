//! What becomes of a rate when the sampling interval changes: a longer window more often sees an access.
//!
//! Where an access is found in a window of *T* with probability *p*, one is found in a window of *T′* with 1 − (1 − *p*)^(*T′* / *T*).

/// That from one interval to another, as a table: pieces of a line between rates that are 1/64 apart.
#[derive(Debug)]
pub(super) struct Rates([u32; STEPS + 1]);

const STEPS: usize = 64;
/// Rates are in 1/2^16.
const WHOLE: u64 = 1 << 16;
/// In the table they are in 1/2^32.
const ONE: u64 = 1 << 32;

impl Rates {
    /// From windows of `old` to those of `new`, in any unit.
    pub(super) fn new(old: u64, new: u64) -> Self {
        let power = (u128::from(new) << 16) / u128::from(old.max(1));
        let power = u64::try_from(power).unwrap_or(u64::MAX);
        let of = |i: usize| {
            let miss = ONE - (i as u64) * (ONE / STEPS as u64);
            ((ONE - to_the(miss, power)) >> 16) as u32
        };
        Self(core::array::from_fn(of))
    }

    /// The new rate for an old one.
    pub(super) fn of(&self, rate: u32) -> u32 {
        let at = rate.min(WHOLE as u32) as usize * STEPS;
        let (i, part) = (at >> 16, (at & 0xffff) as i64);
        let low = i64::from(self.0.get(i).copied().unwrap_or(0));
        let high = self.0.get(i + 1).map_or(low, |&high| i64::from(high));
        (low + (((high - low) * part) >> 16)) as u32
    }
}

/// `x` in 1/2^32 to the power of `n` in 1/2^16.
fn to_the(x: u64, n: u64) -> u64 {
    let mul = |a: u64, b: u64| ((u128::from(a) * u128::from(b)) >> 32) as u64;
    let (mut out, mut square, mut whole) = (ONE, x, n >> 16);
    while whole > 0 && out > 0 {
        if whole & 1 == 1 {
            out = mul(out, square);
        }
        square = mul(square, square);
        whole >>= 1;
    }
    // A half, a quarter, and so on: root after root.
    let mut root = x;
    for bit in (0..16).rev() {
        root = (u128::from(root) << 32).isqrt() as u64;
        if n >> bit & 1 == 1 {
            out = mul(out, root);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: u32, b: f64) -> bool {
        (f64::from(a) / 65_536.0 - b).abs() < 0.002
    }

    #[test]
    fn a_longer_window_sees_more_and_the_way_back_is_the_same() {
        let half = (WHOLE / 2) as u32;
        assert!(near(Rates::new(5, 10).of(half), 0.75));
        assert!(near(Rates::new(10, 5).of(49_152), 0.5));
        assert!(near(Rates::new(2, 5).of(6_554), 0.2316), "0.9 to the power of 2.5 is 0.7684");
        for p in [0, WHOLE as u32] {
            assert_eq!(Rates::new(3, 1_000_000).of(p), p, "never and always stay so");
        }
        assert_eq!(Rates::new(1, u64::MAX).of(half), WHOLE as u32);
    }
}
