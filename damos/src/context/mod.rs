//! Monitor and backend as one value to step: the loop that every driver shares.
//!
//! Counterpart: `kdamond_fn` (`mm/damon/core.c`, Linux 7.3), without its sleep.

mod acting;
mod budget;
mod keeper;
mod meter;
mod retry;

use core::time::Duration;

use damon_core::{
    ApplyOps, Attrs, DynError, Instant, Metrics, Monitor, Next, Ops, Reporter, SourceSpec, Stats, View, Window,
};

use crate::engine::{SchemeError, Schemes, Tried};
use crate::scheme::Scheme;
use acting::Acting;

use keeper::Keeper;
use meter::Meter;

pub use budget::{BadBudget, Budget};
pub use meter::Health;
pub use retry::{Retry, StepError};

/// A monitor and the backend that it watches through, stepped by whoever has a clock.
///
/// A step ends the sampling window that is due, applies the schemes, shows a finished aggregation, keeps the overhead
/// budget, begins the next window and says when to step again. It never sleeps, and stepping too early or too late is
/// harmless. While it has schemes and their watermarks keep all of them inactive, nothing is watched.
///
/// ```
/// use std::time::Duration;
/// use damon_core::{Attrs, Instant, Monitor, Next, TargetId, TargetSpec};
/// use damos::context::{Budget, Context};
///
/// let mut monitor = Monitor::new(Attrs::default(), 1);
/// monitor.add_target(TargetSpec::new(TargetId::new(0)));
/// let mut context = Context::new(monitor, ()).with_budget(Budget { cpu_permille: 10, ..Default::default() })?;
///
/// let (mut now, mut cpu_used) = (Instant::ZERO, Duration::ZERO);
/// for _ in 0..100 {
///     let next = context.step_with(now, cpu_used, |context| println!("{:?}", context.view().snapshot()))?;
///     if let Next::At(at) = next { now = at } // a simulation; a program sleeps until then
///     cpu_used += Duration::from_micros(3);   // and measures
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Context<O> {
    monitor: Monitor,
    ops: O,
    acting: Acting,
    /// Nothing is watched while no scheme is active.
    dormant: bool,
    paused: bool,
    keeper: Keeper,
    retry: Retry,
    /// After a transient error: there is nothing to do before this.
    retry_at: Instant,
    /// Errors in a row.
    failed: u32,
    health: Health,
    meter: Meter,
    last_window: Option<Stats>,
}

impl<O: Ops> Context<O> {
    /// Watches with `monitor` through `ops`, without a budget and with the default [`Retry`].
    pub fn new(monitor: Monitor, ops: O) -> Self {
        Self {
            keeper: Keeper::new(monitor.attrs().clone()),
            monitor,
            ops,
            acting: Acting::default(),
            dormant: false,
            paused: false,
            retry: Retry::default(),
            retry_at: Instant::ZERO,
            failed: 0,
            health: Health::default(),
            meter: Meter::default(),
            last_window: None,
        }
    }

    /// The same with a budget.
    ///
    /// # Errors
    /// When the budget breaks one of its rules.
    pub fn with_budget(mut self, budget: Budget) -> Result<Self, BadBudget> {
        self.set_budget(Some(budget))?;
        Ok(self)
    }

    /// The same with other tries after transient errors.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Ends the window if it is due, and begins the next.
    ///
    /// `now` is the driver's clock, and `cpu_used` the CPU time that stepping has taken, or that the thread that
    /// steps has used, since any start: only its growth counts. [`Duration::ZERO`] will do without a budget.
    ///
    /// # Errors
    /// When the backend failed for good, or too often in a row; see [`Retry`].
    pub fn step(&mut self, now: Instant, cpu_used: Duration) -> Result<Next, StepError<O::Error>> {
        self.step_with(now, cpu_used, |_| ())
    }

