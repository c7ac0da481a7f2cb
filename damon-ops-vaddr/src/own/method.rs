//! The ways to see accesses to one's own memory, as tables: what a page's state asks for, and what it says.

use std::fmt;

use damon_core::{Seen, Sees};

use crate::linux::Page;
use crate::sys::Mode;

/// A way to see accesses to the memory of the own process.
///
/// Whatever takes a page out of the page table between its access and the check (reclaim, of shared memory) hides the
/// access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Shared memory: taken out of the page table (*zapped*) and registered for asynchronous write protection. What came
    /// back protected was read, what came back unprotected was written. Linux 6.7.
    ZapTracked,
    /// Shared memory: taken out of the page table. What came back was accessed; a read brings up to 64 KiB back, so at
    /// most one sample in each aligned 64 KiB is looked at. Any Linux.
    Zap,
    /// Private anonymous memory: asynchronous protection of reads and writes. Linux 7.3.
    RwpAsync,
    /// Private anonymous memory: asynchronous write protection; reads are invisible. Linux 6.7.
    WpAsync,
}

impl Method {
    /// All, those that see more first.
    pub const ALL: [Self; 4] = [Self::ZapTracked, Self::Zap, Self::RwpAsync, Self::WpAsync];

    /// What it sees.
    pub const fn sees(self) -> Sees {
        match self {
            Self::ZapTracked => Sees::ReadsAndWrites,
            Self::Zap | Self::RwpAsync => Sees::Accesses,
            Self::WpAsync => Sees::Writes,
        }
    }

    /// Does it need memory that may be zapped?
    pub const fn is_for_shared(self) -> bool {
        matches!(self, Self::ZapTracked | Self::Zap)
    }

    /// What its ranges are registered for.
    pub(crate) const fn mode(self) -> Option<Mode> {
        match self {
            Self::ZapTracked | Self::WpAsync => Some(Mode::Wp),
            Self::RwpAsync => Some(Mode::Rwp),
            Self::Zap => None,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ZapTracked => "zap + WP_ASYNC",
            Self::Zap => "zap + present",
            Self::RwpAsync => "RWP_ASYNC",
            Self::WpAsync => "WP_ASYNC",
        })
    }
}

/// What to do with transparent huge pages that only write protection can watch: the first write to a protected huge
/// page makes the kernel map its pages one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Leave them whole. Where a method would split them they cannot be checked: [`Seen::Unknown`].
    #[default]
    Keep,
    /// Watch them, whole at first: their first write after that splits the mapping.
    Split,
}

/// What was armed for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Armed {
    /// Nothing: it cannot be checked.
    No,
    /// Its page.
    Page,
    /// There was no page: whatever is there later was accessed.
    Empty,
    /// The huge page around it.
    Block,
    /// Its page, and reads of neighbours would bring it back.
    Blurred,
    /// Its page, unless it was part of a huge page, or not there.
    Unseen,
}

/// What arming a page takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) armed: Armed,
    pub(crate) zap: bool,
    pub(crate) protect: bool,
}

const fn step(armed: Armed, zap: bool, protect: bool) -> Step {
    Step { armed, zap, protect }
}

/// What arming `page` takes. `file`: it belongs to one. `was_huge`: its block was a huge page when it was last in the
/// page table.
pub(crate) fn plan(method: Method, page: Page, file: bool, was_huge: bool, huge_pages: HugePages) -> Step {
    let huge = page.all(Page::HUGE | Page::PRESENT);
    let there = page.any(Page::PRESENT | Page::SWAPPED);
    let written = page.any(Page::WRITTEN);
    match method {
        Method::ZapTracked | Method::WpAsync if !page.any(Page::WP_ALLOWED) => step(Armed::No, false, false),
        // A marker would make the kernel map the block page by page.
        Method::ZapTracked if huge => step(Armed::Block, true, false),
        Method::ZapTracked if was_huge && !there => step(Armed::Block, false, false),
        // The zap keeps the mark of a protected page, and a written or empty one gets it.
        Method::ZapTracked => step(Armed::Page, page.any(Page::PRESENT), written),
        Method::Zap => step(Armed::Page, page.any(Page::PRESENT), false),
        Method::WpAsync if huge && huge_pages == HugePages::Keep => step(Armed::No, false, false),
        Method::WpAsync if huge => step(Armed::Block, false, written),
        // Reading a missing page of a file would map it unprotected: it gets a marker.
        Method::WpAsync if there || file => step(Armed::Page, false, written),
        // Always, although it may be protected: it fails where the registration is gone, which a scan does not show.
        Method::RwpAsync if huge => step(Armed::Block, false, true),
        Method::RwpAsync if there => step(Armed::Page, false, true),
        // Marking what is not there would take page tables, and huge pages from the first access.
        Method::WpAsync | Method::RwpAsync => step(Armed::Empty, false, false),
    }
}

