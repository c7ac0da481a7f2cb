//! Acting on frames of a process that checks its own content.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use damon_core::{Action, AddrRange, ApplyOps, Dest, Filter, Instant, NodeId, PageFilter, Request, TargetId};
use damon_ops_paddr::{ActorOptions, Area, Candidates, PaddrActor, cgroup2, system_ram};
use damon_ops_vaddr::PrivateMap;
use damon_ops_vaddr::linux::act::Guardrails;
use damon_ops_vaddr::linux::{KPageCgroup, PagemapEntry, Pfn, ProcessPagemap, read_maps};

use crate::child::{PAGE, Workload, alone, in_vm, lacks, ranges};

const TARGET: TargetId = TargetId::new(0);
const NEAR: Dest = Dest { node: NodeId(0), weight: 1 };
const FAR: Dest = Dest { node: NodeId(1), weight: 1 };

fn actor(options: ActorOptions) -> Option<PaddrActor> {
    match PaddrActor::new(options) {
        Ok(actor) if in_vm() => Some(actor),
        Ok(_) => {
            lacks("a machine whose memory may be moved about");
            None
        }
        Err(e) => {
            lacks(e);
            None
        }
    }
}

/// Applies to all of `ranges` as the engine does: bytes done, bytes that passed, bytes found in effect afterwards.
fn apply(actor: &mut PaddrActor, ranges: &[AddrRange], req: &Request<'_>) -> (u64, u64, Option<u64>) {
    actor.supports(None, req).unwrap();
    actor.open(Instant::ZERO).unwrap();
    let (mut size, mut passed, mut verified) = (0, 0, None);
    for range in ranges {
        let done = actor.apply(TARGET, *range, req);
        assert!(done.error.is_none(), "{:?}", done.error);
        size += done.size;
        passed += done.filter_passed;
    }
    actor.close().unwrap();
    for range in ranges {
        if let Some(bytes) = actor.verify(TARGET, *range, req).unwrap() {
            *verified.get_or_insert(0) += bytes;
        }
    }
    (size, passed, verified)
}

fn frames(child: &Workload) -> Vec<AddrRange> {
    ranges(child.frames().into_iter().flatten())
}

fn part(bytes: u64, of: AddrRange) -> f64 {
    bytes as f64 / of.size() as f64
}

#[test]
fn frames_are_paged_out_and_come_back_as_they_were() {
    let _alone = alone();
    let mut child = Workload::start(20_000);
    let Some(mut actor) = actor(ActorOptions::default()) else { return };
    let frames = frames(&child);
    let (size, _, verified) = apply(&mut actor, &frames, &Request::new(Action::Pageout, &[], &[]));
    let present = child.frames().into_iter().flatten().count();
    let in_effect = part(verified.unwrap(), child.range);
    println!("pageout: {:.3} advised, {in_effect:.3} in effect, {present} pages in memory", part(size, child.range));
    assert_eq!(actor.not_applied().owner_unknown, 0, "page tables are read to their end");
    println!("{:?} {:?}", actor.not_applied(), actor.scanned());
    assert!(part(size, child.range) >= 0.9 && in_effect >= 0.9 && present < 2_000);
    assert_eq!(child.damaged(), 0);
    assert_eq!(child.frames().into_iter().flatten().count(), 20_000);
}

#[test]
fn frames_move_to_the_other_node_and_back_with_their_content() {
    let _alone = alone();
    let mut child = Workload::start(4_096);
    let Some(mut actor) = actor(ActorOptions::default()) else { return };
    child.heat(0..1_000);
    for dest in [FAR, NEAR] {
        let node = Area::Node(dest.node).ranges("/".as_ref(), PAGE).unwrap();
        let dests = [dest];
        let request = Request::new(Action::MigrateHot, &[], &dests);
        let (size, _, verified) = apply(&mut actor, &frames(&child), &request);
        let there = |pfn: &Pfn| node.iter().any(|range| range.contains(pfn.0 * PAGE));
        let moved = child.frames().iter().flatten().filter(|pfn| there(pfn)).count();
        println!(
            "to node {}: {:.3} done, {verified:?} verified, {moved} pages there",
            dest.node.0,
            part(size, child.range)
        );
        assert!(part(size, child.range) >= 0.95 && moved >= 3_900);
        assert!(part(verified.unwrap(), child.range) >= 0.95);
        assert_eq!(child.damaged(), 0);
    }
}

