use std::time::Duration;

use damon_core::{Extent, Filter, PageFilter, Probe, Sees};
use proptest::prelude::*;

use super::*;
use crate::workload::{Blocks, Heat};

const PAGE: u64 = 4096;
const ID: TargetId = TargetId::new(3);
const MS: Duration = Duration::from_millis(1);
const SEEN: Want<'static> = Want::new(true, &[]);

fn pages(start: u64, end: u64) -> AddrRange {
    AddrRange::new(start * PAGE, end * PAGE).unwrap()
}

fn memory(mappings: Vec<Mapping>, heats: &[Heat]) -> (SimMemory, Clock) {
    let clock = Clock::new();
    let mut m = SimMemory::new(11, &clock);
    m.insert(ID, SimTarget::new(mappings, Blocks::new(heats)).unwrap());
    (m, clock)
}

fn samples(pages: impl IntoIterator<Item = u64>) -> Vec<Sample> {
    pages.into_iter().map(|p| Sample::new(ID, p * PAGE)).collect()
}

fn check(m: &mut SimMemory, of: impl IntoIterator<Item = u64>) -> Vec<Seen> {
    let mut s = samples(of);
    m.check(&mut s, &SEEN).unwrap();
    s.iter().map(|s| s.seen).collect()
}

fn hits(m: &mut SimMemory, of: impl IntoIterator<Item = u64>) -> usize {
    check(m, of).iter().filter(|s| s.is_access()).count()
}

#[test]
fn a_page_is_hit_as_often_as_its_rate_and_the_real_window_say() {
    let (mut m, clock) = memory(vec![Mapping::new(pages(0, 100_000))], &[Heat::reads(pages(0, 100_000), 100.0)]);
    for (window, expected) in [(MS, 0.0952), (MS * 5, 0.3935), (MS * 20, 0.8647)] {
        m.arm(&[]).unwrap();
        clock.advance(window);
        let rate = hits(&mut m, 0..100_000) as f64 / 1e5;
        assert!((rate - expected).abs() < 0.005, "{rate} instead of {expected}");
    }
}

#[test]
fn a_page_draws_anew_at_each_arming() {
    let (mut m, clock) = memory(vec![Mapping::new(pages(0, 1))], &[Heat::reads(pages(0, 1), 100.0)]);
    let mut n = 0;
    for _ in 0..10_000 {
        m.arm(&[]).unwrap();
        clock.advance(MS * 5);
        n += hits(&mut m, [0]);
    }
    assert!((3_780..4_090).contains(&n), "{n}");
}

#[test]
fn a_later_check_shows_what_an_earlier_one_did_and_more() {
    let (mut m, clock) = memory(vec![Mapping::new(pages(0, 1_000))], &[Heat::reads(pages(0, 1_000), 100.0)]);
    m.arm(&[]).unwrap();
    let mut before = check(&mut m, 0..1_000);
    assert!(before.iter().all(|s| *s == Seen::Idle));
    for _ in 0..10 {
        clock.advance(MS * 3);
        let now = check(&mut m, 0..1_000);
        assert!(before.iter().zip(&now).all(|(b, n)| !b.is_access() || n.is_access()));
        before = now;
    }
    assert!(before.iter().filter(|s| s.is_access()).count() > 900);
}

#[test]
fn reads_and_writes_show_as_the_mapping_sees_them() {
    let all = |sees, writes| {
        let mapping = Mapping { sees, ..Mapping::new(pages(0, 1)) };
        let (mut m, clock) = memory(vec![mapping], &[Heat { range: pages(0, 1), hz: 1e5, writes }]);
        m.arm(&[]).unwrap();
        clock.advance(MS * 5);
        check(&mut m, [0])[0]
    };
    for (sees, read, written) in [
        (Sees::Accesses, Seen::Accessed, Seen::Accessed),
        (Sees::Writes, Seen::Idle, Seen::Written),
        (Sees::ReadsAndWrites, Seen::Read, Seen::Written),
        (Sees::Nothing, Seen::Unknown, Seen::Unknown),
        (Sees::Reports, Seen::Unknown, Seen::Unknown),
    ] {
        assert_eq!((all(sees, 0.0), all(sees, 1.0)), (read, written), "{sees:?}");
    }
}

#[test]
fn a_huge_page_has_one_answer_and_says_so() {
    let mapping = Mapping { block: 2 << 20, ..Mapping::new(pages(0, 1024)) };
    // One page of the first block is hot, and one address of the second was touched.
    let (mut m, clock) = memory(vec![mapping], &[Heat::reads(pages(500, 501), 1e5)]);
    m.arm(&[]).unwrap();
    clock.advance(MS * 5);
    assert_eq!(check(&mut m, [0, 3, 511, 512]), [Seen::Accessed, Seen::Accessed, Seen::Accessed, Seen::Idle]);
    m.touch(ID, 1000 * PAGE, false);
    let mut s = samples([512]);
    m.check(&mut s, &SEEN).unwrap();
    assert_eq!((s[0].seen, s[0].extent), (Seen::Accessed, Extent::of(2 << 20)));
}

