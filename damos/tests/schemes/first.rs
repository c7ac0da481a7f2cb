//! Ranges that stand first in line.

use damon_core::control::priority::Weights;
use damon_core::{Action, Instant, TargetId};
use damos::engine::Schemes;
use damos::scheme::{AccessPattern, Age, CoreFilter, CoreFilterKind, PriorityRange, Quota, Scheme};

use super::support::*;

fn first(start: u64, end: u64, until_ms: u32) -> PriorityRange {
    PriorityRange { target: T0, range: pages(start, end), until: Instant::ZERO + MS * until_ms }
}

fn scheme(quota: u64, priority_ranges: Vec<PriorityRange>) -> Scheme {
    let weights = Weights { size: 0, nr_accesses: 1, age: 1 };
    let quota = Quota { size: quota * GRANULE, weights, ..Quota::default() };
    Scheme { quota, priority_ranges, ..Scheme::new(Action::Pageout) }
}

/// Twice, at 0 and 2 seconds: what was acted on each time.
fn acted(scheme: Scheme) -> [Vec<(u64, u64)>; 2] {
    let mut monitor = finished(&[(0, 30, 0, 900), (30, 60, 2, 0), (60, 90, 9, 0)]);
    let mut schemes = Schemes::new(&monitor.view(), &Actor::default(), vec![scheme]).expect("a valid scheme");
    [0, 2_000].map(|ms| {
        let mut actor = Actor::default();
        let _ = schemes.apply(Instant::ZERO + MS * ms, true, &mut monitor, &mut actor, &mut ());
        let s = schemes.effective_quota(0).unwrap_or_default();
        assert!(schemes.charged(0) <= Some(s.0));
        actor.ranges().iter().map(|r| (r.start() / GRANULE, r.end() / GRANULE)).collect()
    })
}

#[test]
fn they_are_served_before_what_deserves_it_more_and_only_as_long_as_told() {
    assert_eq!(acted(scheme(10, vec![])), [[(0, 10)], [(10, 20)]]);
    let told = vec![first(70, 76, 1_000), first(40, 43, 1_000)];
    assert_eq!(acted(scheme(10, told)), [vec![(70, 76), (40, 43), (0, 1)], vec![(1, 11)]]);
}

#[test]
fn within_the_quota() {
    assert_eq!(acted(scheme(10, vec![first(65, 85, 1_000)])), [[(65, 75)], [(0, 10)]]);
}

#[test]
fn within_the_filters_and_the_pattern() {
    let out = |s, e| CoreFilter { kind: CoreFilterKind::Addr(pages(s, e)), matching: true, allow: false };
    let filtered = Scheme { core_filters: vec![out(66, 70)], ..scheme(10, vec![first(65, 75, 1_000)]) };
    assert_eq!(acted(filtered)[0], [(65, 66), (70, 75), (0, 4)]);
    let old = AccessPattern { age: Age::Aggregations(1..=u32::MAX), ..AccessPattern::default() };
    let other = Scheme { pattern: old, ..scheme(10, vec![first(65, 75, 1_000)]) };
    assert_eq!(acted(other)[0], [(0, 10)]);
}

#[test]
fn nothing_of_them_is_done_twice_where_the_quota_has_room() {
    let [once, _] = acted(scheme(1_000, vec![first(20, 40, 1_000), first(35, 50, 1_000)]));
    assert_eq!(once, [(20, 30), (30, 40), (40, 50), (0, 20), (50, 60), (60, 90)]);
}

#[test]
fn one_of_a_target_that_is_not_there_is_nothing() {
    let elsewhere = PriorityRange { target: TargetId::new(7), ..first(0, 10, 1_000) };
    assert_eq!(acted(scheme(10, vec![elsewhere]))[0], [(0, 10)]);
}
