//! What a process can do with memory that it handed over: everything shows as unknown or as gone, nothing hangs, and no
//! descriptor stays.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use damon_core::{Ops, Seen, Sees, TargetEvent};
use damon_ops_vaddr::Method;
use damon_ops_vaddr::handed::{Handed, Link, LinkError, Offer};

use crate::raw;
use crate::support::{
    Do, LIMIT, METHODS, Memory, PAGE, Peer, TARGET, accept, check, handed, lacks, listener, open_fds, samples, spans,
};

const PAGES: u64 = 64;

fn each() -> impl Iterator<Item = (Method, Handed, Peer)> {
    let both = METHODS.into_iter().flat_map(|method| [Memory::Private, Memory::Shared].map(|memory| (method, memory)));
    both.filter_map(|(method, memory)| handed(method, memory, PAGES).map(|(ops, peer)| (method, ops, peer)))
}

fn events(ops: &mut Handed) -> Vec<TargetEvent> {
    let mut out = Vec::new();
    ops.targets(&mut out).unwrap();
    out
}

/// A window in which every second page is written.
fn window(ops: &mut Handed, peer: &mut Peer) -> Vec<Seen> {
    let mut window = samples((0..8).map(|n| peer.page(n)));
    ops.arm(&window).unwrap();
    (0..8).step_by(2).for_each(|n| assert_eq!(peer.tell(Do::Write, n), 0));
    check(ops, &mut window);
    window.iter().map(|s| s.seen).collect()
}

fn is_right(seen: &[Seen]) -> bool {
    seen.iter().enumerate().all(|(i, s)| if i % 2 == 0 { s.is_access() } else { *s == Seen::Idle })
}

#[test]
fn unmapped_memory_is_unknown_and_then_has_no_ranges() {
    for (method, mut ops, mut peer) in each() {
        let mut window = samples((0..8).map(|n| peer.page(n)));
        ops.arm(&window).unwrap();
        peer.tell(Do::Unmap, 0);
        check(&mut ops, &mut window);
        assert!(window.iter().all(|s| s.seen == Seen::Unknown), "{method}: {window:?}");
        ops.arm(&window).unwrap();
        check(&mut ops, &mut window);
        assert!(window.iter().all(|s| s.seen == Seen::Unknown), "{method}");
        assert!(spans(&mut ops).is_empty(), "{method}");
        assert_eq!(ops.attend(), Link::Watching, "{method}");
    }
}

#[test]
fn memory_that_moved_or_lost_its_registration_is_unknown_until_the_next_update() {
    for what in [Do::Remap, Do::Unregister] {
        for (method, mut ops, mut peer) in each() {
            assert!(is_right(&window(&mut ops, &mut peer)), "{method}");
            let mut window_under_way = samples((0..8).map(|n| peer.page(n)));
            ops.arm(&window_under_way).unwrap();
            assert_eq!(peer.tell(what, 0), 0);
            check(&mut ops, &mut window_under_way);
            // Nobody touched it: what is not known may be idle, and never accessed. Without RWP nothing is protected any
            // more, which looks like an access where nothing tells of the registration.
            if method == Method::WpAsync {
                assert!(window_under_way.iter().all(|s| s.seen == Seen::Unknown), "{what:?} {window_under_way:?}");
            }
            ops.arm(&window_under_way).unwrap();
            check(&mut ops, &mut window_under_way);
            assert!(window_under_way.iter().all(|s| s.seen == Seen::Unknown), "{method} {what:?}");
            spans(&mut ops);
            if matches!(what, Do::Unregister) {
                assert!(is_right(&window(&mut ops, &mut peer)), "{method}");
            }
        }
    }
}

#[test]
fn memory_that_is_registered_elsewhere_is_seen_no_more_and_said() {
    for (method, mut ops, mut peer) in each() {
        peer.tell(Do::Unregister, 0);
        assert_eq!(peer.tell(Do::RegisterElsewhere, 0), 0);
        // Registered for the same, it cannot be told from one's own before the next update.
        let mut window_under_way = samples([peer.page(0)]);
        ops.arm(&window_under_way).unwrap();
        check(&mut ops, &mut window_under_way);
        assert!(!window_under_way[0].seen.is_access(), "{method}");
        ops.arm(&[]).unwrap();
        assert!(spans(&mut ops).iter().all(|s| s.sees == Sees::Nothing), "{method}");
        assert!(ops.watched().all(|w| w.why.is_some_and(|why| why.contains("another userfaultfd"))));
        peer.tell(Do::UnregisterElsewhere, 0);
        assert!(spans(&mut ops).iter().all(|s| s.sees == method.sees()));
        assert!(is_right(&window(&mut ops, &mut peer)), "{method}");
    }
}

