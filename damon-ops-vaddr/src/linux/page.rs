//! What the kernel says about one page: the categories of `PAGEMAP_SCAN`, and the same from a word of `pagemap`.
//!
//! Counterpart: `include/uapi/linux/fs.h`, `Documentation/admin-guide/mm/pagemap.rst`, Linux 7.3.

/// Categories of a page. None at all, [`Page::UNMAPPED`], is what an address that is in no mapping gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page(u64);

impl Page {
    /// No mapping is known at the address.
    pub const UNMAPPED: Self = Self(0);

    /// The mapping is registered for asynchronous write protection.
    pub const WP_ALLOWED: u64 = 1 << 0;
    /// Not write-protected: written since it was, or it never was. Meaningful with [`WP_ALLOWED`](Self::WP_ALLOWED).
    pub const WRITTEN: u64 = 1 << 1;
    /// In the page table.
    pub const PRESENT: u64 = 1 << 3;
    /// Something else than a page is in the page table: a swap entry, or the marker of write protection.
    pub const SWAPPED: u64 = 1 << 4;
    /// The zero page, which reading untouched private memory maps.
    pub const ZERO: u64 = 1 << 5;
    /// Part of a huge page that is mapped as one.
    pub const HUGE: u64 = 1 << 6;
    /// Not access-protected, in a mapping registered for it (Linux 7.3).
    pub const ACCESSED: u64 = 1 << 9;
    /// Not of the kernel: this page is in a mapping.
    const MAPPED: u64 = 1 << 63;

    /// From the categories that `PAGEMAP_SCAN` returned for a page, which is mapped then.
    pub const fn from_scan(categories: u64) -> Self {
        Self(categories | Self::MAPPED)
    }

    /// From a word of `pagemap`, of an address known to be mapped. It has nothing to say about huge pages, about the
    /// zero page and about registrations.
    pub const fn from_pagemap(word: u64) -> Self {
        let mut bits = Self::MAPPED;
        if word >> 63 & 1 == 1 {
            bits |= Self::PRESENT;
        }
        if word >> 62 & 1 == 1 {
            bits |= Self::SWAPPED;
        }
        if word >> 57 & 1 == 0 {
            bits |= Self::WRITTEN;
        }
        Self(bits)
    }

    /// Is it in a mapping?
    pub const fn is_mapped(self) -> bool {
        self.0 & Self::MAPPED != 0
    }

    /// Has it any of `categories`?
    pub const fn any(self, categories: u64) -> bool {
        self.0 & categories != 0
    }

    /// Has it all of `categories`?
    pub const fn all(self, categories: u64) -> bool {
        self.0 & categories == categories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pagemap_word_means_what_a_scan_would_say() {
        let present_and_protected = Page::from_pagemap(1 << 63 | 1 << 57 | 0x1234);
        assert_eq!(present_and_protected, Page::from_scan(Page::PRESENT));
        assert_eq!(Page::from_pagemap(0), Page::from_scan(Page::WRITTEN));
        assert_eq!(Page::from_pagemap(1 << 62 | 1 << 57), Page::from_scan(Page::SWAPPED));
    }

    #[test]
    fn unmapped_is_not_the_same_as_mapped_and_empty() {
        assert!(!Page::UNMAPPED.is_mapped() && Page::from_scan(0).is_mapped());
    }
}
