//! Filters and probes against pages of known kind: private, shared, of a file, huge, in swap, in a cgroup, young, active.

use std::path::Path;

use damon_core::{Action, AddrRange, Filter, NodeId, PageFilter, Probe, Request};
use damon_ops_vaddr::linux::act::Guardrails;
use damon_ops_vaddr::linux::{PageFilters, Pfn, Process, Whereabouts};

use crate::actor::{actor_of, apply};
use crate::child::Child;
use crate::support::{Cgroup, HUGE, PAGE, addrs, flagged, has_page_idle, has_swap, is_root, lacks, part, turn};

fn only(page: PageFilter) -> [Filter; 1] {
    [Filter { page, matching: true, allow: true }]
}

/// How many pages of `range` pass.
fn passing(child: &Child, range: AddrRange, filters: &[Filter]) -> u64 {
    let mut actor = actor_of(child, Guardrails::default());
    let (size, passed) = apply(&mut actor, range, &Request::new(Action::Cold, filters, &[]));
    assert_eq!(size, passed, "what passes is acted on, and nothing else");
    passed / PAGE
}

#[test]
fn anonymous_memory_is_told_from_shared_memory_and_files() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let path = std::env::temp_dir().join(format!("damon-filter-{}", std::process::id()));
    let (anon, shared, file) = (child.anon(64 * PAGE), child.shared(64 * PAGE), child.file(&path, 64 * PAGE));
    std::fs::remove_file(&path).unwrap();
    let found = [anon, shared, file].map(|range| passing(&child, range, &only(PageFilter::Anon)));
    assert_eq!(found, [64, 0, 0]);
    let not = [Filter { page: PageFilter::Anon, matching: true, allow: false }];
    assert_eq!([anon, shared, file].map(|range| passing(&child, range, &not)), [0, 64, 64]);
    // Mapped by the child, all of it.
    assert_eq!([anon, shared, file].map(|range| passing(&child, range, &only(PageFilter::Unmapped))), [0, 0, 0]);
    // What was never used is no page.
    let untouched = child.untouched(64 * PAGE);
    assert_eq!((passing(&child, untouched, &not), passing(&child, untouched, &[])), (0, 64));
}

#[test]
fn what_is_on_a_node_is_told_from_what_is_not() {
    let _turn = turn();
    let mut child = Child::new();
    let range = child.anon(64 * PAGE);
    let on = |node, matching| Filter { page: PageFilter::Node(NodeId(node)), matching, allow: false };
    let mut actor = actor_of(&child, Guardrails::default());
    let mut passed = |filters: &[Filter]| apply(&mut actor, range, &Request::new(Action::Stat, filters, &[])).1 / PAGE;
    let on_0 = passed(&[on(0, false)]);
    assert!(on_0 > 0, "the first node has some of it");
    assert_eq!(passed(&[on(0, true)]), 64 - on_0, "and what it has not is elsewhere");
    assert_eq!(passed(&[on(u16::MAX, false)]), 0, "there is no such node");
    if is_root() {
        let anon = Filter { page: PageFilter::Anon, matching: true, allow: true };
        assert_eq!(passed(&[on(0, false), anon]), on_0, "the other lines are asked of what is left");
    }
    let untouched = child.untouched(64 * PAGE);
    assert_eq!(apply(&mut actor, untouched, &Request::new(Action::Stat, &[on(0, false)], &[])).1, 0);
}

#[test]
fn active_pages_are_those_that_were_used_twice() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let range = child.anon(512 * PAGE);
    for addr in addrs(part(range, 0, 256)).chain(addrs(part(range, 0, 256))) {
        crate::raw::read_of(child.pid(), addr).unwrap();
    }
    let active = flagged(child.pid(), range, 1 << 6);
    assert!((100..=256).contains(&active), "{active}");
    assert_eq!(passing(&child, range, &only(PageFilter::Active)), active);
    // That made them cold: they are active no more, but for those in some CPU's batch.
    assert!(passing(&child, range, &only(PageFilter::Active)) <= active / 2);
}

#[test]
fn pages_are_young_until_they_are_asked_and_when_they_were_used_since() {
    let _turn = turn();
    if !is_root() || !has_page_idle() {
        return;
    }
    let mut child = Child::new();
    let range = child.anon(256 * PAGE);
    // All are on their lists by now.
    child.tell(&format!("anon {} small", 256 * PAGE));
    let mut actor = actor_of(&child, Guardrails::default());
    let young = only(PageFilter::Young);
    let mut stat = |range| apply(&mut actor, range, &Request::new(Action::Stat, &young, &[])).1 / PAGE;
    assert!(stat(range) >= 240);
    assert_eq!(stat(range), 0, "asked a moment ago");
    child.about("read", part(range, 50, 20));
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(stat(range), 20);
    assert_eq!(stat(range), 0);
}