#[test]
fn frames_that_their_owner_has_bound_or_whose_owner_may_not_use_the_node_stay() {
    let _alone = alone();
    let (mut bound, free, mut confined) = (Workload::start(1_024), Workload::start(256), Workload::start(256));
    let options = |ignore_policies| ActorOptions {
        rails: Guardrails { ignore_policies, ..Guardrails::default() },
        ..ActorOptions::default()
    };
    let Some(mut actor) = actor(options(false)) else { return };
    let root = cgroup2("/".as_ref()).unwrap();
    let dir = root.join("paddr-confined");
    std::fs::write(root.join("cgroup.subtree_control"), "+cpuset").unwrap();
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("cpuset.mems"), "0").unwrap();
    std::fs::write(dir.join("cgroup.procs"), confined.pid().to_string()).unwrap();
    bound.bind(256..768, 0);
    let far = Area::Node(FAR.node).ranges("/".as_ref(), PAGE).unwrap();
    let there = |child: &Workload| {
        let is_far = |pfn: &Pfn| far.iter().any(|range| range.contains(pfn.0 * PAGE));
        child.frames().iter().map(|pfn| pfn.as_ref().is_some_and(is_far)).collect::<Vec<_>>()
    };
    let count = |there: &[bool]| there.iter().filter(|far| **far).count();
    let request = Request::new(Action::MigrateCold, &[], &[FAR]);
    let all: Vec<AddrRange> = [&bound, &free, &confined].into_iter().flat_map(frames).collect();
    let (size, passed, _) = apply(&mut actor, &all, &request);
    let (left, now) = (actor.left_alone(), there(&bound));
    println!("{left:?} {:?}, {passed} bytes passed, {size} moved", actor.not_applied());
    assert_eq!((count(&now[256..768]), count(&there(&confined))), (0, 0));
    assert!(count(&now) >= 480 && count(&there(&free)) >= 240);
    assert!((500 * PAGE..=512 * PAGE).contains(&left.policy) && (250 * PAGE..=256 * PAGE).contains(&left.cpuset));
    assert!(passed <= 768 * PAGE, "what is kept counts as not passed");
    // Whoever ignores policies moves what is bound, and the kernel lets nobody out of a cpuset.
    let mut ignoring = self::actor(options(true)).unwrap();
    let _ = apply(&mut ignoring, &all, &request);
    assert!(count(&there(&bound)[256..768]) >= 480 && count(&there(&confined)) == 0);
    assert_eq!((bound.damaged(), confined.damaged()), (0, 0));
    drop(confined);
    std::fs::remove_dir(&dir).unwrap();
}

#[test]
fn where_memory_lies_is_told_while_schemes_are_applied() {
    let _alone = alone();
    let Some(mut actor) = actor(ActorOptions::default()) else { return };
    let all = system_ram("/".as_ref()).unwrap();
    let far: u64 = Area::Node(FAR.node).ranges("/".as_ref(), PAGE).unwrap().iter().map(|r| r.size()).sum();
    actor.open(Instant::ZERO).unwrap();
    let dests = [FAR];
    let request = Request::new(Action::MigrateHot, &[], &dests);
    let on_far: u64 = all.iter().map(|r| actor.verify(TARGET, *r, &request).unwrap().unwrap()).sum();
    assert_eq!(on_far, far);
}

