//! Physical memory, nodes and metrics on a real kernel: `.ci/jobs/vm` runs this as root in a machine that has page_idle and a
//! node without CPUs. Elsewhere each test that lacks something says so.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod acts;
mod child;
mod conforms;
mod latency;
mod metrics;
mod nodes;
#[allow(dead_code, reason = "each test binary makes its part of these calls")]
#[path = "../../../damon-ops-vaddr/tests/own/raw.rs"]
mod raw;
mod schemes;
mod sees;
