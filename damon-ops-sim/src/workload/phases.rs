//! Workloads one after another, and one over another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use damon_core::Instant;

use super::{Heat, Picture, Workload};

/// Workloads painted over each other: where they overlap the later one counts.
#[derive(Default)]
pub struct Stack(Vec<Box<dyn Workload>>);

impl Stack {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more on top.
    #[must_use]
    pub fn with(mut self, top: impl Workload + 'static) -> Self {
        self.0.push(Box::new(top));
        self
    }
}

impl Workload for Stack {
    fn paint(&self, at: Instant, out: &mut Vec<Heat>) -> Instant {
        self.0.iter().map(|w| w.paint(at, out)).min().unwrap_or(Instant::MAX)
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stack of {}", self.0.len())
    }
}

/// Workloads that follow each other by time, again and again. In each, time starts anew at zero.
#[derive(Default)]
pub struct Phases(Vec<(Duration, Box<dyn Workload>)>);

impl Phases {
    /// Idleness.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more, for `length`, after the others.
    #[must_use]
    pub fn then(mut self, length: Duration, workload: impl Workload + 'static) -> Self {
        self.0.push((length, Box::new(workload)));
        self
    }
}

impl Workload for Phases {
    fn paint(&self, at: Instant, out: &mut Vec<Heat>) -> Instant {
        let total: Duration = self.0.iter().map(|p| p.0).fold(Duration::ZERO, Duration::saturating_add);
        let Some(round) = (at - Instant::ZERO).as_nanos().checked_div(total.as_nanos()) else { return Instant::MAX };
        // Below 2^64, as the time is.
        let mut start = Instant::from_nanos((round * total.as_nanos()) as u64);
        for (length, workload) in &self.0 {
            let end = start + *length;
            if at < end {
                let inner = workload.paint(Instant::ZERO + (at - start), out);
                return end.min(start + (inner - Instant::ZERO));
            }
            start = end;
        }
        // At the end of time, where a phase has no end to be before.
        Instant::MAX
    }
}

impl fmt::Debug for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|p| p.0)).finish()
    }
}

/// Pictures that follow each other by aggregation, again and again: the phases of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Cycle {
    /// The aggregation after each picture's last.
    ends: Vec<u64>,
    pictures: Vec<Arc<Picture>>,
}

/// A place in a [`Cycle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which phase, from 0.
    pub phase: usize,
    /// How many of its aggregations passed before this one.
    pub since: u64,
    /// How many it has.
    pub of: u64,
}

impl Cycle {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more picture, for `aggregations`, after the others. One of no aggregations is left out.
    pub fn push(&mut self, aggregations: u64, picture: Picture) {
        if aggregations > 0 {
            self.ends.push(self.ends.last().unwrap_or(&0).saturating_add(aggregations));
            self.pictures.push(Arc::new(picture));
        }
    }

    /// What aggregation `n`, from 0, sees, and where in the cycle it is; `None` where there is no phase.
    pub fn at(&self, n: u64) -> Option<(&Arc<Picture>, Place)> {
        let n = n % *self.ends.last()?;
        let phase = self.ends.partition_point(|&end| end <= n);
        let start = if phase == 0 { 0 } else { self.ends[phase - 1] };
        Some((&self.pictures[phase], Place { phase, since: n - start, of: self.ends[phase] - start }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Blocks, Growing};
    use damon_core::AddrRange;

    const SECOND: Duration = Duration::from_secs(1);

    fn heat(start: u64, end: u64, hz: f64) -> Heat {
        Heat::reads(AddrRange::new(start, end).unwrap(), hz)
    }

    fn at(w: &impl Workload, millis: u64) -> (Vec<Heat>, u128) {
        let mut out = Vec::new();
        let until = w.paint(Instant::ZERO + Duration::from_millis(millis), &mut out);
        (out, (until - Instant::ZERO).as_millis())
    }

    #[test]
    fn phases_repeat_and_start_their_workloads_anew() {
        let grow = Growing { heat: heat(0, 100, 1.0), from: 10, by: 10, every: SECOND };
        let w = Phases::new().then(SECOND * 2, Blocks::new([heat(0, 5, 9.0)])).then(SECOND * 3, grow);
        assert_eq!(at(&w, 1_999), (vec![heat(0, 5, 9.0)], 2_000));
        assert_eq!(at(&w, 2_000), (vec![heat(0, 10, 1.0)], 3_000));
        assert_eq!(at(&w, 4_500), (vec![heat(0, 30, 1.0)], 5_000));
        assert_eq!(at(&w, 7_000), (vec![heat(0, 10, 1.0)], 8_000));
    }

    #[test]
    fn no_phase_is_idleness() {
        let mut out = Vec::new();
        assert_eq!(Phases::new().paint(Instant::ZERO, &mut out), Instant::MAX);
        assert_eq!(Stack::new().paint(Instant::ZERO, &mut out), Instant::MAX);
        assert!(out.is_empty() && Cycle::new().at(3).is_none());
    }

    #[test]
    fn a_stack_holds_as_long_as_its_shortest_part() {
        let grow = Growing { heat: heat(0, 100, 2.0), from: 10, by: 10, every: SECOND };
        let w = Stack::new().with(Blocks::new([heat(0, 5, 9.0)])).with(grow);
        assert_eq!(at(&w, 0), (vec![heat(0, 5, 9.0), heat(0, 10, 2.0)], 1_000));
    }

    #[test]
    fn a_cycle_goes_by_aggregations() {
        let mut c = Cycle::new();
        c.push(2, Picture::new(&[heat(0, 1, 1.0)]));
        c.push(0, Picture::default());
        c.push(3, Picture::new(&[heat(0, 1, 2.0)]));
        let seen: Vec<_> = (0..7).map(|n| c.at(n).unwrap()).map(|(p, w)| (p.heats()[0].hz, w.since, w.of)).collect();
        assert_eq!(seen, [(1.0, 0, 2), (1.0, 1, 2), (2.0, 0, 3), (2.0, 1, 3), (2.0, 2, 3), (1.0, 0, 2), (1.0, 1, 2)]);
    }
}
