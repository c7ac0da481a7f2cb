//! Schemes, from documents and back.

use damon_core::control::watermarks::Marks;
use damon_core::{Dest, Metric, NodeId};

use super::refusal::{At, Judge, Why};
use super::{filter, pattern, quota};
use crate::config::document::{self, Action, Stats, WatermarkMetric};
use crate::config::quantity::{Count, Number, Permil};
use crate::scheme::{Scheme, Watermarks};

const ACTIONS: [(Action, damon_core::Action); 11] = [
    (Action::Willneed, damon_core::Action::Willneed),
    (Action::Cold, damon_core::Action::Cold),
    (Action::Pageout, damon_core::Action::Pageout),
    (Action::Hugepage, damon_core::Action::Hugepage),
    (Action::Nohugepage, damon_core::Action::Nohugepage),
    (Action::Collapse, damon_core::Action::Collapse),
    (Action::LruPrio, damon_core::Action::LruPrio),
    (Action::LruDeprio, damon_core::Action::LruDeprio),
    (Action::MigrateHot, damon_core::Action::MigrateHot),
    (Action::MigrateCold, damon_core::Action::MigrateCold),
    (Action::Stat, damon_core::Action::Stat),
];

pub(super) fn read(scheme: &document::Scheme, nr_targets: usize, at: &At, judge: &mut Judge<'_>) -> Scheme {
    // Each kind of action is in the table.
    let action = ACTIONS.iter().find(|(a, _)| *a == scheme.action).map_or(damon_core::Action::Stat, |(_, a)| *a);
    let (core_filters, filters) = filter::read(&scheme.filters, nr_targets, at, judge);
    let max_nr_snapshots = scheme.stats.as_ref().map(|s| s.max_nr_snapshots.0);
    Scheme {
        pattern: pattern::read(&scheme.access_pattern, &at.key("access_pattern"), judge),
        apply_interval: scheme.apply_interval_us.duration(),
        dests: dests(scheme, at, judge),
        quota: quota::read(&scheme.quotas, &at.key("quotas"), judge),
        watermarks: watermarks(&scheme.watermarks, &at.key("watermarks"), judge),
        core_filters,
        filters,
        max_nr_snapshots: max_nr_snapshots.filter(|n| *n > 0),
        ..Scheme::new(action)
    }
}

pub(super) fn write(scheme: &Scheme, at: &At, judge: &mut Judge<'_>) -> document::Scheme {
    let action = ACTIONS.iter().find(|(_, a)| *a == scheme.action).map(|(a, _)| *a);
    if action.is_none() {
        judge.refuse(&at.key("action"), Why::NotSupported("documents have no word for actions of one's own"));
    }
    let (target_nid, dests) = match scheme.dests.as_slice() {
        // The one way to say it that the kernel heeds for physical memory too.
        [Dest { node, weight: 1 }] => (Some(Number(node.0.into())), Vec::new()),
        several => {
            let dest = |d: &Dest| document::Dest { id: Number(d.node.0.into()), weight: Number(d.weight.into()) };
            (None, several.iter().map(dest).collect())
        }
    };
    let max_nr_snapshots = scheme.max_nr_snapshots.map(Count);
    document::Scheme {
        action: action.unwrap_or_default(),
        dests,
        target_nid,
        access_pattern: pattern::write(&scheme.pattern, &at.key("access_pattern"), judge),
        apply_interval_us: judge.micros(&at.key("apply_interval_us"), scheme.apply_interval),
        quotas: quota::write(&scheme.quota, &at.key("quotas"), judge),
        watermarks: match &scheme.watermarks {
            None => document::Watermarks::default(),
            Some(w) => write_watermarks(w, &at.key("watermarks"), judge),
        },
        filters: filter::write(&scheme.core_filters, &scheme.filters, at, judge),
        stats: max_nr_snapshots.map(|max_nr_snapshots| Stats { max_nr_snapshots, ..Stats::default() }),
    }
}

fn dests(scheme: &document::Scheme, at: &At, judge: &mut Judge<'_>) -> Vec<Dest> {
    let migrates = matches!(scheme.action, Action::MigrateHot | Action::MigrateCold);
    let nid_at = at.key("target_nid");
    // -1 is what the kernel's file holds where nothing was said.
    let nid = scheme.target_nid.filter(|n| n.0 != -1);
    let useless = Why::NotSupported("is of no use to actions that do not migrate");
    if !migrates && nid.is_some() {
        judge.refuse(&nid_at, useless.clone());
    }
    if !migrates && !scheme.dests.is_empty() {
        judge.refuse(&at.key("dests"), useless);
    }
    let dests: Vec<_> = match nid {
        Some(n) if scheme.dests.is_empty() => vec![Dest { node: node(n, &nid_at, judge), weight: 1 }],
        _ => scheme.dests.iter().enumerate().map(|(i, d)| dest(d, &at.item("dests", i), judge)).collect(),
    };
    match nid {
        Some(_) if !scheme.dests.is_empty() => {
            judge.refuse(&nid_at, Why::NotSupported("there are dests as well: leave one of the two out"));
        }
        None if migrates && dests.is_empty() => judge.refuse(&nid_at, Why::Missing("say where to migrate to")),
        _ => {}
    }
    dests
}

fn dest(dest: &document::Dest, at: &At, judge: &mut Judge<'_>) -> Dest {
    let weight = judge.fit(&at.key("weight"), dest.weight.0, "0 to 2^32 - 1");
    Dest { node: node(dest.id, &at.key("id"), judge), weight }
}

fn node(n: Number, at: &At, judge: &mut Judge<'_>) -> NodeId {
    NodeId(judge.fit(at, n.0, "the number of a node, 0 to 65,535"))
}

fn watermarks(w: &document::Watermarks, at: &At, judge: &mut Judge<'_>) -> Option<Watermarks> {
    if w.metric == WatermarkMetric::None {
        return None;
    }
    for (key, mark, above, rule) in [
        ("mid_permil", w.mid_permil, w.high_permil, "at most high_permil"),
        ("low_permil", w.low_permil, w.mid_permil, "at most mid_permil"),
    ] {
        if mark > above {
            judge.refuse(&at.key(key), Why::value(mark, format!("{rule}, {above}")));
        }
    }
    Some(Watermarks {
        metric: Metric::FreeMemRatePermille,
        interval: w.interval_us.duration(),
        marks: Marks { high: w.high_permil.0, mid: w.mid_permil.0, low: w.low_permil.0 },
    })
}

fn write_watermarks(w: &Watermarks, at: &At, judge: &mut Judge<'_>) -> document::Watermarks {
    if w.metric != Metric::FreeMemRatePermille {
        judge.refuse(&at.key("metric"), Why::NotSupported("documents have watermarks on free memory only"));
    }
    document::Watermarks {
        metric: WatermarkMetric::FreeMemRate,
        interval_us: judge.micros(&at.key("interval_us"), w.interval),
        high_permil: Permil(w.marks.high),
        mid_permil: Permil(w.marks.mid),
        low_permil: Permil(w.marks.low),
    }
}
