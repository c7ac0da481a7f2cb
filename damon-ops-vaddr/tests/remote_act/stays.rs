//! What stays on its node, on a real machine: memory whose process's cpuset has no other, and memory with a policy.

use damon_core::{Action, AddrRange, ApplyOps, Dest, Filter, Instant, NodeId, PageFilter, Request};
use damon_ops_vaddr::RemoteActor;
use damon_ops_vaddr::linux::act::{self, Guardrails};
use damon_ops_vaddr::linux::{Pidfd, Policies, Policy};

use crate::actor::{TARGET, actor_of, apply};
use crate::child::Child;
use crate::raw;
use crate::support::{Cgroup, PAGE, addrs, has_node_1, is_root, lacks, part, turn};

const BYTES: u64 = 64 * PAGE;

const fn to(node: u16) -> [Dest; 1] {
    [Dest { node: NodeId(node), weight: 1 }]
}

/// Moves `range` to `node`: bytes done, bytes that passed.
fn migrate(actor: &mut RemoteActor, range: AddrRange, node: u16) -> (u64, u64) {
    apply(actor, range, &Request::new(Action::MigrateCold, &[], &to(node)))
}

/// How much could go from one node to another, as the engine asks for it.
fn could_go(actor: &mut RemoteActor, range: AddrRange, from: u16, node: u16) -> u64 {
    let from = [Filter { page: PageFilter::Node(NodeId(from)), matching: false, allow: false }];
    apply(actor, range, &Request::new(Action::Stat, &from, &to(node))).1
}

fn on(child: &Child, range: AddrRange, node: u16) -> u64 {
    let addrs: Vec<u64> = addrs(range).collect();
    let nodes = act::nodes_of(&Pidfd::open(child.pid()).unwrap(), &addrs).unwrap();
    nodes.iter().filter(|at| **at == Some(NodeId(node))).count() as u64 * PAGE
}

#[test]
fn memory_with_a_policy_stays_on_its_nodes_while_other_memory_moves() {
    let _turn = turn();
    if !is_root() || !has_node_1() {
        return;
    }
    for (name, mode, nodes) in
        [("bind", raw::BIND, 0b01), ("prefer", raw::PREFER, 0b01), ("interleave", raw::INTERLEAVE, 0b11)]
    {
        let mut child = Child::new();
        let range = child.anon(BYTES);
        let bound = part(range, 16, 32);
        child.bind(bound, mode, nodes);
        let mut actor = actor_of(&child, Guardrails::default());
        assert_eq!(could_go(&mut actor, range, 0, 1), BYTES, "{name}: nothing was read yet");
        assert_eq!(migrate(&mut actor, range, 1), (BYTES / 2, BYTES / 2), "{name}");
        assert_eq!((on(&child, bound, 0), on(&child, range, 1)), (BYTES / 2, BYTES / 2), "{name}");
        let left = actor.left_alone();
        assert_eq!((left.policy, left.cpuset), (BYTES / 2, 0), "{name}");
        assert_eq!(could_go(&mut actor, range, 0, 1), 0, "{name}: now it is known");
        assert_eq!(actor.left_alone().policy, BYTES, "{name}: and said, for nobody will try it any more");
        // To one of its nodes it may go.
        assert_eq!(migrate(&mut actor, part(range, 0, 16), 0).0, 16 * PAGE);
        let rails = Guardrails { ignore_policies: true, ..Guardrails::default() };
        assert_eq!(migrate(&mut actor_of(&child, rails), bound, 1), (BYTES / 2, BYTES / 2), "{name}, ignored");
        assert_eq!(on(&child, bound, 1), BYTES / 2, "{name}, ignored");
        // What has left one of its nodes comes back, or is left where somebody has put it.
        let back = if mode == raw::INTERLEAVE { 0 } else { BYTES / 2 };
        assert_eq!(migrate(&mut actor, bound, 0).0, back, "{name}");
        assert!(child.is_intact(range));
    }
}

#[test]
fn a_policy_that_is_taken_back_is_seen_soon() {
    let _turn = turn();
    if !is_root() || !has_node_1() {
        return;
    }
    let mut child = Child::new();
    let range = child.anon(BYTES);
    child.bind(range, raw::BIND, 0b01);
    let mut actor = actor_of(&child, Guardrails::default());
    assert_eq!(migrate(&mut actor, range, 1), (0, 0));
    child.bind(range, 0, 0);
    let started = std::time::Instant::now();
    while could_go(&mut actor, range, 0, 1) == 0 {
        assert!(started.elapsed().as_secs() < 60, "who only looks never learns of it");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    println!("seen after {:?}", started.elapsed());
    assert_eq!(migrate(&mut actor, range, 1).0, BYTES);
}

#[test]
fn who_may_not_use_a_node_is_not_moved_there_and_that_is_no_failure() {
    let _turn = turn();
    if !is_root() || !has_node_1() {
        return;
    }
    let Some(cgroup) = Cgroup::with("cpuset", "cpuset", "cpuset.mems") else { return };
    let (mut child, mut other) = (Child::new(), Child::new());
    // What is there when it joins goes along.
    cgroup.write("cpuset.mems", "1");
    let range = child.anon(BYTES);
    cgroup.take(child.pid());
    let free = other.anon(BYTES);
    assert_eq!(migrate(&mut actor_of(&other, Guardrails::default()), free, 1).0, BYTES);
    if on(&child, range, 1) != BYTES {
        return lacks("a cpuset that its processes' memory follows");
    }
    // As the kernel itself sees it.
    let refused = act::migrate(&Pidfd::open(child.pid()).unwrap(), &[act::Run { range, page: PAGE }], &to(0), false);
    let e = refused.error.unwrap().to_string();
    assert!(refused.size == 0 && e.contains("cpuset.mems"), "{e}");

    for ignore_policies in [false, true] {
        let mut actor = actor_of(&child, Guardrails { ignore_policies, ..Guardrails::default() });
        actor.open(Instant::ZERO).unwrap();
        let done = actor.apply(TARGET, range, &Request::new(Action::MigrateHot, &[], &to(0)));
        assert!(done.error.is_none(), "{:?}", done.error);
        assert_eq!((done.size, done.filter_passed, actor.left_alone().cpuset), (0, 0, BYTES));
        assert_eq!(could_go(&mut actor, range, 1, 0), 0);
    }
    assert_eq!(migrate(&mut actor_of(&other, Guardrails::default()), free, 0).0, BYTES, "another process moves");
    cgroup.write("cpuset.mems", "0-1");
    assert_eq!(migrate(&mut actor_of(&child, Guardrails::default()), range, 0).0, BYTES);
    assert!(child.is_intact(range));
}

#[test]
fn policies_are_read_as_the_kernel_writes_them() {
    let _turn = turn();
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        return lacks("a kernel with NUMA");
    }
    let mut child = Child::new();
    let policies = Policies::read(format!("/proc/{}/numa_maps", child.pid()).as_ref()).unwrap();
    let range = child.anon(BYTES);
    assert_eq!(*policies.at(range.start()), Policy::Anywhere);
    child.bind(part(range, 16, 32), raw::BIND, 0b01);
    let policies = Policies::read(format!("/proc/{}/numa_maps", child.pid()).as_ref()).unwrap();
    let of = policies.parts(range).map(|(part, policy)| (part.size() / PAGE, policy.clone())).collect::<Vec<_>>();
    assert_eq!(of, [(16, Policy::Anywhere), (32, Policy::Within(vec![0])), (16, Policy::Anywhere)]);
}
