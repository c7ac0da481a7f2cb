//! The step loop on a virtual clock: late windows, errors, and the overhead budget against synthetic costs.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod common;

use std::time::Duration;

use common::{Fake, FakeError, MS, SIZE, context};
use damon_core::{Adjust, Attrs, AttrsSpec, Instant, IntervalsGoal, Next, TargetEvent, TargetId, TargetSpec};
use damos::Context;
use damos::context::{BadBudget, Budget, Retry, StepError};

/// Steps a context in virtual time; each window costs what `cost` says for its checks.
struct Driver<C> {
    context: Context<Fake>,
    now: Instant,
    cpu: Duration,
    cost: C,
    fake: Fake,
}

impl<C: FnMut(u64) -> Duration> Driver<C> {
    fn new(context: Context<Fake>, cost: C) -> Self {
        let fake = context.ops().clone();
        Self { context, now: Instant::ZERO, cpu: Duration::ZERO, cost, fake }
    }

    fn step(&mut self) -> Next {
        let before = self.fake.state().checks;
        let next = self.context.step(self.now, self.cpu).unwrap();
        let checks = self.fake.state().checks - before;
        if checks > 0 {
            self.cpu += (self.cost)(checks);
        }
        next
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let Next::At(at) = self.step() else { panic!("parked") };
            assert!(at > self.now);
            self.now = at;
        }
    }

    /// CPU used over `time`, as thousandths of one.
    fn permille(&mut self, time: Duration) -> f64 {
        let (cpu, now) = (self.cpu, self.now);
        self.run(time);
        (self.cpu - cpu).as_secs_f64() * 1_000.0 / (self.now - now).as_secs_f64()
    }

    fn sampling(&self) -> Duration {
        self.context.monitor().attrs().sampling()
    }
}

fn at(next: Next) -> Instant {
    let Next::At(at) = next else { panic!("parked") };
    at
}

const SECS: Duration = Duration::from_secs(1);

#[test]
fn a_step_before_the_time_does_nothing() {
    let fake = Fake::new();
    let mut c = context(AttrsSpec::default(), &fake);
    let due = at(c.step(Instant::ZERO, Duration::ZERO).unwrap());
    assert_eq!(due, Instant::ZERO + 5 * MS);
    assert_eq!(at(c.step(Instant::ZERO + 4 * MS, Duration::ZERO).unwrap()), due);
    assert_eq!((fake.state().checks, c.health().windows), (0, 0));
    assert_eq!(at(c.step(due, Duration::ZERO).unwrap()), due + 5 * MS);
    assert_eq!(c.health().windows, 1);
    assert_eq!(c.health().checks, fake.state().checks);
}

#[test]
fn late_windows_are_counted_and_far_too_late_ones_are_void() {
    let mut c = context(AttrsSpec::default(), &Fake::new());
    let mut now = Instant::ZERO;
    for late in [Duration::ZERO, 500 * MS / 1_000, MS, 20 * MS, Duration::ZERO] {
        now = at(c.step(now, Duration::ZERO).unwrap()) + late;
    }
    assert_eq!(c.health().windows, 4);
    assert_eq!((c.health().late_windows, c.health().void_windows), (2, 1));
    assert_eq!(c.health().max_late, 20 * MS);
    assert_eq!(at(c.step(now, Duration::ZERO).unwrap()), now + 5 * MS, "no catching up");
}

#[test]
fn an_aggregation_is_shown_once_it_is_finished_with_the_attributes_it_was_made_with() {
    // With a check a region and window a count is known beforehand.
    let attrs = AttrsSpec { adjust: Adjust::Classic, ..AttrsSpec::default() };
    let mut c = context(attrs, &Fake::new()).with_budget(Budget::default()).unwrap();
    let (mut now, mut seen, mut cpu) = (Instant::ZERO, Vec::new(), Duration::ZERO);
    for window in 0..=400 {
        let next = c.step_with(now, cpu, |c| {
            let view = c.view();
            let most = view.targets()[0].regions().iter().map(|r| r.nr_accesses()).max();
            let covered: u64 = view.targets()[0].regions().iter().map(|r| r.size()).sum();
            seen.push((window, most, covered, view.attrs().sampling(), c.health().aggregations));
        });
        now = at(next.unwrap());
        cpu += MS;
    }
    let expected: Vec<_> = (1..=seen.len() as u64).map(|n| (20 * n as i32, Some(20), SIZE, n)).collect();
    assert_eq!(seen.iter().map(|s| (s.0, s.1, s.2, s.4)).collect::<Vec<_>>(), expected);
    // 20% of a CPU for a second, and then less: the aggregation that ended it was still made with 5 ms.
    assert!(seen[..10].iter().all(|s| s.3 == 5 * MS) && seen[10].3 > 5 * MS, "{seen:?}");
}

