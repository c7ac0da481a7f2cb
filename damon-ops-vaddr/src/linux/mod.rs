//! What Linux says about memory in its files: parsers of bytes, readers of paths, and the kernel's rules about ranges.
//!
//! Parsers take `&[u8]` or `&str` and know no file; readers take the path, which a test replaces.

pub mod act;
mod clear_refs;
mod disturbance;
mod fdinfo;
mod filters;
mod kpage;
pub mod latency;
mod layout;
mod list;
mod maps;
mod page;
mod page_idle;
mod pagemap;
mod policy;
mod process;
mod resident;
mod smaps;
mod thp;
mod three_regions;
mod words;

pub use crate::sys::{Pidfd, page_size};
pub use clear_refs::{ClearRefs, Cleared, Referenced, TooOften, parse_referenced};
pub use disturbance::{Disturbance, Disturbances};
pub use fdinfo::{parse_pidfd, parse_pidfd_names, parse_uffd_features};
pub use filters::{FilterError, PageFilters, Whereabouts};
pub use kpage::{Folio, KPageCgroup, KPageCount, KPageFlags, PageFlags, Pfn};
pub use layout::Layout;
pub use list::parse_list;
pub use maps::{Device, Mapping, MapsError, Perms, parse_maps, read_maps};
pub use page::Page;
pub use page_idle::PageIdle;
pub use pagemap::{PagemapEntry, ProcessPagemap};
pub use policy::{Policies, Policy, parse_mems_allowed};
pub use process::{Image, Process, ProcessOpenError, parse_stat};
pub use resident::Resident;
pub use smaps::{kernel_page_size, parse_kernel_page_size};
pub use thp::{DEFAULT_HUGE_PAGE, huge_page_size, parse_huge_page_size};
pub use three_regions::{ThreeRegionsError, three_regions};
pub use words::FileError;
#[cfg(test)]
pub(crate) use words::fake;
