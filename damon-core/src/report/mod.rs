//! Accesses that somebody else saw: the types of a report, and what it means.
//!
//! A report proves only its own bytes: the granules that they touch, for nothing smaller is told apart. Where it covers
//! an address that is sampled in the same window it decides that sample; elsewhere it is a hint where to cut. Where reports are the only source ([`Sees::Reports`](crate::Sees::Reports)),
//! each window adds the distinct reported bytes of a region divided by its size. Weights count events, never coverage.
//! Where one report says accessed and another idle, accessed holds.
//!
//! `bag` is how reports come from any thread and any context: a bag, because within one window order means nothing. `source` counts what became of them, `intake` and `coverage` say what a window's reports come to.

mod bag;
mod coverage;
mod events;
mod filter;
mod intake;
mod packed;
mod reporter;
mod source;

use crate::target::{Space, TargetId};
use crate::time::Instant;
use crate::units::NodeId;

pub(crate) use coverage::{Interval, covered};
pub(crate) use events::EventRows;
pub use events::Events;
pub use filter::ReportFilter;
pub(crate) use intake::Intake;
pub use intake::MAX_NODES;
pub use reporter::Reporter;
pub use source::{Source, SourceCounts, SourceId, SourceSpec};

/// What a report says happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AccessKind {
    /// An access; the source does not tell which.
    #[default]
    Access,
    /// A read.
    Read,
    /// A write.
    Write,
    /// Known idle: not accessed in this window, or if so, then reported as well. It saves the checks of the granules that it
    /// fills in the window that takes it, and counts there as if they had found nothing. In a window in which its source lost reports
    /// nothing of the source is believed to be idle, for what was lost may have been an access.
    Idle,
}

/// One reported access, or one range known to be idle.
///
/// ```
/// use damon_core::{Access, AccessKind, TargetId};
/// let hit = Access { kind: AccessKind::Write, ..Access::new(TargetId::new(0), 0x1000, 64) };
/// assert_eq!(hit.weight, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whose address it is.
    pub space: Space,
    /// The first address.
    pub addr: u64,
    /// How many addresses: 0 counts as 1, and what would end above 2^64 − 1 ends there.
    pub len: u64,
    /// Read, written, or known idle.
    pub kind: AccessKind,
    /// How many events it stands for. Counts in the event rate alone, times the source's
    /// [`period`](SourceSpec::period).
    pub weight: u32,
    /// On which CPU it happened, if known.
    pub cpu: Option<u32>,
    /// Which thread did it, if known.
    pub thread: Option<u32>,
    /// From which NUMA node it came, if known.
    pub node: Option<NodeId>,
    /// When it happened on the monitor's clock, if known. What comes late counts in the window that takes it, but a range known
    /// idle before the window began is not believed to be idle in it. A time that is not over yet is taken for now.
    pub time: Option<Instant>,
}

impl Access {
    /// An access to `len` addresses of a target's own space, from `addr`, of weight 1.
    pub const fn new(target: TargetId, addr: u64, len: u64) -> Self {
        Self {
            space: Space::Target(target),
            addr,
            len,
            kind: AccessKind::Access,
            weight: 1,
            cpu: None,
            thread: None,
            node: None,
            time: None,
        }
    }
}
