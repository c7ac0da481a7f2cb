//! Memory tiering: hot memory on fast nodes, cold memory on slow ones.
//!
//! Counterpart: `samples/damon/mtier.c` (Linux 7.3), which has two nodes, and tiers of a user's configuration.
//!
//! ```text
//!  Hierarchy ──┐                      ┌─ attrs ─▶ Monitor
//!  (nodes)     ├─▶ Tiering::plan ─▶ Plan ─ schemes ─▶ Context
//!  Space ──────┘   (what you want)    └─ Display: what was found, what will be done
//! ```
//!
//! Each node demotes what is cold to the next slower tier until so much of it is free, and promotes what is hot to the next
//! faster tier until so much of that is used. Both goals overlap a little, so that there is always room for what is hot. What a cpuset or a
//! memory policy keeps on its node stays there, where who acts can tell.
//!
//! ```
//! use damon_core::{Attrs, Monitor, NodeId};
//! use damos::preset::tier::{Hierarchy, Node, Space, Tiering};
//!
//! // By hand; of this machine: `Hierarchy::from(&damon_ops_paddr::Topology::read("/".as_ref())?)`, feature `topology`.
//! let dram = Node { cpus: true, latency_ns: Some(100), ..Node::new(NodeId(0), 4, 250 << 30) };
//! let cxl = Node { latency_ns: Some(250), ..Node::new(NodeId(1), 22, 50 << 30) };
//! let plan = Tiering::default().plan(&Hierarchy { nodes: vec![dram, cxl] }, &Space::Virtual)?;
//! let text = plan.to_string();
//! assert!(text.contains("demotes cold memory to node 1 until 0.50% of node 0 is free"), "{text}");
//! assert!(text.contains("promotes hot memory to node 0 until 99.70% of node 0 is used"), "{text}");
//!
//! let monitor = Monitor::new(Attrs::try_from(plan.attrs.clone())?, 1);
//! // context.set_actor(..), context.set_metrics(..), context.set_schemes(plan.schemes.clone())
//! # let _ = monitor;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod benefit;
mod fair;
mod hierarchy;
mod load;
mod plan;
mod report;
mod room;
mod route;
mod space;
mod spread;
mod steer;
#[cfg(test)]
mod tests;
#[cfg(feature = "topology")]
mod topology;
mod watch;

use core::time::Duration;

use damon_core::{AttrsSpec, Bp, IntervalsGoal, NodeId, TargetId};

use crate::scheme::TargetShare;

pub use benefit::Benefit;
pub use hierarchy::{Hierarchy, HierarchyError, Node};
pub use load::Limits;
pub use plan::Plan;
pub use route::{Direction, Route};
pub use space::Space;
pub use steer::Steered;
pub use watch::Watch;

/// How memory is tiered. The defaults need no change on any machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiering {
    /// Demotes until so much of a node is free, on top of what the kernel keeps free ([`Node::reserved`]). Default 0.5%.
    pub free: Bp,
    /// Promotes until so much of a node is used, less what the kernel keeps free: it reclaims, and swaps, for whoever takes that.
    /// Default 99.7%.
    pub used: Bp,
    /// Bytes that one route may move in a second. Default 4 GiB, which is more than one CPU can move: what does not pay does not
    /// move anyway, and what does is best moved soon.
    pub bytes_per_s: u64,
    /// The charge window. Default 1 s.
    pub reset_interval: Duration,
    /// Looks at each page once more: only what was accessed since the last such look is promoted, and only what was not is demoted.
    /// Default `None`: before demotion, since memory that is new may be where there was old memory when it was watched; and before
    /// promotion in physical memory alone, where neighbours have nothing to do with each other.
    pub filter_young: Option<bool>,
    /// What was moved and is then accessed in the other way so soon is left alone for that time, each time it happens again
    /// for twice as long. In [`Space::Virtual`] alone: physical addresses stay behind. Default 10 s; zero is no such rest.
    pub rest: Duration,
    /// When a move is worth its cost.
    pub benefit: Benefit,
    /// The load above which less is moved.
    pub limits: Limits,
    /// Which target gets how much of what may be moved; see [`Scheme::shares`](crate::scheme::Scheme::shares).
    pub shares: Vec<TargetShare>,
    /// The targets that come first: theirs is promoted first ([`Scheme::primary`](crate::scheme::Scheme::primary)), and demoted when the
    /// others have no more to give. What is hot enough to be promoted, and cold enough to be demoted, is the same for all.
    pub primary: Vec<TargetId>,
    /// Moves nothing, and counts what would be.
    pub dry_run: bool,
    /// How it watches. With an intervals goal, as by default, the sampling interval follows the waterline within the goal's limits,
    /// and the goal's wish is not asked for; without one it stays as it is. Default: 10 samples in an aggregation.
    pub monitoring: AttrsSpec,
    /// How finely it watches, and what that may cost.
    pub watch: Watch,
}

