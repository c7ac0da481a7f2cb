//! What `tier` is made of: the machine as it is found, the file of wishes, who gets how much, and the view of nodes
//! and flows.

mod config;
mod live;
mod primary;
mod share;
mod steer;

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use damon_core::{NodeId, TargetId};
use damon_ops_paddr::{Area, HostMetrics, Topology};
use damon_ops_vaddr::linux::page_size;
use damos::preset::tier::{self, Hierarchy, Space, Steered, Tiering};
use damos::scheme::{Scheme, TargetShare};

use crate::agent;

pub use config::File;
pub use live::Live;
pub use primary::Primary;
pub use share::{Share, Shares};
pub use steer::Steering;

/// Makes plans for this machine, and keeps the last one for who shows it.
#[derive(Clone, Debug, Default)]
pub struct Planner {
    physical: bool,
    last: Arc<Mutex<Last>>,
}

/// The last plan, and what the next one is to keep of it.
#[derive(Debug, Default)]
struct Last {
    plan: Option<tier::Plan>,
    shares: Vec<TargetShare>,
    primary: Vec<TargetId>,
}

impl Planner {
    /// For memory by its physical addresses, or by those of processes.
    pub fn new(physical: bool) -> Self {
        Self { physical, ..Self::default() }
    }

    /// What is to be done here, with the nodes as they are now: said on standard error.
    ///
    /// # Errors
    /// When the file is wrong, the machine cannot be read, or there is nothing to tier.
    pub fn plan(&self, text: &str, dry_run: bool) -> Result<agent::Plan, Box<dyn Error>> {
        let mut tiering = Tiering { dry_run, ..Tiering::from(toml::from_str::<File>(text)?) };
        {
            let last = self.locked();
            (tiering.shares, tiering.primary) = (last.shares.clone(), last.primary.clone());
        }
        let topology = Topology::read(Path::new("/"))?;
        let hierarchy = Hierarchy::from(&topology);
        let plan = tiering.plan(&hierarchy, &Space::Virtual)?;
        if plan.schemes.is_empty() {
            return Err(plan.to_string().trim_end().replace('\n', "; ").into());
        }
        let mut plan = if self.physical { plan.on(&hierarchy, &physical(&hierarchy)?)? } else { plan };
        let mut metrics = HostMetrics::new();
        // Rates take two readings.
        std::thread::sleep(Duration::from_millis(120));
        plan.adapt(&(), &mut metrics);
        if topology.kernel_demotes == Some(true) {
            plan.notes.push("the kernel demotes by itself, too: /sys/kernel/mm/numa/demotion_enabled".into());
        }
        eprint!("{plan}");
        let made = agent::Plan { attrs: plan.attrs.clone(), schemes: plan.schemes.clone() };
        self.locked().plan = Some(plan);
        Ok(made)
    }

    /// Changes the last plan; gives it where there is something to be given to its context anew, and what.
    fn steered(&self, change: impl FnOnce(&mut tier::Plan) -> Steered) -> Option<(tier::Plan, Steered)> {
        let mut last = self.locked();
        last.plan
            .as_mut()
            .map(|plan| (change(plan), plan))
            .filter(|(steered, _)| *steered != Steered::default())
            .map(|(steered, plan)| (plan.clone(), steered))
    }

    /// Divides what may be moved anew, in the last plan and those to come; gives the schemes where that changes them.
    fn divided(&self, shares: Vec<TargetShare>, primary: Vec<TargetId>) -> Option<Vec<Scheme>> {
        let mut last = self.locked();
        (last.shares, last.primary) = (shares.clone(), primary.clone());
        let plan = last.plan.as_mut()?;
        plan.divide(shares, primary).then(|| plan.schemes.clone())
    }

    /// The last plan.
    pub fn last(&self) -> Option<tier::Plan> {
        self.locked().plan.clone()
    }

    fn locked(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which addresses are which node's.
fn physical(hierarchy: &Hierarchy) -> Result<Space, Box<dyn Error>> {
    let of = |id: NodeId| Ok((id, Area::Node(id).ranges(Path::new("/"), page_size())?));
    let nodes = hierarchy.nodes.iter().map(|node| of(node.id));
    Ok(Space::Physical(nodes.collect::<Result<_, Box<dyn Error>>>()?))
}
