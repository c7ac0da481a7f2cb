//! Figures for a time-series database: what monitoring sees, what it costs, what schemes do, through the facade `metrics`.
//!
//! Whoever runs the program chooses where they go: a Prometheus exporter, a log, nowhere. [`publish`] costs nothing to speak of where
//! nobody listens, and is called once an aggregation.
//!
//! ```
//! use damon_core::{Attrs, Monitor};
//! use damos::{Context, telemetry};
//! use std::time::Duration;
//!
//! telemetry::describe();
//! let mut context = Context::new(Monitor::new(Attrs::default(), 1), ());
//! context.step_with(damon_core::Instant::ZERO, Duration::ZERO, |context| telemetry::publish(context, "cache"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All have the label `context`, its name; those of schemes `scheme`, the place in the list, and `action`; those of sources `source`.
//!
//! | name | unit | what |
//! |---|---|---|
//! | `damon_regions`, `damon_targets` | | how many |
//! | `damon_watched_bytes`, `damon_unseen_bytes`, `damon_working_set_bytes` | bytes | watched; of which nobody sees accesses; accessed |
//! | `damon_bandwidth_bytes_per_second` | bytes/s | accessed, at least |
//! | `damon_idle_seconds{percentile}` | s | of the watched bytes so many percent are not idle for longer |
//! | `damon_sampling_seconds`, `damon_aggregation_seconds` | s | intervals, as tuned |
//! | `damon_windows_total`, `damon_late_windows_total`, `damon_void_windows_total`, `damon_aggregations_total` | | sampling windows, aggregations |
//! | `damon_checks_total`, `damon_unknown_checks_total` | | addresses looked at; of which nothing could be seen |
//! | `damon_reports_total{source,outcome}` | | reports: received, lost, filtered, outside |
//! | `damon_retries_total`, `damon_cpu_microseconds_total`, `damon_budget_exceeded` | | errors tried again; cost; 1 while it is over the budget |
//! | `damos_{tried,applied,filter_passed,verified,came_back,spared}_bytes_total` | bytes | what a scheme did; see [`Stats`](crate::engine::Stats) |
//! | `damos_{tried,applied,failed}_regions_total`, `damos_quota_exceeded_total`, `damos_goal_errors_total` | | the same, counted |
//! | `damos_quota_bytes`, `damos_active` | bytes | the quota as tuned; 1 within watermarks |

