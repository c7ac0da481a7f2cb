//! Targets that come and go, ranges that change, checks and sizes that are limited.

use super::*;

const ID: fn(u32) -> TargetId = TargetId::new;

#[test]
fn a_backend_announces_targets_that_join_leave_and_are_replaced() {
    let mut m = Monitor::new(attrs(|_| ()), 7);
    let (mut ops, mut now) = (Fake::default(), Instant::ZERO);
    assert_eq!(m.begin(now, &mut ops), Ok(Next::At(now + m.attrs().spec().update)), "asks again later");
    ops.events = vec![TargetEvent::Joined(TargetSpec::new(ID(5))), TargetEvent::Joined(TargetSpec::new(ID(3)))];
    ops.spans = [(ID(3), vec![span(0, 8 * MIB, Sees::Accesses)]), (ID(5), vec![span(0, 8 * MIB, Sees::Writes)])].into();
    now = now + m.attrs().spec().update;
    aggregations(&mut m, &mut ops, &mut now, 12);
    assert_eq!(m.view().targets().iter().map(Target::id).collect::<Vec<_>>(), [ID(3), ID(5)]);
    let age = m.view().targets()[0].regions()[0].age();
    assert!(age > 5);

    ops.events = vec![TargetEvent::Replaced(ID(3)), TargetEvent::Gone(ID(5)), TargetEvent::Gone(ID(99))];
    now = now + m.attrs().spec().update;
    aggregations(&mut m, &mut ops, &mut now, 1);
    assert_eq!(m.view().targets().len(), 1);
    assert!(m.view().targets()[0].regions()[0].age() < age, "exec voids history");
    assert_invariants(&m);
}

#[test]
fn a_new_list_keeps_who_stays() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(8 * MIB, 0..0), Instant::ZERO);
    ops.spans.insert(ID(1), vec![span(0, MIB, Sees::Accesses)]);
    m.add_target(TargetSpec::new(ID(2)));
    aggregations(&mut m, &mut ops, &mut now, 5);
    m.commit_targets([TargetSpec::new(ID(1)), TargetSpec { weight: 7, ..TargetSpec::new(T) }]);
    let _ = window(&mut m, &mut ops, &mut now);
    let kept: Vec<_> = m.targets.iter().map(|t| (t.id(), t.spec.weight, t.regions[0].age > 0)).collect();
    assert_eq!(kept, [(T, 7, true), (ID(1), 100, false)]);
}

#[test]
fn events_that_came_before_an_error_are_taken() {
    let mut m = Monitor::new(attrs(|_| ()), 7);
    let mut ops = Fake { failures: 1, events: vec![TargetEvent::Joined(TargetSpec::new(T))], ..Fake::new(MIB, 0..0) };
    assert_eq!(m.begin(Instant::ZERO, &mut ops), Err(Provoked));
    assert!(matches!(m.begin(Instant::ZERO, &mut ops), Ok(Next::At(_))));
    assert_eq!(m.view().targets().len(), 1);
}

#[test]
fn all_targets_gone_and_a_new_one_mid_aggregation_is_watched() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(MIB, 0..0), Instant::ZERO);
    for _ in 0..3 {
        let _ = window(&mut m, &mut ops, &mut now);
    }
    assert!(m.remove_target(T) && !m.remove_target(T));
    m.add_target(TargetSpec::new(T));
    let _ = window(&mut m, &mut ops, &mut now);
    assert_eq!(regions(&m)[0].nr_samples, 1);
}

#[test]
fn the_count_of_a_target_that_left_steers_nothing() {
    let mut m = monitor(attrs(|s| (s.min_nr_regions, s.update) = (4, Duration::from_secs(1_000))));
    m.add_target(TargetSpec::new(ID(1)));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..64 * MIB), Instant::ZERO);
    ops.spans.insert(ID(1), vec![span(64 * MIB, 72 * MIB, Sees::Accesses)]);
    aggregations(&mut m, &mut ops, &mut now, 1);
    // The target that leaves is hit in all windows but one; in that one a part of the other is.
    let _ = window(&mut m, &mut ops, &mut now);
    let part = m.targets[1].regions[0];
    assert!(m.targets[1].regions.len() > 1);
    ops.hot = Some(part.start..part.end).into_iter().collect();
    let _ = window(&mut m, &mut ops, &mut now);
    ops.hot = Some(0..64 * MIB).into_iter().collect();
    for _ in 2..19 {
        let _ = window(&mut m, &mut ops, &mut now);
    }
    m.remove_target(T);
    aggregations(&mut m, &mut ops, &mut now, 1);
    let counts: Vec<_> = regions(&m).iter().map(|r| r.nr_accesses).collect();
    assert!(counts.contains(&1) && counts.contains(&0), "merged by a tenth of 19: {counts:?}");
}

#[test]
fn what_stays_mapped_keeps_its_history_and_new_bytes_start_without() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..64 * MIB), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 12);
    ops.spans.insert(T, vec![span(16 * MIB, 32 * MIB, Sees::Accesses), span(40 * MIB, 96 * MIB, Sees::Accesses)]);
    now = now + m.attrs().spec().update;
    let Ok(Next::At(due)) = m.begin(now, &mut ops) else { panic!("no window") };
    for r in regions(&m) {
        assert_eq!(r.age > 0, r.end <= 64 * MIB, "{r:?}");
    }
    assert_invariants(&m);
    assert!(matches!(m.end(due, &mut ops), Ok(Window::Counted(_))));
}

