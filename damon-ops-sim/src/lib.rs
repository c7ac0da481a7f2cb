//! Simulated memory whose truth is known, on a virtual clock.
//!
//! ```text
//!  Workload ──paints──▶ Picture ──▶ SimMemory: Ops ──▶ Monitor ──▶ regions ─┐
//!  (at a time)          (truth)     (seeded draws)                          ├─▶ Score
//!                          └────────────────────────────────────────────────┘
//! ```
//!
//! | module | what for |
//! |---|---|
//! | [`memory`] | a backend whose checks are draws from a known access rate |
//! | [`machine`] | what is resident, swapped or on which node, and what acting on it costs |
//! | [`workload`] | who accesses what, how often, when: pieces that compose |
//! | [`scenario`] | workloads in JSON files, and running a monitor on them |
//! | [`score`] | how far a monitor's picture is from the truth |
//! | [`compare`] | is one algorithm better than another, and by more than noise |
//! | [`plan`] | tests as plans of described steps, in virtual time |
//! | [`plant`] | laws of what a size does to a metric, to tune on |
//! | [`faulty`] | any backend, with faults put in |
//! | [`tracer`] | any backend, with a trace of its calls |
//! | [`tiering`] | a machine with tiers of memory, and policies that place it |
//! | [`trace`] | memory traces of real programs, replayed into a monitor |
//! | [`conformance`] | a suite that any backend can be run against |
//!
//! Minutes of monitoring take milliseconds, and equal seeds give equal runs on every platform:
//!
//! ```
//! use core::time::Duration;
//! use damon_core::{AddrRange, Attrs, Instant, Monitor, TargetId, TargetSpec};
//! use damon_ops_sim::{Clock, SimMemory, SimTarget, memory::Mapping, workload::{Blocks, Heat}};
//!
//! let id = TargetId::new(0);
//! let memory_range = AddrRange::new(0, 1 << 30).unwrap();
//! let hot = AddrRange::new(0, 100 << 20).unwrap();
//!
//! let clock = Clock::new();
//! let mut memory = SimMemory::new(7, &clock);
//! let truth = Blocks::new(vec![Heat::reads(hot, 1_000.0)]);
//! memory.insert(id, SimTarget::new(vec![Mapping::new(memory_range)], truth)?);
//!
//! let mut monitor = Monitor::new(Attrs::default(), 7);
//! monitor.add_target(TargetSpec::new(id));
//! while clock.now() < Instant::ZERO + Duration::from_secs(60) {
//!     damon_ops_sim::window(&mut monitor, &mut memory, &clock)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod chance;
mod clock;
pub mod compare;
pub mod conformance;
pub mod faulty;
pub mod machine;
pub mod memory;
pub mod plan;
pub mod plant;
pub mod scenario;
pub mod score;
pub mod tiering;
pub mod trace;
pub mod tracer;
pub mod workload;

pub use clock::{Clock, window};
pub use faulty::Faulty;
pub use machine::Machine;
pub use memory::{SimMemory, SimTarget};
pub use scenario::{Scenario, run, run_with};
pub use score::Score;
pub use tracer::Tracer;
pub use workload::Workload;
