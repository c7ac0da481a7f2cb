//! One law a test.

use damon_core::control::watermarks::Marks;
use damon_core::{Action, Instant, Metric, MetricsFn, Monitor};
use damos::engine::{SchemeError, Schemes, Stats, Tried};
use damos::scheme::{AccessPattern, Age, CoreFilter, CoreFilterKind, Freq, Goal, Quota, Scheme, Watermarks};

use super::support::*;

fn pageout() -> Scheme {
    Scheme::new(Action::Pageout)
}

fn new(monitor: &Monitor, list: Vec<Scheme>) -> Schemes {
    Schemes::new(&monitor.view(), &Actor::default(), list).expect("valid schemes")
}

fn at(ms: u32) -> Instant {
    Instant::ZERO + MS * ms
}

fn apply(schemes: &mut Schemes, ms: u32, monitor: &mut Monitor, actor: &mut Actor) -> (u64, Vec<Tried>) {
    let mut seen = Vec::new();
    let outcome = schemes.apply_with(at(ms), true, monitor, actor, &mut (), &mut |t| seen.push(*t));
    assert_eq!(outcome.error.is_some(), outcome.nr_failed > 0);
    (outcome.nr_failed, seen)
}

fn stats(schemes: &Schemes) -> Stats {
    schemes.stats(0).expect("there is a scheme")
}

#[test]
fn a_failure_half_way_is_charged_counted_and_reported_and_the_rest_is_gone_on_with() {
    let mut monitor = finished(&[(0, 10, 0, 5), (10, 20, 1, 5), (20, 30, 2, 5)]);
    let quota = Quota { size: 100 * GRANULE, ..Quota::default() };
    let mut schemes = new(&monitor, vec![Scheme { quota, ..pageout() }]);
    let mut actor = Actor { broken_at: Some(14 * GRANULE), ..Actor::default() };
    let (nr_failed, seen) = apply(&mut schemes, 0, &mut monitor, &mut actor);
    assert_eq!(nr_failed, 1);
    assert_eq!(actor.ranges(), [pages(0, 10), pages(10, 20), pages(20, 30)]);
    assert_eq!(seen.iter().map(|t| t.applied / GRANULE).collect::<Vec<_>>(), [10, 4, 10]);
    assert_eq!(schemes.charged(0), Some(30 * GRANULE));
    let s = stats(&schemes);
    assert_eq!((s.nr_tried, s.nr_applied, s.nr_failed), (3, 3, 1));
    assert_eq!((s.sz_tried, s.sz_applied), (30 * GRANULE, 24 * GRANULE));
    assert_eq!((actor.opened, actor.closed), (1, 1), "it may look up what all need, and finish what was batched");
}

#[test]
fn what_failed_is_charged_by_its_part() {
    let mut monitor = finished(&[(0, 10, 0, 5)]);
    let quota = Quota { size: 100 * GRANULE, fail_charge: Some((1, 2)), ..Quota::default() };
    let mut schemes = new(&monitor, vec![Scheme { quota, ..pageout() }]);
    apply(&mut schemes, 0, &mut monitor, &mut Actor { broken_at: Some(4 * GRANULE), ..Actor::default() });
    assert_eq!(schemes.charged(0), Some(7 * GRANULE));
}

#[test]
fn a_window_that_used_up_its_quota_is_gone_on_from_in_the_next() {
    let mut monitor = finished(&[(0, 30, 0, 5)]);
    let quota = Quota { size: 12 * GRANULE, ..Quota::default() };
    let mut schemes = new(&monitor, vec![Scheme { quota, ..pageout() }]);
    let mut actor = Actor::default();
    for ms in [0, 500, 1_000, 2_000] {
        apply(&mut schemes, ms, &mut monitor, &mut actor);
    }
    assert_eq!(actor.ranges(), [pages(0, 12), pages(12, 24), pages(24, 30)]);
    assert_eq!(stats(&schemes).qt_exceeds, 2);
}

