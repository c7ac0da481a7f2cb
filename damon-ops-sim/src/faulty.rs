//! Any backend, with faults put in: errors, delays, answers that nobody knows, ranges that go away in mid-window.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use damon_core::{AddrRange, Bp, Fault, Ops, Rng, Sample, Seen, Space, Span, TargetEvent, TargetId, Want};

use crate::clock::Clock;

/// A call of [`Ops`] that faults can be put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`Ops::targets`].
    Targets,
    /// [`Ops::ranges`].
    Ranges,
    /// [`Ops::arm`].
    Arm,
    /// [`Ops::check`].
    Check,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Targets => "targets",
            Self::Ranges => "ranges",
            Self::Arm => "arm",
            Self::Check => "check",
        })
    }
}

/// Which calls a rule is about. Calls of a kind are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Each `n`th: n − 1, 2n − 1, ..
    Every(NonZeroU64),
    /// Each with this probability.
    Chance(Bp),
    /// These.
    At(Vec<u64>),
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum What {
    /// The call gives an error before it has done anything.
    Fail(Fault),
    /// It gives an error after it has done all.
    FailAfter(Fault),
    /// It takes so long: the clock moves before the backend is asked.
    Delay(Clock, Duration),
    /// After a check each sample is unknown with this probability.
    Unknown(Bp),
    /// From now on, a sample that is armed included, nobody has these addresses mapped.
    Unmap(AddrRange),
    /// All that was unmapped is mapped again; samples that are armed stay unknown.
    Restore,
}

/// What goes wrong in which calls.
#[derive(Clone, Debug)]
pub struct Rule {
    /// In calls of this kind,
    pub call: Call,
    /// in these of them,
    pub when: When,
    /// this happens.
    pub what: What,
}

/// An error of a [`Faulty`] backend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultyError<E: std::error::Error + 'static> {
    /// Put in by a [`Rule`].
    #[error("injected into call {nth} of {call}")]
    Injected {
        /// The kind of call.
        call: Call,
        /// The how manieth of its kind, from 0.
        nth: u64,
        /// What the rule says it is.
        fault: Fault,
    },
    /// The backend's own.
    #[error(transparent)]
    Inner(E),
}

/// A backend that behaves as the one inside, but for some rules.
///
/// ```
/// use damon_core::{Fault, Ops};
/// use damon_ops_sim::faulty::{Call, Faulty, Rule, What, When};
/// let rule = Rule { call: Call::Arm, when: When::At(vec![1]), what: What::Fail(Fault::Transient) };
/// let mut ops = Faulty::new((), vec![rule], 7);
/// assert!(ops.arm(&[]).is_ok());
/// let e = ops.arm(&[]).unwrap_err();
/// assert_eq!(ops.fault(&e), Fault::Transient);
/// assert!(ops.arm(&[]).is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Faulty<O> {
    inner: O,
    rules: Vec<Rule>,
    rng: Rng,
    calls: [u64; 4],
    unmapped: Vec<AddrRange>,
    /// Was unmapped since samples were armed, though it may have been mapped again.
    void: Vec<AddrRange>,
}

/// What the rules say of one call.
#[derive(Default)]
struct Verdict {
    nth: u64,
    before: Option<Fault>,
    after: Option<Fault>,
    unknown: Vec<Bp>,
}

impl Verdict {
    fn fail<E: std::error::Error>(&self, call: Call, fault: Option<Fault>) -> Result<(), FaultyError<E>> {
        fault.map_or(Ok(()), |fault| Err(FaultyError::Injected { call, nth: self.nth, fault }))
    }
}

impl<O: Ops> Faulty<O> {
    /// Wraps `inner`. All chance comes from `seed`.
    pub fn new(inner: O, rules: Vec<Rule>, seed: u64) -> Self {
        Self { inner, rules, rng: Rng::new(seed), calls: [0; 4], unmapped: Vec::new(), void: Vec::new() }
    }

    /// Other rules from now on. Calls are counted on; what is unmapped stays so.
    pub fn set_rules(&mut self, rules: Vec<Rule>) {
        self.rules = rules;
    }

    /// The backend inside.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }

