//! Which memory deserves which tier, and which move pays: arithmetic over rates alone.
//!
//! Counterpart: none. The kernel promotes what was accessed at all, whatever has to leave for it.

use core::cmp::Reverse;
use core::time::Duration;

use damon_core::Bp;

/// When a move is worth its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Benefit {
    /// What it costs to migrate a page of 4 KiB, where no CPU is free for it. Default 3 µs.
    pub page_move: Duration,
    /// A move must have paid back after so long, the way of what has to leave for it included. Default 40 s.
    pub payback: Duration,
    /// Hysteresis: what is promoted was seen to be hotter than what leaves for it by so many standard errors, so that little is moved back
    /// and forth by chance. Default 2.
    pub sure: u32,
}

impl Default for Benefit {
    fn default() -> Self {
        Self { page_move: Duration::from_micros(3), payback: Duration::from_secs(40), sure: 2 }
    }
}

/// As many accesses as can be told from more: of 20,000 samples each saw one.
const MOST: u64 = 10_000;

/// Accesses between two samples, in thousandths, where this part of samples sees one: what a sample sees is whether there was any.
pub(super) fn events(rate: Bp) -> u64 {
    let missed = 1.0 - f64::from(rate.0.min(Bp::WHOLE.0)) / f64::from(Bp::WHOLE.0);
    ((-missed.ln() * 1e3).round() as u64).min(MOST)
}

/// The other way around.
fn rate(events: u64) -> Bp {
    Bp(((1.0 - (-(events as f64) / 1e3).exp()) * f64::from(Bp::WHOLE.0)).round() as u32)
}

/// Memory of one access rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) rate: Bp,
    pub(super) bytes: u64,
    /// Checks that the rate rests on.
    pub(super) checks: u32,
}

/// Memory by its access rate.
#[derive(Clone, Debug, Default)]
pub(super) struct Heat {
    /// Hottest first.
    pieces: Vec<Piece>,
    /// Checks that rates rest on, in the mean of all bytes.
    checks: u64,
}

impl FromIterator<Piece> for Heat {
    fn from_iter<T: IntoIterator<Item = Piece>>(pieces: T) -> Self {
        let mut pieces: Vec<_> = pieces.into_iter().collect();
        pieces.sort_unstable_by_key(|piece| Reverse((piece.rate, piece.bytes)));
        let sum = |of: fn(&Piece) -> u64| pieces.iter().map(|p| u128::from(of(p)) * u128::from(p.bytes)).sum::<u128>();
        let checks = sum(|piece| piece.checks.into()) / sum(|_| 1).max(1);
        Self { pieces, checks: u64::try_from(checks).unwrap_or(u64::MAX) }
    }
}

impl Heat {
    /// Bytes of this rate or more.
    pub(super) fn above(&self, rate: Bp) -> u64 {
        self.pieces.iter().take_while(|piece| piece.rate >= rate).fold(0, |sum, piece| piece.bytes.saturating_add(sum))
    }

    /// The waterline where so many bytes are above it.
    pub(super) fn waterline(&self, capacity: u64) -> Line {
        let mut filled = 0_u64;
        let (mut line, mut below, mut sum) = (None, 0_u128, 0_u128);
        for &Piece { rate, bytes, .. } in &self.pieces {
            filled = filled.saturating_add(bytes);
            if filled > capacity {
                line.get_or_insert(rate);
                below += u128::from(bytes);
                sum += u128::from(bytes) * u128::from(events(rate));
            }
        }
        let below = u64::try_from(sum / below.max(1)).unwrap_or(MOST);
        Line { rate: line.unwrap_or(Bp(0)), below, checks: self.checks }
    }
}

/// Where a tier is full, filled with the hottest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The rate of what was filled in last; 0 where all fits.
    pub(super) rate: Bp,
    /// Accesses between two samples to what did not fit, in the mean and in thousandths.
    below: u64,
    /// Checks that rates rest on.
    checks: u64,
}

/// From which rate on memory is promoted, and up to which it is demoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Band {
    pub(super) up: Bp,
    pub(super) down: Bp,
}

impl Benefit {
    /// By how many accesses between two samples, in thousandths, chance alone may tell two pieces of memory of so many apart, where each was
    /// checked so often. A check sees whether there was any: of *n* checks the number is told to √((e^λ − 1) / n).
    fn chance(&self, events: u64, checks: u64) -> u64 {
        let checks = checks.max(1) as f64;
        // Half a check that saw one is what none of them may have seen.
        let variance = ((events as f64 / 1e3).exp_m1() + 0.5 / checks) / checks;
        (f64::from(self.sure) * (2.0 * variance).sqrt() * 1e3).round() as u64
    }

