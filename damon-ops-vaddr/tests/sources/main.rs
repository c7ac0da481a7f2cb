//! Sources of reports on a real kernel: whole processes, whole threads.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod perf;
mod uffd;