    /// The backend inside, without faults.
    pub fn into_inner(self) -> O {
        self.inner
    }

    /// Counts the call and does what the rules say shall happen before it.
    fn judge(&mut self, call: Call) -> Verdict {
        let count = &mut self.calls[call as usize];
        let mut v = Verdict { nth: *count, ..Verdict::default() };
        *count += 1;
        for rule in self.rules.iter().filter(|r| r.call == call) {
            let now = match &rule.when {
                When::Every(n) => (v.nth + 1) % n.get() == 0,
                When::Chance(p) => self.rng.below(10_000) < p.0.into(),
                When::At(list) => list.contains(&v.nth),
            };
            if !now {
                continue;
            }
            match &rule.what {
                What::Fail(fault) => v.before = Some(*fault),
                What::FailAfter(fault) => v.after = Some(*fault),
                What::Delay(clock, d) => clock.advance(*d),
                What::Unknown(p) => v.unknown.push(*p),
                What::Unmap(range) => {
                    self.unmapped.push(*range);
                    self.void.push(*range);
                }
                What::Restore => self.unmapped.clear(),
            }
        }
        v
    }
}

/// `span` without `holes`.
fn without(span: Span, holes: &[AddrRange]) -> Vec<Span> {
    let cut = |parts: Vec<AddrRange>, hole: &AddrRange| {
        let rest = |r: AddrRange| {
            let below = AddrRange::new(r.start(), r.end().min(hole.start()));
            below.into_iter().chain(AddrRange::new(r.start().max(hole.end()), r.end()))
        };
        parts.into_iter().flat_map(rest).collect()
    };
    holes.iter().fold(vec![span.range], cut).into_iter().map(|range| Span { range, ..span }).collect()
}

