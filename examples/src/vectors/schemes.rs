//! The vectors of operation schemes.

use std::convert::Infallible;
use std::time::Duration;

use damon_core::control::priority::{MAX_SCORE, Standing, Weights, hot_score};
use damon_core::control::watermarks::{Marks, active};
use damon_core::{
    Action, AddrRange, Applied, ApplyOps, AttrsSpec, Instant, Metric, Region, Request, TargetId, Unsupported, classic,
};
use damos::engine::Schemes;
use damos::scheme::{AccessPattern, Age, CoreFilter, CoreFilterKind, Freq, Goal, Quota, Scheme, Tuner};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Numbers, checked, intervals, numbers, read, regions};

const GRANULE: u64 = 4_096;

pub(super) fn run_priority_score(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        nr_accesses: u32,
        age: u64,
        sample_us: u32,
        aggr_us: u32,
        weight_nr_accesses: u32,
        weight_age: u32,
    }
    let i: In = read(v)?;
    let age_secs = i.age * u64::from(i.aggr_us) / 1_000_000;
    let standing =
        Standing { size: 1, largest: 1, nr_accesses: i.nr_accesses, samples: i.aggr_us / i.sample_us, age_secs };
    let hot = hot_score(&standing, Weights { size: 0, nr_accesses: i.weight_nr_accesses, age: i.weight_age });
    Ok(json!({ "hot": hot, "cold": MAX_SCORE - hot }))
}

pub(super) fn run_watermarks(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        high: u64,
        mid: u64,
        low: u64,
        initially_active: bool,
        metric: Vec<u64>,
    }
    let i: In = read(v)?;
    let marks = Marks { high: i.high, mid: i.mid, low: i.low };
    let states = i.metric.iter().scan(i.initially_active, |was, &metric| {
        *was = active(*was, metric, marks);
        Some(*was)
    });
    Ok(json!(states.collect::<Vec<_>>()))
}

pub(super) fn run_core_filters(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        target_index: u32,
        region: (u64, u64),
        filters: Vec<FilterIn>,
    }
    #[derive(Deserialize)]
    struct FilterIn {
        r#type: String,
        start: Option<u64>,
        end: Option<u64>,
        index: Option<u32>,
        matching: bool,
        allow: bool,
    }
    let i: In = read(v)?;
    // The only target is called 0 here: it is the one that the vector speaks of.
    let target = |index: u32| TargetId::new(u32::from(index != i.target_index));
    let filter = |f: &FilterIn| {
        let kind = match (f.r#type.as_str(), f.start.zip(f.end), f.index) {
            ("addr", Some((start, end)), _) => {
                CoreFilterKind::Addr(AddrRange::new(start, end).ok_or(format!("empty filter range at {start:#x}"))?)
            }
            ("target", _, Some(index)) => CoreFilterKind::Target(target(index)),
            (other, ..) => return Err(format!("unknown filter {other:?}")),
        };
        Ok(CoreFilter { kind, matching: f.matching, allow: f.allow })
    };
    let core_filters = i.filters.iter().map(filter).collect::<Result<_, _>>()?;

    let attrs = checked(AttrsSpec::default())?;
    let region = regions(&vec![[i.region.0, i.region.1, 1, 1, 1]], &attrs)?;
    let mut monitor = classic::finished(attrs, region);
    let mut actor = Recorder::default();
    let scheme = Scheme { core_filters, ..Scheme::new(Action::Pageout) };
    let mut schemes = Schemes::new(&monitor.view(), &actor, vec![scheme]).map_err(|e| e.to_string())?;
    let _ = schemes.apply(Instant::ZERO, true, &mut monitor, &mut actor, &mut ());
    // Pieces that were acted on are joined again; the vector has each as it was judged.
    let mut parts: Vec<_> = actor.applied.iter().map(|r| (r.start(), r.end(), true)).collect();
    for r in monitor.view().targets().iter().flat_map(|t| t.regions()).filter(|r| r.age() > 0) {
        parts.push((r.range().start(), r.range().end(), false));
    }
    parts.sort_unstable();
    Ok(json!({ "parts": parts }))
}

