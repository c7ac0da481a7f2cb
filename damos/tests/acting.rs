//! A context that acts on what it sees.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Fake, MS, SIZE, context};
use damon_core::control::watermarks::Marks;
use damon_core::{
    Action, AddrRange, Applied, ApplyOps, AttrsSpec, Instant, Metric, MetricsFn, Next, Request, TargetId, Unsupported,
};
use damos::Context;
use damos::engine::SchemeError;
use damos::scheme::{AccessPattern, Age, Freq, Quota, Scheme, Watermarks};

#[derive(Debug, thiserror::Error)]
#[error("out of swap")]
struct OutOfSwap;

/// Pages out in name; each third range only in half, with an error.
#[derive(Clone, Default)]
struct Actor(Arc<Mutex<Vec<AddrRange>>>);

impl ApplyOps for Actor {
    type Error = OutOfSwap;
    fn supports(&self, _: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        match req.action {
            Action::Pageout => Ok(()),
            other => Err(Unsupported::new(other, "this actor pages out")),
        }
    }
    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<OutOfSwap> {
        let mut done = self.0.lock().unwrap();
        done.push(range);
        match done.len() % 3 {
            0 => Applied { size: range.size() / 2, error: Some(OutOfSwap), ..Applied::whole(range) },
            _ => Applied::whole(range),
        }
    }
}

fn run(context: &mut Context<Fake>, now: &mut Instant, time: Duration) {
    let end = *now + time;
    while *now < end {
        match context.step(*now, Duration::ZERO) {
            Ok(Next::At(at)) => *now = at.max(*now + Duration::from_nanos(1)),
            Ok(_) => *now = *now + MS,
            Err(e) => panic!("{e}"),
        }
    }
}

fn pageout() -> Scheme {
    Scheme {
        pattern: AccessPattern { freq: Freq::NONE, age: Age::Aggregations(2..=u32::MAX), ..AccessPattern::default() },
        quota: Quota { size: 64 << 20, ..Quota::default() },
        ..Scheme::new(Action::Pageout)
    }
}

#[test]
fn what_is_cold_is_acted_on_within_the_quota_and_what_fails_is_counted() {
    let (fake, actor, observed) = (Fake::new(), Actor::default(), Arc::new(AtomicU64::new(0)));
    let mut context = context(AttrsSpec::default(), &fake);
    context.set_actor(actor.clone());
    context.set_observer({
        let observed = Arc::clone(&observed);
        move |tried| {
            observed.fetch_add(tried.applied, Relaxed);
        }
    });
    context.set_schemes(vec![pageout()]).unwrap();
    let mut now = Instant::ZERO;
    run(&mut context, &mut now, Duration::from_secs(5));

    let done = actor.0.lock().unwrap().clone();
    assert!(done.len() > 3 && done.iter().all(|r| r.start() >= SIZE / 9), "hot memory was left alone: {done:?}");
    let stats = context.schemes().stats(0).unwrap();
    assert!(stats.sz_tried <= 6 * (64 << 20) && stats.sz_tried >= 3 * (64 << 20), "{stats:?}");
    assert_eq!(stats.sz_applied, observed.load(Relaxed));
    assert_eq!((stats.nr_failed, context.health().failed_actions), (done.len() as u64 / 3, done.len() as u64 / 3));
    assert_eq!(context.last_action_error().map(ToString::to_string).as_deref(), Some("out of swap"));
}

#[test]
fn while_no_scheme_is_active_nothing_is_checked() {
    let (fake, free) = (Fake::new(), Arc::new(AtomicU64::new(900)));
    let mut context = context(AttrsSpec::default(), &fake);
    context.set_actor(Actor::default());
    context.set_metrics(MetricsFn({
        let free = Arc::clone(&free);
        move |metric| {
            assert_eq!(metric, Metric::FreeMemRatePermille);
            Ok(free.load(Relaxed))
        }
    }));
    let marks = Marks { high: 500, mid: 400, low: 200 };
    let watermarks = Watermarks { metric: Metric::FreeMemRatePermille, interval: 5 * Duration::from_secs(1), marks };
    context.set_schemes(vec![Scheme { watermarks: Some(watermarks), ..pageout() }]).unwrap();
    let mut now = Instant::ZERO;
    run(&mut context, &mut now, Duration::from_secs(60));
    assert_eq!((fake.state().checks, context.schemes().is_active(0)), (0, Some(false)));

    free.store(399, Relaxed);
    run(&mut context, &mut now, Duration::from_secs(10));
    let checks = fake.state().checks;
    assert!(checks > 1_000 && context.schemes().stats(0).unwrap().nr_tried > 0, "{checks}");

    free.store(100, Relaxed);
    run(&mut context, &mut now, Duration::from_secs(6));
    let (checks, tried) = (fake.state().checks, context.schemes().stats(0).unwrap().nr_tried);
    run(&mut context, &mut now, Duration::from_secs(60));
    assert_eq!((fake.state().checks, context.schemes().stats(0).unwrap().nr_tried), (checks, tried));
}

#[test]
fn a_pause_of_the_users_outlasts_watermarks() {
    let fake = Fake::new();
    let mut context = context(AttrsSpec::default(), &fake);
    context.pause();
    let mut now = Instant::ZERO;
    run(&mut context, &mut now, Duration::from_secs(1));
    assert_eq!(fake.state().checks, 0);
    context.resume();
    run(&mut context, &mut now, Duration::from_secs(1));
    assert!(fake.state().checks > 0);
}

#[test]
fn a_list_with_one_bad_scheme_changes_nothing() {
    let mut context = context(AttrsSpec::default(), &Fake::new());
    context.set_actor(Actor::default());
    context.set_schemes(vec![pageout()]).unwrap();
    let refused = context.set_schemes(vec![pageout(), Scheme::new(Action::Collapse)]).unwrap_err();
    assert!(matches!(refused, SchemeError::Unsupported { scheme: 1, .. }), "{refused}");
    assert_eq!(context.schemes().schemes().len(), 1);
}
