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
//! | [`workload`] | who accesses what, how often, when: pieces that compose |
//! | [`scenario`] | workloads in JSON files, and running a monitor on them |
//! | [`score`] | how far a monitor's picture is from the truth |
//! | [`plan`] | tests as plans of described steps, in virtual time |
//! | [`faulty`] | any backend, with faults put in |
//! | [`tracer`] | any backend, with a trace of its calls |
//! | [`conformance`] | a suite that any backend can be run against |
//!
#![forbid(unsafe_code)]

mod chance;
mod clock;
pub mod conformance;
pub mod faulty;
pub mod memory;
pub mod plan;
pub mod scenario;
pub mod score;
pub mod tracer;
pub mod workload;

pub use clock::{Clock, window};
pub use faulty::Faulty;
pub use memory::{SimMemory, SimTarget};
pub use tracer::Tracer;
pub use workload::Workload;
