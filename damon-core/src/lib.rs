//! Data access monitoring without I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod addr;
mod adjust;
mod attrs;
pub mod control;
mod figures;
mod filter;
mod monitor;
mod ops;
mod region;
mod report;
mod rng;
mod snapshot;
mod target;
mod time;
mod units;

pub use addr::AddrRange;
pub use adjust::Adjust;
pub use adjust::classic::laws as classic;
pub use attrs::{Attrs, AttrsSpec, BadAttrs, IntervalsGoal, MAX_PROBES, Probe};
pub use filter::{Filter, PageFilter, passes};
pub use monitor::{EditError, Editor, Monitor, Next, Stats, Window};
pub use ops::{
    BackendId, DynError, DynOps, Erased, Extent, Fault, Ops, Router, RouterError, Sample, Seen, Sees, Span, Want,
    runs_by_target,
};
pub use region::Region;
pub use report::{Access, AccessKind, SourceId, Space};
pub use rng::Rng;
pub use snapshot::{RegionSnapshot, Snapshot, TargetSnapshot, View};
pub use target::{ProbeHits, Target, TargetEvent, TargetId, TargetSpec};
pub use time::Instant;
pub use units::{Bp, NodeId};
