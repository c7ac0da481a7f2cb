//! Tiering on a real kernel: `.ci/jobs/vm` runs this as root in a machine whose node 1 has no CPUs and is three times as slow.
//! What a subject knows of its own accesses is judged by where the kernel says that its pages are (`numa_maps`).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod beside;
mod cases;
mod kept;
mod kernel;
mod machine;
#[allow(dead_code, reason = "each test binary makes its part of these calls")]
#[path = "../../../damon-ops-vaddr/tests/own/raw.rs"]
mod raw;
mod run;
mod subject;
mod tenants;
mod tiering;
