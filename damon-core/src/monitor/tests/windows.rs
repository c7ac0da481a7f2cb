//! Windows and aggregations: deadlines, errors, lateness, pauses, other intervals.

use super::*;
use crate::attrs::IntervalsGoal;
use crate::filter::{Filter, PageFilter, Probe};
use crate::units::Bp;

fn hot_bytes(m: &Monitor) -> u64 {
    regions(m).iter().filter(|r| r.rate().is_some_and(|bp| bp.0 >= 5_000)).map(Region::size).sum()
}

#[test]
fn the_hot_part_is_found() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(1024 * MIB, 300 * MIB..400 * MIB), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 60);
    let hot = hot_bytes(&m);
    assert!((95 * MIB..105 * MIB).contains(&hot), "{}", hot / MIB);
    assert_invariants(&m);
}

#[test]
fn before_its_time_nothing_is_done() {
    let mut m = monitor(attrs(|_| ()));
    let mut ops = Fake::new(MIB, 0..0);
    assert_eq!(m.end(Instant::ZERO, &mut ops), Ok(Window::Early(Instant::ZERO)), "not begun");
    let due = Instant::ZERO + m.attrs().sampling();
    assert_eq!(m.begin(Instant::ZERO, &mut ops), Ok(Next::At(due)));
    assert_eq!(m.begin(Instant::from_nanos(9), &mut ops), Ok(Next::At(due)), "begun already");
    assert_eq!(ops.arms, 1);
    assert_eq!(m.end(Instant::from_nanos(9), &mut ops), Ok(Window::Early(due)));
    assert!(matches!(m.end(due, &mut ops), Ok(Window::Counted(s)) if s.checks > 0 && s.late.is_zero()));
}

#[test]
fn a_failed_call_is_repeated_and_changes_nothing() {
    let run = |fail_at: Option<u32>| {
        let mut m = monitor(attrs(|_| ()));
        let (mut ops, mut now) = (Fake::new(64 * MIB, 0..9 * MIB), Instant::ZERO);
        for i in 0..100 {
            ops.failures = if fail_at == Some(i % 7) { 3 } else { 0 };
            let _ = window(&mut m, &mut ops, &mut now);
        }
        (regions(&m), ops.failures)
    };
    let (clean, _) = run(None);
    assert!(clean.iter().any(|r| r.nr_accesses > 0));
    for at in 0..7 {
        let (regions, unused) = run(Some(at));
        assert_eq!(unused, 0);
        // A failed arm draws again, so chance differs; counts are never doubled.
        assert!(regions.iter().all(|r| r.nr_samples <= 20));
        let hot: u64 = regions.iter().filter(|r| r.nr_accesses > 10).map(Region::size).sum();
        assert!((8 * MIB..11 * MIB).contains(&hot), "{hot}");
    }
}

#[test]
fn a_failed_check_gives_the_same_counts_as_one_that_did_not_fail() {
    let run = |failures| {
        let mut m = monitor(attrs(|_| ()));
        let (mut ops, mut now) = (Fake::new(64 * MIB, 0..9 * MIB), Instant::ZERO);
        for _ in 0..50 {
            let Ok(Next::At(due)) = m.begin(now, &mut ops) else { panic!("no window") };
            now = due;
            ops.failures = failures;
            while m.end(now, &mut ops).is_err() {}
        }
        regions(&m)
    };
    assert_eq!(run(0), run(2));
}

#[test]
fn a_late_window_is_one_sample_and_one_more_than_twice_too_long_is_none() {
    let mut m = monitor(attrs(|_| ()));
    let mut ops = Fake::new(MIB, 0..MIB);
    let (sampling, mut now) = (m.attrs().sampling(), Instant::ZERO);
    for (late, counts) in [(sampling / 2, true), (sampling, true), (sampling + Duration::from_nanos(1), false)] {
        let before = regions(&m).first().map_or(0, |r| r.nr_samples);
        let Ok(Next::At(due)) = m.begin(now, &mut ops) else { panic!("no window") };
        now = due + late;
        let Ok(Window::Counted(stats)) = m.end(now, &mut ops) else { panic!("not counted") };
        assert_eq!((stats.late, stats.void), (late, !counts));
        assert_eq!(regions(&m)[0].nr_samples, before + u32::from(counts));
        // No catching up: a whole interval from when the next begins.
        assert_eq!(m.begin(now, &mut ops), Ok(Next::At(now + sampling)));
        now = now + sampling;
        let _ = m.end(now, &mut ops);
    }
}

#[test]
fn an_aggregation_carries_the_time_that_really_passed() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(MIB, 0..MIB), Instant::from_nanos(1_000));
    for _ in 0..20 {
        let Ok(Next::At(due)) = m.begin(now, &mut ops) else { panic!("no window") };
        now = due + Duration::from_millis(1);
        let _ = m.end(now, &mut ops);
    }
    assert_eq!((m.view().took(), m.view().at()), (Duration::from_millis(120), now));
}

