//! What Linux writes about memory and processes, or somebody who says that he is Linux.
#![no_main]

use damon_ops_vaddr::linux;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &[u8])| {
    let (word, text) = input;
    if let Ok(maps) = linux::parse_maps(text) {
        for m in &maps {
            let _ = (m.is_private_anonymous(), m.why_not_zappable());
        }
        let ranges: Vec<_> = maps.iter().map(|m| m.range).collect();
        if ranges.windows(2).all(|pair| pair[0].end() <= pair[1].start()) {
            let _ = linux::three_regions(&ranges);
        }
    }
    let _ = linux::parse_kernel_page_size(text, word);
    let _ = linux::parse_stat(text);
    let _ = (linux::parse_mems_allowed(text), linux::Policies::parse(text).at(word));
    let _ = linux::parse_uffd_features(text);
    let _ = linux::parse_pidfd(text);
    let _ = linux::parse_pidfd_names(text);
    let _ = linux::parse_huge_page_size(&String::from_utf8_lossy(text));

    let page = linux::Page::from_pagemap(word);
    assert!(page.is_mapped());
    let entry = linux::PagemapEntry::new(word);
    assert_eq!(entry.present(), page.any(linux::Page::PRESENT));
});
