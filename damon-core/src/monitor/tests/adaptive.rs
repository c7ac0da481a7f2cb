//! What the adaptive adjustment promises, through the monitor.

use super::*;
use crate::attrs::Adjust;
use crate::filter::Probe;

const PAGE: u64 = 4_096;

fn adaptive(change: impl FnOnce(&mut AttrsSpec)) -> Attrs {
    attrs(|s| {
        s.adjust = Adjust::Adaptive;
        change(s);
    })
}

fn hot(m: &Monitor) -> Vec<(u64, u64)> {
    regions(m).iter().filter(|r| r.rate().is_some_and(|bp| bp.0 > 5_000)).map(|r| (r.start, r.end)).collect()
}

#[test]
fn it_finds_a_hot_block_to_the_page() {
    let mut m = monitor(adaptive(|_| {}));
    let (start, end) = (1_234 * PAGE, 5_678 * PAGE);
    let (mut ops, mut now) = (Fake::new(1 << 30, start..end), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 20);
    let found = hot(&m);
    assert_eq!((found.first().map(|r| r.0), found.last().map(|r| r.1)), (Some(start), Some(end)), "{found:?}");
}

#[test]
fn a_small_spot_in_much_idle_memory_is_found() {
    let mut m = monitor(adaptive(|_| {}));
    let spot = 100_000 * PAGE..100_064 * PAGE;
    let (mut ops, mut now) = (Fake::new(1 << 30, spot.clone()), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 60);
    assert_eq!(hot(&m), [(spot.start, spot.end)]);
}

#[test]
fn no_window_has_more_checks_and_no_aggregation_more_regions_than_allowed() {
    for (max, checks) in [(10, Some(3)), (40, Some(17)), (100, Some(250)), (100, None)] {
        let mut m = monitor(adaptive(|s| (s.max_nr_regions, s.max_checks) = (max, checks)));
        let (mut ops, mut now) = (Fake::new(1 << 30, 0..0), Instant::ZERO);
        ops.hot = (0..200).map(|i| i * 5 * MIB..(i * 5 + 1 + i % 3) * MIB).collect();
        for i in 0..2_000 {
            if i % 500 == 0 {
                ops.hot.rotate_left(1);
                ops.hot.truncate(150);
            }
            let ended = window(&mut m, &mut ops, &mut now);
            let (Window::Counted(stats) | Window::Aggregated(stats)) = ended else { panic!("{ended:?}") };
            assert!(stats.checks as usize <= checks.unwrap_or(max), "{stats:?}");
            assert!(stats.nr_regions <= max, "{stats:?}");
        }
    }
}

#[test]
fn with_no_limit_set_it_spends_little_once_it_knows_and_all_when_something_changes() {
    let mut m = monitor(adaptive(|_| {}));
    let (mut ops, mut now) = (Fake::new(1 << 30, 0..256 * MIB), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 60);
    assert!(ops.armed.len() <= 250, "{}", ops.armed.len());
    ops.hot = Some(512 * MIB..768 * MIB).into_iter().collect();
    aggregations(&mut m, &mut ops, &mut now, 2);
    assert!(ops.armed.len() > 900, "{}", ops.armed.len());
}

#[test]
fn checks_of_edges_and_suspects_enter_no_count() {
    let mut m = monitor(adaptive(|s| s.max_checks = Some(200)));
    let (mut ops, mut now) = (Fake::new(1 << 30, 3 * MIB..300 * MIB), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 3);
    let _ = window(&mut m, &mut ops, &mut now);
    let counted: u32 = regions(&m).iter().map(|r| r.nr_samples).sum();
    assert!(counted > 100 && (counted as usize) < ops.armed.len(), "{counted} of {}", ops.armed.len());
}

#[test]
fn no_region_ends_inside_a_huge_page_once_it_was_observed() {
    let mut m = monitor(adaptive(|_| {}));
    let (mut ops, mut now) = (Fake::new(1 << 30, 33 * MIB..97 * MIB), Instant::ZERO);
    ops.extent = 2 * MIB;
    for _ in 0..40 {
        aggregations(&mut m, &mut ops, &mut now, 1);
        assert!(regions(&m).iter().all(|r| r.start % (2 * MIB) == 0), "{:?}", regions(&m));
    }
    assert!(!hot(&m).is_empty());
}

#[test]
fn rates_follow_the_interval_and_rest_on_less() {
    let mut m = monitor(adaptive(|_| {}));
    let (mut ops, mut now) = (Fake::new(1 << 30, 0..256 * MIB), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 30);
    let before = regions(&m);
    m.commit(adaptive(|s| {
        (s.sampling, s.aggregation) = (Duration::from_millis(50), Duration::from_secs(1));
    }));
    for (old, new) in before.iter().zip(regions(&m)) {
        assert_eq!(old.rate(), new.rate(), "always and never stay so");
        assert!(new.evidence() <= old.evidence() / 4 + 1, "{old:?} {new:?}");
    }
    assert!(hot(&m).iter().all(|r| r.1 <= 256 * MIB) && !hot(&m).is_empty());
}

#[test]
fn a_commit_switches_algorithms_both_ways() {
    let mut m = monitor(attrs(|_| {}));
    let (mut ops, mut now) = (Fake::new(1 << 30, 0..256 * MIB), Instant::ZERO);
    for adjust in [Adjust::Adaptive, Adjust::Classic, Adjust::Adaptive] {
        m.commit(attrs(|s| s.adjust = adjust));
        aggregations(&mut m, &mut ops, &mut now, 10);
        assert_invariants(&m);
        let bytes: u64 = hot(&m).iter().map(|r| r.1 - r.0).sum();
        assert!((250 * MIB..262 * MIB).contains(&bytes), "{adjust:?}: {bytes}");
    }
}

#[test]
fn attributes_alone_divide_memory_and_are_no_accesses() {
    let probes = vec![Probe { weight: 1, ..Probe::default() }];
    let mut m = monitor(adaptive(|s| s.probes = probes));
    let (mut ops, mut now) = (Fake::new(1 << 30, 256 * MIB..300 * MIB), Instant::ZERO);
    (ops.attrs, ops.seen) = (1, Some(Seen::Unknown));
    aggregations(&mut m, &mut ops, &mut now, 20);
    let edges: Vec<u64> = regions(&m).iter().map(|r| r.start).collect();
    assert!(edges.contains(&(256 * MIB)) && edges.contains(&(300 * MIB)), "{edges:?}");
    assert!(regions(&m).iter().all(|r| r.nr_accesses == 0 && r.rate().is_none()));
}

#[test]
fn one_reported_page_does_not_make_ten_gigabytes_hot() {
    let mut m = Monitor::new(adaptive(|_| {}), 7);
    let page = crate::AddrRange::new(0, 10 << 30).unwrap();
    m.add_target(TargetSpec { ranges: vec![page], ..TargetSpec::new(T) });
    let (mut now, at) = (Instant::ZERO, 777_777 * PAGE);
    for _ in 0..400 {
        let Ok(Next::At(due)) = m.begin(now, &mut ()) else { panic!("parked") };
        now = due;
        m.report_access(crate::Access::new(T, at, 64));
        let _ = m.end(now, &mut ());
    }
    let found = hot(&m);
    assert_eq!(found, [(at, at + PAGE)], "{found:?}");
}