#[test]
fn pages_are_charged_to_the_cgroup_they_were_made_in() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let Some(cgroup) = Cgroup::new("charged") else { return };
    let mut child = Child::new();
    let outside = child.anon(64 * PAGE);
    cgroup.take(child.pid());
    let inside = child.anon(64 * PAGE);
    let id = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(cgroup.path()).unwrap());
    let found = [outside, inside].map(|range| passing(&child, range, &only(PageFilter::Memcg(id))));
    assert_eq!(found, [0, 64]);
}

#[test]
fn huge_pages_are_told_by_their_size() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let (small, huge) = (child.anon(HUGE), child.huge(HUGE));
    if crate::support::smaps_kib(child.pid(), huge.start(), "AnonHugePages:") != Some(2 << 10) {
        return lacks("free huge pages");
    }
    let of = |min, max| only(PageFilter::HugepageSize { min, max });
    let stat = |range, filters: &[Filter]| {
        apply(&mut actor_of(&child, Guardrails::default()), range, &Request::new(Action::Stat, filters, &[])).1 / PAGE
    };
    assert_eq!((stat(small, &of(HUGE, HUGE)), stat(huge, &of(HUGE, HUGE))), (0, 512));
    assert_eq!((stat(small, &of(PAGE, PAGE)), stat(huge, &of(PAGE, HUGE - 1))), (512, 0));
}

#[test]
fn each_probe_has_its_bit_for_each_page() {
    let _turn = turn();
    if !is_root() || !has_swap() {
        return;
    }
    let mut child = Child::new();
    let (anon, shared, untouched) = (child.anon(64 * PAGE), child.shared(64 * PAGE), child.untouched(4 * PAGE));
    let mut actor = actor_of(&child, Guardrails::default());
    apply(&mut actor, part(anon, 0, 64), &Request::new(Action::Pageout, &[], &[]));
    let process = Process::open(Path::new("/"), child.pid()).unwrap();
    let mut pagemap = process.pagemap(PAGE).unwrap();
    let mut entries = Vec::new();
    let sampled: Vec<u64> = [anon, shared, untouched].iter().flat_map(|&range| addrs(range)).collect();
    pagemap.entries(sampled.iter().copied(), &mut entries).unwrap();
    let at: Vec<Whereabouts> = entries.iter().map(|e| e.unwrap().into()).collect();
    let out = at[..64].iter().filter(|at| matches!(at, Whereabouts::Swap { anon: true })).count();
    assert!(out >= 32, "{out}");
    let probe = |page| Probe { filters: only(page).to_vec(), weight: 0 };
    let all = PageFilter::HugepageSize { min: 0, max: u64::MAX };
    let probes = [probe(PageFilter::Anon), probe(all), probe(PageFilter::Unmapped)];
    let mut attrs = Vec::new();
    PageFilters::new(Path::new("/"), PAGE).attrs(&at, &probes, &mut attrs).unwrap();
    let expected = at.iter().enumerate().map(|(i, at)| match at {
        Whereabouts::Swap { .. } => 0b001,
        Whereabouts::Memory(_) if i < 64 => 0b011,
        Whereabouts::Memory(_) => 0b010,
        _ => 0,
    });
    assert_eq!(attrs, expected.collect::<Vec<_>>());
    assert!(at[128..].iter().all(|at| *at == Whereabouts::Nowhere));
}

#[test]
fn what_no_process_maps_is_found_by_its_frame() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    // A file's page: mapped by the child, and then by nobody.
    let mut child = Child::new();
    let path = std::env::temp_dir().join(format!("damon-unmapped-{}", std::process::id()));
    let file = child.file(&path, 16 * PAGE);
    let pfns: Vec<Whereabouts> = crate::support::words(child.pid(), file)
        .iter()
        .map(|word| Whereabouts::Memory(Pfn(word & ((1 << 55) - 1))))
        .collect();
    let mut filters = PageFilters::new(Path::new("/"), PAGE);
    let mut unmapped = || {
        let mut pass = Vec::new();
        filters.pass(&pfns, &only(PageFilter::Unmapped), &mut pass).unwrap();
        pass.iter().filter(|pass| **pass).count()
    };
    assert_eq!(unmapped(), 0);
    child.about("unmap", file);
    assert_eq!(unmapped(), 16);
    std::fs::remove_file(&path).unwrap();
}