    /// The same; `look` is called if an aggregation ends: only then, and until the step goes on, the regions are a
    /// finished snapshot, with the attributes that it was made with.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_with(
        &mut self,
        now: Instant,
        cpu_used: Duration,
        look: impl FnOnce(&Self),
    ) -> Result<Next, StepError<O::Error>> {
        self.health.cpu += self.meter.charge(cpu_used);
        if now < self.retry_at {
            return Ok(Next::At(self.retry_at));
        }
        if let Some(until) = self.sleep_or_wake(now) {
            return Ok(Next::At(until));
        }
        match self.monitor.end(now, &mut self.ops) {
            Ok(Window::Early(due)) if due > now => return Ok(Next::At(due)),
            Ok(Window::Counted(stats)) => {
                self.count(&stats);
                self.act(now, false);
            }
            Ok(Window::Aggregated(stats)) => {
                self.count(&stats);
                self.health.aggregations += 1;
                self.act(now, true);
                look(self);
                self.keep_budget(now);
            }
            // No window is open.
            Ok(_) => {}
            Err(error) => return self.failed(now, error),
        }
        let next = match self.monitor.begin(now, &mut self.ops) {
            Ok(next) => next,
            Err(error) => return self.failed(now, error),
        };
        self.failed = 0;
        match next {
            Next::At(_) => self.meter.begin(now),
            _ => self.meter.abandon(),
        }
        Ok(next)
    }

    /// Stops watching where no scheme is active, and says when to look at the watermarks again.
    fn sleep_or_wake(&mut self, now: Instant) -> Option<Instant> {
        let until = self.acting.dormant_until(now);
        if until.is_some() != self.dormant {
            self.dormant = until.is_some();
            self.set_watching();
        }
        until
    }

    fn set_watching(&mut self) {
        if self.paused || self.dormant {
            self.monitor.pause();
            self.meter.abandon();
        } else {
            self.monitor.resume();
        }
    }

    fn act(&mut self, now: Instant, aggregated: bool) {
        let (failed, took) = self.acting.apply(now, aggregated, &mut self.monitor);
        self.health.failed_actions += failed;
        self.meter.excuse(took);
    }

    fn count(&mut self, window: &Stats) {
        self.failed = 0;
        self.health.count(window, self.monitor.attrs().sampling());
        self.meter.count(window, self.keeper.budget().map_or(Duration::ZERO, |b| b.fault_cost));
        self.last_window = Some(*window);
    }

    fn failed(&mut self, now: Instant, error: O::Error) -> Result<Next, StepError<O::Error>> {
        self.failed = self.failed.saturating_add(1);
        let fault = self.ops.fault(&error);
        match self.retry.after(self.failed, fault, error) {
            Ok(wait) => {
                self.health.retries += 1;
                self.retry_at = now + wait;
                Ok(Next::At(self.retry_at))
            }
            Err(error) => {
                self.failed = 0;
                Err(error)
            }
        }
    }

    /// In the gap after an aggregation: where the measured period is long enough, goes by what it cost.
    fn keep_budget(&mut self, now: Instant) {
        let Some(usage) = self.meter.period(now, self.keeper.wrote().spec().update) else { return };
        self.health.cpu_permille = usage.permille();
        let Some(settled) = self.keeper.settle(&usage) else { return };
        self.health.budget_exceeded = settled.exceeded;
        if settled.changed {
            self.recommit(self.monitor.attrs().sampling());
        }
    }

    /// Takes new attributes, as [`Monitor::commit`] does. What the budget has taken holds on top of them; tuned
    /// intervals start from the `sampling` that the attributes say.
    pub fn commit(&mut self, attrs: Attrs) {
        let sampling = attrs.sampling();
        self.keeper.rewrite(attrs);
        self.recommit(sampling);
    }

    /// Sets, changes or removes the budget. It starts with nothing taken.
    ///
    /// # Errors
    /// When the budget breaks one of its rules; the old one stays.
    pub fn set_budget(&mut self, budget: Option<Budget>) -> Result<(), BadBudget> {
        self.keeper.set_budget(budget.map(Budget::check).transpose()?);
        self.health.budget_exceeded = false;
        self.recommit(self.monitor.attrs().sampling());
        Ok(())
    }

    fn recommit(&mut self, sampling: Duration) {
        self.health.stretch_permille = self.keeper.stretch_permille();
        self.health.held_checks = self.keeper.held_checks();
        self.meter.abandon();
        let attrs = self.keeper.attrs(sampling);
        if attrs != *self.monitor.attrs() {
            self.monitor.commit(attrs);
        }
    }

    /// Stops sampling and freezes ages, as [`Monitor::pause`] does.
    pub fn pause(&mut self) {
        self.paused = true;
        self.set_watching();
    }

    /// Goes on with the next step.
    pub fn resume(&mut self) {
        self.paused = false;
        self.set_watching();
    }

    /// Replaces the list of schemes, all of it or nothing; statistics are kept. What they do is done by the actor, which
    /// has to be set before.
    ///
    /// ```
    /// use damon_core::{Action, Attrs, Monitor};
    /// use damos::{Context, scheme::Scheme};
    /// let mut context = Context::new(Monitor::new(Attrs::default(), 1), ());
    /// context.set_schemes(vec![Scheme::new(Action::Stat)])?;
    /// let refused = context.set_schemes(vec![Scheme::new(Action::Pageout)]).unwrap_err();
    /// assert_eq!(refused.to_string(), "scheme 0: Pageout is not supported here: there is no backend that acts");
    /// assert_eq!(context.schemes().schemes().len(), 1);
    /// # Ok::<(), damos::engine::SchemeError>(())
    /// ```
    ///
    /// # Errors
    /// When one of them cannot be done, or cannot know what it is doing; the old list stays.
    pub fn set_schemes(&mut self, list: Vec<Scheme>) -> Result<(), SchemeError> {
        self.acting.commit(&self.monitor, list)
    }

    /// Adds a source of reports, as [`Monitor::add_source`] does. The reporter may be used from any thread and any context.
    pub fn add_source(&mut self, spec: SourceSpec) -> Reporter {
        self.monitor.add_source(spec)
    }

    /// Sets who carries out the schemes' actions.
    pub fn set_actor(&mut self, actor: impl ApplyOps + Send + Sync + 'static) {
        self.acting.set_actor(actor);
    }

    /// Sets who reads the metrics of goals and watermarks.
    pub fn set_metrics(&mut self, metrics: impl Metrics + Send + Sync + 'static) {
        self.acting.set_metrics(metrics);
    }

    /// Sets who is told of each region that a scheme was tried on: an audit trail.
    pub fn set_observer(&mut self, observer: impl FnMut(&Tried) + Send + Sync + 'static) {
        self.acting.set_observer(Box::new(observer));
    }

    /// Somebody else steps from now on, whose CPU time has nothing to do with that of the last steps.
    pub(crate) fn hand_over(&mut self) {
        self.meter.hand_over();
    }
}

