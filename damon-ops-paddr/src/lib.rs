//! Physical memory on Linux for [`damon_core`], and what a node is made of.
//!
//! ```text
//!  metrics/  HostMetrics: what goals and watermarks are steered by           ┐ anybody may
//!  node/     Topology: nodes, tiers; memory blocks, zones                    ┘ read these
//!  area      Area: all memory, a node's, given ranges, as blocks come and go ┐
//!  watch/    Paddr: what is accessed, by the idle flags of frames            │ root
//!  act/      PaddrActor: through the processes that map a frame              ┘
//! ```
//!
//! A frame belongs to nobody: it is watched whoever maps it, one sample for all of them. To act on it, somebody who maps it
//! is looked for. `docs/paddr.md` tells what is seen, what it costs and what cannot be done.
#![forbid(unsafe_code)]

mod act;
mod area;
mod files;
mod metrics;
mod node;
mod ram;
mod watch;

pub use act::{ActError, ActorError, ActorOptions, Candidates, NotApplied, PaddrActor, Scanned};
pub use area::{Area, AreaError};
pub use files::ReadError;
pub use metrics::{CgroupError, HostMetrics, cgroup_by_inode, cgroup2};
pub use node::{Block, Node, Performance, Tier, TierSource, Topology, memory_blocks, parse_zones, zones};
pub use ram::{IomemError, parse_iomem, system_ram};
pub use watch::{Capabilities, Facility, OpenError, Options, Paddr, PaddrError, WatchError};

const fn send_and_sync<T: Send + Sync>() {}
const _: () = {
    send_and_sync::<HostMetrics>();
    send_and_sync::<Paddr>();
    send_and_sync::<PaddrActor>();
};