    /// Around the waterline, in rates of samples that are `sampling` apart, where an access gains `gain_ns` and this part of the
    /// CPUs is busy: what is free migrates for nothing.
    pub(super) fn band(&self, line: Line, gain_ns: u64, sampling: Duration, busy: Bp) -> Band {
        // From half of the CPUs on programs are likely to have to wait for one.
        let contended = u128::from((2 * busy.0.min(10_000)).saturating_sub(10_000));
        // A page that goes up, and one that leaves for it.
        let cost = 2 * self.page_move.as_nanos() * contended * sampling.as_nanos();
        let least = cost.checked_div(10 * u128::from(gain_ns) * self.payback.as_nanos()).unwrap_or(u128::MAX);
        let least = u64::try_from(least).unwrap_or(u64::MAX);
        let full = events(line.rate);
        let up = full.max(line.below.saturating_add(least.max(self.chance(line.below, line.checks)))).max(1);
        // What is surely below the waterline, and what is as cold as what did not fit.
        let down = full.min(up.saturating_sub(self.chance(full, line.checks)).max(line.below));
        let up = if gain_ns == 0 { u64::MAX } else { up };
        Band { up: if up > MOST { Bp(u32::MAX) } else { rate(up) }, down: rate(down) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_fill_what_there_is_and_the_line_is_where_it_ends() {
        let piece = |(rate, bytes, checks)| Piece { rate: Bp(rate), bytes, checks };
        let heat: Heat = [(10, 100, 0), (500, 30, 118), (0, 1_000, 15), (90, 50, 0)].map(piece).into_iter().collect();
        let lines = [10, 30, 31, 80, 81, 180, 181, 1_180].map(|capacity| heat.waterline(capacity).rate.0);
        assert_eq!(lines, [500, 90, 90, 10, 10, 0, 0, 0]);
        assert_eq!([0, 10, 91, 501].map(|rate| heat.above(Bp(rate))), [1_180, 180, 30, 0]);
        assert_eq!(Heat::default().waterline(0).rate, Bp(0));
        assert_eq!(heat.waterline(0).checks, 15, "in the mean of all bytes");
    }

    #[test]
    fn what_a_sample_sees_is_whether_there_was_any_access() {
        assert_eq!([0, 3_935, 6_321, 10_000].map(|bp| events(Bp(bp))), [0, 500, 1_000, MOST]);
        assert!((0..=9_990).all(|bp| rate(events(Bp(bp))).0.abs_diff(bp) <= 5));
    }

    #[test]
    fn a_move_pays_for_itself_and_for_what_leaves_and_costs_nothing_while_cpus_are_free() {
        let (ms, benefit) = (Duration::from_millis(1), Benefit::default());
        let line = |rate, below| Line { rate: Bp(rate), below, checks: 1_000_000 };
        // 6 µs in 40 s at 150 ns an access is one access a second: 0.1 in 100 ms.
        assert_eq!(benefit.band(line(0, 0), 150, 100 * ms, Bp(10_000)), Band { up: rate(100), down: Bp(0) });
        assert_eq!(benefit.band(line(0, 0), 150, 100 * ms, Bp(7_500)).up, rate(50));
        assert_eq!(benefit.band(line(0, 0), 150, 100 * ms, Bp(5_000)).up, rate(1));
        // What is at the line or above it belongs up in any case.
        let band = |below| benefit.band(line(3_935, below), 150, 100 * ms, Bp(10_000));
        assert_eq!((band(450).up, band(300).up), (rate(550), rate(500)));
        assert_eq!(band(450).down, Bp(3_935), "where what goes up is that much hotter all below the line may go down");
        assert!(benefit.band(line(0, 0), 0, 5 * ms, Bp(0)).up > Bp::WHOLE, "nothing is gained: nothing is promoted");
    }

    #[test]
    fn the_less_is_known_the_wider_is_the_band() {
        let benefit = Benefit::default();
        let band = |checks| {
            let line = Line { rate: Bp(3_935), below: 450, checks };
            benefit.band(line, 150, Duration::from_millis(100), Bp(0))
        };
        // √(2 (e^0.45 − 1) / 100) is 0.107, at the line 0.114.
        assert_eq!(band(100), Band { up: rate(450 + 214), down: rate(450) });
        assert_eq!(band(10_000), Band { up: rate(500), down: rate(477) });
        assert!(band(10).up > band(100).up && band(10).down == rate(450));
    }
}