#[test]
fn transient_errors_are_tried_again_after_growing_waits_and_counted() {
    let fake = Fake::new();
    let mut c = context(AttrsSpec::default(), &fake);
    fake.state().busy_arms = 3;
    let (mut now, mut waits) = (Instant::ZERO, Vec::new());
    while fake.state().arms == 0 {
        let next = at(c.step(now, Duration::ZERO).unwrap());
        waits.push(next - now);
        assert_eq!(at(c.step(now, Duration::ZERO).unwrap()), next, "not before its time");
        now = next;
    }
    assert_eq!(waits, [MS, 2 * MS, 4 * MS, 5 * MS]);

    fake.state().busy_checks = 2;
    for wait in [MS, 2 * MS] {
        let next = at(c.step(now, Duration::ZERO).unwrap());
        assert_eq!((next - now, c.health().windows), (wait, 0), "a window is counted once its checks worked");
        now = next;
    }
    let _ = c.step(now, Duration::ZERO).unwrap();
    assert_eq!((c.health().windows, c.health().retries, c.health().max_late), (1, 5, 3 * MS));
}

#[test]
fn too_many_errors_in_a_row_end_it_and_errors_apart_do_not() {
    let fake = Fake::new();
    let mut c = context(AttrsSpec::default(), &fake).with_retry(Retry { attempts: 3, ..Retry::default() });
    let mut now = Instant::ZERO;
    for _ in 0..20 {
        fake.state().busy_arms = 2;
        let arms = fake.state().arms;
        while fake.state().arms == arms {
            now = at(c.step(now, Duration::ZERO).unwrap());
        }
    }
    fake.state().busy_checks = 3;
    for _ in 0..2 {
        now = at(c.step(now, Duration::ZERO).unwrap());
    }
    let error = c.step(now, Duration::ZERO).unwrap_err();
    assert!(matches!(error, StepError::Exhausted { attempts: 3, last: FakeError::Busy }), "{error:?}");

    let _ = c.step(now, Duration::ZERO).unwrap();
    assert_eq!(c.health().windows, 20, "the cause is gone: it goes on where it was");
}

#[test]
fn a_fatal_error_ends_it_at_once() {
    let fake = Fake::new();
    let mut c = context(AttrsSpec::default(), &fake);
    fake.state().broken = true;
    let error = c.step(Instant::ZERO, Duration::ZERO).unwrap_err();
    assert!(matches!(error, StepError::Ops(FakeError::Broken)));
    assert_eq!((error.to_string().as_str(), c.health().retries), ("broken", 0));
}

#[test]
fn paused_it_does_nothing_and_afterwards_it_starts_a_fresh_window() {
    let fake = Fake::new();
    let mut d = Driver::new(context(AttrsSpec::default(), &fake), |_| Duration::ZERO);
    d.run(150 * MS);
    d.context.pause();
    let before = *d.context.health();
    d.now = d.now + 100 * SECS;
    assert_eq!(d.step(), Next::Parked);
    assert_eq!(*d.context.health(), before);
    d.context.resume();
    assert_eq!(at(d.step()), d.now + 5 * MS);
    d.run(100 * MS);
    let after = d.context.health();
    assert_eq!((after.late_windows, after.void_windows), (0, 0));
    assert!(after.windows >= before.windows + 19, "{after:?}");
}

