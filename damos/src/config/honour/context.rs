//! Attributes and targets of a monitor, from a context of a document and back.

use damon_core::{AddrRange, Adjust, Attrs, AttrsSpec, BadAttrs, Bp, IntervalsGoal, TargetId, TargetSpec};

use super::refusal::{At, Judge, Why};
use super::{Config, Watched, probe, scheme};
use crate::config::document::{self, Context, MinMax, OpsKind, Region, SampleControl, Target};
use crate::config::quantity::{Address, BasisPoints, Count, Number, Size};

pub(super) fn read(context: &Context, at: &At, judge: &mut Judge<'_>) -> Config {
    if context.sample_control != SampleControl::default() {
        let why = Why::NotSupported("how accesses are sampled is the backend's to choose: leave it out");
        judge.refuse(&at.key("sample_control"), why);
    }
    let targets = context.targets.iter().enumerate();
    let targets = targets.map(|(i, t)| target(context.ops, i, t, &at.item("targets", i), judge)).collect();
    let nr_targets = context.targets.len();
    let schemes = context.schemes.iter().enumerate();
    Config {
        ops: context.ops,
        attrs: attrs(context, at, judge),
        targets,
        schemes: schemes.map(|(i, s)| scheme::read(s, nr_targets, &at.item("schemes", i), judge)).collect(),
        paused: context.pause,
    }
}

pub(super) fn write(config: &Config, at: &At, judge: &mut Judge<'_>) -> Context {
    let attrs = &config.attrs;
    let intervals = at.key("intervals");
    let count = |n: usize| Count(n as u64);
    let probes = attrs.probes.iter().enumerate();
    let schemes = config.schemes.iter().enumerate();
    let targets = config.targets.iter().enumerate();
    Context {
        addr_unit: Size(attrs.addr_unit),
        targets: targets.map(|(i, t)| write_target(t, i, &at.item("targets", i), judge)).collect(),
        intervals: document::Intervals {
            sample_us: judge.micros(&intervals.key("sample_us"), attrs.sampling),
            aggr_us: judge.micros(&intervals.key("aggr_us"), attrs.aggregation),
            ops_update_us: judge.micros(&intervals.key("ops_update_us"), attrs.update),
            intervals_goal: match &attrs.intervals_goal {
                None => document::IntervalsGoal::default(),
                Some(goal) => write_goal(goal, &intervals.key("intervals_goal"), judge),
            },
        },
        nr_regions: MinMax { min: count(attrs.min_nr_regions), max: count(attrs.max_nr_regions) },
        probes: probes.map(|(i, p)| probe::write(p, &at.item("probes", i), judge)).collect(),
        pause: config.paused,
        schemes: schemes.map(|(i, s)| scheme::write(s, &at.item("schemes", i), judge)).collect(),
        ..Context::new(config.ops)
    }
}

fn attrs(context: &Context, at: &At, judge: &mut Judge<'_>) -> AttrsSpec {
    let intervals = &context.intervals;
    let goal_at = at.key("intervals").key("intervals_goal");
    let regions_at = at.key("nr_regions");
    let probes = context.probes.iter().enumerate();
    let spec = AttrsSpec {
        sampling: intervals.sample_us.duration(),
        aggregation: intervals.aggr_us.duration(),
        update: intervals.ops_update_us.duration(),
        min_nr_regions: judge.fit(&regions_at.key("min"), context.nr_regions.min.0, "a number of regions"),
        max_nr_regions: judge.fit(&regions_at.key("max"), context.nr_regions.max.0, "a number of regions"),
        addr_unit: context.addr_unit.0,
        granule: granule(context.addr_unit.0),
        intervals_goal: goal(&intervals.intervals_goal, &goal_at, judge),
        probes: probes.map(|(i, p)| probe::read(p, &at.item("probes", i), judge)).collect(),
        // What is meant for the kernel is done as the kernel does it.
        adjust: Adjust::Classic,
        ..AttrsSpec::default()
    };
    if let Err(BadAttrs { field, value, rule, .. }) = Attrs::try_from(spec.clone()) {
        let (at, rule) = match field {
            "sampling" => (at.key("intervals").key("sample_us"), rule),
            "aggregation" => (at.key("intervals").key("aggr_us"), rule),
            "update" => (at.key("intervals").key("ops_update_us"), rule),
            "intervals_goal.access_bp" => (goal_at.key("access_bp"), rule),
            "intervals_goal.aggregations" => (goal_at.key("aggrs"), rule),
            "intervals_goal.min_sampling" => (goal_at.key("min_sample_us"), rule),
            "intervals_goal.max_sampling" => (goal_at.key("max_sample_us"), rule),
            "min_nr_regions" => (regions_at.key("min"), rule),
            "max_nr_regions" => (regions_at.key("max"), rule),
            "addr_unit" => (at.key("addr_unit"), rule),
            "granule" => (at.key("addr_unit"), "such that a page has a power of two of them".into()),
            "probes" => (at.key("probes"), rule),
            _ => (at.clone(), rule),
        };
        let value = if field == "granule" { context.addr_unit.to_string() } else { value };
        judge.refuse(&at, Why::Value { value, rule });
    }
    spec
}

