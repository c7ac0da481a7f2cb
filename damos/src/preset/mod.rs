//! Monitoring and schemes for a purpose, ready to use: the kernel's modules with their parameters and defaults.
//!
//! Counterpart: `mm/damon/{reclaim,lru_sort,stat}.c` (Linux 7.3). Each preset is a plain struct whose default is the module's;
//! `plan` makes of it what a monitor and its schemes are made of, to be changed further or used as it is:
//!
//! | preset | purpose |
//! |---|---|
//! | [`Reclaim`] | page out what nobody uses, before memory is short |
//! | [`LruSort`] | tell reclaim beforehand what is hot and what is cold |
//! | [`Stat`] | only watch, for figures |
//! | [`tier`] | hot memory on fast nodes, cold memory on slow ones |
//!
//! Which memory is watched is not part of them: the modules watch all of physical memory, here it is up to the targets.
//!
//! ```
//! use std::time::Duration;
//! use damon_core::{Attrs, Monitor};
//! use damos::preset::Reclaim;
//!
//! let (attrs, schemes) = Reclaim { min_age: Duration::from_secs(30), ..Reclaim::default() }.plan();
//! let monitor = Monitor::new(Attrs::try_from(attrs)?, 1);
//! assert_eq!(schemes[0].quota.size, 128 << 20);
//! # let _ = monitor;
//! # Ok::<(), damon_core::BadAttrs>(())
//! ```

mod lru_sort;
mod monitoring;
mod reclaim;
mod stat;
pub mod tier;

pub use lru_sort::{LruSort, LruSortError};
pub use monitoring::Monitoring;
pub use reclaim::Reclaim;
pub use stat::Stat;

use core::ops::RangeInclusive;

/// Regions of at least a page, as the modules have it.
const SIZES: RangeInclusive<u64> = 4_096..=u64::MAX;
