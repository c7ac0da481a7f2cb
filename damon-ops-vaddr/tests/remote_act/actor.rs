//! The actor: verified pageout, migrations and collapse, and what a range with holes comes to.

use damon_core::{Action, AddrRange, ApplyOps, Dest, NodeId, Request, TargetId};
use damon_ops_vaddr::linux::act::{Guardrails, ProcessError};
use damon_ops_vaddr::{RemoteActError, RemoteActor};

use crate::child::Child;
use crate::support::{HUGE, PAGE, has_node_1, has_swap, is_root, lacks, part, swapped, turn};

pub(crate) const TARGET: TargetId = TargetId::new(5);

pub(crate) const fn plain(action: Action) -> Request<'static> {
    Request::new(action, &[], &[])
}

pub(crate) fn actor_of(child: &Child, rails: Guardrails) -> RemoteActor {
    RemoteActor::new([(TARGET, child.pid())], rails).unwrap()
}

pub(crate) fn apply(actor: &mut RemoteActor, range: AddrRange, req: &Request<'_>) -> (u64, u64) {
    actor.open(damon_core::Instant::from_nanos(0)).unwrap();
    let done = actor.apply(TARGET, range, req);
    if let Some(e) = done.error {
        panic!("{e}");
    }
    (done.size, done.filter_passed)
}

#[test]
fn paged_out_memory_is_verified_whether_it_is_private_or_shared() {
    let _turn = turn();
    if !is_root() || !has_swap() {
        return;
    }
    let mut child = Child::new();
    for range in [child.anon(1_024 * PAGE), child.shared(1_024 * PAGE)] {
        let mut actor = actor_of(&child, Guardrails::default());
        let half = part(range, 0, 512);
        let verified = |actor: &mut RemoteActor, range| actor.verify(TARGET, range, &plain(Action::Pageout)).unwrap();
        assert_eq!(verified(&mut actor, half), Some(0));
        assert_eq!(apply(&mut actor, half, &plain(Action::Pageout)), (512 * PAGE, 512 * PAGE));
        // Pages that are in some CPU's batch at the moment stay.
        let out = verified(&mut actor, half).unwrap();
        assert!(out >= 384 * PAGE, "{out}");
        assert_eq!(verified(&mut actor, part(range, 512, 512)), Some(0));
        assert!(child.is_intact(range));
        assert_eq!(verified(&mut actor, half), Some(0), "all was read back");
    }
}

#[test]
fn what_is_read_ahead_of_need_is_in_the_page_cache_and_comes_as_it_was() {
    let _turn = turn();
    if !is_root() || !has_swap() {
        return;
    }
    let mut child = Child::new();
    let range = child.shared(512 * PAGE);
    let mut actor = actor_of(&child, Guardrails::default());
    apply(&mut actor, range, &plain(Action::Pageout));
    let before = actor.verify(TARGET, range, &plain(Action::Willneed)).unwrap().unwrap();
    assert!(before <= 128 * PAGE, "{before}");
    apply(&mut actor, range, &plain(Action::Willneed));
    assert_eq!(actor.verify(TARGET, range, &plain(Action::Willneed)).unwrap(), Some(512 * PAGE));
    assert!(child.is_intact(range));
}

#[test]
fn migrations_are_verified_and_go_back() {
    let _turn = turn();
    if !is_root() || !has_node_1() {
        return;
    }
    let mut child = Child::new();
    let range = child.anon(512 * PAGE);
    let mut actor = actor_of(&child, Guardrails::default());
    for node in [1, 0] {
        let dests = [Dest { node: NodeId(node), weight: 1 }];
        let req = Request::new(Action::MigrateCold, &[], &dests);
        assert_eq!(actor.verify(TARGET, range, &req).unwrap(), Some(0));
        assert_eq!(apply(&mut actor, range, &req), (512 * PAGE, 512 * PAGE));
        assert_eq!(actor.verify(TARGET, range, &req).unwrap(), Some(512 * PAGE));
        assert!(child.is_intact(range));
    }
}

#[test]
fn huge_pages_move_whole_and_never_beyond_the_range() {
    let _turn = turn();
    if !is_root() || !has_node_1() {
        return;
    }
    let mut child = Child::new();
    let range = child.huge(4 * HUGE);
    if crate::support::smaps_kib(child.pid(), range.start(), "AnonHugePages:") != Some(8 << 10) {
        return lacks("free huge pages");
    }
    let mut actor = actor_of(&child, Guardrails::default());
    // Half of the first, all of the second and third, half of the last.
    let dests = [1, 0].map(|node| Dest { node: NodeId(node), weight: 1 });
    let req = Request::new(Action::MigrateHot, &[], &dests);
    assert_eq!(apply(&mut actor, part(range, 256, 1_536), &req), (2 * HUGE, 3 * HUGE));
    let there = Request::new(Action::MigrateHot, &[], &dests[..1]);
    assert_eq!(actor.verify(TARGET, range, &there).unwrap(), Some(HUGE), "of two huge pages each node got one");
    assert_eq!(crate::support::smaps_kib(child.pid(), range.start(), "AnonHugePages:"), Some(8 << 10));
    assert!(child.is_intact(range));
}

