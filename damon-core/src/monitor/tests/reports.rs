//! What reports prove, and what they do not.

use super::*;
use crate::report::{Access, AccessKind, SourceSpec};
use crate::rng::Rng;
use crate::target::Space;

/// A target of 64 MiB that is known by reports alone.
fn reported() -> (Monitor, Fake, Instant) {
    let mut m = Monitor::new(attrs(|_| ()), 7);
    m.add_target(TargetSpec { ranges: vec![crate::AddrRange::new(0, 64 * MIB).unwrap()], ..TargetSpec::new(T) });
    (m, Fake::default(), Instant::ZERO)
}

fn access(kind: AccessKind, addr: u64, len: u64) -> Access {
    Access { kind, ..Access::new(T, addr, len) }
}

fn stats(window: Window) -> crate::Stats {
    match window {
        Window::Counted(stats) | Window::Aggregated(stats) => stats,
        Window::Early(at) => panic!("not before {at:?}"),
    }
}

#[test]
fn where_it_covers_a_sample_a_report_decides_it() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..0), Instant::ZERO);
    for _ in 0..19 {
        m.report_access(access(AccessKind::Write, 0, 16 * MIB));
        m.report_access(access(AccessKind::Idle, 0, 64 * MIB));
        let _ = window(&mut m, &mut ops, &mut now);
    }
    let written: u64 = regions(&m).iter().filter(|r| r.nr_writes == 19).map(Region::size).sum();
    let none: u64 = regions(&m).iter().filter(|r| r.nr_accesses == 0).map(Region::size).sum();
    // The region across the edge has some of both.
    assert!(written + none >= 57 * MIB && written >= 12 * MIB && none >= 40 * MIB, "{written} {none}");
}

#[test]
fn known_idle_saves_the_checks_and_counts_as_evidence() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..64 * MIB), Instant::ZERO);
    let mut saved = 0;
    for _ in 0..19 {
        m.report_access(access(AccessKind::Idle, 0, 32 * MIB));
        let s = stats(window(&mut m, &mut ops, &mut now));
        assert_eq!((s.saved + s.checks, s.accessed), (10, s.checks), "what is checked is accessed");
        saved += s.saved;
    }
    assert!((4 * 19..=5 * 19).contains(&saved), "{saved}");
    for r in regions(&m) {
        let known = r.nr_accesses == if r.end <= 32 * MIB { 0 } else { 19 };
        assert!(r.nr_samples == 19 && (known || r.start < 32 * MIB), "{r:?}");
    }
}

#[test]
fn reported_accesses_beat_known_idle_whoever_says_so() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(MIB, 0..0), Instant::ZERO);
    let other = m.add_source(SourceSpec::new("other"));
    for kind in [AccessKind::Access, AccessKind::Read, AccessKind::Write] {
        other.report_access(access(kind, 0, MIB));
        m.report_access(access(AccessKind::Idle, 0, MIB));
        let _ = window(&mut m, &mut ops, &mut now);
    }
    assert!(regions(&m).iter().all(|r| (r.nr_samples, r.nr_accesses, r.nr_writes) == (3, 3, 1)));
}

#[test]
fn a_source_that_lost_reports_is_not_believed_that_anything_is_idle() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(MIB, 0..MIB), Instant::ZERO);
    let [small, other] =
        ["small", "other"].map(|name| m.add_source(SourceSpec { capacity: 64, ..SourceSpec::new(name) }));
    for _ in 0..65 {
        small.report_access(access(AccessKind::Idle, 0, MIB));
    }
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.reports, s.reports_lost, s.saved), (64, 1, 0));
    other.report_access(access(AccessKind::Idle, 0, MIB));
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.reports, s.reports_lost, s.checks), (1, 0, 0), "the loss was another window's");
}

#[test]
fn what_was_idle_before_the_window_says_nothing_of_it_and_other_late_reports_count() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(MIB, 0..0), Instant::ZERO);
    let _ = window(&mut m, &mut ops, &mut now);
    let at = |time, kind| Access { time: Some(time), ..access(kind, 0, MIB) };
    m.report_access(at(Instant::ZERO, AccessKind::Idle));
    assert_eq!(stats(window(&mut m, &mut ops, &mut now)).saved, 0);
    // A clock that is ahead, or one that went back: it is no time before the window.
    m.report_access(at(Instant::MAX, AccessKind::Idle));
    assert_eq!(stats(window(&mut m, &mut ops, &mut now)).saved, 10);
    m.report_access(at(Instant::ZERO, AccessKind::Write));
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.reports, s.accessed), (1, 10));
}

#[test]
fn probes_look_at_what_is_known_idle_too() {
    let mut m = monitor(attrs(|s| s.probes = vec![crate::Probe::default()]));
    let (mut ops, mut now) = (Fake::new(MIB, 0..MIB), Instant::ZERO);
    ops.attrs = 1;
    m.report_access(access(AccessKind::Idle, 0, MIB));
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.checks, s.saved), (10, 0));
    assert!((0..10).all(|i| m.targets[0].probe_hits(i).is_some_and(|hits| hits.now[0] == 1)));
}

