//! Heats that move, grow, or pass over memory once.

use std::time::Duration;

use damon_core::{AddrRange, Instant};

use super::{Heat, Workload};

/// In which step of length `every` is `at`, and when does the next begin? A length of zero never steps.
fn step(at: Instant, every: Duration) -> (u64, Instant) {
    match (at - Instant::ZERO).as_nanos().checked_div(every.as_nanos()) {
        // Below 2^64, as the time is.
        Some(n) => (n as u64, Instant::from_nanos(n as u64 * every.as_nanos() as u64) + every),
        None => (0, Instant::MAX),
    }
}

/// A heat that jumps: each `every` it goes `by` addresses up, and round at the end of `within`.
#[derive(Clone, Copy, Debug)]
pub struct Moving {
    /// How often, and where at first: a range in `within`.
    pub heat: Heat,
    /// Where it moves. What would stick out at its end comes in at its start.
    pub within: AddrRange,
    /// How far it jumps.
    pub by: u64,
    /// How often it jumps.
    pub every: Duration,
}

impl Workload for Moving {
    fn paint(&self, at: Instant, out: &mut Vec<Heat>) -> Instant {
        let (n, until) = step(at, self.every);
        let size = u128::from(self.within.size());
        let from_start = u128::from(self.heat.range.start().saturating_sub(self.within.start()));
        let offset = (from_start + u128::from(n) * u128::from(self.by)) % size;
        // Below the size of `within`.
        let start = self.within.start() + offset as u64;
        let len = self.heat.range.size().min(self.within.size());
        let first = len.min(self.within.end() - start);
        let paint = |range| Heat { range, ..self.heat };
        out.extend(AddrRange::from_len(start, first).map(paint));
        out.extend(AddrRange::from_len(self.within.start(), len - first).map(paint));
        until
    }
}

/// A heat that grows from its range's start: each `every` by `by` addresses more, up to the whole range.
#[derive(Clone, Copy, Debug)]
pub struct Growing {
    /// How often, and the range in the end.
    pub heat: Heat,
    /// Its size at first.
    pub from: u64,
    /// By how much it grows.
    pub by: u64,
    /// How often it grows.
    pub every: Duration,
}

impl Workload for Growing {
    fn paint(&self, at: Instant, out: &mut Vec<Heat>) -> Instant {
        let (n, until) = step(at, self.every);
        let size = self.from.saturating_add(self.by.saturating_mul(n)).min(self.heat.range.size());
        out.extend(AddrRange::from_len(self.heat.range.start(), size).map(|range| Heat { range, ..self.heat }));
        if size == self.heat.range.size() { Instant::MAX } else { until }
    }
}

/// A scan: passes over `within` once in `period`, a `stride` at a time, again and again.
#[derive(Clone, Copy, Debug)]
pub struct Scanning {
    /// What is scanned.
    pub within: AddrRange,
    /// How many addresses it is at, at a time.
    pub stride: u64,
    /// How long a pass takes.
    pub period: Duration,
    /// Mean accesses to each page in a pass.
    pub touches: f64,
    /// What part of them are writes.
    pub writes: f64,
}

impl Workload for Scanning {
    fn paint(&self, at: Instant, out: &mut Vec<Heat>) -> Instant {
        let strides = self.within.size().div_ceil(self.stride.max(1));
        let every = Duration::from_nanos(u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX) / strides);
        if every.is_zero() {
            // Faster than a nanosecond a stride: all of it, all the time.
            let hz = self.touches / self.period.as_secs_f64().max(1e-9);
            out.push(Heat { range: self.within, hz, writes: self.writes });
            return Instant::MAX;
        }
        let (n, until) = step(at, every);
        let start = self.within.start() + n % strides * self.stride.max(1);
        let end = start.saturating_add(self.stride.max(1)).min(self.within.end());
        let hz = self.touches / every.as_secs_f64();
        out.extend(AddrRange::new(start, end).map(|range| Heat { range, hz, writes: self.writes }));
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start, end).unwrap()
    }

    fn at(w: &impl Workload, seconds: u64) -> (Vec<(u64, u64)>, Instant) {
        let mut out = Vec::new();
        let until = w.paint(Instant::ZERO + SECOND * seconds as u32, &mut out);
        (out.iter().map(|h| (h.range.start(), h.range.end())).collect(), until)
    }

    #[test]
    fn a_moving_heat_goes_round() {
        let w = Moving { heat: Heat::reads(range(10, 40), 1.0), within: range(10, 110), by: 40, every: SECOND };
        assert_eq!(at(&w, 0), (vec![(10, 40)], Instant::ZERO + SECOND));
        assert_eq!(at(&w, 1).0, [(50, 80)]);
        assert_eq!(at(&w, 2), (vec![(90, 110), (10, 20)], Instant::ZERO + SECOND * 3));
        assert_eq!(at(&w, 5).0, [(10, 40)]);
    }

    #[test]
    fn a_growing_heat_ends_at_its_range() {
        let w = Growing { heat: Heat::reads(range(0, 100), 1.0), from: 10, by: 40, every: SECOND };
        assert_eq!(at(&w, 0), (vec![(0, 10)], Instant::ZERO + SECOND));
        assert_eq!(at(&w, 2).0, [(0, 90)]);
        assert_eq!(at(&w, 9), (vec![(0, 100)], Instant::MAX));
    }

    #[test]
    fn a_scan_gives_each_page_its_touches_once_a_pass() {
        let w = Scanning { within: range(0, 100), stride: 40, period: SECOND * 3, touches: 2.0, writes: 0.5 };
        assert_eq!(at(&w, 0), (vec![(0, 40)], Instant::ZERO + SECOND));
        assert_eq!(at(&w, 2).0, [(80, 100)]);
        assert_eq!(at(&w, 3).0, [(0, 40)]);
        let mut out = Vec::new();
        w.paint(Instant::ZERO, &mut out);
        assert_eq!((out[0].hz, out[0].writes), (2.0, 0.5));
    }

    #[test]
    fn what_never_steps_stays() {
        let w = Moving { heat: Heat::reads(range(0, 4), 1.0), within: range(0, 8), by: 1, every: Duration::ZERO };
        assert_eq!(at(&w, 7), (vec![(0, 4)], Instant::MAX));
        let w = Scanning { within: range(0, 8), stride: 0, period: Duration::ZERO, touches: 1.0, writes: 0.0 };
        assert_eq!(at(&w, 7), (vec![(0, 8)], Instant::MAX));
    }
}
