//! Plants, as control engineers call what a controller acts on: a size goes in, a metric comes out, the law is known.

use crate::chance::draw;

/// What a scheme's size does to a metric, window by window.
///
/// ```
/// use damon_ops_sim::plant::Plant;
/// let mut plant = Plant::linear(1 << 20, 10_000.0).delayed(1);
/// assert_eq!([plant.window(1 << 20), plant.window(0), plant.window(0)], [0, 10_000, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct Plant {
    law: Law,
    /// Sizes that have no effect yet, the newest last.
    coming: Vec<u64>,
    noise: f64,
    seed: u64,
    windows: u64,
    truth: f64,
}

#[derive(Clone, Debug)]
enum Law {
    Linear { size: f64, value: f64 },
    Saturating { half: f64, top: f64 },
    Integrating { level: f64, size: f64, value: f64, pace: f64 },
}

impl Plant {
    const fn new(law: Law) -> Self {
        Self { law, coming: Vec::new(), noise: 0.0, seed: 0, windows: 0, truth: 0.0 }
    }

    /// The metric of a window is in proportion to the size: `value` at `size`.
    pub const fn linear(size: u64, value: f64) -> Self {
        Self::new(Law::Linear { size: size as f64, value })
    }

    /// More and more does less and less: half of `top` at `half`, never `top`.
    pub const fn saturating(half: u64, top: f64) -> Self {
        Self::new(Law::Saturating { half: half as f64, top })
    }

    /// A level that starts at `level`, falls by `pace` a window, and is raised by `value` with each `size`: free memory and
    /// what reclaims it.
    pub const fn integrating(level: f64, pace: f64, size: u64, value: f64) -> Self {
        Self::new(Law::Integrating { level, size: size as f64, value, pace })
    }

    /// An effect comes this many windows later.
    #[must_use]
    pub fn delayed(mut self, windows: usize) -> Self {
        self.coming = vec![0; windows];
        self
    }

    /// Readings deviate by this much, as the square root of the mean square; about normally, never by more than 3.5 times
    /// as much.
    #[must_use]
    pub const fn noisy(mut self, deviation: f64, seed: u64) -> Self {
        (self.noise, self.seed) = (deviation, seed);
        self
    }

    /// The metric after a window in which `size` was worked on. Never negative, whole.
    pub fn window(&mut self, size: u64) -> u64 {
        self.coming.push(size);
        let size_now = self.coming.remove(0) as f64;
        let value = match &mut self.law {
            Law::Linear { size, value } => size_now / *size * *value,
            Law::Saturating { half, top } => *top * size_now / (size_now + *half),
            Law::Integrating { level, size, value, pace } => {
                *level = (*level + size_now / *size * *value - *pace).max(0.0);
                *level
            }
        };
        self.windows += 1;
        self.truth = value;
        (value + self.noise * self.deviate()).max(0.0) as u64
    }

    /// What the metric truly was in the last window: without noise.
    pub const fn truth(&self) -> f64 {
        self.truth
    }

    /// The sum of four even draws, of variance 1: only arithmetic that is the same everywhere.
    fn deviate(&self) -> f64 {
        let even = |i| (draw(self.seed, 4 * self.windows + i) >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
        (0..4).map(even).sum::<f64>() * 3f64.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_law_is_the_one_it_is_named_after() {
        assert_eq!(Plant::linear(100, 1_000.0).window(50), 500);
        assert_eq!(Plant::saturating(100, 1_000.0).window(100), 500);
        let mut level = Plant::integrating(500.0, 20.0, 100, 1_000.0);
        assert_eq!([level.window(0), level.window(2), level.window(1)], [480, 480, 470]);
    }

    #[test]
    fn noise_has_the_deviation_it_was_given_and_no_bias() {
        let mut plant = Plant::linear(1, 1_000.0).noisy(100.0, 7);
        let off: Vec<f64> = (0..10_000).map(|_| plant.window(1) as f64 - 999.5).collect();
        let mean = off.iter().sum::<f64>() / 1e4;
        let sd = (off.iter().map(|d| d * d).sum::<f64>() / 1e4).sqrt();
        assert!(mean.abs() < 3.0 && (98.0..102.0).contains(&sd), "{mean} {sd}");
    }
}