use damon_core::Bp;
use metrics::{Label, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::Context;

/// The percentiles of idle time that are published.
const PERCENTILES: [usize; 6] = [1, 25, 50, 75, 90, 99];

/// Tells whoever listens what the figures mean. Once, before the first [`publish`].
pub fn describe() {
    for (name, unit, what) in [
        ("damon_regions", Unit::Count, "Regions over all targets"),
        ("damon_targets", Unit::Count, "Targets"),
        ("damon_watched_bytes", Unit::Bytes, "Bytes that are watched"),
        ("damon_unseen_bytes", Unit::Bytes, "Bytes that nobody sees accesses of"),
        ("damon_working_set_bytes", Unit::Bytes, "Bytes accessed in the last aggregation"),
        ("damon_bandwidth_bytes_per_second", Unit::Bytes, "Bytes accessed a second, at least"),
        ("damon_idle_seconds", Unit::Seconds, "Of the watched bytes, so many percent are not idle for longer"),
        ("damon_sampling_seconds", Unit::Seconds, "The sampling interval as tuned"),
        ("damon_aggregation_seconds", Unit::Seconds, "The aggregation interval as tuned"),
        ("damon_budget_exceeded", Unit::Count, "1 while monitoring costs more than its budget"),
        ("damos_quota_bytes", Unit::Bytes, "The quota of a scheme as tuned"),
        ("damos_active", Unit::Count, "1 while a scheme is within its watermarks"),
    ] {
        describe_gauge!(name, unit, what);
    }
    for (name, unit, what) in [
        ("damon_windows_total", Unit::Count, "Sampling windows"),
        ("damon_late_windows_total", Unit::Count, "Sampling windows that ended late"),
        ("damon_void_windows_total", Unit::Count, "Sampling windows that were too long to count"),
        ("damon_aggregations_total", Unit::Count, "Aggregations"),
        ("damon_checks_total", Unit::Count, "Addresses looked at"),
        ("damon_unknown_checks_total", Unit::Count, "Addresses of which nothing could be seen"),
        ("damon_reports_total", Unit::Count, "Reports of accesses, by what became of them"),
        ("damon_retries_total", Unit::Count, "Errors of the backend that were tried again"),
        ("damon_cpu_microseconds_total", Unit::Microseconds, "CPU time of monitoring"),
        ("damos_tried_bytes_total", Unit::Bytes, "Bytes that a scheme was tried on"),
        ("damos_applied_bytes_total", Unit::Bytes, "Bytes that a scheme was applied to"),
        ("damos_filter_passed_bytes_total", Unit::Bytes, "Bytes that passed a scheme's page filters"),
        ("damos_verified_bytes_total", Unit::Bytes, "Bytes on which the action was found in effect"),
        ("damos_came_back_bytes_total", Unit::Bytes, "Bytes that did not stay as the action expected"),
        ("damos_spared_bytes_total", Unit::Bytes, "Bytes left alone because they came back before"),
        ("damos_tried_regions_total", Unit::Count, "Regions that a scheme was tried on"),
        ("damos_applied_regions_total", Unit::Count, "Regions that a scheme was applied to"),
        ("damos_failed_regions_total", Unit::Count, "Regions on which a scheme failed"),
        ("damos_quota_exceeded_total", Unit::Count, "Charge windows that used up the quota"),
        ("damos_goal_errors_total", Unit::Count, "Readings of goals that failed"),
    ] {
        describe_counter!(name, unit, what);
    }
}

/// Publishes the figures of a context that is called `name`. After an aggregation, when the regions are a finished snapshot.
pub fn publish<O>(context: &Context<O>, name: &str) {
    let labels = vec![Label::new("context", name.to_owned())];
    seen(context, &labels);
    cost(context, &labels);
    reports(context, &labels);
    schemes(context, &labels);
}

fn with(labels: &[Label], more: impl IntoIterator<Item = (&'static str, String)>) -> Vec<Label> {
    labels.iter().cloned().chain(more.into_iter().map(|(key, value)| Label::new(key, value))).collect()
}

fn seen<O>(context: &Context<O>, labels: &[Label]) {
    let s = context.view().snapshot();
    for (name, value) in [
        ("damon_regions", s.regions().count() as f64),
        ("damon_targets", s.targets.len() as f64),
        ("damon_watched_bytes", s.watched_bytes() as f64),
        ("damon_unseen_bytes", s.unseen_bytes() as f64),
        ("damon_working_set_bytes", s.working_set(Bp(0)) as f64),
        ("damon_bandwidth_bytes_per_second", s.bandwidth() as f64),
        ("damon_sampling_seconds", s.sampling.as_secs_f64()),
        ("damon_aggregation_seconds", s.aggregation.as_secs_f64()),
    ] {
        gauge!(name, labels.to_vec()).set(value);
    }
    let idle = s.idle_percentiles_ns();
    for p in PERCENTILES {
        gauge!("damon_idle_seconds", with(labels, [("percentile", p.to_string())])).set(idle[p].max(0) as f64 / 1e9);
    }
}

fn cost<O>(context: &Context<O>, labels: &[Label]) {
    let h = context.health();
    for (name, value) in [
        ("damon_windows_total", h.windows),
        ("damon_late_windows_total", h.late_windows),
        ("damon_void_windows_total", h.void_windows),
        ("damon_aggregations_total", h.aggregations),
        ("damon_checks_total", h.checks),
        ("damon_unknown_checks_total", h.unknown),
        ("damon_retries_total", h.retries),
        ("damon_cpu_microseconds_total", u64::try_from(h.cpu.as_micros()).unwrap_or(u64::MAX)),
    ] {
        counter!(name, labels.to_vec()).absolute(value);
    }
    gauge!("damon_budget_exceeded", labels.to_vec()).set(f64::from(u8::from(h.budget_exceeded)));
}

fn reports<O>(context: &Context<O>, labels: &[Label]) {
    for source in context.view().sources() {
        let c = source.counts();
        for (outcome, n) in
            [("received", c.received), ("lost", c.lost), ("filtered", c.filtered), ("outside", c.outside)]
        {
            let more = [("source", source.name().to_owned()), ("outcome", outcome.to_owned())];
            counter!("damon_reports_total", with(labels, more)).absolute(n);
        }
    }
}

fn schemes<O>(context: &Context<O>, labels: &[Label]) {
    let all = context.schemes();
    for (i, scheme) in all.schemes().enumerate() {
        let action = format!("{:?}", scheme.action).to_lowercase();
        let labels = with(labels, [("scheme", i.to_string()), ("action", action)]);
        let s = all.stats(i).unwrap_or_default();
        for (name, value) in [
            ("damos_tried_bytes_total", s.sz_tried),
            ("damos_applied_bytes_total", s.sz_applied),
            ("damos_filter_passed_bytes_total", s.sz_ops_filter_passed),
            ("damos_verified_bytes_total", s.sz_verified),
            ("damos_came_back_bytes_total", s.sz_came_back),
            ("damos_spared_bytes_total", s.sz_spared),
            ("damos_tried_regions_total", s.nr_tried),
            ("damos_applied_regions_total", s.nr_applied),
            ("damos_failed_regions_total", s.nr_failed),
            ("damos_quota_exceeded_total", s.qt_exceeds),
            ("damos_goal_errors_total", s.goal_errors),
        ] {
            counter!(name, labels.clone()).absolute(value);
        }
        if let Some((bytes, _)) = all.effective_quota(i) {
            gauge!("damos_quota_bytes", labels.clone()).set(bytes as f64);
        }
        gauge!("damos_active", labels).set(f64::from(u8::from(all.is_active(i).unwrap_or(false))));
    }
}
