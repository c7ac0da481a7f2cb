//! Whole mappings by `clear_refs` and `smaps`, without the process's help.

use std::time::{Duration, Instant};

use damon_core::{Ops, Sample, Seen, TargetEvent, TargetId, Want};
use damon_ops_vaddr::remote::{Coarse, CoarseError};

use crate::support::{Do, Memory, PAGE, Peer, TARGET, lacks, listener};

const PAGES: u64 = 64;

/// What is seen of all pages in a window in which `touched` are written.
fn window(coarse: &mut Coarse, peer: &mut Peer, touched: std::ops::Range<u64>) -> Vec<Seen> {
    let mut samples: Vec<_> = (0..PAGES).map(|n| Sample::new(TARGET, peer.page(n))).collect();
    // Accessed bits are cleared without a flush: an emulated CPU needs its moment.
    let notice = || std::thread::sleep(Duration::from_millis(5));
    coarse.arm(&samples).unwrap();
    notice();
    touched.for_each(|n| assert_eq!(peer.tell(Do::Write, n), 0));
    notice();
    coarse.check(&mut samples, &Want::new(true, &[])).unwrap();
    samples.iter().map(|s| s.seen).collect()
}

#[test]
fn a_mapping_hits_as_often_as_its_pages_were_referenced_and_once_in_an_interval() {
    let interval = || std::thread::sleep(Duration::from_millis(1_050));
    let (_listener, addr) = listener();
    let mut peer = Peer::start(PAGES, Memory::Private, &addr, |_| None);
    // It has filled its memory when it answers.
    assert_eq!(peer.tell(Do::Read, 0), 0);
    let mut coarse = match Coarse::new(TARGET, peer.pid as u32, Duration::from_secs(1)) {
        Ok(coarse) => coarse,
        Err(CoarseError::File(e)) => return lacks(&e.to_string()),
        Err(e) => panic!("{e}"),
    };
    let hits = |seen: &[Seen]| seen.iter().filter(|s| s.is_access()).count();
    assert_eq!(hits(&window(&mut coarse, &mut peer, 0..0)), 0);
    let soon = window(&mut coarse, &mut peer, 0..PAGES);
    assert!(soon.iter().all(|s| *s == Seen::Unknown), "too soon: {soon:?}");
    interval();
    let all = hits(&window(&mut coarse, &mut peer, 0..PAGES));
    assert!(all >= 56, "{all} of {PAGES} hit, where all were referenced");
    let mut sum = 0;
    for _ in 0..4 {
        interval();
        let seen = window(&mut coarse, &mut peer, 0..PAGES / 4);
        assert!(!seen.contains(&Seen::Unknown));
        sum += hits(&seen);
    }
    assert!((32..=96).contains(&sum), "{sum} of 256 hit, where a quarter was referenced");
}

#[test]
fn it_is_one_target_that_goes_with_its_process() {
    let (_listener, addr) = listener();
    let mut peer = Peer::start(PAGES, Memory::Shared, &addr, |_| None);
    let Ok(mut coarse) = Coarse::new(TARGET, peer.pid as u32, Duration::from_secs(1)) else {
        return lacks("clear_refs");
    };
    let mut out = Vec::new();
    coarse.ranges(TARGET, &mut out).unwrap();
    assert!(out.iter().any(|s| s.range.contains(peer.page(PAGES - 1))));
    assert!(out.windows(2).all(|p| p[0].range.end() <= p[1].range.start()));
    let mut one = [Sample::new(TARGET, peer.page(3))];
    // A CPU that still has the translation sets no accessed bit: it may take another window.
    for _ in 0..5 {
        coarse.arm(&one).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        peer.tell(Do::WriteAll, PAGES);
        coarse.check(&mut one, &Want::new(true, &[])).unwrap();
        if one[0].seen.is_access() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1_050));
    }
    assert!(one[0].seen.is_access() && one[0].extent.bytes() >= PAGE, "{one:?}");
    assert!(peer.range.start() <= one[0].extent.start(one[0].addr));

    peer.order(Do::Exit, 0);
    let (mut events, began) = (Vec::new(), Instant::now());
    while events.is_empty() && began.elapsed() < Duration::from_secs(5) {
        coarse.targets(&mut events).unwrap();
    }
    coarse.targets(&mut events).unwrap();
    assert_eq!(events, [TargetEvent::Gone(TARGET)]);
    let mut none = Vec::new();
    coarse.ranges(TARGET, &mut none).unwrap();
    coarse.arm(&one).unwrap();
    one[0].seen = Seen::Unknown;
    coarse.check(&mut one, &Want::new(true, &[])).unwrap();
    assert!(none.is_empty() && one[0].seen == Seen::Unknown);
}

#[test]
fn oneself_and_a_hasty_interval_are_refused() {
    let new = |pid, ms| Coarse::new(TargetId::new(0), pid, Duration::from_millis(ms));
    assert!(matches!(new(std::process::id(), 1_000), Err(CoarseError::Oneself)));
    assert!(matches!(new(1, 100), Err(CoarseError::TooOften(_))));
    assert!(matches!(new(u32::MAX - 1, 1_000), Err(CoarseError::Process(_))));
}
