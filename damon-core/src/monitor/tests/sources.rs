//! Where reports come from, who made them, and that each is in the counts or counted as something else.

use super::*;
use crate::report::{Access, AccessKind, MAX_NODES, ReportFilter, SourceCounts, SourceSpec};
use crate::units::NodeId;
use alloc::string::ToString;
use proptest::prelude::*;

fn stats(window: Window) -> crate::Stats {
    match window {
        Window::Counted(stats) | Window::Aggregated(stats) => stats,
        Window::Early(at) => panic!("not before {at:?}"),
    }
}

/// A target of 64 MiB that is known by reports alone.
fn reported(attrs: Attrs) -> (Monitor, Fake, Instant) {
    let mut ops = Fake::default();
    ops.spans.insert(T, vec![span(0, 64 * MIB, Sees::Reports)]);
    (monitor(attrs), ops, Instant::ZERO)
}

#[test]
fn each_source_has_a_name_and_counts_of_its_own() {
    let (mut m, mut ops, mut now) = reported(attrs(|s| s.report_filter.writes_only = true));
    let perf = m.add_source(SourceSpec { period: 1_000, ..SourceSpec::new("perf") });
    let cache = m.add_source(SourceSpec { capacity: 64, ..SourceSpec::new("cache") });
    let write = Access { kind: AccessKind::Write, ..Access::new(T, 0, 8) };
    let clone = perf.clone();
    for report in [Access { weight: 3, ..write }, Access::new(T, 0, 8), Access { addr: u64::MAX, ..write }] {
        assert!(clone.report_access(report));
    }
    assert_eq!((0..70).filter(|_| cache.report_access(write)).count(), 64);
    m.report_access(write);
    assert_eq!((perf.pending(), cache.pending()), (3, 70));
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.reports, s.reports_filtered, s.reports_outside, s.reports_lost), (66, 1, 1, 6));
    assert_eq!(s.events, 3_000 + 64 + 1);
    let shown: Vec<_> = m.view().sources().iter().map(|s| (s.name().to_string(), *s.counts())).collect();
    let none = SourceCounts::default();
    assert_eq!(
        shown,
        [
            ("owner".into(), SourceCounts { received: 1, events: 1, ..none }),
            ("perf".into(), SourceCounts { received: 3, filtered: 1, outside: 1, events: 3_000, ..none }),
            ("cache".into(), SourceCounts { received: 64, lost: 6, events: 64, ..none }),
        ]
    );
    assert_eq!((perf.pending(), cache.pending()), (0, 0));
    let s = stats(window(&mut m, &mut ops, &mut now));
    assert_eq!((s.reports, s.reports_lost), (0, 0), "counted once");
}

#[test]
fn filters_want_what_they_name_and_let_known_idleness_pass() {
    let filter = ReportFilter { cpus: vec![1], threads: vec![2], nodes: vec![NodeId(3)], ..Default::default() };
    let all = Access { cpu: Some(1), thread: Some(2), node: Some(NodeId(3)), ..Access::new(T, 0, 8) };
    assert!(filter.passes(&all) && filter.passes(&Access { kind: AccessKind::Idle, ..Access::new(T, 0, 8) }));
    for other in
        [Access { cpu: Some(2), ..all }, Access { thread: None, ..all }, Access { node: Some(NodeId(0)), ..all }]
    {
        assert!(!filter.passes(&other) && ReportFilter::default().passes(&other));
    }
}

#[test]
fn processes_that_map_a_file_report_for_the_file_and_its_bytes_count_once() {
    let (mut m, mut ops, mut now) = reported(attrs(|s| s.max_region = Some(4096)));
    ops.spans.insert(T, vec![span(0, 10 * 4096, Sees::Reports)]);
    for _ in 0..20 {
        for (space, addr) in
            [(Space::Process(42), 0), (Space::Process(43), 100), (Space::File(7), 4096), (Space::File(8), 0)]
        {
            m.report_access(Access { space, ..Access::new(T, addr, 64) });
        }
        let s = stats(window(&mut m, &mut ops, &mut now));
        assert_eq!((s.reports, s.reports_outside), (3, 1));
    }
    let counts: Vec<_> = regions(&m).iter().map(|r| (r.start, r.nr_accesses)).filter(|r| r.1 > 0).collect();
    assert_eq!(counts, [(4096, 20)]);
}

#[test]
fn a_removed_source_takes_no_more_and_its_reporter_knows() {
    let (mut m, mut ops, mut now) = reported(attrs(|_| ()));
    let reporter = m.add_source(SourceSpec::new("a"));
    assert!(reporter.is_connected() && reporter.report_access(Access::new(T, 0, 8)));
    assert!(m.remove_source(reporter.source()) && !m.remove_source(reporter.source()));
    assert!(!reporter.is_connected() && !reporter.report_access(Access::new(T, 0, 8)));
    assert_eq!((reporter.pending(), m.sources().len()), (2, 1));
    assert!(!m.remove_source(m.sources()[0].id()), "the owner stays");
    assert_eq!(stats(window(&mut m, &mut ops, &mut now)).reports, 0);
}

#[test]
fn what_the_last_reporter_left_is_still_taken() {
    let (mut m, mut ops, mut now) = reported(attrs(|_| ()));
    let reporter = m.add_source(SourceSpec::new("a"));
    reporter.report_access(Access::new(T, 0, 8));
    drop(reporter);
    assert!(m.sources()[1].is_connected());
    assert_eq!(stats(window(&mut m, &mut ops, &mut now)).reports, 1);
    assert!(!m.sources()[1].is_connected() && m.sources()[1].counts().received == 1);
}

