//! Tests as plans: steps that change the world, let time pass, and look; each says in words what it is.
//!
//! A plan drives one monitor over [`SimMemory`] with faults in between, on a virtual clock. Errors that the backend calls
//! transient are tried again, as a program would.

use std::fmt::Write;
use std::time::Duration;

use damon_core::{Attrs, Fault, Instant, Monitor, Ops, Stats, TargetId, TargetSpec, Window};

use crate::clock::{Clock, window};
use crate::faulty::{Faulty, Rule};
use crate::memory::{Mapping, SimMemory, SimTarget};
use crate::workload::{Blocks, Workload};

/// A step may fail so often in a row before the plan gives up.
const TRIES: u32 = 100;

/// The world of a plan.
#[derive(Debug)]
pub struct Stage {
    /// The time.
    pub clock: Clock,
    /// The memory, with faults.
    pub ops: Faulty<SimMemory>,
    /// Who watches it.
    pub monitor: Monitor,
    /// Figures of all windows so far.
    pub windows: Vec<Stats>,
    /// How many aggregations ended.
    pub aggregations: u64,
    /// Errors that were tried again.
    pub retried: u64,
}

impl Stage {
    /// The plan's first target.
    pub const TARGET: TargetId = TargetId::new(0);

    /// The bytes of that target's regions of this rate or more, 0 to 1.
    pub fn bytes_at_least(&self, rate: f64) -> u64 {
        let of_target = self.monitor.view().targets().iter().find(|t| t.id() == Self::TARGET);
        let regions = of_target.into_iter().flat_map(|t| t.regions());
        let hot = regions.filter(|r| f64::from(r.nr_accesses()) >= rate * f64::from(r.nr_samples().max(1)));
        hot.map(|r| r.size()).sum()
    }

    fn window(&mut self) -> Result<(), String> {
        for _ in 0..TRIES {
            match window(&mut self.monitor, &mut self.ops, &self.clock) {
                Ok(Some(Window::Counted(stats))) => self.windows.push(stats),
                Ok(Some(Window::Aggregated(stats))) => {
                    self.windows.push(stats);
                    self.aggregations += 1;
                }
                Ok(Some(_)) => {}
                Ok(None) => self.clock.advance(self.monitor.attrs().sampling()),
                Err(e) if self.ops.fault(&e) == Fault::Transient => {
                    self.retried += 1;
                    continue;
                }
                Err(e) => return Err(format!("the backend ended it: {e}")),
            }
            return Ok(());
        }
        Err(format!("no window came through in {TRIES} tries"))
    }
}

type Act = Box<dyn FnOnce(&mut Stage) -> Result<(), String>>;

/// What happens, step by step.
///
/// ```
/// use core::time::Duration;
/// use damon_core::{AddrRange, Attrs};
/// use damon_ops_sim::memory::Mapping;
/// use damon_ops_sim::plan::Plan;
/// use damon_ops_sim::workload::{Blocks, Heat};
///
/// let memory = Mapping::new(AddrRange::new(0, 1 << 30).unwrap());
/// let hot = AddrRange::new(0, 256 << 20).unwrap();
/// Plan::new("a hot quarter is found and lost again", Attrs::default(), vec![memory])
///     .workload("a quarter is hot", Blocks::new([Heat::reads(hot, 1e4)]))
///     .run("ten seconds", Duration::from_secs(10))
///     .check("it is found", |s| (200 << 20..300 << 20).contains(&s.bytes_at_least(0.5)))
///     .workload("nobody does anything", Blocks::default())
///     .run("a second", Duration::from_secs(1))
///     .check("nothing is hot", |s| s.bytes_at_least(0.5) == 0)
///     .go(1);
/// ```
#[must_use]
pub struct Plan {
    about: String,
    attrs: Attrs,
    mappings: Vec<Mapping>,
    steps: Vec<(String, Act)>,
}

impl Plan {
    /// A plan that shows what `about` says, on a target, [`Stage::TARGET`], with these mappings, idle at first.
    pub fn new(about: &str, attrs: Attrs, mappings: Vec<Mapping>) -> Self {
        Self { about: about.into(), attrs, mappings, steps: Vec::new() }
    }

    /// Anything.
    pub fn act(mut self, what: &str, act: impl FnOnce(&mut Stage) + 'static) -> Self {
        self.push(what, move |s| {
            act(s);
            Ok(())
        });
        self
    }