#[test]
fn ranges_with_invisible_memory_are_watched_apart_and_never_sampled() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..64 * MIB), Instant::ZERO);
    let spans = vec![
        span(0, 8 * MIB, Sees::Writes),
        span(8 * MIB, 16 * MIB, Sees::Nothing),
        span(16 * MIB, 64 * MIB, Sees::Accesses),
    ];
    ops.spans.insert(T, spans);
    aggregations(&mut m, &mut ops, &mut now, 9);
    assert!(ops.armed.iter().all(|s| !(8 * MIB..16 * MIB).contains(&s.addr)));
    let unseen: Vec<_> = regions(&m).into_iter().filter(|r| r.sees == Sees::Nothing).collect();
    assert_eq!((unseen.len(), unseen[0].rate()), (1, None), "no evidence, and no region wasted on it");
    assert_invariants(&m);
}

#[test]
fn nothing_splits_below_what_a_check_observes() {
    let mut m = monitor(attrs(|s| s.max_nr_regions = 10_000));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 3 * MIB..5 * MIB), Instant::ZERO);
    ops.extent = 2 * MIB;
    aggregations(&mut m, &mut ops, &mut now, 50);
    assert!(regions(&m).iter().all(|r| r.start % (2 * MIB) == 0), "{:?}", regions(&m));
}

#[test]
fn scarce_checks_are_shared_by_weight_with_a_floor_for_each() {
    let mut m = Monitor::new(attrs(|s| s.max_checks = Some(70)), 7);
    let (mut ops, mut now) = (Fake::default(), Instant::ZERO);
    for (id, weight) in [(0, 100), (1, 200), (2, 400), (3, 0)] {
        m.add_target(TargetSpec { weight, ..TargetSpec::new(ID(id)) });
        ops.spans.insert(ID(id), (0..200).map(|i| span(i * 2 * MIB, (i * 2 + 1) * MIB, Sees::Accesses)).collect());
    }
    let Window::Counted(stats) = window(&mut m, &mut ops, &mut now) else { panic!("not counted") };
    assert_eq!(stats.checks, 70);
    let per_target: Vec<_> = (0..4).map(|i| ops.armed.iter().filter(|s| s.target == ID(i)).count()).collect();
    assert_eq!(per_target, [10, 20, 39, 1]);
    aggregations(&mut m, &mut ops, &mut now, 1);
    let samples: Vec<_> = m.targets[2].regions.iter().map(|r| r.nr_samples).collect();
    assert!(samples.iter().all(|&n| n > 0 && n < 20), "spread over the regions: {samples:?}");
}

#[test]
fn regions_are_shared_by_weight_where_weights_differ() {
    let mut m = Monitor::new(attrs(|s| s.max_nr_regions = 300), 7);
    let (mut ops, mut now) = (Fake::default(), Instant::ZERO);
    ops.hot = (0..500).map(|i| i * 2 * MIB..i * 2 * MIB + MIB).collect();
    for (id, weight) in [(0, 100), (1, 200)] {
        m.add_target(TargetSpec { weight, ..TargetSpec::new(ID(id)) });
        ops.spans.insert(ID(id), vec![span(0, 1024 * MIB, Sees::Accesses)]);
    }
    aggregations(&mut m, &mut ops, &mut now, 30);
    let n: Vec<_> = m.targets.iter().map(|t| t.regions.len()).collect();
    assert!(n[0] <= 100 && n[1] <= 200 && n[1] > 100, "{n:?}");
}

#[test]
fn sizes_are_bounded_for_all_and_for_each_target() {
    let mut m = Monitor::new(attrs(|s| s.max_region = Some(4 * MIB)), 7);
    m.add_target(TargetSpec::new(ID(0)));
    m.add_target(TargetSpec { region_bytes: Some((MIB, 2 * MIB)), ..TargetSpec::new(ID(1)) });
    let mut ops = Fake::new(64 * MIB, 0..10 * MIB);
    ops.spans.insert(ID(1), vec![span(0, 64 * MIB, Sees::Accesses)]);
    let mut now = Instant::ZERO;
    aggregations(&mut m, &mut ops, &mut now, 20);
    let sizes = |i: usize| m.targets[i].regions.iter().map(Region::size);
    assert!(sizes(0).all(|n| n <= 4 * MIB) && sizes(0).any(|n| n > 2 * MIB));
    assert!(sizes(1).all(|n| (MIB..=2 * MIB).contains(&n)), "{:?}", sizes(1).collect::<Vec<_>>());
}

#[test]
fn a_size_limit_that_would_take_too_many_regions_gives_way() {
    for adjust in [Adjust::Classic, Adjust::Adaptive] {
        let mut m = Monitor::new(attrs(|s| s.adjust = adjust), 7);
        m.add_target(TargetSpec { region_bytes: Some((1, 4096)), ..TargetSpec::new(ID(0)) });
        m.add_target(TargetSpec { region_bytes: Some((1, MIB)), ..TargetSpec::new(ID(1)) });
        let mut ops = Fake::new(1 << 62, 0..0);
        ops.spans.insert(ID(1), vec![span(0, 64 * MIB, Sees::Accesses)]);
        let mut now = Instant::ZERO;
        aggregations(&mut m, &mut ops, &mut now, 3);
        let n: Vec<_> = m.targets.iter().map(|t| t.regions.len()).collect();
        assert!((500..=1_001).contains(&n[0]) && n[1] <= 100, "{adjust:?}: {n:?}");
    }
}

#[test]
fn more_ranges_than_regions_are_all_watched_and_it_says_so() {
    let mut m = monitor(attrs(|s| s.max_nr_regions = 50));
    let (mut ops, mut now) = (Fake::default(), Instant::ZERO);
    ops.spans.insert(T, (0..200).map(|i| span(i * 2 * MIB, (i * 2 + 1) * MIB, Sees::Accesses)).collect());
    let Window::Counted(stats) = window(&mut m, &mut ops, &mut now) else { panic!("not counted") };
    assert_eq!((stats.nr_regions, stats.over_max), (200, true));
}
