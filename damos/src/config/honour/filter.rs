//! Filters of schemes, from documents and back: one list there, here one for the engine and one for who acts.
//!
//! The engine's stand first wherever they are written, as in the kernel; so they are written first.

use damon_core::{Filter, PageFilter, TargetId};

use super::context::{range, region};
use super::refusal::{At, Judge, Why};
use crate::config::document::{SchemeFilter, SchemeFilterKind};
use crate::config::quantity::{Count, Size};
use crate::scheme::{CoreFilter, CoreFilterKind};

enum Kind {
    Core(CoreFilterKind),
    Page(PageFilter),
}

pub(super) fn read(
    list: &[SchemeFilter],
    nr_targets: usize,
    at: &At,
    judge: &mut Judge<'_>,
) -> (Vec<CoreFilter>, Vec<Filter>) {
    let (mut core, mut pages) = (Vec::new(), Vec::new());
    for (i, f) in list.iter().enumerate() {
        let at = at.item("filters", i);
        refuse_useless(f, &at, judge);
        let (matching, allow) = (f.matching, f.allow);
        match kind(f, nr_targets, &at, judge) {
            Some(Kind::Core(kind)) => core.push(CoreFilter { kind, matching, allow }),
            Some(Kind::Page(page)) => pages.push(Filter { page, matching, allow }),
            None => {}
        }
    }
    (core, pages)
}

fn refuse_useless(f: &SchemeFilter, at: &At, judge: &mut Judge<'_>) {
    for (key, is_set, kind) in [
        ("memcg_path", f.memcg_path.is_some(), SchemeFilterKind::Memcg),
        ("address_range", f.address_range.is_some(), SchemeFilterKind::Addr),
        ("damon_target_idx", f.damon_target_idx.is_some(), SchemeFilterKind::Target),
        ("hugepage_size", f.hugepage_size.is_some(), SchemeFilterKind::HugepageSize),
        ("probe_hits_wsum_range", f.probe_hits_wsum_range.is_some(), SchemeFilterKind::ProbeHitsWsum),
    ] {
        if is_set && f.filter_type != kind {
            judge.refuse(&at.key(key), Why::NotSupported("is of no use to this kind of filter"));
        }
    }
}

/// `None` where it was refused.
fn kind(f: &SchemeFilter, nr_targets: usize, at: &At, judge: &mut Judge<'_>) -> Option<Kind> {
    let page = match f.filter_type {
        SchemeFilterKind::Anon => PageFilter::Anon,
        SchemeFilterKind::Active => PageFilter::Active,
        SchemeFilterKind::Young => PageFilter::Young,
        SchemeFilterKind::Unmapped => PageFilter::Unmapped,
        SchemeFilterKind::Memcg => PageFilter::Memcg(judge.cgroup(&at.key("memcg_path"), f.memcg_path.as_deref())?),
        SchemeFilterKind::HugepageSize => {
            let [min, max] = given(f.hugepage_size, &at.key("hugepage_size"), "say which sizes", judge)?;
            if min > max {
                judge.refuse(&at.item("hugepage_size", 0), Why::value(min, format!("at most the other, {max}")));
            }
            PageFilter::HugepageSize { min: min.0, max: max.0 }
        }
        SchemeFilterKind::Addr => {
            let at = at.key("address_range");
            let region = given(f.address_range, &at, "say which addresses", judge)?;
            return Some(Kind::Core(CoreFilterKind::Addr(range(&region, &at, judge)?)));
        }
        SchemeFilterKind::Target => {
            let at = at.key("damon_target_idx");
            let Count(index) = given(f.damon_target_idx, &at, "say which target", judge)?;
            if index >= nr_targets as u64 {
                judge.refuse(&at, Why::value(index, format!("the place of a target, of which there are {nr_targets}")));
            }
            return Some(Kind::Core(CoreFilterKind::Target(TargetId::new(judge.fit(&at, index, "below 2^32")))));
        }
        SchemeFilterKind::ProbeHitsWsum => {
            judge.refuse(at, Why::NotSupported("schemes do not filter by probe hits here"));
            return None;
        }
    };
    Some(Kind::Page(page))
}

fn given<T>(value: Option<T>, at: &At, what: &'static str, judge: &mut Judge<'_>) -> Option<T> {
    if value.is_none() {
        judge.refuse(at, Why::Missing(what));
    }
    value
}

pub(super) fn write(core: &[CoreFilter], pages: &[Filter], at: &At, judge: &mut Judge<'_>) -> Vec<SchemeFilter> {
    let core = core.iter().map(|f| (Kind::Core(f.kind), f.matching, f.allow));
    let pages = pages.iter().map(|f| (Kind::Page(f.page), f.matching, f.allow));
    let all = core.chain(pages).enumerate();
    all.filter_map(|(i, (kind, matching, allow))| {
        let filter = |kind| SchemeFilter::new(kind, matching, allow);
        write_one(kind, filter, &at.item("filters", i), judge)
    })
    .collect()
}

fn write_one(
    kind: Kind,
    filter: impl Fn(SchemeFilterKind) -> SchemeFilter,
    at: &At,
    judge: &mut Judge<'_>,
) -> Option<SchemeFilter> {
    Some(match kind {
        Kind::Core(CoreFilterKind::Addr(r)) => {
            SchemeFilter { address_range: Some(region(r)), ..filter(SchemeFilterKind::Addr) }
        }
        Kind::Core(CoreFilterKind::Target(id)) => {
            SchemeFilter { damon_target_idx: Some(Count(id.get().into())), ..filter(SchemeFilterKind::Target) }
        }
        Kind::Page(PageFilter::Anon) => filter(SchemeFilterKind::Anon),
        Kind::Page(PageFilter::Active) => filter(SchemeFilterKind::Active),
        Kind::Page(PageFilter::Young) => filter(SchemeFilterKind::Young),
        Kind::Page(PageFilter::Unmapped) => filter(SchemeFilterKind::Unmapped),
        Kind::Page(PageFilter::Memcg(id)) => {
            let memcg_path = judge.cgroup_path(&at.key("memcg_path"), id);
            SchemeFilter { memcg_path, ..filter(SchemeFilterKind::Memcg) }
        }
        Kind::Page(PageFilter::HugepageSize { min, max }) => {
            SchemeFilter { hugepage_size: Some([Size(min), Size(max)]), ..filter(SchemeFilterKind::HugepageSize) }
        }
        Kind::Page(_) => {
            judge.refuse(at, Why::NotSupported("documents have no word for filters of one's own"));
            return None;
        }
    })
}
