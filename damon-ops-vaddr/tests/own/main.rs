//! The backend for one's own memory on real memory: what it sees, that it never changes data, and what happens when
//! the memory changes under it. One binary, so that it runs as it is on any kernel (`.ci/vm`) and as any user.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

mod changes;
mod conformance;
mod fork;
mod huge;
mod integrity;
mod moves;
#[allow(dead_code, reason = "each test binary makes its part of these calls")]
mod raw;
mod refusals;
mod sees;
mod support;
mod unprivileged;