#[test]
fn after_an_error_reports_count_once_with_those_that_came_since() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(MIB, 0..0), Instant::ZERO);
    let _ = window(&mut m, &mut ops, &mut now);
    let Ok(Next::At(due)) = m.begin(now, &mut ops) else { panic!("parked") };
    for (kind, failures) in [(AccessKind::Write, 1), (AccessKind::Idle, 1), (AccessKind::Idle, 0)] {
        m.report_access(Access { kind, ..Access::new(T, 0, MIB) });
        ops.failures = failures;
        let end = m.end(due, &mut ops);
        assert_eq!(end.is_err(), failures > 0);
        if let Ok(end) = end {
            let s = stats(end);
            assert_eq!((s.reports, s.events, s.saved, s.accessed), (3, 1, 10, 10));
        }
    }
}

#[test]
fn reports_made_in_a_pause_count_in_the_first_window_after_it() {
    let (mut m, mut ops, mut now) = reported(attrs(|_| ()));
    m.pause();
    m.report_access(Access::new(T, 0, 8));
    assert_eq!(m.begin(now, &mut ops), Ok(Next::Parked));
    m.resume();
    assert_eq!(stats(window(&mut m, &mut ops, &mut now)).reports, 1);
}

#[test]
fn events_are_told_apart_by_node_up_to_a_number_of_nodes() {
    let (mut m, mut ops, mut now) = reported(attrs(|s| s.max_region = Some(8 * MIB)));
    let from = |addr, node| Access { node: Some(NodeId(node)), weight: 10, ..Access::new(T, addr, 8) };
    assert!(m.targets[0].events(0).is_none());
    for _ in 0..20 {
        (0..10).for_each(|node| m.report_access(from(MIB, 100 + node)));
        m.report_access(from(2 * MIB, 100));
        m.report_access(Access::new(T, 60 * MIB, 8));
        let _ = window(&mut m, &mut ops, &mut now);
    }
    let view = m.view();
    assert_eq!(view.nodes(), (100..108).map(NodeId).collect::<Vec<_>>());
    let of = |addr| {
        let t = &view.targets()[0];
        t.events(t.regions().iter().position(|r| r.range().contains(addr)).unwrap()).unwrap()
    };
    let near = of(MIB);
    assert_eq!((near.total, near.by_node), (20 * 110, [400, 200, 200, 200, 200, 200, 200, 200]));
    assert_eq!((of(60 * MIB).total, of(60 * MIB).by_node), (20, [0; MAX_NODES]));
    assert_eq!(of(32 * MIB).total, 0);
}

#[test]
fn a_replaced_target_has_no_events() {
    let (mut m, mut ops, mut now) = reported(attrs(|_| ()));
    m.report_access(Access::new(T, 0, 8));
    let _ = window(&mut m, &mut ops, &mut now);
    assert_eq!(m.targets[0].events(0).map(|e| e.total), Some(1));
    m.replace_target(T);
    assert!(m.targets[0].events(0).is_none());
}

fn any_report() -> impl Strategy<Value = (u8, Access)> {
    let spaces = vec![Space::Target(T), Space::Target(TargetId::new(5)), Space::Process(42), Space::File(9)];
    let kinds = vec![AccessKind::Access, AccessKind::Read, AccessKind::Write, AccessKind::Idle];
    let len = prop_oneof![Just(0), 1..9 * MIB, Just(u64::MAX)];
    let what = (prop::sample::select(spaces), 0..70 * MIB, len, prop::sample::select(kinds), 0u32..9);
    (0u8..3, what, prop::option::of(0u16..12)).prop_map(|(by, (space, addr, len, kind, weight), node)| {
        (by, Access { space, kind, weight, node: node.map(NodeId), ..Access::new(T, addr, len) })
    })
}

proptest! {
    #[test]
    fn every_report_is_taken_or_counted_as_lost_filtered_or_outside_and_so_is_every_event(
        windows in prop::collection::vec(prop::collection::vec(any_report(), 0..150), 1..9),
        writes_only in any::<bool>(),
        cuts in prop::collection::vec((0usize..20, 0u64..64 * MIB), 0..9),
    ) {
        let (mut m, mut ops, mut now) = reported(attrs(|s| {
            s.report_filter.writes_only = writes_only;
            s.aggregation = s.sampling * 3;
        }));
        let by = [64, 128].map(|capacity| m.add_source(SourceSpec { capacity, ..SourceSpec::new("small") }));
        let (mut sent, mut told, mut events, mut cuts) = (0, 0, 0, cuts.into_iter());
        for reports in windows {
            for (who, access) in &reports {
                match by.get(usize::from(*who)) {
                    Some(reporter) => drop(reporter.report_access(*access)),
                    None => m.report_access(*access),
                }
            }
            let s = stats(window(&mut m, &mut ops, &mut now));
            sent += reports.len() as u64;
            told += s.reports + s.reports_lost + s.reports_filtered + s.reports_outside;
            prop_assert_eq!(sent, told);
            events = if m.windows == 1 { s.events } else { events + s.events };
            if let (Some(mut e), Some((index, at))) = (m.edit(T), cuts.next()) {
                let _ = if at % 2 == 0 { e.cut(index, at & !4095) } else { e.join(index) };
            }
            let in_regions: u64 = (0..).map_while(|i| m.targets[0].events(i)).map(|e| e.total).sum();
            prop_assert_eq!(in_regions, events, "cut, joined, merged and split, none is lost");
        }
        let all = m.sources().iter().fold(0, |sum, s| sum + s.counts().received + s.counts().lost);
        prop_assert_eq!(sent, all);
    }
}
