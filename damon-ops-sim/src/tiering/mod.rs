//! A machine with tiers of memory, what runs on it, and policies that place memory side by side.
//!
//! ```text
//!  Spec (a file) ─▶ Host: nodes · blocks · LRU lists · programs ◀─ wake ─ Policy
//!                    │  a step each 100 ms: accesses ─▶ latency under load ─▶ speed        (none, NUMA balancing, TPP, DAMON, oracle)
//!                    └─ Backend: Ops + ApplyOps + Metrics ─▶ a monitor with schemes
//! ```
//!
//! The model:
//!
//! - Memory is kept in blocks of some MiB whose pages are accessed alike; what is counted and paid is pages of 4 KiB.
//! - A program is a closed loop: threads compute, wait for their accesses, and go on. How long an access takes depends on the
//!   node that the page is on, and on how much of the node's bandwidth is used ([`Costs::queueing`]).
//! - Whether a page was accessed is drawn: 1 − exp(−n) where n accesses were expected. Whoever looks sees the same bit.
//! - Hint faults, arming them, migrations in a fault and the flushing of TLBs take time from the threads of the program; checks, walks and migrations by
//!   the kernel's threads take CPUs, and where all CPUs are busy they take them from the programs. Migrations use bandwidth of
//!   both nodes. All of that slows programs down in the step after.
//!
//! It leaves out: caches beyond what "accesses that reach memory" says, huge pages, swap, contention for locks, and writes.
//!
//! ```
//! use damon_ops_sim::tiering::{Costs, Oracle, FirstTouch, Spec, run};
//! let spec: Spec = serde_json::from_str(r#"{
//!     "name": "small", "about": "an index behind a log", "block_mib": 4, "seconds": 60, "measure_from_s": 20, "cpus": 8,
//!     "nodes": [{"id": 0, "gib": 1, "kind": "dram"}, {"id": 1, "gib": 1, "kind": "cxl"}],
//!     "processes": [{"name": "db", "threads": 8, "cpu_ns": 500, "accesses": 5, "memory": [
//!         {"gib": 0.9, "share": 0.1, "pattern": {"kind": "uniform"}},
//!         {"gib": 0.5, "share": 0.9, "pattern": {"kind": "uniform"}}]}]}"#)?;
//! let none = run(&spec, Costs::default(), 1, &mut FirstTouch)?;
//! let limit = run(&spec, Costs::default(), 1, &mut Oracle::default())?;
//! assert!(limit.gain(&none) > 0.2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
mod bill;
mod costs;
mod exchange;
mod host;
mod load;
mod lru;
mod node;
mod pattern;
mod policy;
mod process;
mod run;
mod spec;
mod state;
mod step;

pub use backend::{Backend, HostError};
pub use bill::Bill;
pub use costs::Costs;
pub use host::{Host, NodeNow, ProgramNow};
pub use policy::{FirstTouch, NumaBalancing, Oracle, Policy, PolicyError, Tpp};
pub use run::{Outcome, Point, RunError, Throughput, all_dram, run};
pub use spec::{AreaSpec, Exchange, Kind, NodeSpec, Offline, PatternSpec, PhaseSpec, ProcessSpec, Spec, SpecError};

/// Bytes of a page.
const PAGE: u64 = 4096;
