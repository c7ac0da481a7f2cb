//! Physical memory on Linux for [`damon_core`].
//!
//! So far it tells what there is to watch: the [System RAM](system_ram) of a machine. Access checks by `page_idle`, page
//! flags and actions by reverse map belong here.
#![forbid(unsafe_code)]

mod ram;

pub use ram::{IomemError, parse_iomem, system_ram};