#[test]
fn what_is_not_mapped_or_not_there_is_unknown() {
    let (mut m, clock) = memory(vec![Mapping::new(pages(2, 4))], &[Heat::reads(pages(0, 9), 1e5)]);
    assert_eq!(check(&mut m, [2]), [Seen::Unknown], "nothing was armed");
    m.arm(&[]).unwrap();
    clock.advance(MS);
    assert_eq!(check(&mut m, [0, 3, 4]), [Seen::Unknown, Seen::Accessed, Seen::Unknown]);
    assert!(m.exit(ID) && !m.exit(ID));
    assert_eq!(check(&mut m, [3]), [Seen::Unknown]);
}

#[test]
fn samples_whose_mapping_changed_since_they_were_armed_are_unknown() {
    let keep = Mapping::new(pages(0, 2));
    let (mut m, clock) = memory(vec![keep.clone(), Mapping::new(pages(4, 8))], &[Heat::reads(pages(0, 9), 1e5)]);
    m.arm(&[]).unwrap();
    m.remap(ID, vec![Mapping::new(pages(4, 9)), keep]).unwrap();
    clock.advance(MS);
    assert_eq!(check(&mut m, [1, 5]), [Seen::Accessed, Seen::Unknown]);
    m.arm(&[]).unwrap();
    clock.advance(MS);
    assert_eq!(check(&mut m, [1, 5]), [Seen::Accessed, Seen::Accessed]);
}

#[test]
fn mappings_come_sorted_and_must_not_overlap() {
    let (mut m, _) = memory(vec![Mapping::new(pages(4, 8)), Mapping::new(pages(0, 4))], &[]);
    let mut out = Vec::new();
    m.ranges(ID, &mut out).unwrap();
    assert_eq!(out.iter().map(|s| s.range).collect::<Vec<_>>(), [pages(0, 4), pages(4, 8)]);
    let e = m.remap(ID, vec![Mapping::new(pages(0, 2)), Mapping::new(pages(1, 3))]).unwrap_err();
    assert_eq!(e.to_string(), "mappings 0x0..0x2000 and 0x1000..0x3000 overlap: an address belongs to one mapping");
}

#[test]
fn targets_join_leave_and_are_replaced_as_events() {
    let clock = Clock::new();
    let mut m = SimMemory::new(1, &clock);
    let target = || SimTarget::new(vec![], Blocks::default()).unwrap();
    m.join(TargetSpec::new(ID), target());
    m.exec(ID, target());
    m.exit(ID);
    let mut events = Vec::new();
    m.targets(&mut events).unwrap();
    m.targets(&mut events).unwrap();
    let joined = TargetEvent::Joined(TargetSpec::new(ID));
    assert_eq!(events, [joined, TargetEvent::Replaced(ID), TargetEvent::Gone(ID)]);
}

#[test]
fn probes_are_told_from_the_mapping() {
    let anon = Mapping { has: vec![PageFilter::Anon], ..Mapping::new(pages(0, 1)) };
    let huge = Mapping { block: 2 << 20, ..Mapping::new(pages(512, 1024)) };
    let (mut m, _) = memory(vec![anon, huge], &[]);
    let probe = |page| Probe { filters: vec![Filter { page, matching: true, allow: true }], weight: 1 };
    let probes = [probe(PageFilter::Anon), probe(PageFilter::HugepageSize { min: 1 << 20, max: 1 << 30 })];
    let mut s = samples([0, 600, 2_000]);
    m.check(&mut s, &Want::new(false, &probes)).unwrap();
    assert_eq!(s.iter().map(|s| s.attrs).collect::<Vec<_>>(), [0b01, 0b10, 0]);
    assert!(s.iter().all(|s| s.seen == Seen::Unknown));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_sample_is_answered_alike_alone_and_among_others(
        heats in prop::collection::vec((0u64..200, 1u64..40, 0u32..400), 0..20),
        asked in prop::collection::btree_set(0u64..250, 1..60),
    ) {
        let heats: Vec<Heat> = heats.iter().map(|&(s, n, hz)| Heat::reads(pages(s, s + n), hz.into())).collect();
        let (mut m, clock) = memory(vec![Mapping::new(pages(0, 100)), Mapping::new(pages(120, 240))], &heats);
        m.arm(&[]).unwrap();
        clock.advance(MS * 5);
        let together = check(&mut m, asked.iter().copied());
        let alone: Vec<Seen> = asked.iter().map(|&p| check(&mut m, [p])[0]).collect();
        prop_assert_eq!(together, alone);
    }
}