#[test]
fn a_pause_freezes_age_and_takes_no_time() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..0), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 5);
    let age = regions(&m)[0].age;
    let _ = m.begin(now, &mut ops);
    m.pause();
    assert_eq!(m.begin(now, &mut ops), Ok(Next::Parked));
    assert_eq!(m.end(now, &mut ops), Ok(Window::Early(now)), "the window was given up");
    now = now + Duration::from_secs(3_600);
    assert_eq!(m.begin(now, &mut ops), Ok(Next::Parked));
    m.resume();
    aggregations(&mut m, &mut ops, &mut now, 1);
    assert_eq!((regions(&m)[0].age, m.view().took()), (age + 1, m.attrs().aggregation()));
}

#[test]
fn new_intervals_rescale_counts_and_keep_ages_as_time() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..64 * MIB), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 15);
    let before = regions(&m)[0];
    assert_eq!((before.nr_accesses, before.nr_samples), (20, 20));
    let old = m.attrs().aggregation();
    m.commit(attrs(|s| s.aggregation = Duration::from_millis(1_000)));
    let after = regions(&m)[0];
    assert_eq!((after.nr_accesses, after.nr_samples), (200, 200), "a finished aggregation is rescaled");
    assert_eq!(after.age_time(m.attrs().aggregation()), before.age_time(old));
    let _ = window(&mut m, &mut ops, &mut now);
    m.commit(attrs(|_| ()));
    assert!(regions(&m).iter().all(|r| r.nr_samples == 0 && r.last_nr_samples == 20), "one under way starts anew");
    assert_invariants(&m);
}

#[test]
fn a_commit_that_leaves_the_intervals_leaves_the_counts() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..64 * MIB), Instant::ZERO);
    for _ in 0..7 {
        let _ = window(&mut m, &mut ops, &mut now);
    }
    m.commit(attrs(|s| s.max_nr_regions = 20));
    assert!(regions(&m).iter().all(|r| r.nr_samples == 7));
    aggregations(&mut m, &mut ops, &mut now, 5);
    assert!(regions(&m).len() <= 20);
}

#[test]
fn another_granule_moves_the_ends_of_regions() {
    let mut m = monitor(attrs(|_| ()));
    let (mut ops, mut now) = (Fake::new(64 * MIB + 4096, 0..9 * MIB), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 9);
    m.commit(attrs(|s| s.granule = 2 * MIB));
    aggregations(&mut m, &mut ops, &mut now, 20);
    assert!(regions(&m).iter().all(|r| r.start % (2 * MIB) == 0 && r.end % (2 * MIB) == 0));
    assert_invariants(&m);
}

#[test]
fn intervals_grow_where_nothing_is_seen_and_shrink_where_all_is() {
    let goal = IntervalsGoal { access_bp: Bp(400), aggregations: 3, ..IntervalsGoal::default() };
    let mut m = monitor(attrs(|s| s.intervals_goal = Some(goal)));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..0), Instant::ZERO);
    let mut intervals = Vec::new();
    for _ in 0..4 {
        aggregations(&mut m, &mut ops, &mut now, 3);
        intervals.push(m.attrs().sampling().as_millis());
    }
    assert_eq!(intervals, [5, 10, 20, 40], "tuned at the beginning of the next aggregation");
    ops.hot = Some(0..64 * MIB).into_iter().collect();
    aggregations(&mut m, &mut ops, &mut now, 12);
    assert_eq!((m.attrs().sampling().as_millis(), m.attrs().samples_per_aggregation()), (10, 20));
}

#[test]
fn where_weights_say_so_attributes_steer_instead_of_accesses() {
    let filters = vec![Filter { page: PageFilter::Anon, matching: true, allow: true }];
    let probe = Probe { filters, weight: 3 };
    let mut m = monitor(attrs(|s| s.probes = vec![Probe { weight: 0, ..probe.clone() }, probe]));
    let (mut ops, mut now) = (Fake::new(1024 * MIB, 300 * MIB..400 * MIB), Instant::ZERO);
    ops.attrs = 0b10;
    ops.seen = Some(Seen::Unknown);
    aggregations(&mut m, &mut ops, &mut now, 60);
    assert_eq!(ops.arms, 0, "accesses are not checked");
    let t = &m.targets[0];
    let with: u64 = t.regions.iter().zip(&t.probe_hits).filter(|(_, h)| h.now[1] > 10).map(|(r, _)| r.size()).sum();
    assert!((95 * MIB..105 * MIB).contains(&with), "{}", with / MIB);
    assert!(t.probe_hits.iter().all(|h| h.now[0] == 0));
    assert_invariants(&m);
}

#[test]
fn a_million_regions_and_128_tib_work() {
    let mut m = monitor(attrs(|s| {
        (s.min_nr_regions, s.max_nr_regions, s.aggregation) = (1_000_000, 1_100_000, s.sampling * 2);
    }));
    let (mut ops, mut now) = (Fake::new(1 << 47, 0..1 << 44), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 2);
    assert!((999_000..=1_100_000).contains(&regions(&m).len()), "{}", regions(&m).len());
    let hot: u64 = regions(&m).iter().filter(|r| r.nr_accesses == 2).map(Region::size).sum();
    assert!(hot.abs_diff(1 << 44) < 1 << 30, "{hot:#x}");
    assert_invariants(&m);
}
