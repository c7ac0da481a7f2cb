//! What is seen: every access of the right kind, and nothing else.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use damon_core::{Extent, Filter, Ops, PageFilter, Probe, Rng, Seen, Sees, Want};
use damon_ops_vaddr::{Method, Own, SharedMap};

use crate::raw;
use crate::support::{Memory, PAGE, TARGET, check, lacks, own_with, samples, spans, watched};

/// What a method says of a page that was left alone, read, written.
fn expected(method: Method, touch: u64) -> Seen {
    match (method.sees(), touch) {
        (Sees::ReadsAndWrites, 1) => Seen::Read,
        (Sees::ReadsAndWrites | Sees::Writes, 2) => Seen::Written,
        (Sees::Accesses, 1 | 2) => Seen::Accessed,
        _ => Seen::Idle,
    }
}

/// Random pages of `memory` are left alone, read or written in each of several windows, every `stride`th being sampled.
fn exact(own: &mut Own, memory: &Memory, method: Method, stride: u64) {
    let pages = memory.range().size() / PAGE;
    let mut rng = Rng::new(1);
    let mut wrong = 0;
    for _ in 0..5 {
        let mut window = samples((0..pages).step_by(stride as usize).map(|n| memory.addr(n)));
        own.arm(&window).unwrap();
        let touches: Vec<u64> = window.iter().map(|_| rng.below(3)).collect();
        for (s, touch) in window.iter().zip(&touches) {
            match touch {
                1 => drop(std::hint::black_box(memory.at(s.addr).load(Relaxed))),
                2 => drop(memory.at(s.addr).fetch_add(1, Relaxed)),
                _ => {}
            }
        }
        check(own, &mut window);
        wrong += window.iter().zip(&touches).filter(|(s, touch)| s.seen != expected(method, **touch)).count();
        assert!(window.iter().all(|s| s.extent == Extent::of(PAGE) || method == Method::Zap));
    }
    // Reclaim that unmaps a page between its access and the check hides the access: one in a million samples on a
    // machine where DAMON_RECLAIM is at work.
    let taken = 5 * pages / stride;
    assert!(wrong as u64 * 10_000 <= taken, "{wrong} of {taken} samples were seen wrongly by {method}");
}

#[test]
fn reads_and_writes_of_shared_memory_are_told_apart_without_a_miss() {
    if let Some((mut own, memory)) = watched(Method::ZapTracked, 8_192) {
        exact(&mut own, &memory, Method::ZapTracked, 1);
    }
}

#[test]
fn zapping_alone_sees_one_sample_in_64_kib_exactly() {
    if let Some((mut own, memory)) = watched(Method::Zap, 8_192) {
        exact(&mut own, &memory, Method::Zap, 16);
        let mut two = samples([memory.addr(0), memory.addr(1)]);
        own.arm(&two).unwrap();
        check(&mut own, &mut two);
        assert_eq!((two[0].seen, two[1].seen), (Seen::Idle, Seen::Unknown));
    }
}

#[test]
fn writes_to_private_memory_are_seen_without_a_miss() {
    if let Some((mut own, memory)) = watched(Method::WpAsync, 4_096) {
        exact(&mut own, &memory, Method::WpAsync, 1);
    }
}

#[test]
fn reads_of_private_memory_are_seen_without_a_miss_where_the_kernel_can() {
    if let Some((mut own, memory)) = watched(Method::RwpAsync, 4_096) {
        exact(&mut own, &memory, Method::RwpAsync, 1);
    }
}

#[test]
fn memory_that_was_never_touched_is_idle_until_it_is() {
    for method in Method::ALL {
        let Some(mut own) = own_with(method) else { continue };
        let memory = if method.is_for_shared() {
            let map = Arc::new(SharedMap::new("empty", 4 << 20).unwrap());
            own.watch_shared(&map).unwrap();
            Memory::Shared(map)
        } else {
            let map = damon_ops_vaddr::PrivateMap::new(4 << 20).unwrap();
            own.watch_private(map.range()).unwrap();
            Memory::Private(map)
        };
        let mut window = samples([memory.addr(100), memory.addr(300), memory.addr(500)]);
        own.arm(&window).unwrap();
        memory.read(300);
        memory.write(500);
        check(&mut own, &mut window);
        let seen: Vec<_> = window.iter().map(|s| s.seen).collect();
        assert_eq!(seen, [0, 1, 2].map(|touch| expected(method, touch)), "{method}");
    }
}

#[test]
fn accesses_of_the_kernel_are_seen_and_served() {
    for method in Method::ALL {
        let Some((mut own, memory)) = watched(method, 64) else { continue };
        let mut window = samples([memory.addr(1), memory.addr(20), memory.addr(40)]);
        own.arm(&window).unwrap();
        let zero = File::open("/dev/zero").unwrap();
        let null = File::create("/dev/null").unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        // /dev/null reads nothing, a socket copies.
        let _ = raw::kernel_reads(&null, memory.addr(1), 8);
        near.write_all(&[7; 8]).unwrap();
        let socket = File::from(OwnedFd::from(far));
        assert_eq!(raw::kernel_writes(&socket, memory.addr(40), 8).unwrap(), 8, "{method}");
        assert_eq!(raw::kernel_reads(&socket, memory.addr(20), 8).unwrap(), 8, "{method}");
        assert_eq!(raw::kernel_writes(&zero, memory.addr(40) + 8, 8).unwrap(), 8, "{method}");
        check(&mut own, &mut window);
        let seen: Vec<_> = window.iter().map(|s| s.seen).collect();
        assert_eq!(seen, [0, 1, 2].map(|touch| expected(method, touch)), "{method}");
        assert_eq!(memory.page(40).load(Relaxed), u64::from_ne_bytes([7; 8]));
    }
}

