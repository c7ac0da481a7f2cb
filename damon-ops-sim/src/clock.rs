//! Virtual time: a clock that stands still until somebody moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use damon_core::{Instant, Monitor, Next, Ops, Window};

/// A clock that its clones share. It starts at [`Instant::ZERO`] and never goes back.
///
/// ```
/// use core::time::Duration;
/// use damon_ops_sim::Clock;
/// let (clock, t) = (Clock::new(), damon_core::Instant::from_nanos(5));
/// let seen_by_memory = clock.clone();
/// clock.advance_to(t);
/// clock.advance_to(damon_core::Instant::ZERO);
/// assert_eq!(seen_by_memory.now(), t);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    /// A clock at [`Instant::ZERO`].
    pub fn new() -> Self {
        Self::default()
    }

    /// What it shows.
    pub fn now(&self) -> Instant {
        // A lone value: nothing else is published through it.
        Instant::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Moves it to `t`, unless it is there or later already.
    pub fn advance_to(&self, t: Instant) {
        self.0.fetch_max(t.as_nanos(), Ordering::Relaxed);
    }

    /// Moves it by `d`.
    pub fn advance(&self, d: Duration) {
        self.advance_to(self.now() + d);
    }
}

/// Runs one sampling window in virtual time: begins it, moves `clock` to when it is due, ends it.
///
/// `None` where the monitor is parked: it is paused, or has nothing to watch. Time stands still then.
///
/// # Errors
/// Those of the backend. The step that failed may be called again by calling this again.
pub fn window<O: Ops + ?Sized>(monitor: &mut Monitor, ops: &mut O, clock: &Clock) -> Result<Option<Window>, O::Error> {
    let Next::At(mut due) = monitor.begin(clock.now(), ops)? else { return Ok(None) };
    loop {
        clock.advance_to(due);
        match monitor.end(clock.now(), ops)? {
            Window::Early(later) if later > clock.now() => due = later,
            done => return Ok(Some(done)),
        }
    }
}