#[test]
fn a_refused_commit_changes_nothing() {
    let mut monitor = finished(&[(0, 10, 0, 5)]);
    let mut actor = Actor { refuses: Some(Action::Collapse), ..Actor::default() };
    let mut schemes = new(&monitor, vec![pageout()]);
    apply(&mut schemes, 0, &mut monitor, &mut actor);
    let before = stats(&schemes);
    let goal = Quota { goals: vec![Goal::new(Metric::UserInput, 0)], ..Quota::default() };
    let marks = Watermarks { metric: Metric::UserInput, interval: MS, marks: Marks { high: 1, mid: 2, low: 0 } };
    let bad = [
        (Scheme::new(Action::Collapse), "scheme 1: Collapse is not supported here: the test refuses it"),
        (Scheme { quota: goal, ..pageout() }, "scheme 1: goal 0 (UserInput) has the target value 0, which"),
        (
            Scheme { watermarks: Some(marks), ..pageout() },
            "scheme 1: watermarks must be high >= mid >= low, but are 1, 2, 0",
        ),
        (
            Scheme { quota: Quota { fail_charge: Some((3, 0)), ..Quota::default() }, ..pageout() },
            "scheme 1: fail_charge is 3/0",
        ),
    ];
    for (scheme, why) in bad {
        let refused = schemes.commit(&monitor.view(), &actor, vec![Scheme::new(Action::Cold), scheme]);
        let words = refused.expect_err(why).to_string();
        assert!(words.starts_with(why), "{words}");
        assert_eq!(schemes.schemes().map(|s| s.action).collect::<Vec<_>>(), [Action::Pageout]);
        assert_eq!(stats(&schemes), before);
    }
}

#[test]
fn a_commit_keeps_the_statistics_and_of_an_equal_quota_what_it_charged() -> Result<(), SchemeError> {
    let mut monitor = finished(&[(0, 10, 0, 5)]);
    let mut actor = Actor::default();
    let goals = vec![Goal::new(Metric::UserInput, 100)];
    let quota = Quota { size: 12 * GRANULE, goals, tuner: damos::scheme::Tuner::Temporal, ..Quota::default() };
    let scheme = Scheme { quota, ..pageout() };
    let mut schemes = new(&monitor, vec![scheme.clone()]);
    assert!(schemes.set_goal_input(0, 0, 7), "what the program feeds in is no change of the quota");
    apply(&mut schemes, 0, &mut monitor, &mut actor);
    let (before, charged) = (stats(&schemes), schemes.charged(0));
    assert_eq!(charged, Some(10 * GRANULE));

    let older = AccessPattern { age: Age::Aggregations(3..=u32::MAX), ..AccessPattern::default() };
    let changed = Scheme { pattern: older, ..scheme.clone() };
    schemes.commit(&monitor.view(), &actor, vec![changed.clone(), Scheme::new(Action::Stat)])?;
    assert_eq!((stats(&schemes), schemes.charged(0)), (before, charged));
    assert_eq!(schemes.stats(1), Some(Stats::default()));

    let quota = Quota { size: 13 * GRANULE, ..scheme.quota };
    schemes.commit(&monitor.view(), &actor, vec![Scheme { quota, ..changed }])?;
    assert_eq!((stats(&schemes), schemes.charged(0)), (before, Some(0)));

    schemes.commit(&monitor.view(), &actor, vec![Scheme::new(Action::Cold)])?;
    assert_eq!(stats(&schemes), Stats::default(), "another action: another scheme");
    Ok(())
}

#[test]
fn it_stops_after_so_many_snapshots() {
    let mut monitor = finished(&[(0, 10, 0, 5), (10, 20, 9, 5)]);
    let mut schemes = new(&monitor, vec![Scheme { max_nr_snapshots: Some(3), ..Scheme::new(Action::Stat) }]);
    for ms in 0..10 {
        apply(&mut schemes, ms * 100, &mut monitor, &mut Actor::default());
    }
    let s = stats(&schemes);
    assert_eq!((s.nr_snapshots, s.nr_tried), (3, 6));
}

