//! What is left alone, on a real machine: this process, protected cgroups, memory below `memory.min`, pinned ranges.

use damon_core::{Action, ApplyOps, Request, TargetId};
use damon_ops_vaddr::linux::act::Guardrails;
use damon_ops_vaddr::{PrivateMap, RemoteActor};

use crate::actor::{TARGET, actor_of, apply, plain};
use crate::child::Child;
use crate::support::{Cgroup, PAGE, has_swap, is_root, part, swapped, turn};

#[test]
fn this_process_is_left_alone_unless_it_is_meant() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let map = PrivateMap::new(64 * PAGE as usize).unwrap();
    let _ = map.advise_huge(false);
    map.atomics().iter().for_each(|word| word.store(7, std::sync::atomic::Ordering::Relaxed));
    let this = [(TARGET, std::process::id())];
    let mut actor = RemoteActor::new(this, Guardrails::default()).unwrap();
    assert_eq!(apply(&mut actor, map.range(), &plain(Action::Cold)), (0, 0));
    assert_eq!(actor.left_alone().this_process, 64 * PAGE);
    let rails = Guardrails { this_process: true, ..Guardrails::default() };
    let mut actor = RemoteActor::new(this, rails).unwrap();
    assert_eq!(apply(&mut actor, map.range(), &plain(Action::Cold)), (64 * PAGE, 64 * PAGE));
}

#[test]
fn a_process_in_a_protected_cgroup_or_below_it_is_left_alone() {
    let _turn = turn();
    if !is_root() || !has_swap() {
        return;
    }
    let Some(kubelet) = Cgroup::new("kubelet") else { return };
    let mut child = Child::new();
    let range = child.anon(256 * PAGE);
    let rails = Guardrails { protected_cgroups: vec![kubelet.name()], ..Guardrails::default() };
    let mut actor = actor_of(&child, rails);
    kubelet.take(child.pid());
    assert_eq!(apply(&mut actor, range, &plain(Action::Pageout)), (0, 0));
    Cgroup::root().take(child.pid());
    let below = Cgroup::new("kubelet/below").unwrap();
    below.take(child.pid());
    assert_eq!(apply(&mut actor, range, &plain(Action::Pageout)), (0, 0));
    assert_eq!(swapped(child.pid(), range), 0);
    assert_eq!(actor.left_alone().protected_cgroup, 512 * PAGE);
    Cgroup::root().take(child.pid());
    assert_eq!(apply(&mut actor, range, &plain(Action::Pageout)).0, 256 * PAGE);
    assert!(swapped(child.pid(), range) > 0);
}

#[test]
fn no_cgroup_is_paged_out_below_its_memory_min() {
    let _turn = turn();
    if !is_root() || !has_swap() {
        return;
    }
    let Some(cgroup) = Cgroup::new("min") else { return };
    let mut child = Child::new();
    cgroup.take(child.pid());
    let range = child.anon(4_096 * PAGE);
    let mut actor = actor_of(&child, Guardrails::default());
    // 8 of 16 MiB may go.
    let current: u64 = cgroup.read("memory.current").trim().parse().unwrap();
    let min = current - 2_048 * PAGE;
    cgroup.write("memory.min", &min.to_string());
    let (size, passed) = apply(&mut actor, range, &plain(Action::Pageout));
    assert_eq!(passed, range.size());
    assert!((1_900 * PAGE..=2_048 * PAGE).contains(&size), "{size}");
    assert_eq!(actor.left_alone().memory_min, passed - size);
    let out = swapped(child.pid(), range) * PAGE;
    assert!(out > 0 && out <= size, "{out}");
    let left: u64 = cgroup.read("memory.current").trim().parse().unwrap();
    assert!(left >= min, "{left} of {min}");
    // Other actions take nothing from it.
    assert_eq!(apply(&mut actor, range, &plain(Action::Cold)).0, range.size());
    assert!(child.is_intact(range));
}

#[test]
fn pinned_ranges_stay_and_those_mapped_elsewhere_are_never_taken_for_cold() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let range = child.anon(512 * PAGE);
    let (pinned, elsewhere) = (part(range, 0, 128), part(range, 256, 128));
    let rails = Guardrails {
        pinned: vec![(TARGET, pinned), (TargetId::new(77), range)],
        mapped_elsewhere: vec![(TARGET, elsewhere)],
        ..Guardrails::default()
    };
    let mut actor = actor_of(&child, rails);
    assert_eq!(apply(&mut actor, range, &plain(Action::Willneed)).0, 384 * PAGE);
    assert_eq!(apply(&mut actor, range, &plain(Action::Pageout)), (256 * PAGE, 256 * PAGE));
    assert_eq!((actor.left_alone().pinned, actor.left_alone().mapped_elsewhere), (256 * PAGE, 128 * PAGE));
    actor.supports(Some(TARGET), &Request::new(Action::Pageout, &[], &[])).unwrap();
    if !has_swap() {
        return;
    }
    assert_eq!(swapped(child.pid(), pinned) + swapped(child.pid(), elsewhere), 0);
    assert!(swapped(child.pid(), range) >= 128);
}