#[test]
fn collapsed_blocks_are_verified_by_the_page_table() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    // Huge pages are advised after the pages were made.
    let range = child.anon(4 * HUGE);
    child.about("hugepage", range);
    let mut actor = actor_of(&child, Guardrails::default());
    if actor.supports(Some(TARGET), &plain(Action::Collapse)).is_err() {
        return lacks("MADV_COLLAPSE");
    }
    let middle = part(range, 256, 1_536);
    let done = actor.apply(TARGET, middle, &plain(Action::Collapse));
    if let Some(e) = done.error {
        return lacks(&e.to_string());
    }
    assert_eq!((done.size, done.filter_passed), (2 * HUGE, 3 * HUGE));
    assert_eq!(actor.verify(TARGET, part(range, 512, 1_024), &plain(Action::Collapse)).unwrap(), Some(2 * HUGE));
    assert!(child.is_intact(range));
}

#[test]
fn a_hole_in_a_region_is_passed_over() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let range = child.anon(64 * PAGE);
    child.about("unmap", part(range, 30, 4));
    let mut actor = actor_of(&child, Guardrails::default());
    assert_eq!(apply(&mut actor, range, &plain(Action::Cold)), (60 * PAGE, 60 * PAGE));
    assert_eq!(apply(&mut actor, range, &plain(Action::Stat)), (0, 60 * PAGE));
    assert_eq!(apply(&mut actor, part(range, 30, 4), &plain(Action::Cold)), (0, 0));
    // What is unmapped within an application is found out, and the rest done all the same.
    child.about("unmap", part(range, 10, 4));
    let done = actor.apply(TARGET, range, &plain(Action::Cold));
    assert_eq!(done.size, 56 * PAGE);
    assert!(matches!(done.error, Some(RemoteActError::Process(ProcessError::Range { .. }))));
    assert!(child.is_intact(part(range, 14, 16)));
}

#[test]
fn a_target_that_ends_or_was_never_given_is_told_apart() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let range = child.anon(64 * PAGE);
    let mut actor = actor_of(&child, Guardrails::default());
    assert_eq!(apply(&mut actor, range, &plain(Action::Cold)).0, 64 * PAGE);
    let other = TargetId::new(6);
    let error = actor.apply(other, range, &plain(Action::Cold)).error.unwrap();
    assert!(matches!(error, RemoteActError::UnknownTarget { target } if target == other), "{error}");
    assert!(actor.supports(Some(other), &plain(Action::Cold)).is_err());
    child.end();
    let done = actor.apply(TARGET, range, &plain(Action::Cold));
    let error = done.error.unwrap();
    assert_eq!(done.size, 0);
    assert!(matches!(error, RemoteActError::Process(ProcessError::Gone { .. })), "{error}");
}

#[test]
fn a_process_that_dies_half_way_leaves_counts_and_a_typed_error() {
    let _turn = turn();
    if !is_root() || !has_swap() {
        return;
    }
    let mut child = Child::new();
    let range = child.anon(16_384 * PAGE);
    let mut actor = actor_of(&child, Guardrails::default());
    let pid = child.pid();
    let killer = std::thread::spawn(move || {
        while swapped(pid, part(range, 0, 16)) == 0 {
            std::thread::yield_now();
        }
        crate::raw::kill(pid);
    });
    let mut size = 0;
    // A range a call, so that it dies between two of them.
    let error = (0..64).find_map(|n| {
        let done = actor.apply(TARGET, part(range, n * 256, 256), &plain(Action::Pageout));
        size += done.size;
        done.error
    });
    killer.join().unwrap();
    assert!(matches!(error, Some(RemoteActError::Process(ProcessError::Gone { .. }))), "{error:?}");
    assert!((1..=range.size()).contains(&size), "{size}");
}

#[test]
fn what_no_call_does_says_so_when_it_is_asked() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let range = child.anon(4 * PAGE);
    let mut actor = actor_of(&child, Guardrails::default());
    for (action, word) in [
        (Action::Hugepage, "one's own memory"),
        (Action::Nohugepage, "one's own memory"),
        (Action::Custom(3), "an actor of your own"),
        (Action::MigrateHot, "destination"),
    ] {
        let why = actor.supports(Some(TARGET), &plain(action)).unwrap_err().to_string();
        assert!(why.contains(word), "{why}");
        assert_eq!(actor.apply(TARGET, range, &plain(action)).size, 0);
    }
    for action in [Action::Cold, Action::LruDeprio, Action::Pageout, Action::Willneed, Action::Stat] {
        actor.supports(None, &plain(action)).unwrap();
    }
    let error = actor.apply(TARGET, range, &plain(Action::Hugepage)).error.unwrap();
    assert!(matches!(error, RemoteActError::Process(ProcessError::Unsupported(_))), "{error}");
}
