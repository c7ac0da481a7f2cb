//! The monitor against a small fake: one target's memory, of which a known part is accessed.

mod adaptive;
mod properties;
mod reports;
mod seam;
mod sources;
mod targets;
mod windows;

use super::*;
use crate::attrs::{Adjust, AttrsSpec};
use crate::ops::{Fault, Ops, Want};
use crate::region::Region;
use crate::sight::{Extent, Seen, Sees};
use crate::target::Space;
use alloc::collections::BTreeMap;
use alloc::vec;

pub(super) const MIB: u64 = 1 << 20;
pub(super) const T: TargetId = TargetId::new(0);

/// Memory where `hot` is always accessed and the rest never.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) spans: BTreeMap<TargetId, Vec<Span>>,
    pub(super) hot: Vec<core::ops::Range<u64>>,
    pub(super) seen: Option<Seen>,
    pub(super) extent: u64,
    pub(super) attrs: u8,
    /// So many of the next calls fail.
    pub(super) failures: u32,
    pub(super) events: Vec<TargetEvent>,
    pub(super) armed: Vec<Sample>,
    pub(super) arms: u32,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("provoked")]
pub(super) struct Provoked;

impl Fake {
    pub(super) fn new(end: u64, hot: core::ops::Range<u64>) -> Self {
        let spans = [(T, vec![span(0, end, Sees::Accesses)])].into();
        Self { spans, hot: Vec::from([hot]), ..Self::default() }
    }

    fn may_fail(&mut self) -> Result<(), Provoked> {
        self.failures.checked_sub(1).map_or(Ok(()), |left| {
            self.failures = left;
            Err(Provoked)
        })
    }
}

impl Ops for Fake {
    type Error = Provoked;
    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), Provoked> {
        events.append(&mut self.events);
        self.may_fail()
    }
    fn ranges(&mut self, t: TargetId, out: &mut Vec<Span>) -> Result<(), Provoked> {
        self.may_fail()?;
        out.extend(self.spans.get(&t).into_iter().flatten());
        Ok(())
    }
    fn arm(&mut self, samples: &[Sample]) -> Result<(), Provoked> {
        self.may_fail()?;
        assert!(samples.is_sorted_by_key(|s| (s.target, s.addr)));
        self.armed = samples.to_vec();
        self.arms += 1;
        Ok(())
    }
    fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), Provoked> {
        for s in samples {
            assert_eq!((s.seen, s.attrs), (Seen::Unknown, 0), "samples come blank");
            let hot = self.hot.iter().any(|h| h.contains(&s.addr));
            s.seen = self.seen.unwrap_or(if hot { Seen::Accessed } else { Seen::Idle });
            s.extent = Extent::of(self.extent);
            s.attrs = if hot { self.attrs } else { 0 };
        }
        self.may_fail()
    }
    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        match space {
            // Processes map the file from its second page on.
            Space::Process(42 | 43) => Some((T, addr + 4096)),
            Space::File(7) => Some((T, addr)),
            _ => None,
        }
    }
    fn fault(&self, _: &Provoked) -> Fault {
        Fault::Transient
    }
}

pub(super) fn span(start: u64, end: u64, sees: Sees) -> Span {
    Span { range: crate::AddrRange::new(start, end).unwrap(), sees }
}

/// With the kernel's algorithm, unless `change` says otherwise: it checks each region once in a window, so that counts are
/// known beforehand.
pub(super) fn attrs(change: impl FnOnce(&mut AttrsSpec)) -> Attrs {
    let mut spec = AttrsSpec { adjust: Adjust::Classic, ..AttrsSpec::default() };
    change(&mut spec);
    Attrs::try_from(spec).unwrap()
}

pub(super) fn monitor(attrs: Attrs) -> Monitor {
    let mut m = Monitor::new(attrs, 7);
    m.add_target(TargetSpec::new(T));
    m
}

/// Steps through one window, trying again after errors, and says how it ended. It lasts as long as it should.
pub(super) fn window(m: &mut Monitor, ops: &mut Fake, now: &mut Instant) -> Window {
    loop {
        match m.begin(*now, ops) {
            Ok(Next::At(due)) => *now = due,
            Ok(Next::Parked) => panic!("parked"),
            Err(Provoked) => continue,
        }
        loop {
            match m.end(*now, ops) {
                Ok(Window::Early(_)) => break,
                Ok(window) => return window,
                Err(Provoked) => {}
            }
        }
    }
}

/// Steps to the end of `n` aggregations.
pub(super) fn aggregations(m: &mut Monitor, ops: &mut Fake, now: &mut Instant, n: u32) {
    for _ in 0..n {
        while !matches!(window(m, ops, now), Window::Aggregated(_)) {}
    }
}

pub(super) fn regions(m: &Monitor) -> Vec<Region> {
    m.targets.iter().flat_map(|t| &t.regions).copied().collect()
}

/// What holds after every call, whatever came before.
pub(super) fn assert_invariants(m: &Monitor) {
    assert!(m.targets.is_sorted_by_key(Target::id));
    for t in &m.targets {
        let mut joined: Vec<(u64, u64, Sees)> = Vec::new();
        for r in &t.regions {
            assert!(r.start < r.end, "{r:?}");
            assert!(r.nr_writes <= r.nr_accesses && r.nr_accesses <= r.nr_samples, "{r:?}");
            assert!(r.last_nr_writes <= r.last_nr_accesses && r.last_nr_accesses <= r.last_nr_samples, "{r:?}");
            match joined.last_mut() {
                Some(last) if last.1 == r.start && last.2 == r.sees => last.1 = r.end,
                last => {
                    assert!(last.is_none_or(|last| last.1 <= r.start));
                    joined.push((r.start, r.end, r.sees));
                }
            }
        }
        let spans: Vec<_> = t.spans.iter().map(|s| (s.range.start(), s.range.end(), s.sees)).collect();
        assert_eq!(joined, spans, "regions are just the spans");
        assert_eq!(t.probe_hits.len(), if t.probed { t.regions.len() } else { 0 });
    }
}
