//! Which memory deserves which tier, and which move pays: arithmetic over rates alone.
//!
//! Counterpart: none. The kernel promotes what was accessed at all, whatever has to leave for it.

use core::time::Duration;

use damon_core::Bp;

/// When a move is worth its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Benefit {
    /// What it costs to migrate a page of 4 KiB. Default 3 µs.
    pub page_move: Duration,
    /// A move must have paid back after so long, the way of what has to leave for it included. Default 60 s.
    pub payback: Duration,
    /// Hysteresis: memory is promoted only if its rate is above the waterline by so much of that, and demoted only if it is
    /// as much below. Default 20%.
    pub margin: Bp,
}

impl Default for Benefit {
    fn default() -> Self {
        Self { page_move: Duration::from_micros(3), payback: Duration::from_secs(60), margin: Bp(2_000) }
    }
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
    /// The waterline: filled with the hottest first, so many bytes are full at this rate. 0 where all fits.
    pub(super) fn waterline(&self, capacity: u64) -> Bp {
        let mut filled = 0_u64;
        let full = self.0.iter().find(|(_, size)| {
            filled = filled.saturating_add(*size);
            filled > capacity
        });
        full.map_or(Bp(0), |&(rate, _)| rate)
    }
}

/// From which rate on memory is promoted, and up to which it is demoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Band {
    pub(super) up: Bp,
    pub(super) down: Bp,
}

impl Benefit {
    /// Around the waterline `line`, in rates of samples that are `sampling` apart, where an access gains `gain_ns`.
    pub(super) fn band(&self, line: Bp, gain_ns: u64, sampling: Duration) -> Band {
        let margin = u64::from(line.0) * u64::from(self.margin.0) / 10_000;
        let down = u64::from(line.0) - margin.min(line.0.into());
        // A page that goes up, and one that leaves for it.
        let cost = 2 * self.page_move.as_nanos() * 10_000 * sampling.as_nanos();
        let least = cost.checked_div(u128::from(gain_ns) * self.payback.as_nanos()).unwrap_or(u128::MAX);
        let least = u64::try_from(least).unwrap_or(u64::MAX);
        let up = (u64::from(line.0) + margin).max(down.saturating_add(least)).max(1);
        let bp = |n: u64| Bp(u32::try_from(n).unwrap_or(u32::MAX));
        Band { up: bp(up), down: bp(down) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_fill_what_there_is_and_the_line_is_where_it_ends() {
        let heat: Heat = [(Bp(10), 100), (Bp(500), 30), (Bp(0), 1_000), (Bp(90), 50)].into_iter().collect();
        let lines = [10, 30, 31, 80, 81, 180, 181, 1_180].map(|capacity| heat.waterline(capacity).0);
        assert_eq!(lines, [500, 90, 90, 10, 10, 0, 0, 0]);
        assert_eq!(Heat::default().waterline(0), Bp(0));
    }

    #[test]
    fn between_up_and_down_nothing_moves_and_the_difference_pays_for_two_moves() {
        let (ms, benefit) = (Duration::from_millis(1), Benefit::default());
        // 6 µs in 60 s at 150 ns an access is 0.67 accesses a second: 33 of 10,000 samples that are 5 ms apart.
        assert_eq!(benefit.band(Bp(0), 150, 5 * ms), Band { up: Bp(33), down: Bp(0) });
        assert_eq!(benefit.band(Bp(1_000), 150, 5 * ms), Band { up: Bp(1_200), down: Bp(800) });
        assert_eq!(benefit.band(Bp(10), 150, 5 * ms), Band { up: Bp(41), down: Bp(8) });
        assert!(benefit.band(Bp(0), 0, 5 * ms).up > Bp::WHOLE, "nothing is gained: nothing is promoted");
    }
}
