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
//! faster tier until so much of that is used. Both goals overlap a little, so that there is always room for what is hot.
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
mod hierarchy;
mod load;
mod plan;
mod report;
mod route;
mod space;
mod steer;
#[cfg(test)]
mod tests;
#[cfg(feature = "topology")]
mod topology;

use core::time::Duration;

use damon_core::{AttrsSpec, Bp, IntervalsGoal, TargetId};

use crate::scheme::TargetShare;

pub use benefit::Benefit;
pub use hierarchy::{Hierarchy, HierarchyError, Node};
pub use load::Limits;
pub use plan::Plan;
pub use route::{Direction, Route};
pub use space::Space;

/// How memory is tiered. The defaults need no change on any machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiering {
    /// Demotes until so much of a node is free. Default 0.5%.
    pub free: Bp,
    /// Promotes until so much of a node is used. Default 99.7%.
    pub used: Bp,
    /// Bytes that one route may move in a second. Default 200 MiB.
    pub bytes_per_s: u64,
    /// The charge window. Default 1 s.
    pub reset_interval: Duration,
    /// Looks at each page once more: only what was accessed lately is promoted, and only what was not is demoted. Default.
    pub filter_young: bool,
    /// What was moved and is then accessed in the other way so soon is left alone for that time, each time it happens again
    /// for twice as long. In [`Space::Virtual`] alone: physical addresses stay behind. Default 10 s; zero is no such rest.
    pub rest: Duration,
    /// When a move is worth its cost.
    pub benefit: Benefit,
    /// The load above which less is moved.
    pub limits: Limits,
    /// Which target gets how much of what may be moved; see [`Scheme::shares`](crate::scheme::Scheme::shares).
    pub shares: Vec<TargetShare>,
    /// The workload that comes first; see [`Scheme::primary`](crate::scheme::Scheme::primary).
    pub primary: Option<TargetId>,
    /// Moves nothing, and counts what would be.
    pub dry_run: bool,
    /// How it watches. Default: intervals that tune themselves to see 4% of what could be seen, with samples 100 ms apart at
    /// most. Where less than 4% of memory is in use they would go on to lengthen, until memory that is just worth a move looks
    /// like memory that is hot.
    pub monitoring: AttrsSpec,
}

/// A page that is accessed as often as its move pays back, by the default [`Benefit`], is then seen in a fifteenth of samples.
const LONGEST: Duration = Duration::from_millis(100);

impl Default for Tiering {
    fn default() -> Self {
        Self {
            free: Bp(50),
            used: Bp(9_970),
            bytes_per_s: 200 << 20,
            reset_interval: Duration::from_secs(1),
            filter_young: true,
            rest: Duration::from_secs(10),
            benefit: Benefit::default(),
            limits: Limits::default(),
            shares: Vec::new(),
            primary: None,
            dry_run: false,
            monitoring: AttrsSpec {
                intervals_goal: Some(IntervalsGoal { max_sampling: LONGEST, ..IntervalsGoal::default() }),
                ..AttrsSpec::default()
            },
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
        if self.free.0 + self.used.0 < Bp::WHOLE.0 {
            return Err(TieringError::Gap { free: self.free, used: self.used });
        }
        Ok(Plan::new(self.clone(), hierarchy.clone(), space.clone()))
    }
}
