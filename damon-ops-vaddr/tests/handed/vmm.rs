//! A VMM's case: a guest's memory in a memfd, a userfaultfd of the VMM's own, and pauses for a migration or a snapshot.

use std::time::Duration;

use damon_core::{AddrRange, Attrs, AttrsSpec, Instant, Monitor, Next, Ops, Seen, Sees, TargetSpec, Window};
use damon_ops_vaddr::Method;
use damon_ops_vaddr::handed::{AcceptError, Handed, Link, Offer};

use crate::raw;
use crate::support::{
    Do, METHODS, Memory, Peer, TARGET, accept, check, handed, lacks, listener, registered, samples, spans,
};

const WP: u64 = 1 << 1;
const MINOR: u64 = 1 << 2;
const MINOR_SHMEM: u64 = 1 << 10;
const WP_SHMEM: u64 = 1 << 12;
const WP_ASYNC: u64 = 1 << 15;
const PAGES: u64 = 64;

/// Asks the peer for something and attends until it has its answer.
fn ask(ops: &mut Handed, peer: &mut Peer, what: Do) -> u64 {
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                ops.attend();
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let answer = peer.tell(what, 0);
        done.store(true, std::sync::atomic::Ordering::Release);
        answer
    })
}

#[test]
fn a_userfaultfd_for_post_copy_alone_is_refused() {
    let (ops, _peer) = registered(MINOR_SHMEM, MINOR, 8);
    let error = ops.unwrap_err();
    assert!(matches!(error, AcceptError::Synchronous { .. }), "{error}");
}

#[test]
fn memory_that_another_userfaultfd_has_is_range_owned() {
    let (listener, addr) = listener();
    let mut other = None;
    let peer = Peer::start(8, Memory::Shared, &addr, |range| {
        let fd = raw::userfaultfd(WP_ASYNC | WP_SHMEM).ok()?;
        raw::uffd_register(&fd, range, WP).ok()?;
        other = Some(fd);
        Some(Offer::new().ok()?.range(range))
    });
    let error = accept(&listener).unwrap_err();
    assert!(matches!(error, AcceptError::RangeOwned { range } if range == peer.range), "{error}");
}

#[test]
fn released_memory_can_be_had_by_another_userfaultfd_and_is_taken_back_when_that_is_done() {
    for method in METHODS {
        let Some((mut ops, mut peer)) = handed(method, Memory::Shared, PAGES) else { continue };
        let before = spans(&mut ops);
        assert_eq!(peer.tell(Do::RegisterElsewhere, 0), 1, "{method}: it is watched");
        assert_eq!(ask(&mut ops, &mut peer, Do::Release), 0, "{method}");
        assert_eq!(ops.attend(), Link::Released);
        assert_eq!(peer.tell(Do::RegisterElsewhere, 0), 0, "{method}: it is released");
        assert_eq!(spans(&mut ops), before, "{method}: what is known must not go");
        let mut window = samples([peer.page(1)]);
        ops.arm(&window).unwrap();
        check(&mut ops, &mut window);
        assert_eq!(window[0].seen, Seen::Unknown, "{method}");
        assert_eq!(ask(&mut ops, &mut peer, Do::TakeBack), 1, "{method}: it is still the other's");
        assert_eq!(ops.attend(), Link::Released);
        peer.tell(Do::UnregisterElsewhere, 0);
        assert_eq!(ask(&mut ops, &mut peer, Do::TakeBack), 0, "{method}");
        assert_eq!((ops.attend(), spans(&mut ops)), (Link::Watching, before), "{method}");
        let mut window = samples([peer.page(1), peer.page(2)]);
        ops.arm(&window).unwrap();
        peer.tell(Do::Write, 2);
        check(&mut ops, &mut window);
        assert_eq!((window[0].seen, window[1].seen.is_access()), (Seen::Idle, true), "{method}");
    }
}

