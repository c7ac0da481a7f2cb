//! DAMON (Data Access MONitor) without I/O: learns which memory is accessed, how often and since when, at a cost that is
//! bounded by a number of checks instead of the size of memory.
//!
//! ```text
//!         begin(now, &mut ops) ──▶ next                 end(now, &mut ops) ──▶ Window
//!   ┌──── tune · reset · split · refit ┐   sleep   ┌─ check · take reports · count · merge ─┐
//!   │ (only if the last window closed  │ ────────▶ │                                        │──▶ the gap
//!   │  an aggregation), then arm       │           └────────────────────────────────────────┘
//!   └──────────────────────────────────┘            in the gap the regions are a finished snapshot:
//!                                                    look, edit, commit
//! ```
//!
//! A [`Monitor`] is a value that its owner steps with the time and a borrowed backend ([`Ops`]). It has no clock, no
//! thread and no file, so the same code watches a process, physical memory, a simulation, or a cache that reports its
//! own hits. Memory is divided into [regions](Region) whose bytes are assumed to be accessed alike; a window checks one
//! address of each; an aggregation of windows makes counts; neighbours of like counts are merged and regions are split, so
//! that the division follows the accesses.
//!
//! | to | there is |
//! |---|---|
//! | watch | [`Monitor`], [`AttrsSpec`], [`Ops`], [`TargetSpec`] |
//! | report accesses | [`Monitor::add_source`], [`Reporter`], [`Access`] |
//! | look | [`View`], [`Snapshot`], [`Region`] |
//! | edit | [`Editor`] |
//! | combine backends | [`Router`], [`Erased`], [`DynOps`] |
//! | check the arithmetic | [`control`], [`classic`] |
//!
//! The words are those of the Linux kernel's DAMON, and with [`Adjust::Classic`] so are the decisions. Equal
//! attributes, seeds and inputs give equal outputs on every platform.
//!
//! The feature `serde` (off by default) reads and writes [`Snapshot`], [`AttrsSpec`] and [`TargetSpec`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod act;
mod addr;
mod adjust;
mod attrs;
pub mod control;
mod figures;
mod filter;
mod metrics;
mod monitor;
mod ops;
mod region;
mod report;
mod rng;
mod sight;
mod snapshot;
mod target;
mod time;
mod units;

pub use act::{Action, Applied, ApplyOps, Dest, DynApplyOps, Request, Unsupported};
pub use addr::AddrRange;
pub use adjust::classic::laws as classic;
pub use attrs::{Adjust, Attrs, AttrsSpec, BadAttrs, IntervalsGoal, MAX_PROBES};
pub use filter::{Filter, PageFilter, Probe, passes};
pub use metrics::{Metric, MetricError, Metrics, MetricsFn};
pub use monitor::{EditError, Editor, Monitor, Next, Stats, Window};
pub use ops::{BackendId, DynError, DynOps, Erased, Fault, Ops, Router, RouterError, Sample, Want, runs_by_target};
pub use region::Region;
pub use report::{
    Access, AccessKind, Events, MAX_NODES, ReportFilter, Reporter, Source, SourceCounts, SourceId, SourceSpec,
};
pub use rng::Rng;
pub use sight::{Extent, Seen, Sees, Span};
pub use snapshot::{RegionSnapshot, Snapshot, SourceSnapshot, TargetSnapshot, View};
pub use target::{ProbeHits, Space, Target, TargetEvent, TargetId, TargetSpec};
pub use time::Instant;
pub use units::{Bp, NodeId};

const fn send_and_sync<T: Send + Sync>() {}
const _: () = {
    send_and_sync::<Monitor>();
    send_and_sync::<Snapshot>();
    send_and_sync::<DynError>();
    send_and_sync::<RouterError>();
};