#[test]
fn as_the_only_source_they_add_the_covered_part_of_each_region() {
    let (mut m, mut ops, mut now) = reported();
    for _ in 0..20 {
        // Twice the same bytes are covered once, whatever their weight.
        for _ in 0..2 {
            m.report_access(Access { weight: 1_000, ..access(AccessKind::Read, 0, 32 * MIB) });
        }
        let s = stats(window(&mut m, &mut ops, &mut now));
        assert_eq!((s.reports, s.events, s.checks), (2, 2_000, 0));
    }
    let accessed: u64 = regions(&m).iter().map(|r| r.size() * u64::from(r.nr_accesses) / 20).sum();
    assert!(accessed.abs_diff(32 * MIB) < MIB, "{accessed}");
    assert!(regions(&m).iter().all(|r| r.nr_samples == 20 && r.nr_writes == 0));
}

/// One page of 10 GiB is reported in each window; what else is seen there finds it idle.
fn hot_page(sees: Sees) {
    const PAGE: core::ops::Range<u64> = 7_777 * MIB..7_777 * MIB + 4096;
    let (mut m, mut ops, mut now) = (monitor(attrs(|_| ())), Fake::new(10 << 30, 0..0), Instant::ZERO);
    ops.spans.insert(T, vec![span(0, 10 << 30, sees)]);
    for aggregation in 1..=20 {
        for _ in 0..m.attrs.samples_per_aggregation() {
            m.report_access(access(AccessKind::Write, PAGE.start + 64, 8));
            m.report_access(access(AccessKind::Write, PAGE.start + 4000, 8));
            let _ = window(&mut m, &mut ops, &mut now);
        }
        let hot: u64 = regions(&m).iter().filter(|r| r.nr_accesses > 0).map(Region::size).sum();
        assert_eq!(hot, if aggregation == 1 { 0 } else { 4096 }, "after {aggregation} aggregations");
    }
    let found = regions(&m).into_iter().find(|r| r.start == PAGE.start && r.end == PAGE.end).unwrap();
    assert_eq!((found.nr_accesses, found.nr_writes, found.nr_samples), (20, 20, 20));
}

#[test]
fn a_hot_page_of_ten_gibibytes_makes_nothing_else_hot_and_is_found_beside_checks() {
    hot_page(Sees::Accesses);
}

#[test]
fn a_hot_page_of_ten_gibibytes_makes_nothing_else_hot_and_is_found_by_reports_alone() {
    hot_page(Sees::Reports);
}

#[test]
fn an_access_covers_the_granules_that_it_touches_and_idleness_those_that_it_fills() {
    let (mut m, mut ops, mut now) =
        (monitor(attrs(|s| s.max_region = Some(4096))), Fake::new(10 * 4096, 0..40_960), Instant::ZERO);
    m.report_access(access(AccessKind::Write, 4095, 2));
    m.report_access(access(AccessKind::Idle, 5 * 4096 - 1, 4098));
    m.report_access(access(AccessKind::Idle, 8 * 4096 + 1, 4095));
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.reports, s.saved), (3, 3));
    let seen: Vec<_> = regions(&m).iter().map(|r| (r.nr_accesses, r.nr_writes)).collect();
    assert_eq!(seen, [(1, 1), (1, 1), (1, 0), (1, 0), (1, 0), (0, 0), (1, 0), (1, 0), (1, 0), (1, 0)]);
}

#[test]
fn within_a_window_order_means_nothing() {
    let mut rng = Rng::new(3);
    let kinds = [AccessKind::Access, AccessKind::Read, AccessKind::Write, AccessKind::Idle];
    let mut batch: Vec<_> = (0..200).map(|i| access(kinds[i % 4], rng.below(64 * MIB), rng.below(4 * MIB))).collect();
    let mut run = |shuffle: bool| {
        let mut m = monitor(attrs(|_| ()));
        let (mut ops, mut now) = (Fake::new(64 * MIB, 0..8 * MIB), Instant::ZERO);
        for _ in 0..40 {
            if shuffle {
                for i in (1..batch.len()).rev() {
                    batch.swap(i, rng.below(i as u64 + 1) as usize);
                }
            }
            batch.iter().for_each(|&a| m.report_access(a));
            let _ = window(&mut m, &mut ops, &mut now);
        }
        regions(&m)
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn foreign_spaces_are_resolved_and_what_is_not_watched_is_counted() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(MIB, 0..0), Instant::ZERO);
    let of = |space, addr| Access { space, ..Access::new(T, addr, 64) };
    for a in [
        of(Space::Process(42), 0),
        of(Space::Process(44), 0),
        of(Space::Custom(1), 0),
        of(Space::Target(TargetId::new(9)), 0),
        of(Space::Target(T), MIB),
        of(Space::Target(T), u64::MAX),
    ] {
        m.report_access(a);
    }
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.reports, s.reports_outside, s.reports_lost), (1, 5, 0));
}

#[test]
fn lengths_that_overflow_end_at_the_end_and_zero_is_one_byte() {
    let (mut m, mut ops, mut now) = reported();
    m.report_access(access(AccessKind::Access, 63 * MIB, u64::MAX));
    m.report_access(access(AccessKind::Access, 0, 0));
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.reports, s.reports_outside), (2, 0));
}

#[test]
fn what_does_not_fit_is_lost_and_counted() {
    let (mut m, mut ops, mut now) = reported();
    for i in 0..300_000 {
        m.report_access(access(AccessKind::Access, i, 1));
    }
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.reports, s.reports_lost), (1 << 18, 300_000 - (1 << 18)));
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.reports, s.reports_lost), (0, 0), "counted once");
}