impl<O> Context<O> {
    /// The schemes, with what they did.
    pub const fn schemes(&self) -> &Schemes {
        self.acting.schemes()
    }

    /// The schemes, to set the inputs of their goals.
    pub const fn schemes_mut(&mut self) -> &mut Schemes {
        self.acting.schemes_mut()
    }

    /// The last error of an action. It is counted, and monitoring goes on.
    pub const fn last_action_error(&self) -> Option<&DynError> {
        self.acting.last_error()
    }

    /// How monitoring is doing.
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// What the last window brought.
    pub const fn last_window(&self) -> Option<&Stats> {
        self.last_window.as_ref()
    }

    /// The targets and regions. In the middle of an aggregation their counts are those of the windows so far: a
    /// finished one is shown by [`step_with`](Self::step_with).
    pub fn view(&self) -> View<'_> {
        self.monitor.view()
    }

    /// The attributes as they were written. What the tuner and the budget made of them are those of the
    /// [`monitor`](Self::monitor).
    pub const fn attrs(&self) -> &Attrs {
        self.keeper.wrote()
    }

    /// The budget.
    pub fn budget(&self) -> Option<&Budget> {
        self.keeper.budget()
    }

    /// The monitor.
    pub const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The monitor, to change targets and to report accesses. Attributes are committed through the context, whose
    /// budget would overwrite others.
    pub const fn monitor_mut(&mut self) -> &mut Monitor {
        &mut self.monitor
    }

    /// The backend.
    pub const fn ops(&self) -> &O {
        &self.ops
    }

    /// The backend, to tell it what it should know.
    pub const fn ops_mut(&mut self) -> &mut O {
        &mut self.ops
    }

    /// The parts.
    pub fn into_parts(self) -> (Monitor, O) {
        (self.monitor, self.ops)
    }
}
