//! Logarithms in integers: what chance would have to do to explain a difference.
//!
//! Two counts are compared by the log-likelihood ratio *G²* instead of *χ²*: one hit where there were none in hundreds of checks is
//! unusual by the first and a miracle by the second. Everything is table and linear interpolation, so all platforms agree.

/// Fraction bits of [`log2`], and of what is made of it.
const FRACTION: u32 = 24;
const SEGMENTS: usize = 256;

/// log2 of 1 to 2 in 256 steps.
static LOG2: [u32; SEGMENTS + 1] = {
    let mut table = [0; SEGMENTS + 1];
    let mut i = 0;
    while i < SEGMENTS {
        // Squaring doubles the logarithm: its bits come out one by one.
        let mut x = ((SEGMENTS + i) as u64) << (31 - SEGMENTS.ilog2());
        let mut bit = 0;
        while bit < FRACTION {
            x = (x * x) >> 31;
            table[i] <<= 1;
            if x >> 32 > 0 {
                table[i] |= 1;
                x >>= 1;
            }
            bit += 1;
        }
        i += 1;
    }
    table[SEGMENTS] = 1 << FRACTION;
    table
};

/// log2 of `n`, which is at least 1, times 2^24.
#[inline]
const fn log2(n: u32) -> u64 {
    let whole = n.ilog2();
    // The bits below the highest, left-aligned: 8 of them say which segment, the others where in it.
    let rest = if whole == 0 { 0 } else { n << (32 - whole) };
    let (low, high) = (LOG2[(rest >> 24) as usize] as u64, LOG2[(rest >> 24) as usize + 1] as u64);
    ((whole as u64) << FRACTION) + low + (((high - low) * (rest & 0xff_ffff) as u64) >> 24)
}

/// The log-likelihood of `hits` in `checks` under their own rate, in bits times 2^24: at most 0.
#[inline]
const fn likelihood(hits: u32, checks: u32) -> i64 {
    if hits == 0 || hits >= checks {
        return 0;
    }
    let misses = checks - hits;
    let sum = hits as u64 * log2(hits) + misses as u64 * log2(misses);
    sum as i64 - (checks as u64 * log2(checks)) as i64
}

/// How unlikely it is that two pieces are accessed alike: *G²* times 2^20.
///
/// Counts may be in any unit, and the result is in the same: counts in sixteenths give sixteen times as much.
#[inline]
pub(super) const fn contrast(hits: [u32; 2], checks: [u32; 2]) -> u64 {
    let apart = likelihood(hits[0], checks[0]) + likelihood(hits[1], checks[1]);
    let bits = apart - likelihood(hits[0] + hits[1], checks[0] + checks[1]);
    // 2 ln 2 is 22713 / 2^14; bits come in 2^24.
    if bits <= 0 { 0 } else { (bits as u64 * 22_713) >> 18 }
}

/// A threshold for [`contrast`]: `hundredths` of *G²*, for counts in units of 1/`unit`.
pub(super) const fn threshold(hundredths: u64, unit: u32) -> u64 {
    (hundredths << 20) * unit as u64 / 100
}

/// −ln of a part of 256, times 256; that of 0 is that of a half part.
static NEG_LN: [u16; 257] = {
    let mut table = [0; 257];
    let mut k = 0;
    while k <= 256 {
        // ln 2 = 45426 / 65536. Of 2 k, so that k = 0 has a value, too.
        let bits = (9 << FRACTION) - log2(if k == 0 { 1 } else { 2 * k as u32 });
        table[k] = (((bits * 45_426) >> 16) >> (FRACTION - 8)) as u16;
        k += 1;
    }
    table
};

/// ln(`p` / `q`) times 256, of parts of 256.
#[inline]
pub(super) fn ln_ratio(p: u32, q: u32) -> i32 {
    let of = |k: u32| i32::from(NEG_LN.get(k as usize).copied().unwrap_or(0));
    of(q) - of(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 0.01
    }

    fn g2(h: [u32; 2], n: [u32; 2]) -> f64 {
        contrast(h, n) as f64 / f64::from(1 << 20)
    }

    #[test]
    fn logarithms_are_those_of_the_book() {
        for (n, log) in [(1, 0.0), (2, 1.0), (3, 1.584_963), (1_000, 9.965_784), (u32::MAX, 32.0)] {
            assert!((log2(n) as f64 / f64::from(1 << 24) - log).abs() < 1e-5, "{n}");
        }
        assert_eq!(ln_ratio(256, 128), 177);
        assert_eq!(ln_ratio(10, 10), 0);
        assert_eq!(ln_ratio(0, 256), -1597);
    }

    #[test]
    fn the_contrast_of_small_counts_is_no_miracle() {
        // Worked out by hand: 2 (1 ln 1/5 + 4 ln 4/5 - 1 ln 1/305 - 304 ln 304/305).
        assert!(near(g2([1, 0], [5, 300]), 8.43), "{}", g2([1, 0], [5, 300]));
        assert!(near(g2([20, 12], [40, 40]), 3.36), "{}", g2([20, 12], [40, 40]));
        assert!(near(g2([0, 40], [40, 40]), 110.9), "{}", g2([0, 40], [40, 40]));
        assert_eq!((g2([0, 0], [5, 5]), g2([5, 5], [5, 5]), g2([3, 3], [9, 9])), (0.0, 0.0, 0.0));
    }

    #[test]
    fn sixteenths_give_sixteen_times_as_much() {
        assert!(near(g2([320, 192], [640, 640]) / 16.0, g2([20, 12], [40, 40])));
        assert_eq!(threshold(350, 16), 56 << 20);
    }
}