#[test]
fn an_interval_of_its_own_is_kept_whatever_the_aggregations_do() {
    let mut monitor = finished(&[(0, 10, 0, 5)]);
    let own = Scheme { apply_interval: MS * 250, ..Scheme::new(Action::Stat) };
    let mut schemes = new(&monitor, vec![own, Scheme::new(Action::Stat)]);
    let mut when = [Vec::new(), Vec::new()];
    // In the gap of each sampling window; aggregations end each 100 ms.
    for ms in (0..=1_000).step_by(5) {
        let mut actor = Actor::default();
        let aggregated = ms > 0 && ms % 100 == 0;
        let outcome = schemes.apply_with(at(ms), aggregated, &mut monitor, &mut actor, &mut (), &mut |t| {
            when[t.scheme].push(ms);
        });
        assert_eq!(outcome.applied > 0, !actor.asked.is_empty());
    }
    assert_eq!(when[0], [250, 500, 750, 1_000]);
    assert_eq!(when[1], (1..=10).map(|n| n * 100).collect::<Vec<_>>());
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_not_do_it() {
    let mut monitor = finished(&[(0, 10, 0, 5), (10, 20, 9, 7)]);
    let quota = Quota { size: 12 * GRANULE, ..Quota::default() };
    let real = Scheme { quota, ..pageout() };
    let dry = Scheme { dry_run: true, ..real.clone() };
    let mut actor = Actor { refuses: Some(Action::Pageout), ..Actor::default() };
    let mut schemes = Schemes::new(&monitor.view(), &actor, vec![dry]).expect("who will not act need not support it");
    let (_, would) = apply(&mut schemes, 0, &mut monitor, &mut actor);
    assert!(actor.asked.is_empty() && would.iter().all(|t| t.dry_run));
    let s = stats(&schemes);
    assert_eq!((s.nr_tried, s.sz_tried, s.nr_applied, s.sz_applied), (2, 12 * GRANULE, 0, 0));
    assert!(monitor.view().targets()[0].regions().iter().all(|r| r.age() > 0), "nothing happened to it");

    let mut monitor = finished(&[(0, 10, 0, 5), (10, 20, 9, 7)]);
    let mut schemes = new(&monitor, vec![real]);
    let (_, did) = apply(&mut schemes, 0, &mut monitor, &mut Actor::default());
    assert_eq!(did.iter().map(|t| t.range).collect::<Vec<_>>(), would.iter().map(|t| t.range).collect::<Vec<_>>());
}

#[test]
fn outside_its_watermarks_it_rests_and_if_all_rest_it_says_when_to_look_again() {
    let mut monitor = finished(&[(0, 10, 0, 5)]);
    let marks = Marks { high: 500, mid: 400, low: 200 };
    let watermarks = Some(Watermarks { metric: Metric::FreeMemRatePermille, interval: MS * 100, marks });
    let mut schemes = new(&monitor, vec![Scheme { watermarks, ..pageout() }]);
    let mut actor = Actor::default();
    let looks = [(0, 450, None), (100, 600, Some(200)), (200, 450, Some(300)), (300, 399, None), (400, 100, Some(500))];
    for (ms, free, next) in looks {
        let asked = actor.asked.len();
        let again = schemes.activate(at(ms), &mut MetricsFn(|_| Ok(free)));
        assert_eq!(again, next.map(at), "{free} permille free");
        apply(&mut schemes, ms, &mut monitor, &mut actor);
        assert_eq!(actor.asked.len() - asked, usize::from(next.is_none()), "{free} permille free");
    }
    assert_eq!(schemes.activate(at(450), &mut ()), Some(at(500)), "not due: not read");
    assert_eq!(schemes.activate(at(500), &mut ()), Some(at(600)), "unread: as it was");
    assert_eq!(stats(&schemes).watermark_errors, 1);
}

#[test]
fn a_goal_that_cannot_be_read_is_no_licence_to_do_more() {
    let mut monitor = finished(&[(0, 1_000, 0, 5)]);
    let quota = Quota { goals: vec![Goal::new(Metric::CpuLoadBp, 100)], ..Quota::default() };
    let mut schemes = new(&monitor, vec![Scheme { quota, ..pageout() }]);
    let mut size = |ms, load: Option<u64>| {
        let mut metrics = MetricsFn(|m| load.ok_or(damon_core::MetricError::new(m, "the test says so")));
        let _ = schemes.apply(at(ms), true, &mut monitor, &mut Actor::default(), &mut metrics);
        assert_eq!(schemes.measured(0), Some([load].as_slice()));
        schemes.effective_quota(0).unwrap_or_default().0
    };
    let grown: Vec<_> = (0..14).map(|i| size(i * 1_000, Some(0))).collect();
    assert_eq!(grown[..4], [2, 4, 8, 16]);
    let last = size(14_000, None);
    assert_eq!(last, grown[13], "held");
    assert_eq!(stats(&schemes).goal_errors, 1);
}

#[test]
fn the_most_deserving_come_first_by_the_weight_of_size_too() {
    let regions = [(0, 10, 0, 50), (10, 20, 0, 500), (20, 30, 9, 0), (30, 230, 0, 50)];
    let by = |size, age| {
        let mut monitor = finished(&regions);
        let weights = damon_core::control::priority::Weights { size, nr_accesses: 1, age };
        let quota = Quota { size: 10 * GRANULE, weights, ..Quota::default() };
        let mut schemes = new(&monitor, vec![Scheme { quota, ..pageout() }]);
        let mut actor = Actor::default();
        apply(&mut schemes, 0, &mut monitor, &mut actor);
        actor.ranges()
    };
    assert_eq!(by(0, 1), [pages(10, 20)], "the oldest");
    assert_eq!(by(9, 0), [pages(0, 10)], "pageout is a cold action: of the idle, the small");
}

#[test]
fn filters_cut_where_their_edges_are_and_the_first_that_fits_decides() {
    let mut monitor = finished(&[(0, 10, 0, 5), (10, 20, 9, 5)]);
    let line = |start, end, allow| CoreFilter { kind: CoreFilterKind::Addr(pages(start, end)), matching: true, allow };
    let core_filters = vec![line(4, 6, false), line(2, 13, true)];
    let mut schemes = new(&monitor, vec![Scheme { core_filters, ..pageout() }]);
    let mut actor = Actor::default();
    apply(&mut schemes, 0, &mut monitor, &mut actor);
    assert_eq!(actor.ranges(), [pages(2, 4), pages(6, 10), pages(10, 13)]);
}

#[test]
fn a_target_whose_memory_is_gone_does_not_hold_up_the_next_window() {
    use damon_core::Sees;
    let mut picture = Picture {
        targets: vec![vec![span(pages(0, 100), Sees::Accesses)], vec![span(pages(0, 100), Sees::Accesses)]],
        hot: |_, _| false,
    };
    let spec = || damon_core::AttrsSpec::default();
    let mut monitor = watched(spec(), 1, 2, &mut picture);
    let quota = Quota { size: 120 * GRANULE, ..Quota::default() };
    let mut schemes = new(&monitor, vec![Scheme { quota, ..pageout() }]);
    let mut actor = Actor::default();
    apply(&mut schemes, 0, &mut monitor, &mut actor);
    assert!(actor.asked.last().is_some_and(|a| a.target.get() == 1), "stopped in the second");
    picture.targets[1].clear();
    let mut monitor = watched(spec(), 1, 2, &mut picture);
    for ms in [1_000, 2_000] {
        let asked = actor.asked.len();
        apply(&mut schemes, ms, &mut monitor, &mut actor);
        assert!(actor.asked.len() > asked);
    }
    assert!(stats(&schemes).nr_snapshots >= 2, "the last with memory ends the snapshot");
}

#[test]
fn an_action_starts_the_age_anew_and_counting_does_not() {
    for (action, ages) in [(Action::Stat, vec![5, 7]), (Action::Pageout, vec![5, 0])] {
        let mut monitor = finished(&[(0, 10, 9, 5), (10, 20, 0, 7)]);
        let idle = AccessPattern { freq: Freq::NONE, ..AccessPattern::default() };
        let mut schemes = new(&monitor, vec![Scheme { pattern: idle, ..Scheme::new(action) }]);
        apply(&mut schemes, 0, &mut monitor, &mut Actor::default());
        assert_eq!(monitor.view().targets()[0].regions().iter().map(|r| r.age()).collect::<Vec<_>>(), ages);
    }
}

#[test]
fn what_another_scheme_cuts_is_not_done_and_charged_twice() {
    let mut monitor = finished(&[(0, 10, 0, 5)]);
    let quota = |pages| Quota { size: pages * GRANULE, ..Quota::default() };
    let list = vec![Scheme { quota: quota(100), ..Scheme::new(Action::Stat) }, Scheme { quota: quota(4), ..pageout() }];
    let mut schemes = new(&monitor, list);
    let (_, seen) = apply(&mut schemes, 0, &mut monitor, &mut Actor::default());
    assert_eq!(seen.iter().map(|t| (t.scheme, t.range)).collect::<Vec<_>>(), [(0, pages(0, 10)), (1, pages(0, 4))]);
    assert_eq!((schemes.charged(0), stats(&schemes).nr_snapshots), (Some(10 * GRANULE), 1));
}