/// What `page` says about the time since it was armed.
pub(crate) fn seen(method: Method, armed: Armed, page: Page) -> Seen {
    let present = page.any(Page::PRESENT);
    let there = page.any(Page::PRESENT | Page::SWAPPED);
    let written = page.any(Page::WRITTEN);
    if armed == Armed::No || !page.is_mapped() {
        return Seen::Unknown;
    }
    match method {
        Method::ZapTracked | Method::WpAsync if !page.any(Page::WP_ALLOWED) => Seen::Unknown,
        Method::ZapTracked if armed == Armed::Block => {
            if present {
                Seen::Accessed
            } else {
                Seen::Idle
            }
        }
        Method::ZapTracked => match (present, written) {
            (true, true) => Seen::Written,
            (true, false) => Seen::Read,
            (false, false) => Seen::Idle,
            // Somebody dropped the mark with the page: hole punched, truncated.
            (false, true) => Seen::Unknown,
        },
        Method::Zap => {
            if present {
                Seen::Accessed
            } else {
                Seen::Idle
            }
        }
        Method::WpAsync if armed == Armed::Unseen && page.all(Page::HUGE | Page::PRESENT) => Seen::Unknown,
        // Reading untouched memory maps the zero page.
        Method::WpAsync => {
            if there && written && !page.any(Page::ZERO) {
                Seen::Written
            } else {
                Seen::Idle
            }
        }
        Method::RwpAsync if page.any(Page::ACCESSED) => Seen::Accessed,
        // Whatever came into a registered range is marked as accessed: this one is registered no more.
        Method::RwpAsync if armed == Armed::Empty && there => Seen::Unknown,
        Method::RwpAsync => Seen::Idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(categories: u64) -> Page {
        Page::from_scan(categories)
    }
    const WP: u64 = Page::WP_ALLOWED;
    const KEEP: HugePages = HugePages::Keep;

    #[test]
    fn a_page_that_is_still_armed_costs_nothing() {
        for (method, idle) in [
            (Method::ZapTracked, page(WP | Page::SWAPPED)),
            (Method::Zap, page(Page::WRITTEN)),
            (Method::WpAsync, page(WP | Page::PRESENT)),
            (Method::WpAsync, page(WP | Page::WRITTEN)),
            (Method::RwpAsync, page(0)),
        ] {
            let s = plan(method, idle, false, false, KEEP);
            assert!(!s.zap && !s.protect && s.armed != Armed::No, "{method}");
            assert_eq!(seen(method, s.armed, idle), Seen::Idle, "{method}");
        }
    }

    #[test]
    fn only_shared_methods_ever_zap() {
        for bits in 0..1 << 10 {
            for method in [Method::WpAsync, Method::RwpAsync] {
                for huge in [HugePages::Keep, HugePages::Split] {
                    assert!(!plan(method, page(bits), false, true, huge).zap);
                }
            }
        }
    }

    #[test]
    fn reads_and_writes_of_shared_memory_are_told_apart() {
        let of = |bits| seen(Method::ZapTracked, Armed::Page, page(WP | bits));
        assert_eq!(of(Page::PRESENT), Seen::Read);
        assert_eq!(of(Page::PRESENT | Page::WRITTEN), Seen::Written);
        assert_eq!(of(Page::SWAPPED), Seen::Idle);
        assert_eq!(of(Page::WRITTEN), Seen::Unknown);
    }

    #[test]
    fn what_is_not_mapped_or_no_longer_registered_is_unknown() {
        for method in Method::ALL {
            assert_eq!(seen(method, Armed::Page, Page::UNMAPPED), Seen::Unknown, "{method}");
            assert_eq!(seen(method, Armed::No, page(!0 >> 1)), Seen::Unknown, "{method}");
        }
        for method in [Method::ZapTracked, Method::WpAsync] {
            let lost = page(Page::PRESENT | Page::WRITTEN);
            assert_eq!(plan(method, lost, false, false, KEEP).armed, Armed::No, "{method}");
            assert_eq!(seen(method, Armed::Page, lost), Seen::Unknown, "{method}");
        }
        assert_eq!(seen(Method::RwpAsync, Armed::Empty, page(Page::PRESENT)), Seen::Unknown);
    }

    #[test]
    fn huge_pages_are_not_split_unless_asked() {
        let huge = page(WP | Page::PRESENT | Page::HUGE | Page::WRITTEN);
        assert_eq!(plan(Method::WpAsync, huge, false, false, KEEP), step(Armed::No, false, false));
        assert_eq!(plan(Method::WpAsync, huge, false, false, HugePages::Split), step(Armed::Block, false, true));
        assert_eq!(plan(Method::RwpAsync, huge, false, false, KEEP), step(Armed::Block, false, true));
        assert_eq!(plan(Method::ZapTracked, huge, false, false, KEEP), step(Armed::Block, true, false));
        // Once zapped it looks empty, and must not get a marker.
        let empty = page(WP | Page::WRITTEN);
        assert_eq!(plan(Method::ZapTracked, empty, true, true, KEEP), step(Armed::Block, false, false));
    }

    #[test]
    fn a_missing_page_of_a_file_is_marked_before_a_read_can_map_it() {
        let missing = page(WP | Page::WRITTEN);
        assert_eq!(plan(Method::WpAsync, missing, true, false, KEEP), step(Armed::Page, false, true));
        assert_eq!(plan(Method::WpAsync, missing, false, false, KEEP), step(Armed::Empty, false, false));
    }

    #[test]
    fn the_zero_page_is_no_write() {
        let zero = page(WP | Page::PRESENT | Page::WRITTEN | Page::ZERO);
        assert_eq!(seen(Method::WpAsync, Armed::Empty, zero), Seen::Idle);
    }
}
