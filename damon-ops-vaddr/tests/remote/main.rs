//! The backend for other processes on real processes: what it sees, who it takes for whom, and what it says where it
//! cannot. One binary, so that it runs as it is on any kernel (`.ci/vm`); it is its own workload.
//!
//! What takes root, page_idle or a machine of one's own says so where it is skipped.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

mod accuracy;
mod child;
mod conformance;
mod cost;
mod disturbed;
mod kernel;
mod life;
#[allow(dead_code, reason = "each test binary makes its part of these calls")]
#[path = "../own/raw.rs"]
mod raw;
mod refusals;
mod soak;
mod support;
