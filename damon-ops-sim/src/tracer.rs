//! Any backend, with a trace of its calls.

use std::fmt;

use damon_core::{Fault, Ops, Sample, Seen, Space, Span, TargetEvent, TargetId, Want};

/// What was asked of a backend, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Who joined, left or was replaced. Not told where nobody did.
    Targets {
        /// How many joined.
        joined: usize,
        /// How many left.
        gone: usize,
        /// How many were replaced.
        replaced: usize,
    },
    /// What a target has mapped.
    Ranges {
        /// Which target.
        target: TargetId,
        /// In how many spans.
        spans: usize,
        /// How many addresses.
        size: u64,
    },
    /// Samples were armed.
    Armed {
        /// How many.
        samples: usize,
    },
    /// Samples were checked.
    Checked {
        /// How many.
        samples: usize,
        /// How many of them were accessed.
        accessed: usize,
        /// How many could not be checked.
        unknown: usize,
    },
    /// A call gave an error.
    Failed {
        /// Which call.
        call: &'static str,
        /// The error's message.
        message: String,
        /// Is it worth another try?
        fault: Fault,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Targets { joined, gone, replaced } => {
                write!(f, "targets: {joined} joined, {gone} gone, {replaced} replaced")
            }
            Self::Ranges { target, spans, size } => write!(f, "ranges of {}: {spans} spans, {size} B", target.get()),
            Self::Armed { samples } => write!(f, "arm: {samples} samples"),
            Self::Checked { samples, accessed, unknown } => {
                write!(f, "check: {samples} samples, {accessed} accessed, {unknown} unknown")
            }
            Self::Failed { call, message, fault } => write!(f, "{call} failed ({fault:?}): {message}"),
        }
    }
}

/// A backend that tells `sink` of every call to the one inside.
///
/// ```
/// use damon_core::Ops;
/// use damon_ops_sim::{Tracer, tracer::Event};
/// let mut events = Vec::new();
/// Tracer::new((), |e| events.push(e)).arm(&[])?;
/// assert_eq!(events, [Event::Armed { samples: 0 }]);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Clone)]
pub struct Tracer<O, F> {
    inner: O,
    sink: F,
}

impl<O: Ops, F: FnMut(Event)> Tracer<O, F> {
    /// Traces `inner` into `sink`.
    pub fn new(inner: O, sink: F) -> Self {
        Self { inner, sink }
    }

    /// The backend inside.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }

    /// The backend inside, no longer traced.
    pub fn into_inner(self) -> O {
        self.inner
    }

    /// Tells of an error, if there is one.
    fn result(&mut self, call: &'static str, result: Result<(), O::Error>) -> Result<(), O::Error> {
        result.inspect_err(|e| {
            (self.sink)(Event::Failed { call, message: e.to_string(), fault: self.inner.fault(e) });
        })
    }
}

impl<O: fmt::Debug, F> fmt::Debug for Tracer<O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracer").field(&self.inner).finish()
    }
}

impl<O: Ops, F: FnMut(Event)> Ops for Tracer<O, F> {
    type Error = O::Error;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), O::Error> {
        let before = events.len();
        let result = self.inner.targets(events);
        let new = events.get(before..).unwrap_or_default();
        if !new.is_empty() {
            let count = |is: fn(&TargetEvent) -> bool| new.iter().filter(|e| is(e)).count();
            (self.sink)(Event::Targets {
                joined: count(|e| matches!(e, TargetEvent::Joined(_))),
                gone: count(|e| matches!(e, TargetEvent::Gone(_))),
                replaced: count(|e| matches!(e, TargetEvent::Replaced(_))),
            });
        }
        self.result("targets", result)
    }

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), O::Error> {
        let result = self.inner.ranges(target, out);
        if result.is_ok() {
            let size = out.iter().map(|s| s.range.size()).sum();
            (self.sink)(Event::Ranges { target, spans: out.len(), size });
        }
        self.result("ranges", result)
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), O::Error> {
        let result = self.inner.arm(samples);
        if result.is_ok() {
            (self.sink)(Event::Armed { samples: samples.len() });
        }
        self.result("arm", result)
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), O::Error> {
        let result = self.inner.check(samples, want);
        if result.is_ok() {
            let accessed = samples.iter().filter(|s| s.seen.is_access()).count();
            let unknown = samples.iter().filter(|s| s.seen == Seen::Unknown).count();
            (self.sink)(Event::Checked { samples: samples.len(), accessed, unknown });
        }
        self.result("check", result)
    }

    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        self.inner.resolve(space, addr)
    }

    fn fault(&self, error: &O::Error) -> Fault {
        self.inner.fault(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty::{Call, Faulty, Rule, What, When};
    use crate::memory::{Mapping, SimMemory, SimTarget};
    use crate::workload::{Blocks, Heat};
    use damon_core::{AddrRange, TargetSpec};

    #[test]
    fn a_trace_tells_of_every_call() {
        let (id, clock) = (TargetId::new(1), crate::Clock::new());
        let range = AddrRange::new(0, 8192).unwrap();
        let mut memory = SimMemory::new(1, &clock);
        let target = SimTarget::new(vec![Mapping::new(range)], Blocks::new([Heat::reads(range, 1e6)])).unwrap();
        memory.join(TargetSpec::new(id), target);
        let mut lines = Vec::new();
        let fails = Rule { call: Call::Arm, when: When::At(vec![1]), what: What::Fail(Fault::Transient) };
        let mut traced = Tracer::new(Faulty::new(memory, vec![fails], 1), |e: Event| lines.push(e.to_string()));
        let mut samples = [Sample::new(id, 0), Sample::new(id, 8192)];
        traced.targets(&mut Vec::new()).unwrap();
        traced.ranges(id, &mut Vec::new()).unwrap();
        traced.arm(&samples).unwrap();
        clock.advance(std::time::Duration::from_secs(1));
        traced.check(&mut samples, &Want::new(true, &[])).unwrap();
        traced.arm(&samples).unwrap_err();
        assert_eq!(
            lines,
            [
                "targets: 1 joined, 0 gone, 0 replaced",
                "ranges of 1: 1 spans, 8192 B",
                "arm: 2 samples",
                "check: 2 samples, 1 accessed, 1 unknown",
                "arm failed (Transient): injected into call 1 of arm",
            ]
        );
    }
}
