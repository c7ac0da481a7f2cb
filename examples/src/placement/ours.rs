//! This project's preset at work on the simulated machine: one monitor on all programs, and a plan that follows what it sees.

use damon_core::{Attrs, Instant, Monitor, NodeId};
use damon_ops_sim::tiering::{Host, Kind, NodeNow, Policy, PolicyError};
use damos::Context;
use damos::preset::tier::{Hierarchy, Node, Plan, Space, Steered, Tiering};

use super::Kdamond;

/// `damos::preset::tier`.
#[derive(Debug)]
pub struct Ours {
    tiering: Tiering,
    seed: u64,
    at_work: Option<(Plan, Kdamond)>,
}

impl Ours {
    /// With these wishes; its chance comes from `seed`.
    pub const fn new(tiering: Tiering, seed: u64) -> Self {
        Self { tiering, seed, at_work: None }
    }

    /// From now on with other wishes, such as goals. The monitor and its picture stay.
    ///
    /// # Errors
    /// When nothing can be planned with them.
    pub fn commit(&mut self, tiering: Tiering, host: &Host) -> Result<(), PolicyError> {
        self.tiering = tiering;
        if let Some((plan, kdamond)) = &mut self.at_work {
            *plan = planned(&self.tiering, host)?;
            kdamond.context_mut().set_schemes(plan.schemes.clone())?;
        }
        Ok(())
    }

    fn start(&self, host: &Host) -> Result<(Plan, Kdamond), PolicyError> {
        let plan = planned(&self.tiering, host)?;
        let backend = host.programs_memory();
        let monitor = Monitor::new(Attrs::try_from(plan.attrs.clone())?, self.seed);
        let mut context = Context::new(monitor, backend.clone());
        context.set_actor(backend.clone());
        context.set_metrics(backend);
        context.set_schemes(plan.schemes.clone())?;
        Ok((plan, Kdamond::new(context)))
    }
}

fn planned(tiering: &Tiering, host: &Host) -> Result<Plan, PolicyError> {
    let mut plan = tiering.plan(&hierarchy(&host.nodes()), &Space::Virtual)?;
    let mut backend = host.programs_memory();
    plan.adapt(&backend.clone(), &mut backend);
    Ok(plan)
}

/// What a kernel would say of the nodes.
fn hierarchy(nodes: &[NodeNow]) -> Hierarchy {
    let node = |n: &NodeNow| Node {
        cpus: n.kind == Kind::Dram,
        latency_ns: Some(n.idle_ns as u32),
        mib_per_s: Some((n.bandwidth / f64::from(1 << 20)) as u32),
        distances: nodes.iter().map(|other| (other.id, distance(n, other))).collect(),
        ..Node::new(n.id, tier(n.kind), n.range.size())
    };
    Hierarchy { nodes: nodes.iter().map(node).collect() }
}

/// DRAM is the kernel's tier 4; the others follow in steps of its latency.
const fn tier(kind: Kind) -> u32 {
    match kind {
        Kind::Dram => 4,
        Kind::Cxl => 10,
        Kind::Far => 28,
    }
}

fn distance(a: &NodeNow, b: &NodeNow) -> u32 {
    if a.id == b.id {
        return 10;
    }
    10 + tier(a.kind).max(tier(b.kind)) + if a.socket == b.socket { 0 } else { 11 }
}

impl Policy for Ours {
    fn name(&self) -> String {
        "ours".into()
    }

    fn wake(&mut self, now: Instant, host: &Host) -> Result<Instant, PolicyError> {
        let (mut plan, mut kdamond) = match self.at_work.take() {
            Some(at_work) => at_work,
            None => self.start(host)?,
        };
        let ids = |nodes: &mut dyn Iterator<Item = NodeId>| nodes.collect::<Vec<_>>();
        let (known, online) =
            (ids(&mut plan.hierarchy().nodes.iter().map(|n| n.id)), ids(&mut host.nodes().iter().map(|n| n.id)));
        if known != online {
            plan = plan.on(&hierarchy(&host.nodes()), &Space::Virtual)?;
            kdamond.context_mut().set_schemes(plan.schemes.clone())?;
        }
        let mut metrics = host.programs_memory();
        let mut changed = Steered::default();
        let next = kdamond.wake_with(now, host, |context| {
            changed = plan.steer(&context.view(), context.schemes(), &mut metrics);
        })?;
        if changed.attrs {
            kdamond.context_mut().commit(Attrs::try_from(plan.attrs.clone())?);
        }
        if changed.schemes {
            kdamond.context_mut().set_schemes(plan.schemes.clone())?;
        }
        self.at_work = Some((plan, kdamond));
        Ok(next)
    }
}