#[test]
fn a_target_that_the_backend_finds_later_is_watched() {
    let fake = Fake::new();
    let monitor = damon_core::Monitor::new(Attrs::default(), 1);
    let mut d = Driver::new(Context::new(monitor, fake.clone()), |_| Duration::ZERO);
    d.run(3 * SECS);
    assert_eq!(fake.state().checks, 0, "nothing to watch");
    fake.state().events.push(TargetEvent::Joined(TargetSpec::new(TargetId::new(7))));
    d.run(3 * SECS);
    assert!(fake.state().checks > 0);
}

/// 20% of a CPU at 5 ms.
fn dear(checks: u64) -> Duration {
    Duration::from_micros(checks * 10) + Duration::from_micros(500)
}

#[test]
fn the_budget_is_kept_by_stretching_the_interval_and_what_was_taken_is_given_back() {
    let cheap = std::cell::Cell::new(false);
    let cost = |checks| if cheap.get() { dear(checks) / 100 } else { dear(checks) };
    let budget = Budget { cpu_permille: 20, ..Default::default() };
    let c = context(AttrsSpec { max_nr_regions: 100, ..Default::default() }, &Fake::new()).with_budget(budget);
    let mut d = Driver::new(c.unwrap(), cost);
    d.run(10 * SECS);
    let used = d.permille(60 * SECS);
    assert!((14.0..=20.0).contains(&used), "{used}‰ at {:?}", d.sampling());
    let health = *d.context.health();
    assert!((14..=20).contains(&health.cpu_permille), "{health:?}");
    assert!(health.stretch_permille > 5_000 && !health.budget_exceeded && health.held_checks.is_none(), "{health:?}");
    assert_eq!(d.context.monitor().attrs().samples_per_aggregation(), 20);

    cheap.set(true);
    d.run(60 * SECS);
    assert_eq!((d.sampling(), d.context.health().stretch_permille), (5 * MS, 1_000));
}

#[test]
fn tuned_intervals_have_their_minimum_raised_only() {
    let goal = IntervalsGoal { max_sampling: SECS, ..Default::default() };
    let spec = AttrsSpec { intervals_goal: Some(goal), max_nr_regions: 100, ..Default::default() };
    let budget = Budget { cpu_permille: 20, max_sampling: MS, ..Default::default() };
    // All is hot: the tuner wants the shortest interval there is.
    let fake = Fake::new();
    fake.state().hot = 0..SIZE;
    let mut d = Driver::new(context(spec.clone(), &fake).with_budget(budget).unwrap(), dear);
    d.run(20 * SECS);
    let used = d.permille(60 * SECS);
    assert!(used <= 20.0, "{used}‰ at {:?}", d.sampling());
    let goal = d.context.monitor().attrs().spec().intervals_goal.clone().unwrap();
    assert!(goal.min_sampling > 20 * MS && goal.max_sampling == SECS, "{goal:?}");
    assert_eq!(*d.context.attrs(), Attrs::try_from(spec).unwrap(), "what was written stays written");
}

#[test]
fn a_wavering_cost_does_not_make_the_interval_flap() {
    let mut rng = damon_core::Rng::new(3);
    let cost = |checks| dear(checks) * (93 + u32::try_from(rng.below(15)).unwrap()) / 100;
    let spec = AttrsSpec { max_nr_regions: 100, max_checks: Some(50), ..Default::default() };
    let c = context(spec, &Fake::new()).with_budget(Budget { cpu_permille: 20, ..Default::default() });
    let mut d = Driver::new(c.unwrap(), cost);
    d.run(30 * SECS);
    let (mut last, mut changes) = (d.sampling(), 0);
    for _ in 0..600 {
        d.run(SECS);
        changes += u32::from(d.sampling() != last);
        last = d.sampling();
    }
    assert!(changes <= 12, "{changes} changes in ten minutes");
}