#[test]
fn the_agent_is_left_alone_and_so_is_what_it_shares() {
    let _alone = alone();
    let child = Workload::start(16);
    let map = PrivateMap::new(256 << 12).unwrap();
    map.atomics().iter().step_by(512).for_each(|word| word.store(1, Relaxed));
    let Some(mut actor) = actor(ActorOptions::default()) else { return };
    let entries = entries(std::process::id(), map.range());
    let own = ranges(entries.iter().filter_map(|e| e.pfn()));
    let (size, passed, _) = apply(&mut actor, &own, &Request::new(Action::Pageout, &[], &[]));
    assert_eq!(size, 0);
    assert!(passed >= 200 * PAGE && actor.left_alone().this_process >= 200 * PAGE, "{:?}", actor.left_alone());
    // The code of this binary is mapped by the child too.
    let (size, ..) = apply(&mut actor, &code(&child), &Request::new(Action::MigrateCold, &[], &[FAR]));
    assert_eq!(size, 0, "{:?}", actor.not_applied());
}

fn entries(pid: u32, range: AddrRange) -> Vec<PagemapEntry> {
    let mut table = ProcessPagemap::open(format!("/proc/{pid}/pagemap").into(), PAGE).unwrap();
    let mut entries = Vec::new();
    table.entries((range.start()..range.end()).step_by(PAGE as usize), &mut entries).unwrap();
    entries.into_iter().flatten().collect()
}

/// The frames of the code of this binary that this process and a child map, as far as both do.
fn code(child: &Workload) -> Vec<AddrRange> {
    let exe = std::env::current_exe().unwrap();
    let frames = |pid: u32| -> BTreeSet<Pfn> {
        let maps = read_maps(Path::new(&format!("/proc/{pid}/maps"))).unwrap();
        let code = maps.iter().filter(|m| m.perms.exec && Path::new(&m.name) == exe);
        code.flat_map(|m| entries(pid, m.range)).filter_map(|e| e.pfn()).collect()
    };
    let shared: Vec<Pfn> = frames(child.pid()).intersection(&frames(std::process::id())).copied().collect();
    assert!(shared.len() > 50, "{}", shared.len());
    ranges(shared)
}

#[test]
fn what_several_processes_map_is_moved_but_not_paged_out() {
    let _alone = alone();
    let rails = Guardrails { this_process: true, ..Guardrails::default() };
    let child = Workload::start(16);
    // What they come to map after the actor was made is not known to it.
    let code = code(&child);
    let Some(mut actor) = actor(ActorOptions { rails, ..ActorOptions::default() }) else { return };
    let bytes: u64 = code.iter().map(|range| range.size()).sum();
    let (size, ..) = apply(&mut actor, &code, &Request::new(Action::Pageout, &[], &[]));
    let shared = actor.not_applied().shared;
    println!("code of two processes, {bytes} bytes: paged out {size}, {shared} shared: {:?}", actor.not_applied());
    assert!(size == 0 && shared + actor.not_applied().unlisted + actor.not_applied().cut >= bytes);
    let (moved, ..) = apply(&mut actor, &code, &Request::new(Action::MigrateCold, &[], &[FAR]));
    let there = Area::Node(FAR.node).ranges("/".as_ref(), PAGE).unwrap();
    let now: Vec<AddrRange> = self::code(&child);
    let on_far =
        now.iter().filter(|r| there.iter().any(|node| node.contains(r.start()))).map(|r| r.size()).sum::<u64>();
    println!("moved {moved}, {on_far} on node 1: {:?}", actor.not_applied());
    let _ = apply(&mut actor, &now, &Request::new(Action::MigrateHot, &[], &[NEAR]));
    if moved == 0 {
        // The binary of this machine is in the initramfs, whose pages may not be on a list.
        return println!("skipped: the code's pages cannot be moved here");
    }
    assert!(on_far >= moved / 2);
}

#[test]
fn the_page_tables_of_all_processes_are_read_once_to_begin_with() {
    let _alone = alone();
    match PaddrActor::new(ActorOptions::default()) {
        Ok(actor) => {
            let scanned = actor.scanned();
            println!("{scanned:?}: {} ns a page", scanned.took.as_nanos() / u128::from(scanned.pages.max(1)));
            assert!(scanned.processes > 0 && scanned.pages > 100);
        }
        Err(e) => lacks(e),
    }
}

