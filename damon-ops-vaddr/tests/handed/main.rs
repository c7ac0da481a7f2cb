//! Memory that another process hands over, and files whoever maps them, on real memory: what is seen, how it pauses, and
//! what a hostile or dying process can do. One binary, so that it runs as it is on any kernel (`.ci/vm`).
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

mod accuracy;
mod coarse;
mod conformance;
mod file;
mod hello;
#[allow(dead_code, reason = "each test binary asks it for its part")]
#[path = "../remote/kernel.rs"]
mod kernel;
#[allow(dead_code, reason = "each test binary makes its part of these calls")]
#[path = "../own/raw.rs"]
mod raw;
mod safety;
mod support;
mod vmm;
