//! How large a transparent huge page is here.

use std::path::Path;

/// What is taken where the kernel does not say: the size on x86-64 and on arm64 with 4 KiB pages.
pub const DEFAULT_HUGE_PAGE: u64 = 2 << 20;

/// The content of `hpage_pmd_size`: bytes, a power of two.
///
/// ```
/// use damon_ops_vaddr::linux::parse_huge_page_size;
/// assert_eq!(parse_huge_page_size("2097152\n"), Some(2 << 20));
/// assert_eq!(parse_huge_page_size("3"), None);
/// ```
pub fn parse_huge_page_size(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|n: &u64| n.is_power_of_two())
}

/// The size of a transparent huge page in bytes, as the file system at `sys` (usually `/sys`) has it.
pub fn huge_page_size(sys: &Path) -> u64 {
    std::fs::read_to_string(sys.join("kernel/mm/transparent_hugepage/hpage_pmd_size"))
        .ok()
        .and_then(|text| parse_huge_page_size(&text))
        .unwrap_or(DEFAULT_HUGE_PAGE)
}
