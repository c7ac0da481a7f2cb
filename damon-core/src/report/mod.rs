//! Accesses that somebody else saw: the types of a report, and what it means.
//!
//! A report proves only its own bytes. Where it covers an address that is sampled in the same window it decides that
//! sample; elsewhere it is a hint where to cut. Where reports are the only source ([`Sees::Reports`](crate::Sees::Reports)),
//! each window adds the distinct reported bytes of a region divided by its size. Weights count events, never coverage.
//! Where one report says accessed and another idle, accessed holds.

mod coverage;
mod intake;

use crate::target::{Space, TargetId};
use crate::units::NodeId;

pub(crate) use intake::Intake;

/// Which source a report came from: the order in which sources were added to the monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SourceId(pub u16);

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
    /// Known not accessed since the window began.
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
    /// How many events it stands for, where the source samples. Counts in the event rate alone.
    pub weight: u32,
    /// Who says so.
    pub source: SourceId,
    /// On which CPU it happened, if known.
    pub cpu: Option<u32>,
    /// Which thread did it, if known.
    pub thread: Option<u32>,
    /// From which NUMA node it came, if known.
    pub node: Option<NodeId>,
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
            source: SourceId(0),
            cpu: None,
            thread: None,
            node: None,
        }
    }
}
