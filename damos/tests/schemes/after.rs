//! What became of memory after it was acted on.

use damon_core::{Action, Instant};
use damos::engine::{Schemes, Stats};
use damos::scheme::{AccessPattern, Freq, Scheme};

use super::support::*;

#[test]
fn what_is_really_in_effect_is_counted_apart_from_what_was_applied() {
    let seen = |in_effect, verify| {
        let mut monitor = finished(&[(0, 10, 0, 5), (10, 20, 9, 5)]);
        let mut actor = Actor { in_effect, per_mille: 500, ..Actor::default() };
        let scheme = Scheme { verify, ..Scheme::new(Action::Pageout) };
        let mut schemes = Schemes::new(&monitor.view(), &actor, vec![scheme]).expect("a valid scheme");
        let outcome = schemes.apply(Instant::ZERO, true, &mut monitor, &mut actor, &mut ());
        let s = schemes.stats(0).unwrap_or_default();
        assert_eq!(s.sz_applied, 10 * GRANULE);
        (s.sz_verified / GRANULE, s.sz_unverified / GRANULE, outcome.error)
    };
    assert_eq!(seen(Ok(Some(3 * GRANULE)), true), (6, 0, None));
    assert_eq!(seen(Ok(Some(u64::MAX)), true), (20, 0, None), "never more than there is");
    assert_eq!(seen(Ok(None), true), (0, 20, None), "nobody can tell");
    assert_eq!(seen(Err(No), true), (0, 20, Some(No)));
    assert_eq!(seen(Ok(Some(3 * GRANULE)), false), (0, 0, None), "nobody asked");
}

/// Pages out what is idle, on memory of which pages 10 to 20 are used every other second and the rest never. What it was asked to
/// page out of these, in seconds, and the statistics.
fn every_other_second(seconds: u32, guard: Option<u32>) -> (Vec<u32>, Stats) {
    let idle = AccessPattern { freq: Freq::NONE, ..AccessPattern::default() };
    let scheme = Scheme { pattern: idle, thrash_guard: guard.map(|s| MS * 1_000 * s), ..Scheme::new(Action::Pageout) };
    let mut schemes: Option<Schemes> = None;
    let mut when = Vec::new();
    for second in 0..seconds {
        let n = if second % 2 == 1 { 10 } else { 0 };
        let mut monitor = finished(&[(0, 10, 0, 5), (10, 20, n, 5), (20, 30, 0, 5)]);
        let mut actor = Actor::default();
        let schemes = schemes.get_or_insert_with(|| {
            Schemes::new(&monitor.view(), &actor, vec![scheme.clone()]).expect("a valid scheme")
        });
        let _ = schemes.apply(Instant::ZERO + MS * 1_000 * second, true, &mut monitor, &mut actor, &mut ());
        let of = |page| actor.ranges().iter().filter(|r| r.contains(page * GRANULE)).count();
        assert_eq!((of(5), of(25)), (1, 1), "others are not left alone");
        if of(15) > 0 {
            when.push(second);
        }
    }
    (when, schemes.and_then(|s| s.stats(0)).unwrap_or_default())
}

#[test]
fn memory_that_comes_back_is_left_alone_for_a_time_that_doubles() {
    let (when, s) = every_other_second(130, None);
    assert_eq!((when.len(), s.sz_came_back, s.sz_spared), (65, 0, 0));
    let (when, s) = every_other_second(130, Some(2));
    // Paged out, back a second later, left alone for 2, 4, 8 seconds and so on, and for the second in which it is used.
    assert_eq!(when, [0, 4, 10, 20, 38, 72]);
    assert_eq!(s.sz_came_back, 6 * 10 * GRANULE);
    assert_eq!(s.sz_spared, (65 - 6) * 10 * GRANULE);
    println!("used every other second for 130 s, 40 KiB: paged out 65 times without the guard, {} with it", when.len());
}

#[test]
fn what_came_back_late_did_not_come_back_soon() {
    let idle = AccessPattern { freq: Freq::NONE, ..AccessPattern::default() };
    let scheme = Scheme { pattern: idle, thrash_guard: Some(MS * 100), ..Scheme::new(Action::Pageout) };
    let mut monitor = finished(&[(0, 10, 0, 5)]);
    let mut schemes = Schemes::new(&monitor.view(), &Actor::default(), vec![scheme]).expect("a valid scheme");
    let mut at = |ms, n| {
        monitor = finished(&[(0, 5, n, 5), (5, 10, 0, 5)]);
        let mut actor = Actor::default();
        let _ = schemes.apply(Instant::ZERO + MS * ms, true, &mut monitor, &mut actor, &mut ());
        (actor.ranges(), schemes.stats(0).map(|s| s.sz_came_back / GRANULE))
    };
    assert_eq!(at(0, 0), (vec![pages(0, 5), pages(5, 10)], Some(0)));
    assert_eq!(at(101, 9), (vec![pages(5, 10)], Some(0)), "late");
    assert_eq!(at(150, 0), (vec![pages(0, 5), pages(5, 10)], Some(0)));
    assert_eq!(at(200, 9), (vec![pages(5, 10)], Some(5)), "soon");
    assert_eq!(at(250, 0), (vec![pages(5, 10)], Some(5)), "left alone, and only that");
    assert_eq!(at(300, 0), (vec![pages(0, 5), pages(5, 10)], Some(5)));
}
