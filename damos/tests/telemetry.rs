//! What is published is what happened, under names that a time-series database takes.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::collections::BTreeMap;

use damon_core::{Access, Action, AddrRange, Attrs, Instant, Monitor, Next, SourceSpec, TargetId, TargetSpec};
use damos::scheme::Scheme;
use damos::{Context, telemetry};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

/// All that was published, by name and labels.
fn published(recorder: &metrics_util::debugging::Snapshotter) -> BTreeMap<String, f64> {
    let series = recorder.snapshot().into_vec().into_iter().map(|(key, unit, _, value)| {
        let (_, key) = key.into_parts();
        assert!(unit.is_some(), "{} is described", key.name());
        assert!(key.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", key.name());
        let mut labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        labels.sort();
        let value = match value {
            DebugValue::Counter(n) => n as f64,
            DebugValue::Gauge(x) => x.0,
            DebugValue::Histogram(_) => f64::NAN,
        };
        (format!("{}{{{}}}", key.name(), labels.join(",")), value)
    });
    series.collect()
}

#[test]
fn figures_of_monitoring_reports_and_schemes_are_published() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let (id, whole) = (TargetId::new(0), AddrRange::new(0, 1 << 20).unwrap());
    let mut monitor = Monitor::new(Attrs::default(), 1);
    monitor.add_target(TargetSpec { ranges: vec![whole], ..TargetSpec::new(id) });
    let mut context = Context::new(monitor, ());
    context.set_schemes(vec![Scheme::new(Action::Stat)]).unwrap();
    let reporter = context.add_source(SourceSpec::new("hits"));
    metrics::with_local_recorder(&recorder, || {
        telemetry::describe();
        let mut now = Instant::ZERO;
        while context.health().aggregations < 2 {
            let next =
                context.step_with(now, now - Instant::ZERO, |context| telemetry::publish(context, "cache")).unwrap();
            reporter.report_access(Access::new(id, 0, 1 << 19));
            reporter.report_access(Access::new(id, 1 << 30, 1));
            let Next::At(due) = next else { panic!() };
            now = due;
        }
    });
    let published = published(&snapshotter);
    let value = |name: &str| *published.get(name).unwrap_or_else(|| panic!("no {name} in {published:#?}"));
    assert_eq!(value("damon_watched_bytes{context=cache}"), f64::from(1 << 20));
    let working_set = value("damon_working_set_bytes{context=cache}");
    assert!((f64::from(1 << 18)..=f64::from(1 << 20)).contains(&working_set), "{working_set}");
    assert_eq!(value("damon_sampling_seconds{context=cache}"), 0.005);
    assert_eq!(value("damon_aggregations_total{context=cache}"), 2.0);
    assert_eq!(value("damon_windows_total{context=cache}"), 40.0);
    assert_eq!(value("damon_reports_total{context=cache,outcome=received,source=hits}"), 80.0);
    assert_eq!(value("damon_reports_total{context=cache,outcome=outside,source=hits}"), 40.0);
    assert_eq!(value("damos_tried_bytes_total{action=stat,context=cache,scheme=0}"), f64::from(2 << 20));
    assert_eq!(value("damos_active{action=stat,context=cache,scheme=0}"), 1.0);
}
