//! What a size does to a score, and how well that explains what was seen.

/// Windows that models are compared on.
pub(super) const RECORD: usize = 6;
/// The longest dead time, in windows, that is told from no effect at all.
pub(super) const MAX_DEAD: usize = 3;

/// What a scheme's size does to the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// A size holds a score (self-regulating): such is the time that tasks wait for memory.
    Holds,
    /// A size moves the score on in each window (integrating): such is free memory.
    Moves,
}

/// The straight line through the last windows, of least squares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    /// This size did `effect` points.
    pub(super) size: u64,
    pub(super) effect: i64,
    /// Sums of squares, in points.
    pub(super) explained: i128,
    pub(super) unexplained: i128,
}

impl Fit {
    /// Of scores over sizes, the newest first. A size that does less than nothing explains nothing.
    pub(super) fn new(scores: &[i64; RECORD + 1], charged: &[u64], process: Process) -> Self {
        const N: i128 = RECORD as i128;
        const ONE: i128 = 1 << 20;
        // In parts of the largest, so that squares of sums stay far below 2^127.
        let largest = charged.iter().take(RECORD).copied().max().unwrap_or(0).max(1);
        let points = |i: usize| {
            let x = i128::from(charged[i]) * ONE / i128::from(largest);
            let y = match process {
                Process::Holds => scores[i],
                Process::Moves => scores[i] - scores[i + 1],
            };
            (x, i128::from(y))
        };
        let sum = |of: fn((i128, i128)) -> i128| (0..RECORD).map(|i| of(points(i))).sum::<i128>();
        let (sx, sy) = (sum(|(x, _)| x), sum(|(_, y)| y));
        // N times the sums of squares around the means.
        let xx = N * sum(|(x, _)| x * x) - sx * sx;
        let yy = N * sum(|(_, y)| y * y) - sy * sy;
        let xy = N * sum(|(x, y)| x * y) - sx * sy;
        if xx == 0 || xy <= 0 {
            return Self { size: largest, effect: 0, explained: 0, unexplained: yy / N };
        }
        let explained = xy * xy / xx;
        let effect = i64::try_from(xy * ONE / xx).unwrap_or(i64::MAX);
        Self { size: largest, effect, explained: explained / N, unexplained: (yy - explained).max(0) / N }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [u64; RECORD] = [500, 400, 100, 300, 0, 200];

    #[test]
    fn a_line_is_found_and_explains_all() {
        let scores = [1_005, 805, 205, 605, 5, 405, 0];
        let fit = Fit::new(&scores, &SIZES, Process::Holds);
        assert_eq!((fit.size, fit.effect), (500, 1_000));
        assert!(fit.unexplained < 10 && fit.explained > 100_000, "{fit:?}");
        let other = Fit::new(&scores, &SIZES, Process::Moves);
        assert!(other.unexplained > 100_000, "{other:?}");
    }

    #[test]
    fn what_falls_with_the_size_explains_nothing() {
        let fit = Fit::new(&[0, 100, 400, 200, 500, 300, 0], &SIZES, Process::Holds);
        assert_eq!((fit.effect, fit.explained), (0, 0));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let scores = [1_000_000, 0, 1_000_000, 0, 1_000_000, 0, 1_000_000];
        let sizes = [1 << 60, 0, 1 << 60, 0, 1 << 60, 0];
        assert_eq!(Fit::new(&scores, &sizes, Process::Holds).effect, 1_000_000);
        assert_eq!(Fit::new(&scores, &sizes, Process::Moves).effect, 2_000_000);
    }
}