#[test]
fn who_is_no_candidate_is_not_acted_on() {
    let _alone = alone();
    let candidates = Candidates::Processes(vec![1]);
    let child = Workload::start(256);
    let Some(mut actor) = actor(ActorOptions { candidates, ..ActorOptions::default() }) else { return };
    let (size, ..) = apply(&mut actor, &frames(&child), &Request::new(Action::Pageout, &[], &[]));
    assert_eq!(size, 0);
    assert!(actor.not_applied().owner_unknown >= 200 * PAGE, "{:?}", actor.not_applied());
}

#[test]
fn filters_decide_by_page_and_stat_only_counts() {
    let _alone = alone();
    let child = Workload::start(1_024);
    let Some(mut actor) = actor(ActorOptions::default()) else { return };
    let frames = frames(&child);
    let anon = |allow| [Filter { page: PageFilter::Anon, matching: true, allow }];
    let (size, passed, _) = apply(&mut actor, &frames, &Request::new(Action::Pageout, &anon(false), &[]));
    assert_eq!((size, passed), (0, 0));
    let (size, passed, _) = apply(&mut actor, &frames, &Request::new(Action::Stat, &anon(true), &[]));
    assert!(size == 0 && part(passed, child.range) > 0.9, "{passed}");
    let (size, passed, _) = apply(&mut actor, &frames, &Request::new(Action::Cold, &anon(true), &[]));
    assert!(part(size, child.range) > 0.9 && part(passed, child.range) > 0.9, "{size} {passed}");
}

#[test]
fn page_cache_that_nobody_maps_is_reclaimed_from_its_cgroup_only_if_allowed() {
    let _alone = alone();
    let Some(mut exact) = actor(ActorOptions::default()) else { return };
    let root = cgroup2("/".as_ref()).unwrap();
    let dir = root.join("paddr-cache");
    std::fs::write(root.join("cgroup.subtree_control"), "+memory").unwrap();
    std::fs::create_dir(&dir).unwrap();
    let inode = std::fs::metadata(&dir).unwrap().ino();
    let join = |dir: &Path| std::fs::write(dir.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    join(&dir);
    std::fs::write("/tmp/paddr-cache", vec![7; 16 << 20]).unwrap();
    join(&root);
    let mut groups = Vec::new();
    let all: Vec<Pfn> =
        system_ram("/".as_ref()).unwrap().iter().flat_map(|r| r.start() / PAGE..r.end() / PAGE).map(Pfn).collect();
    KPageCgroup::open("/".as_ref()).unwrap().read(&all, &mut groups).unwrap();
    let cache = ranges(all.iter().zip(&groups).filter(|(_, group)| **group == inode).map(|(&pfn, _)| pfn));
    let current = || std::fs::read_to_string(dir.join("memory.current")).unwrap().trim().parse::<u64>().unwrap();
    let before = current();
    let (size, ..) = apply(&mut exact, &cache, &Request::new(Action::Pageout, &[], &[]));
    let untouched = current();
    let mut approximate = actor(ActorOptions { approximate: true, ..ActorOptions::default() }).unwrap();
    let (reclaimed, ..) = apply(&mut approximate, &cache, &Request::new(Action::Pageout, &[], &[]));
    let after = current();
    println!(
        "cache: {before} bytes, exact {size}, approximate {reclaimed}, then {after}: {:?}",
        approximate.not_applied()
    );
    std::fs::remove_file("/tmp/paddr-cache").unwrap();
    std::fs::remove_dir(&dir).unwrap();
    assert_eq!(size, 0);
    assert!(exact.not_applied().unmapped >= 14 << 20 && untouched >= 15 << 20, "{:?}", exact.not_applied());
    // What is reclaimed for the first frames is taken from the later ones, too.
    assert!(reclaimed >= 2 << 20 && after + (4 << 20) < before);
}
