//! "Not accessed" is worth nothing where accesses cannot be seen.

use damon_core::{Action, AttrsSpec, Filter, Instant, Monitor, PageFilter, Sees, TargetId};
use damos::engine::{SchemeError, Schemes};
use damos::scheme::{AccessPattern, CoreFilter, CoreFilterKind, Freq, Scheme};

use super::support::*;

/// Target 0 is seen; of target 1 pages 100 to 200 only when they are written, and pages 300 to 400 not at all.
fn monitor() -> Monitor {
    let seen = span(pages(0, 100), Sees::Accesses);
    let written = span(pages(100, 200), Sees::Writes);
    let unseen = span(pages(300, 400), Sees::Nothing);
    let mut picture = Picture { targets: vec![vec![seen], vec![seen, written, unseen]], hot: |_, _| false };
    watched(AttrsSpec::default(), 1, 2, &mut picture)
}

fn without(kind: CoreFilterKind) -> Vec<CoreFilter> {
    vec![CoreFilter { kind, matching: true, allow: false }]
}

fn try_new(monitor: &Monitor, scheme: Scheme) -> Result<Schemes, SchemeError> {
    Schemes::new(&monitor.view(), &Actor::default(), vec![scheme])
}

fn acted_on(monitor: &mut Monitor, schemes: &mut Schemes) -> Vec<(u32, u64)> {
    let mut actor = Actor::default();
    let _ = schemes.apply(Instant::ZERO, true, monitor, &mut actor, &mut ());
    actor.asked.iter().map(|a| (a.target.get(), a.range.start() / GRANULE)).collect()
}

#[test]
fn a_scheme_on_idle_memory_is_refused_where_reads_are_unseen_and_says_the_way_out() {
    let refused = try_new(&monitor(), Scheme::new(Action::Pageout)).expect_err("blind");
    assert_eq!(refused, SchemeError::Blind { scheme: 0, target: TargetId::new(1) });
    assert!(refused.to_string().contains("leave that out with a filter, or set allow_write_only"), "{refused}");
}

#[test]
fn filters_that_leave_the_unseen_out_make_it_welcome() {
    let mut monitor = monitor();
    let addr = |start, end| CoreFilterKind::Addr(pages(start, end));
    let page = Filter { page: PageFilter::Anon, matching: true, allow: true };
    let keep = |kind| vec![CoreFilter { kind, matching: true, allow: true }];
    let cases = [
        (without(addr(100, 200)), vec![], true),
        (without(addr(50, 250)), vec![], true),
        (without(addr(100, 199)), vec![], false),
        (without(CoreFilterKind::Target(TargetId::new(1))), vec![], true),
        (without(CoreFilterKind::Target(T0)), vec![], false),
        (keep(addr(0, 100)), vec![], true),
        (keep(addr(0, 101)), vec![], false),
        // What no line is about is up to the page filters, and these let some pass.
        (keep(addr(0, 100)), vec![page], false),
    ];
    for (core_filters, filters, welcome) in cases {
        let scheme = Scheme { core_filters: core_filters.clone(), filters, ..Scheme::new(Action::Pageout) };
        match try_new(&monitor, scheme) {
            Ok(mut schemes) if welcome => {
                let acted = acted_on(&mut monitor, &mut schemes);
                assert!(!acted.is_empty() && acted.iter().all(|a| a.1 < 100), "{core_filters:?}: {acted:?}");
            }
            Err(SchemeError::Blind { .. }) if !welcome => {}
            other => panic!("{core_filters:?}: {other:?}"),
        }
    }
}

#[test]
fn who_allows_it_gets_what_is_not_written_but_never_what_nothing_is_known_of() {
    let mut monitor = monitor();
    let scheme = Scheme { allow_write_only: true, ..Scheme::new(Action::Pageout) };
    let mut schemes = try_new(&monitor, scheme).expect("allowed");
    let acted = acted_on(&mut monitor, &mut schemes);
    assert!(acted.iter().any(|a| (100..200).contains(&a.1)) && acted.iter().all(|a| a.1 < 300), "{acted:?}");
    assert_eq!(schemes.stats(0).map(|s| s.sz_blind), Some(100 * GRANULE));
}

#[test]
fn what_was_written_was_accessed_for_certain() {
    let mut monitor = monitor();
    let hot = AccessPattern { freq: Freq::Samples(1..=20), ..AccessPattern::default() };
    assert!(try_new(&monitor, Scheme { pattern: hot, ..Scheme::new(Action::Willneed) }).is_ok());
    let counted = try_new(&monitor, Scheme::new(Action::Stat)).map(|mut s| acted_on(&mut monitor, &mut s));
    assert!(counted.is_ok_and(|c| !c.is_empty()), "to count harms nobody");
}

#[test]
fn memory_that_turned_up_unseen_later_is_left_alone_and_counted() {
    let seen = vec![span(pages(0, 100), Sees::Accesses)];
    let mut picture = Picture { targets: vec![seen.clone()], hot: |_, _| false };
    let before = watched(AttrsSpec::default(), 1, 2, &mut picture);
    let mut schemes = try_new(&before, Scheme::new(Action::Pageout)).expect("all is seen");
    picture.targets[0].push(span(pages(100, 200), Sees::Writes));
    let mut later = watched(AttrsSpec::default(), 1, 2, &mut picture);
    let acted = acted_on(&mut later, &mut schemes);
    assert!(!acted.is_empty() && acted.iter().all(|a| a.1 < 100), "{acted:?}");
    assert_eq!(schemes.stats(0).map(|s| s.sz_blind), Some(100 * GRANULE));
}
