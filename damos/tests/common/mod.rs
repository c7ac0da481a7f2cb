//! Memory whose hot part, errors and use a test decides on.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses its part")]

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use damon_core::{
    AddrRange, Attrs, AttrsSpec, Fault, Monitor, Ops, Sample, Seen, Sees, Span, TargetEvent, TargetId, TargetSpec, Want,
};
use damos::Context;

pub const SIZE: u64 = 1 << 30;
pub const MS: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FakeError {
    #[error("busy")]
    Busy,
    #[error("broken")]
    Broken,
}

#[derive(Debug, Default)]
pub struct State {
    pub hot: Range<u64>,
    /// So many calls fail with `Busy` before one works.
    pub busy_arms: u32,
    pub busy_checks: u32,
    pub broken: bool,
    pub panics: bool,
    /// CPU time that each check of a window takes.
    pub spin: Duration,
    pub events: Vec<TargetEvent>,
    /// So far.
    pub checks: u64,
    pub arms: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Fake(Arc<Mutex<State>>);

impl Fake {
    pub fn new() -> Self {
        let fake = Self::default();
        fake.state().hot = 0..SIZE / 8;
        fake
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody else has it.
    pub fn is_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Ops for Fake {
    type Error = FakeError;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), FakeError> {
        events.append(&mut self.state().events);
        Ok(())
    }

    fn ranges(&mut self, _: TargetId, out: &mut Vec<Span>) -> Result<(), FakeError> {
        out.extend(AddrRange::new(0, SIZE).map(|range| Span { range, sees: Sees::Accesses }));
        Ok(())
    }

    fn arm(&mut self, _: &[Sample]) -> Result<(), FakeError> {
        let mut state = self.state();
        if state.broken {
            return Err(FakeError::Broken);
        }
        if state.busy_arms > 0 {
            state.busy_arms -= 1;
            return Err(FakeError::Busy);
        }
        state.arms += 1;
        Ok(())
    }

    fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), FakeError> {
        let mut state = self.state();
        assert!(!state.panics, "the backend panics");
        if state.busy_checks > 0 {
            state.busy_checks -= 1;
            return Err(FakeError::Busy);
        }
        let start = damos::clock::thread_cpu_time();
        while damos::clock::thread_cpu_time() - start < state.spin {}
        state.checks += samples.len() as u64;
        for s in samples {
            s.seen = if state.hot.contains(&s.addr) { Seen::Accessed } else { Seen::Idle };
        }
        Ok(())
    }

    fn fault(&self, error: &FakeError) -> Fault {
        if *error == FakeError::Busy { Fault::Transient } else { Fault::Fatal }
    }
}

pub fn context(spec: AttrsSpec, fake: &Fake) -> Context<Fake> {
    let mut monitor = Monitor::new(Attrs::try_from(spec).unwrap(), 1);
    monitor.add_target(TargetSpec::new(TargetId::new(0)));
    Context::new(monitor, fake.clone())
}