impl Default for Tiering {
    fn default() -> Self {
        Self {
            free: Bp(50),
            used: Bp(9_970),
            bytes_per_s: 4 << 30,
            reset_interval: Duration::from_secs(1),
            filter_young: None,
            rest: Duration::from_secs(10),
            benefit: Benefit::default(),
            limits: Limits::default(),
            shares: Vec::new(),
            primary: Vec::new(),
            dry_run: false,
            monitoring: AttrsSpec {
                sampling: Duration::from_millis(100),
                aggregation: Duration::from_secs(1),
                intervals_goal: Some(IntervalsGoal::default()),
                ..AttrsSpec::default()
            },
            watch: Watch::default(),
        }
    }
}

/// Why nothing can be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TieringError {
    /// The hierarchy makes no sense.
    #[error(transparent)]
    Hierarchy(#[from] HierarchyError),
    /// A part of a node that is none.
    #[error("{what} is {bp}, but must be above 0% and below 100%")]
    Part {
        /// Which parameter.
        what: &'static str,
        /// What it is.
        bp: Bp,
    },
    /// A limit that is reached without load.
    #[error("limits.latency is {bp} of what it is without load, but must be above 100%; None is no limit")]
    Latency {
        /// What it is.
        bp: Bp,
    },
    /// Demotion and promotion would never meet.
    #[error(
        "free {free} and used {used} leave a gap: together they must be at least 100%, or nothing makes room for what is hot"
    )]
    Gap {
        /// What demotion wants free.
        free: Bp,
        /// What promotion wants used.
        used: Bp,
    },
}

impl Tiering {
    /// What demotion wants free of a node.
    fn free_on(&self, hierarchy: &Hierarchy, node: NodeId) -> Bp {
        let reserve = hierarchy.node(node).map_or(Bp(0), Node::reserve);
        Bp(self.free.0.saturating_add(reserve.0).min(Bp::WHOLE.0))
    }

    /// What promotion wants used of a node.
    fn used_on(&self, hierarchy: &Hierarchy, node: NodeId) -> Bp {
        let reserve = hierarchy.node(node).map_or(Bp(0), Node::reserve);
        Bp(self.used.0.saturating_sub(reserve.0).max(1))
    }

    pub(super) fn bytes_per_window(&self) -> u64 {
        let bytes = u128::from(self.bytes_per_s) * self.reset_interval.as_millis() / 1_000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
    }

    /// What is to be done on these nodes, to memory of this kind of addresses. Where there is nothing to do the plan has no
    /// schemes, and says why.
    ///
    /// # Errors
    /// When a parameter or the hierarchy makes no sense.
    pub fn plan(&self, hierarchy: &Hierarchy, space: &Space) -> Result<Plan, TieringError> {
        hierarchy.check()?;
        for (what, bp) in [("free", self.free), ("used", self.used)] {
            if bp == Bp(0) || bp >= Bp::WHOLE {
                return Err(TieringError::Part { what, bp });
            }
        }
        if let Some(bp) = self.limits.latency.filter(|&bp| bp <= Bp::WHOLE) {
            return Err(TieringError::Latency { bp });
        }
        if self.free.0 + self.used.0 < Bp::WHOLE.0 {
            return Err(TieringError::Gap { free: self.free, used: self.used });
        }
        Ok(Plan::new(self.clone(), hierarchy.clone(), space.clone()))
    }
}
