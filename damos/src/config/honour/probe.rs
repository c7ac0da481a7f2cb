//! Attributes to count, from a probe of a document and back.

use damon_core::{Filter, PageFilter, Probe};

use super::refusal::{At, Judge, Why};
use crate::config::document::{self, ProbeFilter, ProbeFilterKind};
use crate::config::quantity::{Number, Size};

pub(super) fn read(probe: &document::Probe, at: &At, judge: &mut Judge<'_>) -> Probe {
    for i in 0..probe.preps.len() {
        let why = Why::NotSupported("pages are not prepared here: backends read accesses without marking pages idle");
        judge.refuse(&at.item("preps", i), why);
    }
    let weight = probe.weight.unwrap_or_default().0;
    let filters = probe.filters.iter().enumerate();
    Probe {
        filters: filters.filter_map(|(i, f)| filter(f, &at.item("filters", i), judge)).collect(),
        weight: judge.fit(&at.key("weight"), weight, "0 to 2^32 - 1"),
    }
}

fn filter(filter: &ProbeFilter, at: &At, judge: &mut Judge<'_>) -> Option<Filter> {
    for (key, is_set, kind) in [
        ("path", filter.path.is_some(), ProbeFilterKind::Memcg),
        ("range_min", filter.range_min.is_some(), ProbeFilterKind::HugepageSize),
        ("range_max", filter.range_max.is_some(), ProbeFilterKind::HugepageSize),
    ] {
        if is_set && filter.filter_type != kind {
            judge.refuse(&at.key(key), Why::NotSupported("is of no use to this kind of filter"));
        }
    }
    let page = match filter.filter_type {
        ProbeFilterKind::Anon => PageFilter::Anon,
        ProbeFilterKind::Memcg => PageFilter::Memcg(judge.cgroup(&at.key("path"), filter.path.as_deref())?),
        ProbeFilterKind::HugepageSize => {
            for (key, bound) in [("range_min", filter.range_min), ("range_max", filter.range_max)] {
                if bound.is_none() {
                    judge.refuse(&at.key(key), Why::Missing("say which sizes"));
                }
            }
            let (min, max) = (filter.range_min?, filter.range_max?);
            if min > max {
                judge.refuse(&at.key("range_min"), Why::value(min, format!("at most range_max, {max}")));
            }
            PageFilter::HugepageSize { min: min.0, max: max.0 }
        }
        ProbeFilterKind::PgidleSet | ProbeFilterKind::PgidleUnset => {
            judge.refuse(at, Why::NotSupported("whether a page is marked idle is not tested here"));
            return None;
        }
    };
    Some(Filter { page, matching: filter.matching, allow: filter.allow })
}

pub(super) fn write(probe: &Probe, at: &At, judge: &mut Judge<'_>) -> document::Probe {
    let filters = probe.filters.iter().enumerate();
    document::Probe {
        preps: Vec::new(),
        filters: filters.filter_map(|(i, f)| write_filter(f, &at.item("filters", i), judge)).collect(),
        weight: Some(Number(probe.weight.into())),
    }
}

fn write_filter(filter: &Filter, at: &At, judge: &mut Judge<'_>) -> Option<ProbeFilter> {
    let (mut path, mut range_min, mut range_max) = (None, None, None);
    let filter_type = match filter.page {
        PageFilter::Anon => ProbeFilterKind::Anon,
        PageFilter::Memcg(id) => {
            path = judge.cgroup_path(&at.key("path"), id);
            ProbeFilterKind::Memcg
        }
        PageFilter::HugepageSize { min, max } => {
            (range_min, range_max) = (Some(Size(min)), Some(Size(max)));
            ProbeFilterKind::HugepageSize
        }
        _ => {
            judge.refuse(at, Why::NotSupported("documents have probes for anon, memcg and hugepage_size only"));
            return None;
        }
    };
    Some(ProbeFilter { filter_type, matching: filter.matching, allow: filter.allow, path, range_min, range_max })
}