    /// Another workload from here on.
    pub fn workload(self, what: &str, workload: impl Workload + 'static) -> Self {
        self.act(what, |s| {
            s.ops.inner_mut().set_workload(Stage::TARGET, workload);
        })
    }

    /// Other faults from here on.
    pub fn faults(self, what: &str, rules: Vec<Rule>) -> Self {
        self.act(what, |s| s.ops.set_rules(rules))
    }

    /// Lets whole windows pass until `time` is over.
    pub fn run(mut self, what: &str, time: Duration) -> Self {
        self.push(what, move |s| {
            let end = s.clock.now() + time;
            while s.clock.now() < end {
                s.window()?;
            }
            Ok(())
        });
        self
    }

    /// Lets `n` aggregations end.
    pub fn aggregations(mut self, what: &str, n: u64) -> Self {
        self.push(what, move |s| {
            let end = s.aggregations + n;
            while s.aggregations < end {
                s.window()?;
            }
            Ok(())
        });
        self
    }

    /// Looks: the plan fails where this does not hold.
    pub fn check(mut self, what: &str, holds: impl Fn(&Stage) -> bool + 'static) -> Self {
        self.push(what, move |s| if holds(s) { Ok(()) } else { Err("this does not hold".into()) });
        self
    }

    fn push(&mut self, what: &str, act: impl FnOnce(&mut Stage) -> Result<(), String> + 'static) {
        self.steps.push((what.into(), Box::new(act)));
    }

    /// Goes through it, all chance from `seed`, and gives the stage back.
    ///
    /// # Errors
    /// The plan as far as it went, with the step that failed and what it saw, where a check does not hold, mappings
    /// overlap, or the backend gave up.
    pub fn try_go(self, seed: u64) -> Result<Stage, String> {
        let clock = Clock::new();
        let mut memory = SimMemory::new(seed, &clock);
        memory.insert(Stage::TARGET, SimTarget::new(self.mappings, Blocks::default()).map_err(|e| e.to_string())?);
        let mut monitor = Monitor::new(self.attrs, seed);
        monitor.add_target(TargetSpec::new(Stage::TARGET));
        let ops = Faulty::new(memory, Vec::new(), seed);
        let mut stage = Stage { clock, ops, monitor, windows: Vec::new(), aggregations: 0, retried: 0 };

        let mut said = format!("plan: {} (seed {seed})\n", self.about);
        for (what, act) in self.steps {
            let at = stage.clock.now() - Instant::ZERO;
            let done = act(&mut stage);
            let mark = if done.is_ok() { "ok" } else { "FAILED" };
            // Writing into a string does not fail.
            let _ = writeln!(said, "  {mark:6} {at:>8.1?} {what}");
            if let Err(why) = done {
                return Err(format!("{said}{why}; the regions:\n{:#?}", stage.monitor.view().snapshot()));
            }
        }
        Ok(stage)
    }

    /// The same for tests.
    ///
    /// # Panics
    /// With what [`try_go`](Self::try_go) gives as an error.
    #[track_caller]
    pub fn go(self, seed: u64) -> Stage {
        match self.try_go(seed) {
            Ok(stage) => stage,
            Err(e) => panic!("{e}"),
        }
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps: Vec<&str> = self.steps.iter().map(|s| s.0.as_str()).collect();
        f.debug_struct("Plan").field("about", &self.about).field("steps", &steps).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use damon_core::AddrRange;

    #[test]
    fn a_check_that_does_not_hold_fails_the_plan_with_its_steps() {
        let mapping = Mapping::new(AddrRange::new(0, 1 << 20).unwrap());
        let e = Plan::new("hopes", Attrs::default(), vec![mapping])
            .run("a while", Duration::from_millis(300))
            .check("time has passed", |s| s.aggregations == 3)
            .check("something is hot", |s| s.bytes_at_least(0.5) > 0)
            .check("never reached", |_| unreachable!())
            .try_go(1)
            .unwrap_err();
        let start = "plan: hopes (seed 1)\n  ok        0.0ns a while\n  ok      300.0ms time has passed\n  \
                     FAILED  300.0ms something is hot\nthis does not hold; the regions:\n";
        assert!(e.starts_with(start), "{e}");
    }
}