/// The smallest region is a page, as in the kernel: in addresses, at least one.
fn granule(addr_unit: u64) -> u64 {
    4_096_u64.checked_div(addr_unit).unwrap_or(0).max(1)
}

fn goal(goal: &document::IntervalsGoal, at: &At, judge: &mut Judge<'_>) -> Option<IntervalsGoal> {
    (goal.aggrs.0 > 0).then(|| IntervalsGoal {
        access_bp: Bp(judge.fit(&at.key("access_bp"), goal.access_bp.0, "at most the whole")),
        aggregations: judge.fit(&at.key("aggrs"), goal.aggrs.0, "below 2^32"),
        min_sampling: goal.min_sample_us.duration(),
        max_sampling: goal.max_sample_us.duration(),
    })
}

fn write_goal(goal: &IntervalsGoal, at: &At, judge: &mut Judge<'_>) -> document::IntervalsGoal {
    document::IntervalsGoal {
        access_bp: BasisPoints(goal.access_bp.0.into()),
        aggrs: Count(goal.aggregations.into()),
        min_sample_us: judge.micros(&at.key("min_sample_us"), goal.min_sampling),
        max_sample_us: judge.micros(&at.key("max_sample_us"), goal.max_sampling),
    }
}

fn target(ops: OpsKind, index: usize, target: &Target, at: &At, judge: &mut Judge<'_>) -> Watched {
    let (process, fixed) = match ops {
        OpsKind::Vaddr => (true, false),
        OpsKind::Fvaddr => (true, true),
        OpsKind::Paddr => (false, true),
    };
    match target.pid {
        None if process => judge.refuse(&at.key("pid"), Why::Missing("say whose virtual memory")),
        Some(Number(pid)) if process && pid <= 0 => judge.refuse(&at.key("pid"), Why::value(pid, "at least 1")),
        Some(_) if !process => {
            judge.refuse(&at.key("pid"), Why::NotSupported("physical memory is nobody's: use null"));
        }
        _ => {}
    }
    if target.obsolete {
        judge.refuse(&at.key("obsolete"), Why::NotSupported("a target that is not wanted is left out of the list"));
    }
    if !fixed && !target.regions.is_empty() {
        let why = Why::NotSupported("vaddr finds the regions by itself: leave them out, or use fvaddr to keep to them");
        judge.refuse(&at.key("regions"), why);
    }
    if ops == OpsKind::Fvaddr && target.regions.is_empty() {
        judge.refuse(&at.key("regions"), Why::Missing("say which ranges, or use vaddr for all"));
    }
    let regions = target.regions.iter().enumerate();
    let ranges = regions.filter_map(|(i, r)| range(r, &at.item("regions", i), judge)).collect();
    let id = judge.fit(at, index, "below 2^32");
    Watched { pid: target.pid.map(|pid| pid.0), spec: TargetSpec { ranges, ..TargetSpec::new(TargetId::new(id)) } }
}

fn write_target(target: &Watched, index: usize, at: &At, judge: &mut Judge<'_>) -> Target {
    let id = target.spec.id.get();
    if usize::try_from(id) != Ok(index) {
        let why = Why::value(format!("called {id}"), format!("called by its place, {index}"));
        judge.refuse(at, why);
    }
    let regions = target.spec.ranges.iter().map(|r| region(*r)).collect();
    Target { pid: target.pid.map(Number), obsolete: false, regions }
}

pub(super) fn range(region: &Region, at: &At, judge: &mut Judge<'_>) -> Option<AddrRange> {
    let range = AddrRange::new(region.start.0, region.end.0);
    if range.is_none() {
        judge.refuse(&at.key("end"), Why::value(region.end, format!("more than start, {}", region.start)));
    }
    range
}

pub(super) const fn region(range: AddrRange) -> Region {
    Region { start: Address(range.start()), end: Address(range.end()) }
}
