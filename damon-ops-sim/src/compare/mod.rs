//! Is one algorithm better than another? Ratios of errors over scenarios, and what of a difference is more than noise.

mod runs;

use crate::score::Score;

pub use runs::{ADAPTIVE, Algorithm, Budget, CLASSIC, Grouped, Series, equal_cost_checks, run_all};

/// A ratio below this counts as this: where an error is next to nothing already, a further factor is worth no more.
pub const LEAST_RATIO: f64 = 0.05;
/// A difference of so many of its standard errors is more than noise over the seeds.
pub const SIGNIFICANT: f64 = 3.0;

/// One of the figures that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// [`Score::mae`]: less is better.
    Mae,
    /// [`Score::rmse`]: less is better.
    Rmse,
    /// [`Score::f1`]: more is better.
    F1,
}

impl Figure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mae, Self::Rmse, Self::F1];

    /// As [`Score`] calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mae => "mae",
            Self::Rmse => "rmse",
            Self::F1 => "f1",
        }
    }

    /// The figure of a run.
    pub const fn of(self, score: &Score) -> f64 {
        match self {
            Self::Mae => score.mae,
            Self::Rmse => score.rmse,
            Self::F1 => score.f1,
        }
    }
}

/// Two algorithms on one scenario, a run for each seed.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The scenario's name.
    pub scenario: String,
    /// What is compared with.
    pub base: Vec<Score>,
    /// What is compared.
    pub other: Vec<Score>,
}

impl Pair {
    /// The other's mean error by the base's, at least [`LEAST_RATIO`]. 1 where neither errs, infinite where only the
    /// other does.
    pub fn ratio(&self, figure: Figure) -> f64 {
        let (base, other) = (mean(&self.base, |s| figure.of(s)), mean(&self.other, |s| figure.of(s)));
        if other <= 0.0 && base <= 0.0 { 1.0 } else { (other / base).max(LEAST_RATIO) }
    }

    /// Is the other worse by more than [`SIGNIFICANT`] standard errors of the difference of the means? Never with one
    /// run of each, which says nothing about noise.
    pub fn is_worse(&self, figure: Figure) -> bool {
        let (base, other) = (Spread::of(&self.base, figure), Spread::of(&self.other, figure));
        let by = match figure {
            Figure::Mae | Figure::Rmse => other.mean - base.mean,
            Figure::F1 => base.mean - other.mean,
        };
        match (base.squared_error, other.squared_error) {
            (Some(a), Some(b)) => by > SIGNIFICANT * (a + b).sqrt(),
            _ => false,
        }
    }
}

/// The mean over runs.
pub fn mean(scores: &[Score], of: impl Fn(&Score) -> f64) -> f64 {
    scores.iter().map(of).sum::<f64>() / scores.len() as f64
}

/// The mean over the runs where it happened: those where it is not −1. `None` where it never did.
pub fn mean_reached(scores: &[Score], of: impl Fn(&Score) -> f64) -> Option<f64> {
    let reached: Vec<f64> = scores.iter().map(of).filter(|n| *n >= 0.0).collect();
    (!reached.is_empty()).then(|| reached.iter().sum::<f64>() / reached.len() as f64)
}

struct Spread {
    mean: f64,
    /// The square of the mean's standard error, where it is known.
    squared_error: Option<f64>,
}

impl Spread {
    fn of(scores: &[Score], figure: Figure) -> Self {
        let (n, mean) = (scores.len() as f64, mean(scores, |s| figure.of(s)));
        let squares: f64 = scores.iter().map(|s| (figure.of(s) - mean).powi(2)).sum();
        Self { mean, squared_error: (scores.len() > 1).then(|| squares / (n - 1.0) / n) }
    }
}

/// Ratios over scenarios.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Their geometric mean: a half and a double cancel.
    pub geometric_mean: f64,
    /// The middle one; of two in the middle their mean.
    pub median: f64,
    /// The highest, and the name of its scenario.
    pub worst: (f64, String),
    /// The scenarios where the other is worse by more than noise.
    pub worse: Vec<String>,
}

