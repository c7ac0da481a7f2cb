//! Pictures of memory, and an actor whose failures a test decides on.

use std::convert::Infallible;
use std::time::Duration;

use damon_core::{
    Action, AddrRange, Applied, ApplyOps, Attrs, AttrsSpec, Instant, Monitor, Next, Ops, Region, Request, Sample, Seen,
    Sees, Span, TargetId, TargetSpec, Unsupported, Want, Window, classic,
};

pub(crate) const GRANULE: u64 = 4_096;
pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const T0: TargetId = TargetId::new(0);

pub(crate) fn range(start: u64, end: u64) -> AddrRange {
    AddrRange::new(start, end).expect("not empty")
}

/// In granules.
pub(crate) fn pages(start: u64, end: u64) -> AddrRange {
    range(start * GRANULE, end * GRANULE)
}

pub(crate) fn attrs() -> Attrs {
    Attrs::try_from(AttrsSpec::default()).expect("the defaults are valid")
}

/// A monitor at the end of an aggregation, whose only target has these regions: start and end in granules, the count of 20
/// samples, the age.
pub(crate) fn finished(regions: &[(u64, u64, u64, u64)]) -> Monitor {
    let region = |&(start, end, n, age): &(u64, u64, u64, u64)| -> Region {
        classic::region([start * GRANULE, end * GRANULE, n, n, age], &attrs()).expect("not empty")
    };
    classic::finished(attrs(), regions.iter().map(region).collect())
}

/// What was asked of an [`Actor`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) target: TargetId,
    pub(crate) range: AddrRange,
    pub(crate) action: Action,
    pub(crate) filters: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no")]
pub(crate) struct No;

/// Writes down what it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) asked: Vec<Asked>,
    /// Fails on regions that this address is in, after it applied the action to what is before that.
    pub(crate) broken_at: Option<u64>,
    /// Succeeds with so much of a region.
    pub(crate) per_mille: u64,
    pub(crate) took: Duration,
    pub(crate) refuses: Option<Action>,
    /// Says of a range how much is in effect.
    pub(crate) in_effect: Result<Option<u64>, No>,
    pub(crate) opened: u32,
    pub(crate) closed: u32,
}

impl Default for Actor {
    fn default() -> Self {
        let took = Duration::from_micros(50);
        let in_effect = Ok(None);
        Self {
            asked: Vec::new(),
            broken_at: None,
            per_mille: 1_000,
            took,
            refuses: None,
            in_effect,
            opened: 0,
            closed: 0,
        }
    }
}

impl Actor {
    pub(crate) fn ranges(&self) -> Vec<AddrRange> {
        self.asked.iter().map(|a| a.range).collect()
    }
}

impl ApplyOps for Actor {
    type Error = No;
    fn supports(&self, _: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        if self.refuses == Some(req.action) {
            return Err(Unsupported::new(req.action, "the test refuses it"));
        }
        Ok(())
    }
    fn open(&mut self, _: Instant) -> Result<(), No> {
        self.opened += 1;
        Ok(())
    }
    fn apply(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<No> {
        self.asked.push(Asked { target, range, action: req.action, filters: req.filters.len() });
        let whole = Applied { took: self.took, ..Applied::whole(range) };
        match self.broken_at {
            Some(at) if range.contains(at) => Applied { size: at - range.start(), error: Some(No), ..whole },
            _ => Applied { size: range.size() / GRANULE * self.per_mille / 1_000 * GRANULE, ..whole },
        }
    }
    fn close(&mut self) -> Result<(), No> {
        self.closed += 1;
        Ok(())
    }
    fn verify(&mut self, _: TargetId, _: AddrRange, _: &Request<'_>) -> Result<Option<u64>, No> {
        assert!(self.closed == self.opened, "nothing is batched any more");
        self.in_effect
    }
}

/// Memory of several targets: target `i` has the spans of `targets[i]`, and is accessed where `hot` says.
pub(crate) struct Picture<F> {
    pub(crate) targets: Vec<Vec<Span>>,
    pub(crate) hot: F,
}

impl<F: Fn(TargetId, u64) -> bool> Ops for Picture<F> {
    type Error = Infallible;
    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), Infallible> {
        out.extend(self.targets.get(target.get() as usize).into_iter().flatten());
        Ok(())
    }
    fn arm(&mut self, _: &[Sample]) -> Result<(), Infallible> {
        Ok(())
    }
    fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), Infallible> {
        for s in samples {
            s.seen = if (self.hot)(s.target, s.addr) { Seen::Accessed } else { Seen::Idle };
        }
        Ok(())
    }
}

/// A monitor that has watched a picture for so many aggregations.
pub(crate) fn watched(
    spec: AttrsSpec,
    seed: u64,
    aggregations: u32,
    picture: &mut Picture<impl Fn(TargetId, u64) -> bool>,
) -> Monitor {
    let mut monitor = Monitor::new(Attrs::try_from(spec).expect("valid attributes"), seed);
    for target in 0..picture.targets.len() {
        monitor.add_target(TargetSpec::new(TargetId::new(target as u32)));
    }
    let (mut now, mut left) = (Instant::ZERO, aggregations);
    while left > 0 {
        let Ok(Next::At(due)) = monitor.begin(now, picture) else { panic!("nothing to watch") };
        now = due;
        let Ok(window) = monitor.end(now, picture);
        left -= u32::from(matches!(window, Window::Aggregated(_)));
    }
    monitor
}

/// All of `range` is seen like this.
pub(crate) const fn span(range: AddrRange, sees: Sees) -> Span {
    Span { range, sees }
}