impl<O: Ops> Ops for Faulty<O> {
    type Error = FaultyError<O::Error>;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), Self::Error> {
        let v = self.judge(Call::Targets);
        v.fail(Call::Targets, v.before)?;
        self.inner.targets(events).map_err(FaultyError::Inner)?;
        v.fail(Call::Targets, v.after)
    }

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), Self::Error> {
        let v = self.judge(Call::Ranges);
        v.fail(Call::Ranges, v.before)?;
        let before = out.len();
        self.inner.ranges(target, out).map_err(FaultyError::Inner)?;
        if !self.unmapped.is_empty() {
            let found: Vec<Span> = out.drain(before..).collect();
            out.extend(found.into_iter().flat_map(|s| without(s, &self.unmapped)));
        }
        v.fail(Call::Ranges, v.after)
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), Self::Error> {
        // What the rules unmap now goes away behind the samples: it is void for them.
        self.void.clone_from(&self.unmapped);
        let v = self.judge(Call::Arm);
        v.fail(Call::Arm, v.before)?;
        self.inner.arm(samples).map_err(FaultyError::Inner)?;
        v.fail(Call::Arm, v.after)
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), Self::Error> {
        let v = self.judge(Call::Check);
        v.fail(Call::Check, v.before)?;
        self.inner.check(samples, want).map_err(FaultyError::Inner)?;
        for s in samples {
            let chance = v.unknown.iter().any(|p| self.rng.below(10_000) < p.0.into());
            if chance || self.void.iter().any(|r| r.contains(s.addr)) {
                s.seen = Seen::Unknown;
            }
        }
        v.fail(Call::Check, v.after)
    }

    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        self.inner.resolve(space, addr)
    }

    fn fault(&self, error: &Self::Error) -> Fault {
        match error {
            FaultyError::Injected { fault, .. } => *fault,
            FaultyError::Inner(e) => self.inner.fault(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Mapping, SimMemory, SimTarget};
    use crate::workload::{Blocks, Heat};

    const ID: TargetId = TargetId::new(0);

    fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start << 12, end << 12).unwrap()
    }

    /// 100 pages that are always accessed.
    fn busy(rules: Vec<Rule>) -> (Faulty<SimMemory>, Clock) {
        let clock = Clock::new();
        let mut memory = SimMemory::new(1, &clock);
        let heat = Heat::reads(range(0, 100), 1e9);
        memory.insert(ID, SimTarget::new(vec![Mapping::new(range(0, 100))], Blocks::new([heat])).unwrap());
        (Faulty::new(memory, rules, 1), clock)
    }

    fn unknown(ops: &mut Faulty<SimMemory>, clock: &Clock) -> usize {
        let mut samples: Vec<Sample> = (0..100).map(|p| Sample::new(ID, p << 12)).collect();
        ops.arm(&samples).unwrap();
        clock.advance(Duration::from_millis(1));
        ops.check(&mut samples, &Want::new(true, &[])).unwrap();
        samples.iter().filter(|s| s.seen == Seen::Unknown).count()
    }

    fn ranges(ops: &mut Faulty<SimMemory>) -> Vec<AddrRange> {
        let mut out = Vec::new();
        ops.ranges(ID, &mut out).unwrap();
        out.iter().map(|s| s.range).collect()
    }

    #[test]
    fn every_nth_call_fails_as_the_rule_says() {
        let every = When::Every(NonZeroU64::new(3).unwrap());
        let (mut ops, _) = busy(vec![Rule { call: Call::Check, when: every, what: What::Fail(Fault::Fatal) }]);
        let mut check = || ops.check(&mut [], &Want::new(true, &[])).is_ok();
        assert_eq!([check(), check(), check(), check(), check(), check()], [true, true, false, true, true, false]);
        let e = ops.check(&mut [], &Want::new(true, &[]));
        assert!(e.is_ok() && ops.arm(&[]).is_ok());
    }

    #[test]
    fn a_failure_afterwards_has_done_the_call() {
        let rule = Rule { call: Call::Ranges, when: When::At(vec![0]), what: What::FailAfter(Fault::Transient) };
        let (mut ops, _) = busy(vec![rule]);
        let mut out = Vec::new();
        let e = ops.ranges(ID, &mut out).unwrap_err();
        assert_eq!((ops.fault(&e), out.len()), (Fault::Transient, 1));
        assert_eq!(e.to_string(), "injected into call 0 of ranges");
    }

    #[test]
    fn chance_comes_from_the_seed() {
        let run = || {
            let rule = Rule { call: Call::Arm, when: When::Chance(Bp(2_500)), what: What::Fail(Fault::Transient) };
            let (mut ops, _) = busy(vec![rule]);
            (0..1_000).map(|_| ops.arm(&[]).is_err()).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        let failed = run().iter().filter(|f| **f).count();
        assert!((200..300).contains(&failed), "{failed}");
    }

    #[test]
    fn answers_get_lost() {
        let every = When::Every(NonZeroU64::MIN);
        let (mut ops, clock) = busy(vec![Rule { call: Call::Check, when: every, what: What::Unknown(Bp(5_000)) }]);
        let n = unknown(&mut ops, &clock);
        assert!((30..70).contains(&n), "{n}");
    }

    #[test]
    fn a_delay_moves_the_clock() {
        let clock = Clock::new();
        let what = What::Delay(clock.clone(), Duration::from_millis(7));
        let mut ops = Faulty::new((), vec![Rule { call: Call::Arm, when: When::At(vec![0]), what }], 1);
        ops.arm(&[]).unwrap();
        assert_eq!(clock.now().as_nanos(), 7_000_000);
    }

    #[test]
    fn what_is_unmapped_in_mid_window_is_unknown_and_gone() {
        let unmap = Rule { call: Call::Arm, when: When::At(vec![1]), what: What::Unmap(range(10, 30)) };
        let restore = Rule { call: Call::Check, when: When::At(vec![2]), what: What::Restore };
        let (mut ops, clock) = busy(vec![unmap, restore]);
        assert_eq!((unknown(&mut ops, &clock), ranges(&mut ops)), (0, vec![range(0, 100)]));
        assert_eq!((unknown(&mut ops, &clock), ranges(&mut ops)), (20, vec![range(0, 10), range(30, 100)]));
        assert_eq!((unknown(&mut ops, &clock), ranges(&mut ops)), (20, vec![range(0, 100)]));
        assert_eq!(unknown(&mut ops, &clock), 0);
    }
}