impl Summary {
    /// Of the errors `figure`; `None` without a pair.
    ///
    /// ```
    /// use damon_ops_sim::compare::{Figure, Pair, Summary};
    /// use damon_ops_sim::score::Scorer;
    /// # use damon_core::AddrRange;
    /// # use damon_ops_sim::workload::{Heat, Picture, Place};
    /// # let range = AddrRange::new(0, 100).unwrap();
    /// # let truth = Picture::new(&[Heat::reads(range, 1e9)]);
    /// let run = |reported: f64| {
    ///     let mut scorer = Scorer::new(0.5);
    ///     scorer.snapshot([(range, reported)], &truth, 0.005, Place { phase: 0, since: 0, of: 1 });
    ///     scorer.score()
    /// };
    /// let pair = |name: &str, base, other| Pair { scenario: name.into(), base: vec![run(base)], other: vec![run(other)] };
    /// let pairs = [pair("a quarter of the error", 0.2, 0.8), pair("all of it", 0.5, 0.5)];
    /// let summary = Summary::of(&pairs, Figure::Mae).unwrap();
    /// assert!((summary.geometric_mean - 0.5).abs() < 1e-9);
    /// assert_eq!(summary.worst, (1.0, "all of it".to_string()));
    /// ```
    pub fn of<'a>(pairs: impl IntoIterator<Item = &'a Pair>, figure: Figure) -> Option<Self> {
        let pairs: Vec<&Pair> = pairs.into_iter().collect();
        let mut ratios: Vec<(f64, &Pair)> = pairs.iter().map(|p| (p.ratio(figure), *p)).collect();
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (worst, last) = ratios.last()?;
        let logs: f64 = ratios.iter().map(|(ratio, _)| ratio.ln()).sum();
        let middle = |i: usize| ratios[i].0;
        let n = ratios.len();
        Some(Self {
            geometric_mean: (logs / n as f64).exp(),
            median: f64::midpoint(middle((n - 1) / 2), middle(n / 2)),
            worst: (*worst, last.scenario.clone()),
            worse: pairs.iter().filter(|p| p.is_worse(figure)).map(|p| p.scenario.clone()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(maes: &[f64]) -> Vec<Score> {
        maes.iter().map(|&mae| Score { mae, f1: 1.0 - mae, ..Score::default() }).collect()
    }

    fn pair(name: &str, base: &[f64], other: &[f64]) -> Pair {
        Pair { scenario: name.into(), base: runs(base), other: runs(other) }
    }

    #[test]
    fn a_ratio_is_of_means_and_bounded_below() {
        assert!((pair("", &[0.1, 0.3], &[0.05, 0.05]).ratio(Figure::Mae) - 0.25).abs() < 1e-12);
        assert_eq!(pair("", &[0.4], &[0.0]).ratio(Figure::Mae), LEAST_RATIO);
        assert_eq!(pair("", &[0.0], &[0.0]).ratio(Figure::Mae), 1.0);
        assert_eq!(pair("", &[0.0], &[0.1]).ratio(Figure::Mae), f64::INFINITY);
    }

    #[test]
    fn worse_is_what_three_standard_errors_do_not_explain() {
        // Standard deviation 0.01, so the difference of two means of 4 has 0.01 / sqrt(2).
        let noise = |middle: f64| [-0.00866, 0.00866, -0.00866, 0.00866].map(|d| middle + d);
        for (other, worse) in [(0.52, false), (0.5225, true), (0.2, false)] {
            let p = pair("", &noise(0.5), &noise(other));
            assert_eq!((p.is_worse(Figure::Mae), p.is_worse(Figure::F1)), (worse, worse), "{other}");
        }
        assert!(!pair("", &[0.1], &[0.9]).is_worse(Figure::Mae), "one run says nothing about noise");
        assert!(pair("", &[0.1, 0.1], &[0.2, 0.2]).is_worse(Figure::Mae), "no noise at all");
    }

    #[test]
    fn a_summary_names_the_worst_and_all_that_are_worse() {
        let pairs =
            [pair("a", &[0.4, 0.4], &[0.1, 0.1]), pair("b", &[0.1, 0.1], &[0.2, 0.2]), pair("c", &[1.0; 2], &[0.5; 2])];
        let s = Summary::of(&pairs, Figure::Mae).unwrap();
        assert!((s.geometric_mean - 0.25_f64.cbrt()).abs() < 1e-12, "{s:?}");
        assert_eq!((s.median, s.worst, s.worse), (0.5, (2.0, "b".into()), vec!["b".to_string()]));
        let even = Summary::of(&pairs[..2], Figure::Mae).unwrap();
        assert_eq!(even.median, 1.125);
        assert_eq!(Summary::of([], Figure::Mae), None);
    }

    #[test]
    fn what_was_never_reached_is_in_no_mean() {
        let times = |list: &[f64]| -> Vec<Score> {
            list.iter().map(|&time_to_quality| Score { time_to_quality, ..Score::default() }).collect()
        };
        let of = |s: &Score| s.time_to_quality;
        assert_eq!(mean_reached(&times(&[4.0, -1.0, 2.0]), of), Some(3.0));
        assert_eq!(mean_reached(&times(&[-1.0]), of), None);
    }
}