#[test]
fn a_budget_that_nothing_helps_to_keep_is_reported_until_it_is_kept() {
    let cheap = std::cell::Cell::new(false);
    let cost = |_| if cheap.get() { MS / 100 } else { 10 * MS };
    let budget = Budget { cpu_permille: 20, max_sampling: 50 * MS, ..Default::default() };
    let mut d = Driver::new(context(AttrsSpec::default(), &Fake::new()).with_budget(budget).unwrap(), cost);
    d.run(60 * SECS);
    let health = *d.context.health();
    assert!(health.budget_exceeded && health.held_checks == Some(10), "{health:?}");
    assert_eq!(d.sampling(), 50 * MS);
    assert!(d.context.last_window().unwrap().checks <= 10);

    cheap.set(true);
    d.run(60 * SECS);
    let health = *d.context.health();
    assert!(!health.budget_exceeded && health.held_checks.is_none() && health.stretch_permille == 1_000, "{health:?}");
    assert_eq!(d.sampling(), 5 * MS);
}

#[test]
fn checks_are_reduced_where_the_longest_interval_is_not_enough() {
    // 1,000 checks each 50 ms would be 20%.
    let cost = |checks| Duration::from_micros(10 * checks);
    let budget = Budget { cpu_permille: 20, max_sampling: 50 * MS, ..Default::default() };
    let spec = AttrsSpec { max_nr_regions: 4_000, max_region: Some((SIZE / 1_000) & !4_095), ..Default::default() };
    let mut d = Driver::new(context(spec, &Fake::new()).with_budget(budget).unwrap(), cost);
    d.run(30 * SECS);
    let used = d.permille(30 * SECS);
    assert!((14.0..=20.0).contains(&used), "{used}‰");
    let held = d.context.health().held_checks;
    assert!(held.is_some_and(|n| (70..=100).contains(&n)) && d.sampling() == 50 * MS, "{held:?}");
}

#[test]
fn faults_that_monitoring_causes_count_when_they_are_given_a_cost() {
    let used = |fault_cost| {
        let fake = Fake::new();
        fake.state().hot = 0..SIZE;
        let c = context(AttrsSpec::default(), &fake).with_budget(Budget { fault_cost, ..Default::default() });
        let mut d = Driver::new(c.unwrap(), |_| Duration::ZERO);
        d.run(10 * SECS);
        (d.context.health().stretch_permille, d.context.health().cpu)
    };
    assert_eq!(used(Duration::ZERO), (1_000, Duration::ZERO));
    let (stretch, cpu) = used(MS);
    assert!(stretch > 2_000 && cpu.is_zero(), "{stretch}");
}

#[test]
fn attributes_committed_later_stay_under_the_budget_and_hold_without_it() {
    let c = context(AttrsSpec { max_nr_regions: 100, ..Default::default() }, &Fake::new());
    let mut d = Driver::new(c.with_budget(Budget::default()).unwrap(), dear);
    d.run(20 * SECS);
    let floor = d.sampling();
    assert!(floor > 10 * MS);
    d.context.commit(Attrs::try_from(AttrsSpec { sampling: 10 * MS, ..d.context.attrs().spec().clone() }).unwrap());
    assert_eq!((d.sampling(), d.context.attrs().sampling()), (floor, 10 * MS));
    assert_eq!(at(d.step()), d.now + floor, "the window under way was given up");

    d.context.set_budget(None).unwrap();
    assert_eq!(d.sampling(), 10 * MS);
    d.run(SECS);
    assert_eq!((d.sampling(), d.context.health().stretch_permille), (10 * MS, 1_000));
}

#[test]
fn a_budget_of_nothing_is_refused() {
    let refused = |cpu_permille| {
        let budget = Budget { cpu_permille, ..Default::default() };
        context(AttrsSpec::default(), &Fake::new()).with_budget(budget).unwrap_err()
    };
    assert_eq!(refused(0), BadBudget::CpuPermille(0));
    assert_eq!(
        refused(1_001).to_string(),
        "cpu_permille is 1001, but must be 1 to 1,000; for no limit leave the budget out"
    );
    let mut c = context(AttrsSpec::default(), &Fake::new()).with_budget(Budget::default()).unwrap();
    assert!(c.set_budget(Some(Budget { max_sampling: Duration::ZERO, ..Default::default() })).is_err());
    assert_eq!(c.budget(), Some(&Budget::default()), "the old one stays");
}
