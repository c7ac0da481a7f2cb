//! Acting on other processes for real: what each action does to a child's memory, that its data stays, what is refused and
//! what is left alone. One binary, so that it runs as it is on any kernel (`.ci/vm`) and as any user.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

mod actor;
mod calls;
mod child;
mod conformance;
mod denied;
mod filters;
mod guard;
#[allow(dead_code, reason = "each test binary makes its part of these calls")]
#[path = "../own/raw.rs"]
mod raw;
mod reclaim;
mod stays;
mod support;
