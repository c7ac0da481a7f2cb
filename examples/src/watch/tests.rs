//! Small snapshots of known regions for the tests of the view. Sizes are in MiB, times in seconds, rates in percent.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::time::Duration;

use damon_core::{
    AddrRange, Attrs, AttrsSpec, Bp, Instant, Monitor, Ops, RegionSnapshot, Sample, Seen, Sees, Snapshot, Span,
    TargetId, TargetSpec, Want, Window,
};
use damos::Context;
use damos::context::Health;
use damos::record::Mapping;

use super::look::Look;
use super::state::{Event, State};

pub(crate) const MIB: u64 = 1 << 20;
const SAMPLES: u32 = 20;

pub(crate) fn range(start: u64, end: u64) -> AddrRange {
    AddrRange::new(start * MIB, end * MIB).unwrap()
}

pub(crate) fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

pub(crate) fn mapping(start: u64, end: u64, name: &str) -> Mapping {
    Mapping { start: start * MIB, end: end * MIB, name: name.into() }
}

pub(crate) fn health(checks: u64, cpu_ms: u64) -> Health {
    let mut health = Health::default();
    (health.checks, health.cpu) = (checks, Duration::from_millis(cpu_ms));
    health
}

/// Memory that is never accessed: what a monitor makes of it is the form that regions are poured into.
struct Idle;

impl Ops for Idle {
    type Error = Infallible;
    fn ranges(&mut self, _: TargetId, out: &mut Vec<Span>) -> Result<(), Infallible> {
        out.push(Span { range: range(0, 100), sees: Sees::Accesses });
        Ok(())
    }
    fn arm(&mut self, _: &[Sample]) -> Result<(), Infallible> {
        Ok(())
    }
    fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), Infallible> {
        samples.iter_mut().for_each(|s| s.seen = Seen::Idle);
        Ok(())
    }
}

fn attrs() -> Attrs {
    let sampling = Duration::from_secs(1) / SAMPLES;
    Attrs::try_from(AttrsSpec { sampling, aggregation: sampling * SAMPLES, ..AttrsSpec::default() }).unwrap()
}

fn form() -> Snapshot {
    let mut monitor = Monitor::new(attrs(), 1);
    monitor.add_target(TargetSpec::new(TargetId::new(0)));
    let mut now = Instant::ZERO;
    loop {
        let Ok(damon_core::Next::At(next)) = monitor.begin(now, &mut Idle) else { panic!("nothing to watch") };
        now = next;
        if let Ok(Window::Aggregated(_)) = monitor.end(now, &mut Idle) {
            return monitor.view().snapshot();
        }
    }
}

pub(crate) fn region(start: u64, end: u64, percent: u32) -> RegionSnapshot {
    let mut r = *form().regions().next().unwrap();
    (r.range, r.rate, r.age) = (range(start, end), Bp(100 * percent), 3);
    (r.nr_accesses, r.nr_samples, r.evidence) = (SAMPLES * percent / 100, SAMPLES, SAMPLES);
    r.age_time = Duration::from_secs(3);
    r
}

/// One that ended at `second`, and took one.
pub(crate) fn snapshot(second: u64, regions: &[(u64, u64, u32)]) -> Snapshot {
    let mut s = form();
    (s.at, s.took) = (at(second), Duration::from_secs(1));
    s.targets[0].regions = regions.iter().map(|&(start, end, percent)| region(start, end, percent)).collect();
    s
}

pub(crate) fn look(second: u64, regions: &[(u64, u64, u32)]) -> Event {
    let mut look = Look::of(&Context::new(Monitor::new(attrs(), 1), Idle), 0);
    look.snapshot = snapshot(second, regions);
    Event::Look(Box::new(look))
}

/// Two seconds of a state: of 12 MiB at the beginning a third is hot, of 20 MiB further on all is warm.
pub(crate) fn state() -> State {
    let mut state = State::new("the test".into(), "all works".into(), false);
    state.update(look(1, &[(0, 4, 0), (4, 8, 0), (8, 12, 0), (40, 60, 30)]));
    state.update(look(2, &[(0, 4, 0), (4, 8, 100), (8, 16, 0), (40, 60, 30)]));
    state
}
