//! Who is watched: an address space, its ranges and its regions.

use alloc::vec::Vec;

use crate::addr::AddrRange;
use crate::ops::Span;
use crate::region::Region;

/// The name of a target within a monitor. Backends choose it; it need not be a pid, and a pid that is used again must
/// not get the old one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TargetId(u32);

impl TargetId {
    /// The target called `n`.
    pub const fn new(n: u32) -> Self {
        Self(n)
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A target as a person, or a backend, names it.
///
/// ```
/// use damon_core::{AddrRange, TargetId, TargetSpec};
/// let all = TargetSpec::new(TargetId::new(0));
/// let part = TargetSpec { ranges: vec![AddrRange::new(0, 1 << 30).unwrap()], ..TargetSpec::new(TargetId::new(1)) };
/// assert!(all.ranges.is_empty() && all.weight == 100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TargetSpec {
    /// Its name.
    pub id: TargetId,
    /// Targets of one group (a process tree, a cgroup) share what the group gets; a group gets what its heaviest
    /// member's weight says. By default all targets are in group 0, where only weights count.
    pub group: u32,
    /// The target's share where checks are scarce, relative to the others'. Default 100; 0 counts as 1.
    pub weight: u16,
    /// The smallest and the largest region of this target, in addresses. Default: the granule, and what
    /// `min_nr_regions` asks for. The smallest is rounded up to a power of two and to the granule.
    pub region_bytes: Option<(u64, u64)>,
    /// What of the target is watched; empty: all that the backend finds. Where the backend has nothing to say about
    /// the target at all, these are watched by reports alone ([`Sees::Reports`](crate::Sees::Reports)).
    pub ranges: Vec<AddrRange>,
}

impl TargetSpec {
    /// All of target `id`, in group 0, with weight 100.
    pub const fn new(id: TargetId) -> Self {
        Self { id, group: 0, weight: 100, region_bytes: None, ranges: Vec::new() }
    }
}

/// What happened to the set of targets, as the backend learned it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetEvent {
    /// A new one: a child process, a cgroup's new member. Joining twice is a change of the spec.
    Joined(TargetSpec),
    /// It has exited or left. Its regions go with it.
    Gone(TargetId),
    /// It is somebody else now (exec): its ranges are read again and its history is void.
    Replaced(TargetId),
}

/// One target of a monitor, with its regions.
#[derive(Debug)]
pub struct Target {
    pub(crate) spec: TargetSpec,
    pub(crate) spans: Vec<Span>,
    pub(crate) regions: Vec<Region>,
    /// Beside the regions, one each, where the attributes have probes; else empty.
    pub(crate) probe_hits: Vec<ProbeHits>,
}

impl Target {
    pub(crate) const fn new(spec: TargetSpec) -> Self {
        Self { spec, spans: Vec::new(), regions: Vec::new(), probe_hits: Vec::new() }
    }

    /// How it was named.
    pub const fn spec(&self) -> &TargetSpec {
        &self.spec
    }

    /// Its name.
    pub const fn id(&self) -> TargetId {
        self.spec.id
    }

    /// Its ranges as of the last update, aligned to the granule, each with what can be seen there.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Its regions: ascending, apart from each other, together exactly the spans.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// How often the samples of region `index` passed each probe; `None` without probes.
    pub fn probe_hits(&self, index: usize) -> Option<&ProbeHits> {
        self.probe_hits.get(index)
    }
}

/// How often samples of a region passed each of the monitor's probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProbeHits {
    /// In this aggregation.
    pub now: [u32; 8],
    /// In the one before.
    pub last: [u32; 8],
}
