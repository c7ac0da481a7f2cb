//! DAMON with its classic adjustment, as the kernel's sample module for tiering sets it up.
//!
//! Counterpart: `samples/damon/mtier.c` (Linux 7.3): two contexts on physical addresses, one that promotes and one that demotes.
//! The module knows two nodes; here each node has a context for the tier above and one for the tier below it.

use std::time::Duration;

use damon_core::control::priority::Weights;
use damon_core::{
    Action, Adjust, Attrs, AttrsSpec, Bp, Dest, Filter, Instant, IntervalsGoal, Metric, Monitor, Next, NodeId,
    PageFilter, TargetId, TargetSpec,
};
use damon_ops_sim::tiering::{Backend, Host, NodeNow, Policy, PolicyError};
use damos::Context;
use damos::scheme::{AccessPattern, Freq, Goal, Quota, Scheme};

const ID: TargetId = TargetId::new(0);

/// A kdamond of the simulated machine: while it acts it does not watch.
#[derive(Debug)]
pub struct Kdamond {
    context: Context<Backend>,
    next: Instant,
}

impl Kdamond {
    /// A thread that steps `context` from now on.
    pub const fn new(context: Context<Backend>) -> Self {
        Self { context, next: Instant::ZERO }
    }

    /// Steps it if it is due, and says when next.
    ///
    /// # Errors
    /// Those of the step.
    pub fn wake(&mut self, now: Instant, host: &Host) -> Result<Instant, PolicyError> {
        self.wake_with(now, host, |_| ())
    }

    /// The same; `look` is called if an aggregation ends.
    ///
    /// # Errors
    /// Those of the step.
    pub fn wake_with(
        &mut self,
        now: Instant,
        host: &Host,
        look: impl FnOnce(&Context<Backend>),
    ) -> Result<Instant, PolicyError> {
        if now >= self.next {
            let before = host.bill().kernel_s();
            let used = Duration::from_secs_f64(before);
            let next = match self.context.step_with(now, used, look)? {
                Next::At(at) => at,
                _ => now + Duration::from_secs(1),
            };
            let busy = Duration::from_secs_f64((host.bill().kernel_s() - before).max(0.0));
            self.next = next.max(now + busy);
        }
        Ok(self.next)
    }

    /// The context, to change it.
    pub const fn context_mut(&mut self) -> &mut Context<Backend> {
        &mut self.context
    }
}

/// The module's two goals, and how much it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goals {
    /// Promotes until this part of the upper node is used. Default 99.7%.
    pub used: Bp,
    /// Demotes until this part of it is free. Default 0.5%.
    pub free: Bp,
    /// Bytes a second, each way. Default 200 MiB.
    pub quota: u64,
}

impl Default for Goals {
    fn default() -> Self {
        Self { used: Bp(9_970), free: Bp(50), quota: 200 << 20 }
    }
}

/// The module.
#[derive(Debug, Default)]
pub struct Classic {
    goals: Goals,
    seed: u64,
    kdamonds: Option<Vec<Kdamond>>,
}

impl Classic {
    /// With these goals; its chance comes from `seed`.
    pub const fn new(goals: Goals, seed: u64) -> Self {
        Self { goals, seed, kdamonds: None }
    }

    /// A context for what is on `from`, which goes to `to`.
    fn context(&self, host: &Host, from: &NodeNow, to: &NodeNow) -> Result<Context<Backend>, PolicyError> {
        let promote = to.kind < from.kind;
        let attrs = AttrsSpec {
            update: Duration::from_secs(60),
            intervals_goal: Some(IntervalsGoal::default()),
            adjust: Adjust::Classic,
            ..AttrsSpec::default()
        };
        let backend = host.physical(vec![(ID, vec![from.id])]);
        let seed = self.seed.wrapping_mul(64) + u64::from(from.id.0) * 2 + u64::from(promote);
        let mut monitor = Monitor::new(Attrs::try_from(attrs)?, seed);
        monitor.add_target(TargetSpec::new(ID));
        let mut context = Context::new(monitor, backend.clone());
        context.set_actor(backend.clone());
        context.set_metrics(backend);
        context.set_schemes(vec![self.scheme(promote, from.id, to.id)])?;
        Ok(context)
    }

    fn scheme(&self, promote: bool, from: NodeId, to: NodeId) -> Scheme {
        let (action, freq, goal) = if promote {
            let goal = Goal::new(Metric::NodeMemUsedBp(to), self.goals.used.0.into());
            (Action::MigrateHot, Freq::Samples(1..=u32::MAX), goal)
        } else {
            let goal = Goal::new(Metric::NodeMemFreeBp(from), self.goals.free.0.into());
            (Action::MigrateCold, Freq::NONE, goal)
        };
        Scheme {
            pattern: AccessPattern { size: 4_096..=u64::MAX, freq, ..AccessPattern::default() },
            apply_interval: Duration::from_secs(1),
            dests: vec![Dest { node: to, weight: 1 }],
            quota: Quota {
                size: self.goals.quota,
                weights: Weights { size: 0, nr_accesses: 100, age: 100 },
                goals: vec![goal],
                ..Quota::default()
            },
            filters: vec![Filter { page: PageFilter::Young, matching: true, allow: promote }],
            ..Scheme::new(action)
        }
    }

    fn start(&self, host: &Host) -> Result<Vec<Kdamond>, PolicyError> {
        let nodes = host.nodes();
        let mut pairs = Vec::new();
        for node in &nodes {
            let of = |kind| nodes.iter().filter(move |n| n.kind == kind);
            let near = |n: &&NodeNow| (n.socket != node.socket, n.id);
            let above = nodes.iter().map(|n| n.kind).filter(|k| *k < node.kind).max();
            let below = nodes.iter().map(|n| n.kind).filter(|k| *k > node.kind).min();
            pairs.extend(above.into_iter().chain(below).filter_map(|kind| Some((node, of(kind).min_by_key(near)?))));
        }
        pairs.into_iter().map(|(from, to)| Ok(Kdamond::new(self.context(host, from, to)?))).collect()
    }
}

impl Policy for Classic {
    fn name(&self) -> String {
        "damon".into()
    }

    fn wake(&mut self, now: Instant, host: &Host) -> Result<Instant, PolicyError> {
        let mut kdamonds = match self.kdamonds.take() {
            Some(kdamonds) => kdamonds,
            None => self.start(host)?,
        };
        let mut next = Instant::MAX;
        for kdamond in &mut kdamonds {
            next = next.min(kdamond.wake(now, host)?);
        }
        self.kdamonds = Some(kdamonds);
        Ok(next)
    }
}
