//! Which memory deserves which tier, and which move pays: arithmetic over rates alone.
//!
//! Counterpart: none. The kernel promotes what was accessed at all, whatever has to leave for it.

use core::time::Duration;

use damon_core::Bp;

/// When a move is worth its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Benefit {
    /// What it costs to migrate a page of 4 KiB, where no CPU is free for it. Default 3 µs.
    pub page_move: Duration,
    /// A move must have paid back after so long, the way of what has to leave for it included. Default 20 s.
    pub payback: Duration,
    /// Hysteresis: what is promoted is accessed at least so many times as often as what is demoted for it. Default 2.
    pub times: u32,
}

impl Default for Benefit {
    fn default() -> Self {
        Self { page_move: Duration::from_micros(3), payback: Duration::from_secs(20), times: 2 }
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

/// Memory by its access rate.
#[derive(Clone, Debug, Default)]
pub(super) struct Heat(Vec<(Bp, u64)>);

impl FromIterator<(Bp, u64)> for Heat {
    fn from_iter<T: IntoIterator<Item = (Bp, u64)>>(rates: T) -> Self {
        let mut rates: Vec<_> = rates.into_iter().collect();
        rates.sort_unstable_by(|a, b| b.cmp(a));
        Self(rates)
    }
}

impl Heat {
    /// Bytes of this rate or more.
    pub(super) fn above(&self, rate: Bp) -> u64 {
        self.0.iter().take_while(|(of, _)| *of >= rate).fold(0, |sum, &(_, size)| size.saturating_add(sum))
    }

    /// The waterline where so many bytes are above it.
    pub(super) fn waterline(&self, capacity: u64) -> Line {
        let mut filled = 0_u64;
        let (mut line, mut below, mut sum) = (None, 0_u128, 0_u128);
        for &(rate, size) in &self.0 {
            filled = filled.saturating_add(size);
            if filled > capacity {
                line.get_or_insert(rate);
                below += u128::from(size);
                sum += u128::from(size) * u128::from(events(rate));
            }
        }
        Line { rate: line.unwrap_or(Bp(0)), below: u64::try_from(sum / below.max(1)).unwrap_or(MOST) }
    }
}

/// Where a tier is full, filled with the hottest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The rate of what was filled in last; 0 where all fits.
    pub(super) rate: Bp,
    /// Accesses between two samples to what did not fit, in the mean and in thousandths.
    below: u64,
}

/// From which rate on memory is promoted, and up to which it is demoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Band {
    pub(super) up: Bp,
    pub(super) down: Bp,
}

impl Benefit {
    /// Around the waterline, in rates of samples that are `sampling` apart, where an access gains `gain_ns` and this part of the
    /// CPUs is busy: what is free migrates for nothing.
    pub(super) fn band(&self, line: Line, gain_ns: u64, sampling: Duration, busy: Bp) -> Band {
        // From half of the CPUs on programs are likely to have to wait for one.
        let contended = u128::from((2 * busy.0.min(10_000)).saturating_sub(10_000));
        // A page that goes up, and one that leaves for it.
        let cost = 2 * self.page_move.as_nanos() * contended * sampling.as_nanos();
        let least = cost.checked_div(10 * u128::from(gain_ns) * self.payback.as_nanos()).unwrap_or(u128::MAX);
        let least = u64::try_from(least).unwrap_or(u64::MAX);
        let (full, times) = (events(line.rate), u64::from(self.times.max(1)));
        let up = full.max(times * line.below).max(line.below.saturating_add(least)).max(1);
        let down = full.min(up / times);
        let up = if gain_ns == 0 { u64::MAX } else { up };
        Band { up: if up > MOST { Bp(u32::MAX) } else { rate(up) }, down: rate(down) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_fill_what_there_is_and_the_line_is_where_it_ends() {
        let heat: Heat = [(Bp(10), 100), (Bp(500), 30), (Bp(0), 1_000), (Bp(90), 50)].into_iter().collect();
        let lines = [10, 30, 31, 80, 81, 180, 181, 1_180].map(|capacity| heat.waterline(capacity).rate.0);
        assert_eq!(lines, [500, 90, 90, 10, 10, 0, 0, 0]);
        assert_eq!([0, 10, 91, 501].map(|rate| heat.above(Bp(rate))), [1_180, 180, 30, 0]);
        assert_eq!(Heat::default().waterline(0).rate, Bp(0));
    }

    #[test]
    fn what_a_sample_sees_is_whether_there_was_any_access() {
        assert_eq!([0, 3_935, 6_321, 10_000].map(|bp| events(Bp(bp))), [0, 500, 1_000, MOST]);
        assert!((0..=9_990).all(|bp| rate(events(Bp(bp))).0.abs_diff(bp) <= 5));
    }

    #[test]
    fn a_move_pays_for_itself_and_for_what_leaves_and_costs_nothing_while_cpus_are_free() {
        let (ms, benefit) = (Duration::from_millis(1), Benefit::default());
        let line = |rate, below| Line { rate: Bp(rate), below };
        // 6 µs in 20 s at 150 ns an access is 2 accesses a second: 0.2 in 100 ms.
        assert_eq!(benefit.band(line(0, 0), 150, 100 * ms, Bp(10_000)), Band { up: rate(200), down: Bp(0) });
        assert_eq!(benefit.band(line(0, 0), 150, 100 * ms, Bp(7_500)).up, rate(100));
        assert_eq!(benefit.band(line(0, 0), 150, 100 * ms, Bp(5_000)).up, rate(1));
        assert_eq!(benefit.band(line(3_935, 500), 150, 100 * ms, Bp(0)), Band { up: rate(1_000), down: rate(500) });
        // Twice as often as what is below; what is at the line or above it belongs up in any case.
        assert_eq!(benefit.band(line(3_935, 300), 150, 100 * ms, Bp(0)), Band { up: rate(600), down: rate(300) });
        assert_eq!(benefit.band(line(3_935, 50), 150, 100 * ms, Bp(0)).up, rate(500));
        assert!(benefit.band(line(0, 0), 0, 5 * ms, Bp(0)).up > Bp::WHOLE, "nothing is gained: nothing is promoted");
    }
}
