//! What is refused, by name and with the way out.

use std::fs::File;
use std::sync::Arc;

use damon_core::{AddrRange, Sees};
use damon_ops_vaddr::{HugePages, Method, OpenError, Options, Own, PrivateMap, SharedMap, WatchError};

use crate::raw;
use crate::support::{PAGE, TARGET, lacks, own_of, own_with, spans};

#[test]
fn private_memory_is_never_zapped() {
    for method in [Method::ZapTracked, Method::Zap] {
        let Some(mut own) = own_with(method) else { continue };
        let range = raw::map(None, 4 * PAGE, raw::PRIVATE, None).unwrap();
        let e = raw::watch(&mut own, range).unwrap_err();
        assert!(matches!(e, WatchError::NotShared { .. }) && e.to_string().contains("would be lost"), "{e}");
        raw::unmap(range);
    }
}

#[test]
fn a_range_that_is_partly_private_or_unmapped_is_refused() {
    let Some(mut own) = own_with(Method::Zap) else { return };
    let range = raw::map(None, 8 * PAGE, raw::SHARED_ANONYMOUS, None).unwrap();
    raw::map(Some(range.start() + 4 * PAGE), PAGE, raw::PRIVATE, None).unwrap();
    assert!(matches!(raw::watch(&mut own, range), Err(WatchError::NotShared { .. })));
    raw::unmap(AddrRange::from_len(range.start() + 4 * PAGE, PAGE).unwrap());
    assert!(matches!(raw::watch(&mut own, range), Err(WatchError::NotMapped { .. })));
    let first = AddrRange::from_len(range.start(), 4 * PAGE).unwrap();
    drop(raw::watch(&mut own, first).unwrap());
    raw::unmap(range);
}

#[test]
fn rings_shared_with_the_kernel_are_refused() {
    let Some(mut own) = own_with(Method::Zap) else { return };
    match raw::io_uring_ring() {
        Ok((_ring, range)) => {
            let e = raw::watch(&mut own, range).unwrap_err();
            assert!(e.to_string().contains("ring"), "{e}");
            raw::unmap(range);
        }
        Err(e) => lacks(&format!("io_uring ({e})")),
    }
}

#[test]
fn huge_pages_of_hugetlbfs_are_refused() {
    let Some(mut own) = own_with(Method::Zap) else { return };
    match raw::map(None, 2 << 20, raw::SHARED_ANONYMOUS | libc::MAP_HUGETLB, None) {
        Ok(range) => {
            let e = raw::watch(&mut own, range).unwrap_err();
            assert!(matches!(e, WatchError::NotShared { .. }), "{e}");
            raw::unmap(range);
        }
        Err(e) => lacks(&format!("hugetlb pages ({e})")),
    }
}

#[test]
fn drivers_are_refused() {
    let Some(mut own) = own_with(Method::Zap) else { return };
    let range = raw::map(None, PAGE, raw::SHARED, Some(&File::open("/dev/null").unwrap()));
    // /dev/null cannot be mapped shared; /dev/mem needs root. What cannot be mapped cannot be watched.
    if let Ok(range) = range {
        assert!(raw::watch(&mut own, range).is_err());
        raw::unmap(range);
    }
}

#[test]
fn what_somebody_else_registered_is_theirs() {
    let Some(mut first) = own_of(&[Method::ZapTracked, Method::WpAsync], HugePages::Keep) else { return };
    let Some(mut second) = own_of(&[Method::ZapTracked, Method::WpAsync], HugePages::Keep) else { return };
    let map = Arc::new(SharedMap::new("taken", 1 << 16).unwrap());
    first.watch_shared(&map).unwrap();
    let e = second.watch_shared(&map).unwrap_err();
    assert!(matches!(e, WatchError::RangeOwned { .. }), "{e}");

    let private = PrivateMap::new(1 << 16).unwrap();
    first.watch_private(private.range()).unwrap();
    second.watch_private(private.range()).unwrap();
    let span = spans(&mut second)[0];
    assert_eq!(span.sees, Sees::Nothing);
    assert_eq!(second.capabilities().watched[0].why.as_deref(), Some("another userfaultfd has it"));
    // It is free again when its owner lets go.
    drop(first);
    assert_eq!(spans(&mut second)[0].sees, Sees::Writes);
    second.watch_shared(&map).unwrap();
}

#[test]
fn a_range_is_watched_once() {
    let Some(mut own) = own_of(&Method::ALL, HugePages::Keep) else { return };
    let map = Arc::new(SharedMap::new("once", 1 << 16).unwrap());
    own.watch_shared(&map).unwrap();
    let e = own.watch_shared(&map).unwrap_err();
    assert!(matches!(e, WatchError::Overlaps { .. }) && e.to_string().contains("watched already"), "{e}");
    let e = own.watch_private(map.range()).unwrap_err();
    assert!(matches!(e, WatchError::Overlaps { .. }), "{e}");
}

#[test]
fn shared_memory_is_not_watched_as_private() {
    let Some(mut own) = own_of(&Method::ALL, HugePages::Keep) else { return };
    let map = SharedMap::new("shared", 1 << 16).unwrap();
    let e = own.watch_private(map.range()).unwrap_err();
    assert!(matches!(e, WatchError::NotPrivate { .. }) && e.to_string().contains("/memfd:shared"), "{e}");
    let nowhere = AddrRange::new(PAGE, 2 * PAGE).unwrap();
    assert!(matches!(own.watch_private(nowhere), Err(WatchError::NotMapped { .. })));
}

#[test]
fn private_memory_that_no_method_sees_is_there_and_blind() {
    let Some(mut own) = own_with(Method::Zap) else { return };
    let private = PrivateMap::new(1 << 16).unwrap();
    own.watch_private(private.range()).unwrap();
    assert_eq!(spans(&mut own)[0].sees, Sees::Nothing);
    assert!(own.capabilities().to_string().contains("no method works"), "{}", own.capabilities());
}

#[test]
fn where_nothing_works_the_error_lists_what_was_tried_and_the_way_out() {
    let e = Own::with_options(TARGET, Options { methods: Vec::new(), ..Options::default() }).unwrap_err();
    let OpenError::NothingWorks(e) = e else { panic!("{e}") };
    assert_eq!(e.tried.len(), Method::ALL.len());
    if let Err(e) = Own::with_options(TARGET, Options { methods: vec![Method::RwpAsync], ..Options::default() }) {
        let text = e.to_string();
        assert!(text.contains("RWP_ASYNC") && text.contains("needs Linux 7.3"), "{text}");
    }
}

#[test]
fn a_map_of_no_bytes_or_too_many_is_refused() {
    assert!(SharedMap::new("none", 0).is_err() && PrivateMap::new(0).is_err());
    assert!(SharedMap::new("all", usize::MAX).is_err() && PrivateMap::new(usize::MAX).is_err());
    assert!(SharedMap::new("zero\0inside", 1).is_err());
}