#[test]
fn a_process_that_ends_it_execs_or_dies_is_gone_once_and_no_error() {
    for what in [Do::Drop, Do::Exec, Do::Exit] {
        for (method, mut ops, mut peer) in each() {
            let mut window = samples((0..8).map(|n| peer.page(n)));
            ops.arm(&window).unwrap();
            peer.order(what, 0);
            let started = Instant::now();
            loop {
                check(&mut ops, &mut window);
                ops.arm(&window).unwrap();
                let ranges = spans(&mut ops);
                let events = events(&mut ops);
                if !events.is_empty() {
                    assert_eq!(events, [TargetEvent::Gone(TARGET)], "{method} {what:?}");
                    break;
                }
                assert!(started.elapsed() < LIMIT, "{method} {what:?} is never seen: {ranges:?}");
            }
            assert!(events(&mut ops).is_empty() && spans(&mut ops).is_empty(), "{method} {what:?}");
            ops.arm(&window).unwrap();
            window = samples([peer.page(0)]);
            check(&mut ops, &mut window);
            assert_eq!((window[0].seen, ops.attend()), (Seen::Unknown, Link::Ended), "{method} {what:?}");
            assert!(ops.broke().is_none());
        }
    }
}

#[test]
fn whoever_breaks_the_protocol_later_is_watched_no_more() {
    let garbage = [7u8; 32];
    // More requests than answers fit, none of them read.
    let release = [2u64 << 32, 0, PAGE, 0].map(u64::to_ne_bytes).concat();
    for (bytes, times) in [(&garbage[..], 1), (&release[..], 100_000)] {
        let (listener, addr) = listener();
        let (orders, theirs) = UnixStream::pair().unwrap();
        let pid = raw::fork(|| {
            let Ok(stream) = UnixStream::connect_addr(&addr) else { return };
            let Ok(mut same) = stream.try_clone() else { return };
            let Ok(offer) = Offer::new() else { return };
            let lent = offer.lend(stream, LIMIT);
            for _ in 0..times {
                if same.write_all(bytes).is_err() {
                    break;
                }
            }
            drop(lent);
            let _ = std::io::Read::read(&mut &theirs, &mut [0]);
        });
        let mut ops = accept(&listener).unwrap();
        let started = Instant::now();
        while ops.attend() != Link::Ended {
            assert!(started.elapsed() < LIMIT);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(matches!(ops.broke(), Some(LinkError::Protocol(_))), "{:?}", ops.broke());
        assert_eq!(events(&mut ops), [TargetEvent::Gone(TARGET)]);
        drop(orders);
        raw::kill_and_wait(pid);
    }
}

#[test]
fn when_the_monitor_goes_the_memory_is_its_owners_alone() {
    for (method, ops, mut peer) in each() {
        let mut ops = ops;
        ops.arm(&samples((0..8).map(|n| peer.page(n)))).unwrap();
        drop(ops);
        // Registered nowhere, so another userfaultfd can have it; and nothing waits.
        assert_eq!(peer.tell(Do::RegisterElsewhere, 0), 0, "{method}");
        assert_eq!(peer.tell(Do::WriteAll, PAGES), 0, "{method}");
    }
}

#[test]
fn no_descriptor_stays_open() {
    let _turn = listener();
    let before = open_fds();
    for _ in 0..20 {
        for what in [Do::Drop, Do::Exit] {
            let Some((mut ops, mut peer)) = handed(Method::WpAsync, Memory::Private, 4) else {
                return lacks("WP_ASYNC");
            };
            peer.order(what, 0);
            events(&mut ops);
        }
    }
    // Tests beside this one open files, too, and close them; forty that were left open stay.
    let started = std::time::Instant::now();
    while open_fds() > before {
        assert!(started.elapsed().as_secs() < 10, "{} descriptors, and {before} before", open_fds());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
