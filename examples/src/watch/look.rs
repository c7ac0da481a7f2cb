//! What a monitor shows when an aggregation ends: all that the view draws, copied, so that monitoring goes on.

use std::time::Duration;

use damon_core::control::goal;
use damon_core::{Action, Attrs, Bp, Metric, Snapshot};
use damos::Context;
use damos::context::Health;
use damos::engine::Stats;

/// The end of an aggregation.
#[derive(Clone, Debug)]
pub struct Look {
    /// Targets and regions.
    pub snapshot: Snapshot,
    /// With which attributes they were made.
    pub attrs: Attrs,
    /// How monitoring is doing.
    pub health: Health,
    /// What it may cost, in thousandths of a CPU.
    pub cpu_permille: Option<u32>,
    /// What schemes there are.
    pub schemes: Vec<SchemeLook>,
    /// The last error of an action.
    pub action_error: Option<String>,
    /// Aggregations that nobody took in time, and that are not shown.
    pub skipped: u64,
}

/// A scheme, and what it did.
#[derive(Clone, Debug)]
pub struct SchemeLook {
    /// What it does.
    pub action: Action,
    /// It only says what it would do.
    pub dry_run: bool,
    /// It is within its watermarks.
    pub active: bool,
    /// What it did so far.
    pub stats: Stats,
    /// What it may work on in a charge window, and what of that it has: bytes. `None` without a limit.
    pub quota: Option<(u64, u64)>,
    /// How long a charge window is.
    pub reset_interval: Duration,
    /// What is to be achieved.
    pub goals: Vec<GoalLook>,
}

/// A goal, and how far it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoalLook {
    /// What is measured.
    pub metric: Metric,
    /// What it shall be.
    pub target: u64,
    /// What it was when the charge window began, where that was to be known.
    pub measured: Option<u64>,
}

impl GoalLook {
    /// How far it is reached: the whole is all the way, more is beyond.
    pub fn score(&self) -> Option<Bp> {
        let score = goal::score(self.measured?, self.target);
        Some(Bp(u32::try_from(score).unwrap_or(u32::MAX)))
    }
}

impl Look {
    /// As `context` is when an aggregation has just ended.
    pub fn of<O>(context: &Context<O>, skipped: u64) -> Self {
        let view = context.view();
        Self {
            snapshot: view.snapshot(),
            attrs: view.attrs().clone(),
            health: *context.health(),
            cpu_permille: context.budget().map(|b| b.cpu_permille),
            schemes: schemes(context),
            action_error: context.last_action_error().map(ToString::to_string),
            skipped,
        }
    }
}

fn schemes<O>(context: &Context<O>) -> Vec<SchemeLook> {
    let all = context.schemes();
    let look = |(i, scheme): (usize, &damos::scheme::Scheme)| {
        let measured = all.measured(i).unwrap_or_default();
        let goal = |(g, goal): (usize, &damos::scheme::Goal)| GoalLook {
            metric: goal.metric,
            target: goal.target_value,
            measured: measured.get(g).copied().flatten(),
        };
        let quota = &scheme.quota;
        let limited = quota.size > 0 || !quota.time.is_zero() || !quota.goals.is_empty();
        let (effective, charged) = (all.effective_quota(i).unwrap_or_default().0, all.charged(i).unwrap_or_default());
        SchemeLook {
            action: scheme.action,
            dry_run: scheme.dry_run,
            active: all.is_active(i).unwrap_or(false),
            stats: all.stats(i).unwrap_or_default(),
            quota: limited.then_some((effective, charged)),
            reset_interval: quota.reset_interval,
            goals: quota.goals.iter().enumerate().map(goal).collect(),
        }
    };
    all.schemes().enumerate().map(look).collect()
}