#[test]
fn a_mapped_file_is_watched_without_losing_what_is_written() {
    let Some(mut own) = own_with(Method::ZapTracked) else { return };
    let path = std::env::temp_dir().join(format!("damon-own-{}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    file.set_len(64 * PAGE).unwrap();
    let range = raw::map(None, 64 * PAGE, raw::SHARED, Some(&file)).unwrap();
    let guard = raw::watch(&mut own, range).unwrap();
    let addr = |n: u64| range.start() + n * PAGE;
    for round in 1..=3 {
        let mut window = samples((0..64).map(addr));
        own.arm(&window).unwrap();
        raw::write(addr(5), round);
        raw::read(addr(9));
        check(&mut own, &mut window);
        assert_eq!((window[5].seen, window[9].seen, window[12].seen), (Seen::Written, Seen::Read, Seen::Idle));
    }
    drop(guard);
    raw::unmap(range);
    let mut word = [0; 8];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut word, 5 * PAGE).unwrap();
    assert_eq!(u64::from_ne_bytes(word), 3);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn locked_memory_is_watched_too() {
    for method in Method::ALL {
        let Some((mut own, memory)) = watched(method, 16) else { continue };
        if let Err(e) = raw::lock_in_memory(memory.range()) {
            lacks(&format!("leave to lock memory ({e})"));
            continue;
        }
        let mut window = samples([memory.addr(3)]);
        own.arm(&window).unwrap();
        memory.write(3);
        check(&mut own, &mut window);
        assert_eq!(window[0].seen, expected(method, 2), "{method}");
        own.arm(&window).unwrap();
        check(&mut own, &mut window);
        assert_eq!((window[0].seen, memory.page(3).load(Relaxed)), (Seen::Idle, 2), "{method}");
    }
}

#[test]
fn idle_pages_are_not_armed_again() {
    for method in [Method::ZapTracked, Method::Zap, Method::WpAsync] {
        let Some((mut own, memory)) = watched(method, 4_096) else { continue };
        let window = samples((0..4_096).step_by(16).map(|n| memory.addr(n)));
        own.arm(&window).unwrap();
        let first = own.stats();
        own.arm(&window).unwrap();
        let second = own.stats();
        assert_eq!((first.armed, first.already_armed), (256, 0), "{method}");
        assert_eq!((second.armed, second.already_armed), (256, 256), "{method}");
    }
}

#[test]
fn neighbours_share_system_calls() {
    let Some((mut own, memory)) = watched(Method::ZapTracked, 4_096) else { return };
    let mut window = samples((1_000..1_064).map(|n| memory.addr(n)));
    own.arm(&window).unwrap();
    // One look, one zap, one protection.
    assert_eq!(own.stats().syscalls, 3);
    check(&mut own, &mut window);
    assert_eq!(own.stats().syscalls, 4);
}

#[test]
fn found_memory_holds_the_heap_and_is_named() {
    for method in [Method::WpAsync, Method::RwpAsync] {
        let Some(mut own) = own_with(method) else { continue };
        let buffer = vec![1u64; 1 << 20];
        own.watch_found().unwrap();
        let addr = buffer.as_ptr() as u64;
        let span = spans(&mut own).into_iter().find(|s| s.range.contains(addr)).unwrap();
        assert_eq!(span.sees, method.sees());
        assert!(own.name_of(addr).is_some_and(|name| name.starts_with('[')), "{:?}", own.name_of(addr));
        let table = own.capabilities().to_string();
        assert!(table.contains(&method.to_string()) && table.contains("never seen"), "{table}");
    }
}

#[test]
fn attributes_of_pages_are_told() {
    let anon = |matching| Probe { filters: vec![Filter { page: PageFilter::Anon, matching, allow: true }], weight: 0 };
    let size = PageFilter::HugepageSize { min: PAGE, max: PAGE };
    let small = Probe { filters: vec![Filter { page: size, matching: true, allow: true }], weight: 0 };
    let unknowable = PageFilter::Memcg(1);
    let unknowable = Probe { filters: vec![Filter { page: unknowable, matching: false, allow: true }], weight: 0 };
    for method in [Method::ZapTracked, Method::WpAsync] {
        let Some((mut own, memory)) = watched(method, 16) else { continue };
        let mut window = samples([memory.addr(2)]);
        let probes = [anon(true), anon(false), small.clone(), unknowable.clone()];
        own.check(&mut window, &Want::new(false, &probes)).unwrap();
        let expected = if method == Method::WpAsync { 0b101 } else { 0b110 };
        assert_eq!((window[0].seen, window[0].attrs, window[0].target), (Seen::Unknown, expected, TARGET));
    }
}
