//! A tuner that learns, in the engine: it is told what was really charged, and what could be read.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::convert::Infallible;
use std::time::Duration;

use damon_core::{
    Action, AddrRange, Applied, ApplyOps, Attrs, AttrsSpec, Instant, Metric, MetricError, Metrics, Monitor, Request,
    TargetId, Unsupported, classic,
};
use damos::engine::Schemes;
use damos::scheme::{Goal, Quota, Scheme, Tuner};

const GIB: u64 = 1 << 30;

/// Does all that it is asked for.
struct Willing;

impl ApplyOps for Willing {
    type Error = Infallible;
    fn supports(&self, _: Option<TargetId>, _: &Request<'_>) -> Result<(), Unsupported> {
        Ok(())
    }
    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Infallible> {
        Applied::whole(range)
    }
}

/// So much cold memory, at the end of an aggregation.
fn cold(size: u64) -> Monitor {
    let attrs = Attrs::try_from(AttrsSpec::default()).unwrap();
    classic::finished(attrs.clone(), vec![classic::region([0, size, 0, 0, 50], &attrs).unwrap()])
}

/// What a metric is after a window in which so much was charged.
struct After<F>(F, u64);

impl<F: Fn(u64) -> Option<u64>> Metrics for After<F> {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        (self.0)(self.1).ok_or_else(|| MetricError::new(metric, "the test hides it"))
    }
}

/// The effective sizes of windows, and what was charged in the last.
fn sizes(memory: u64, windows: u64, metric: Metric, after: impl Fn(u64, u64) -> Option<u64>) -> (Vec<u64>, u64) {
    let quota = Quota { goals: vec![Goal::new(metric, 5_000)], tuner: Tuner::SelfTuning, ..Quota::default() };
    let scheme = Scheme { quota, ..Scheme::new(Action::Pageout) };
    let mut schemes = Schemes::new(&cold(memory).view(), &Willing, vec![scheme]).unwrap();
    let mut charged = 0;
    let each = |window| {
        let now = Instant::ZERO + Duration::from_secs(window);
        let mut metrics = After(|charged| after(window, charged), charged);
        let outcome = schemes.apply(now, true, &mut cold(memory), &mut Willing, &mut metrics);
        assert_eq!(outcome.error, None);
        charged = schemes.charged(0).unwrap();
        schemes.effective_quota(0).unwrap().0
    };
    ((1..=windows).map(each).collect(), charged)
}

#[test]
fn a_goal_is_reached_in_eight_windows_and_held() {
    let (sizes, charged) = sizes(64 * GIB, 20, Metric::Custom(1), |_, charged| Some(charged * 5_000 / GIB));
    assert!(sizes[..3].iter().all(|&s| s < GIB / 100), "{sizes:?}");
    assert!(sizes[7..].iter().all(|s| s.abs_diff(GIB) < GIB / 10), "{sizes:?}");
    assert!(charged.abs_diff(GIB) < GIB / 10, "{charged}");
}

#[test]
fn a_metric_that_is_hidden_for_a_time_holds_the_size() {
    let hidden = 10..15;
    let after = |window, charged| (!hidden.contains(&window)).then_some(charged * 5_000 / GIB);
    let (sizes, _) = sizes(64 * GIB, 20, Metric::Custom(1), after);
    assert!(sizes[9..14].iter().all(|&s| s == sizes[8]), "{sizes:?}");
    assert!(sizes[8..].iter().all(|s| s.abs_diff(GIB) < GIB / 10), "{sizes:?}");
}

#[test]
fn a_total_is_judged_by_its_growth() {
    let total = std::cell::Cell::new(1_000_000_000);
    let after = |_, charged| {
        total.set(total.get() + charged * 5_000 / GIB);
        Some(total.get())
    };
    let (sizes, _) = sizes(64 * GIB, 20, Metric::SomeMemPsiUs, after);
    assert_eq!(sizes[0], 0, "there is no growth yet");
    assert!(sizes[8..].iter().all(|s| s.abs_diff(GIB) < GIB / 10), "{sizes:?}");
}

#[test]
fn where_there_is_no_more_memory_the_size_stays_near_what_there_is() {
    let (sizes, charged) = sizes(GIB / 4, 40, Metric::Custom(1), |_, charged| Some(charged * 5_000 / GIB));
    assert_eq!(charged, GIB / 4);
    assert!(sizes.iter().all(|&s| s <= 6 * GIB / 4), "{sizes:?}");
}
