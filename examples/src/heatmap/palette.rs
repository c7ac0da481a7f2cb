//! Colours for access rates that keep their order in grey and for colour-blind eyes.
//!
//! The stops are those of matplotlib's viridis, by van der Walt and Smith (CC0).

/// From cold to hot.
const VIRIDIS: [(u8, u8, u8); 10] = [
    (68, 1, 84),
    (72, 40, 120),
    (62, 74, 137),
    (49, 104, 142),
    (38, 130, 142),
    (31, 158, 137),
    (53, 183, 121),
    (109, 205, 89),
    (180, 222, 44),
    (253, 231, 37),
];

/// The same steps among the 256 colours of terminals.
pub(crate) const TERMINAL: [u8; 10] = [53, 54, 60, 24, 30, 36, 42, 77, 148, 226];

/// The same steps in characters, by the ink that they take.
pub(crate) const INK: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// Which of ten steps a rate of 0 to 1 is.
pub(crate) fn step(rate: f32) -> usize {
    (rate.clamp(0.0, 1.0) * 9.0).round() as usize
}

/// The colour of a rate of 0 to 1.
pub(crate) fn rgb(rate: f32) -> (u8, u8, u8) {
    let at = rate.clamp(0.0, 1.0) * 9.0;
    let (low, high) = (VIRIDIS[at.floor() as usize], VIRIDIS[at.ceil() as usize]);
    let mix = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * at.fract()).round() as u8;
    (mix(low.0, high.0), mix(low.1, high.1), mix(low.2, high.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hotter_is_brighter() {
        let light = |rate: f32| {
            let (r, g, b) = rgb(rate);
            2 * u32::from(r) + 7 * u32::from(g) + u32::from(b)
        };
        assert!((0..100).all(|i| light(i as f32 / 100.0) < light((i + 1) as f32 / 100.0)));
    }

    #[test]
    fn only_a_rate_near_zero_is_drawn_as_cold() {
        assert_eq!((step(0.0), step(0.05), step(0.06), step(1.0)), (0, 0, 1, 9));
    }
}