#[test]
fn a_part_is_released_and_the_rest_is_watched_on() {
    let Some((mut ops, mut peer)) = handed(Method::WpAsync, Memory::Private, PAGES) else { return };
    let part = AddrRange::new(peer.page(8), peer.page(16)).unwrap();
    let before = spans(&mut ops);
    ops.release(part);
    let mut window = samples([peer.page(7), peer.page(8), peer.page(15), peer.page(16)]);
    ops.arm(&window).unwrap();
    peer.tell(Do::WriteAll, PAGES);
    check(&mut ops, &mut window);
    let seen: Vec<_> = window.iter().map(|s| s.seen).collect();
    assert_eq!(seen, [Seen::Written, Seen::Unknown, Seen::Unknown, Seen::Written]);
    assert_eq!(spans(&mut ops), before);
    ops.take_back(part).unwrap();
    assert!(!ops.is_released());
    ops.arm(&window).unwrap();
    peer.tell(Do::Write, 9);
    let mut window = samples([peer.page(8)]);
    check(&mut ops, &mut window);
    assert_eq!((window[0].seen, spans(&mut ops)), (Seen::Idle, before));
}

#[test]
fn what_the_vmm_registered_stays_registered_when_it_is_released_and_afterwards() {
    let (ops, mut peer) = registered(WP_ASYNC | WP_SHMEM | MINOR_SHMEM, WP | MINOR, PAGES);
    let mut ops = ops.unwrap();
    assert!(spans(&mut ops).iter().all(|s| s.sees == Sees::Writes));
    ops.arm(&samples((0..PAGES).map(|n| peer.page(n)))).unwrap();
    assert_eq!(ask(&mut ops, &mut peer, Do::Release), 0);
    // Another one still cannot have it.
    assert_eq!(peer.tell(Do::RegisterElsewhere, 0), 1);
    drop(ops);
    assert_eq!(peer.tell(Do::RegisterElsewhere, 0), 1);
    assert_eq!(peer.tell(Do::WriteAll, PAGES), 0);
}

/// The monitor in time of the test's own.
struct Clock(Monitor, Instant);

impl Clock {
    /// Steps until `n` aggregations have ended.
    fn aggregations(&mut self, ops: &mut Handed, n: u32) {
        let mut ended = 0;
        while ended < n {
            match self.0.begin(self.1, ops).unwrap() {
                Next::At(at) => self.1 = at,
                Next::Parked => panic!("parked"),
                _ => unreachable!(),
            }
            ended += u32::from(matches!(self.0.end(self.1, ops).unwrap(), Window::Aggregated(_)));
        }
    }

    /// The age of each region.
    fn ages(&self) -> Vec<u32> {
        self.0.view().targets().iter().flat_map(|t| t.regions()).map(|r| r.age()).collect()
    }
}

#[test]
fn monitoring_pauses_for_a_snapshot_and_goes_on_with_ages_frozen() {
    for method in METHODS {
        let Some((mut ops, mut peer)) = handed(method, Memory::Shared, PAGES) else {
            lacks("a method");
            continue;
        };
        let spec = AttrsSpec { min_nr_regions: 3, max_nr_regions: 10, ..AttrsSpec::default() };
        let mut monitor = Monitor::new(Attrs::try_from(spec).unwrap(), 1);
        monitor.commit_targets([TargetSpec::new(TARGET)]);
        let mut clock = Clock(monitor, Instant::ZERO);
        clock.aggregations(&mut ops, 20);
        let before = clock.ages();
        assert!(before.iter().all(|&age| age >= 10), "{method}: {before:?}");

        assert_eq!(ask(&mut ops, &mut peer, Do::Release), 0);
        assert_eq!(ops.attend(), Link::Released);
        clock.0.pause();
        assert_eq!(clock.0.begin(clock.1, &mut ops).unwrap(), Next::Parked);
        // An hour passes, and all that time the guest writes and nobody looks.
        peer.tell(Do::WriteAll, PAGES);
        clock.1 = clock.1 + Duration::from_secs(3_600);
        assert_eq!(ask(&mut ops, &mut peer, Do::TakeBack), 0);
        assert_eq!((ops.attend(), clock.ages()), (Link::Watching, before.clone()), "{method}");
        clock.0.resume();
        clock.aggregations(&mut ops, 2);
        let (least, now) = (before.iter().min().unwrap(), clock.ages());
        assert!(now.iter().all(|age| (least + 1..least + 10).contains(age)), "{method}: {before:?} then {now:?}");
        // And it sees again.
        peer.tell(Do::WriteAll, PAGES);
        clock.aggregations(&mut ops, 1);
        drop(peer);
    }
}