pub(super) fn run_scheme(v: &Value) -> Result<Value, String> {
    let i: SchemeIn = read(v)?;
    let attrs = checked(AttrsSpec { max_nr_regions: 1_000, ..intervals(i.sample_us, i.aggr_us) })?;
    let mut monitor = classic::finished(attrs.clone(), regions(&i.regions, &attrs)?);
    let mut actor = Recorder { per_mille: i.applied_per_mille, ns_per_4k: i.apply_ns_per_4k, ..Recorder::default() };
    let mut schemes = Schemes::new(&monitor.view(), &actor, vec![i.scheme()?]).map_err(|e| e.to_string())?;

    let mut now = Instant::ZERO + Duration::from_secs(1_000);
    let mut steps = Vec::new();
    for step in &i.steps {
        now = now + Duration::from_micros(step.advance_us);
        schemes.set_goal_input(0, 0, step.goal_current);
        actor.applied.clear();
        let _ = schemes.apply(now, true, &mut monitor, &mut actor, &mut ());
        let applied: Vec<_> = actor.applied.iter().map(|r| [r.start(), r.end()]).collect();
        let (esz, min_score) = schemes.effective_quota(0).unwrap_or_default();
        let charged_sz = schemes.charged(0);
        steps.push(json!({ "applied": applied, "esz": esz, "min_score": min_score, "charged_sz": charged_sz }));
    }
    let s = schemes.stats(0).unwrap_or_default();
    let after: Vec<Region> = monitor.view().targets().iter().flat_map(|t| t.regions()).copied().collect();
    Ok(json!({
        "steps": steps,
        "stats": {
            "nr_tried": s.nr_tried, "sz_tried": s.sz_tried, "nr_applied": s.nr_applied, "sz_applied": s.sz_applied,
            "qt_exceeds": s.qt_exceeds, "nr_snapshots": s.nr_snapshots,
        },
        "regions": numbers(&after),
    }))
}

#[derive(Deserialize)]
struct SchemeIn {
    sample_us: u64,
    aggr_us: u64,
    action: String,
    pattern: PatternIn,
    quota: QuotaIn,
    applied_per_mille: u64,
    apply_ns_per_4k: u64,
    regions: Numbers,
    steps: Vec<StepIn>,
}

#[derive(Deserialize)]
struct PatternIn {
    min_sz: u64,
    max_sz: u64,
    min_nr_accesses: u32,
    max_nr_accesses: u32,
    min_age: u32,
    max_age: u32,
}

#[derive(Deserialize)]
struct QuotaIn {
    reset_interval_ms: u64,
    ms: u64,
    sz: u64,
    weight_nr_accesses: u32,
    weight_age: u32,
    fail_charge_num: u32,
    fail_charge_denom: u32,
    goal_tuner: String,
    goal_target: Option<u64>,
}

#[derive(Deserialize)]
struct StepIn {
    advance_us: u64,
    goal_current: u64,
}

impl SchemeIn {
    fn scheme(&self) -> Result<Scheme, String> {
        let (p, q) = (&self.pattern, &self.quota);
        let action = match self.action.as_str() {
            "pageout" => Action::Pageout,
            "migrate_hot" => Action::MigrateHot,
            other => return Err(format!("unknown action {other:?}")),
        };
        let tuner = match q.goal_tuner.as_str() {
            "consist" => Tuner::Consist,
            "temporal" => Tuner::Temporal,
            other => return Err(format!("unknown tuner {other:?}")),
        };
        Ok(Scheme {
            pattern: AccessPattern {
                size: p.min_sz..=p.max_sz,
                freq: Freq::Samples(p.min_nr_accesses..=p.max_nr_accesses),
                age: Age::Aggregations(p.min_age..=p.max_age),
                counts: damos::scheme::Counts::Raw,
            },
            quota: Quota {
                size: q.sz,
                time: Duration::from_millis(q.ms),
                reset_interval: Duration::from_millis(q.reset_interval_ms),
                fail_charge: (q.fail_charge_denom > 0).then_some((q.fail_charge_num, q.fail_charge_denom)),
                weights: Weights { size: 0, nr_accesses: q.weight_nr_accesses, age: q.weight_age },
                goals: q.goal_target.map(|target| Goal::new(Metric::UserInput, target)).into_iter().collect(),
                tuner,
            },
            ..Scheme::new(action)
        })
    }
}

/// Does nothing, takes the time that the vector says, and succeeds with the part that it says.
#[derive(Default)]
struct Recorder {
    applied: Vec<AddrRange>,
    per_mille: u64,
    ns_per_4k: u64,
}

impl ApplyOps for Recorder {
    type Error = Infallible;
    fn supports(&self, _: Option<TargetId>, _: &Request<'_>) -> Result<(), Unsupported> {
        Ok(())
    }
    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Infallible> {
        self.applied.push(range);
        Applied {
            size: range.size() / 1_000 * self.per_mille / GRANULE * GRANULE,
            filter_passed: range.size(),
            took: Duration::from_micros(range.size() / GRANULE * self.ns_per_4k / 1_000),
            error: None,
        }
    }
}
