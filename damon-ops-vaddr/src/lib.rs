//! Virtual memory on Linux as a backend of [`damon_core`]: which pages were touched, seen without privileges.
//!
//! ```text
//!  own/    Own: this process's memory, no privileges     ┐
//!  handed/ Handed: what a process hands over, no rights  │
//!  remote/ Remote: other processes' memory, as root      │
//!  file/   Files: one target for all mappings of a file  │
//!  group/  process trees, cgroups                        │
//!  linux/  what the kernel's files say: parsers, rules   ├─ safe
//!  source/ perf events, userfaultfd: reports             │
//!  sys/    mmap, madvise, userfaultfd, PAGEMAP_SCAN      ┘  the workspace's only `unsafe`
//! ```
//!
//! [`Own`] watches the process it lives in: memory it was given as a [`SharedMap`] with reads and writes told apart,
//! private anonymous memory with its writes or, where the kernel can, its reads too. Which of the kernel's ways work is
//! tried at run time; [`Own::capabilities`] says what was found, what is used where, and who is invisible to it.
//!
//! [`Remote`] watches other processes as root: single ones, trees, cgroups, as they come and go, exec and end. It goes by
//! idle flags, so it says too who disturbs those.
//!
//! ```
//! # #[cfg(target_os = "linux")] fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::{Arc, atomic::Ordering};
//! use damon_core::{Ops, Sample, Seen, TargetId, Want};
//! use damon_ops_vaddr::{Own, SharedMap};
//!
//! let cache = Arc::new(SharedMap::new("cache", 1 << 20)?);
//! let mut own = Own::new(TargetId::new(0))?;
//! own.watch_shared(&cache)?;
//!
//! let mut samples = [Sample::new(TargetId::new(0), cache.range().start())];
//! own.arm(&samples)?;
//! cache.atomics()[0].store(7, Ordering::Relaxed);
//! own.check(&mut samples, &Want::new(true, &[]))?;
//! assert!(samples[0].seen.is_access());
//! # Ok(()) }
//! # #[cfg(not(target_os = "linux"))] fn main() {}
//! ```
#![deny(unsafe_code)]

#[cfg(target_os = "linux")]
pub mod file;
mod group;
#[cfg(target_os = "linux")]
pub mod handed;
pub mod linux;
mod own;
pub mod remote;
pub mod source;
mod sys;

pub use own::{
    ActError, Capabilities, Forked, HugePages, Method, MethodReport, NothingWorks, OpenError, Options, Outcome, Own,
    OwnActor, OwnError, Stats, WatchError, Watched,
};
pub use remote::{Remote, RemoteActError, RemoteActor};
pub use sys::{Guard, PrivateMap, SharedMap};
