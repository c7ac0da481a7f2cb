//! The monitor's own time: that of its calls without that of the backend's.

use std::time::{Duration, Instant as Wall};

use damon_core::{Fault, Ops, Sample, Span, TargetEvent, TargetId, Want};

/// A backend that measures how long its calls take.
pub(super) struct Stopwatch<O> {
    pub(super) inner: O,
    lap: Lap,
}

/// What was measured since it was asked last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lap {
    /// Time in the backend.
    pub(super) inside: Duration,
    /// Over so many calls.
    pub(super) calls: u32,
}

impl<O> Stopwatch<O> {
    pub(super) const fn new(inner: O) -> Self {
        Self { inner, lap: Lap { inside: Duration::ZERO, calls: 0 } }
    }

    pub(super) fn take(&mut self) -> Lap {
        std::mem::take(&mut self.lap)
    }

    fn time<T>(&mut self, f: impl FnOnce(&mut O) -> T) -> T {
        let start = Wall::now();
        let out = f(&mut self.inner);
        self.lap.inside += start.elapsed();
        self.lap.calls += 1;
        out
    }
}

impl<O: Ops> Ops for Stopwatch<O> {
    type Error = O::Error;
    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), O::Error> {
        self.time(|o| o.targets(events))
    }
    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), O::Error> {
        self.time(|o| o.ranges(target, out))
    }
    fn arm(&mut self, samples: &[Sample]) -> Result<(), O::Error> {
        self.time(|o| o.arm(samples))
    }
    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), O::Error> {
        self.time(|o| o.check(samples, want))
    }
    fn fault(&self, error: &O::Error) -> Fault {
        self.inner.fault(error)
    }
}

/// How long it takes to look at the clock: as long as some checks, so it must not be taken for the monitor's time.
pub(super) fn cost_of_looking() -> Duration {
    const LOOKS: u32 = 1_000;
    let start = Wall::now();
    (0..LOOKS).for_each(|_| {
        std::hint::black_box(Wall::now());
    });
    start.elapsed() / LOOKS
}
