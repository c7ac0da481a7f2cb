//! Kernel threads of DAMON on the simulated machine.

use std::time::Duration;

use damon_core::{Attrs, AttrsSpec, Instant, Monitor, Next, TargetId, TargetSpec};
use damon_ops_sim::tiering::{Backend, Host, NodeNow, PolicyError};
use damos::Context;
use damos::scheme::Scheme;

/// The target of a context that watches one node.
const NODE: TargetId = TargetId::new(0);

/// A context for what is on the way's first node, with one scheme.
pub(super) fn context(
    host: &Host,
    (from, to): (&NodeNow, &NodeNow),
    seed: u64,
    attrs: AttrsSpec,
    scheme: Scheme,
) -> Result<Context<Backend>, PolicyError> {
    let backend = host.physical(vec![(NODE, vec![from.id])]);
    let seed = seed.wrapping_mul(64) + u64::from(from.id.0) * 2 + u64::from(to.kind < from.kind);
    let mut monitor = Monitor::new(Attrs::try_from(attrs)?, seed);
    monitor.add_target(TargetSpec::new(NODE));
    let mut context = Context::new(monitor, backend.clone());
    context.set_actor(backend.clone());
    context.set_metrics(backend);
    context.set_schemes(vec![scheme])?;
    Ok(context)
}

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

/// A kdamond for each way: from each node to the nearest one of the tier above, and to the nearest of the tier below.
#[derive(Debug, Default)]
pub(super) struct Ways(Option<Vec<(NodeNow, NodeNow, Kdamond)>>);

impl Ways {
    /// Steps those that are due, and says when next. `context` makes the one for what is on its first node, and goes to its second.
    pub(super) fn wake(
        &mut self,
        now: Instant,
        host: &Host,
        context: impl Fn(&NodeNow, &NodeNow) -> Result<Context<Backend>, PolicyError>,
    ) -> Result<Instant, PolicyError> {
        let mut kdamonds = match self.0.take() {
            Some(kdamonds) => kdamonds,
            None => ways(&host.nodes())
                .map(|(from, to)| Ok((from, to, Kdamond::new(context(&from, &to)?))))
                .collect::<Result<_, PolicyError>>()?,
        };
        let mut next = Instant::MAX;
        for (.., kdamond) in &mut kdamonds {
            next = next.min(kdamond.wake(now, host)?);
        }
        self.0 = Some(kdamonds);
        Ok(next)
    }

    /// The contexts, to change them, with their ways.
    pub(super) fn contexts(&mut self) -> impl Iterator<Item = (NodeNow, NodeNow, &mut Context<Backend>)> {
        self.0.iter_mut().flatten().map(|(from, to, kdamond)| (*from, *to, kdamond.context_mut()))
    }
}

fn ways(nodes: &[NodeNow]) -> impl Iterator<Item = (NodeNow, NodeNow)> {
    nodes.iter().flat_map(move |node| {
        let near = move |n: &&NodeNow| (n.socket != node.socket, n.id);
        let kinds = || nodes.iter().map(|n| n.kind);
        let (above, below) = (kinds().filter(|k| *k < node.kind).max(), kinds().filter(|k| *k > node.kind).min());
        let to = move |kind| nodes.iter().filter(|n| n.kind == kind).min_by_key(near);
        above.into_iter().chain(below).filter_map(move |kind| Some((*node, *to(kind)?)))
    })
}
