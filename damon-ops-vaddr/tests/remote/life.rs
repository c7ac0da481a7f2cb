//! Processes that come, fork, exec, unmap and end: who is taken for whom, and what their samples say.

use std::path::PathBuf;
use std::process::Command;

use damon_core::{Action, AddrRange, Ops, Sample, Seen, Space, TargetEvent, TargetId, Want};
use damon_ops_vaddr::linux::act;
use damon_ops_vaddr::remote::{Watch, WatchError};

use crate::child::Workload;
use crate::support::{Noticed, PAGE, events, in_vm, joined, lacks, remote, say};

fn samples(target: TargetId, addrs: impl IntoIterator<Item = u64>) -> Vec<Sample> {
    addrs.into_iter().map(|addr| Sample::new(target, addr)).collect()
}

fn check(ops: &mut Noticed, samples: &mut [Sample]) -> Vec<Seen> {
    ops.check(samples, &Want::new(true, &[])).unwrap();
    samples.iter().map(|s| s.seen).collect()
}

fn refresh(ops: &mut Noticed, target: TargetId) -> Vec<AddrRange> {
    let mut spans = Vec::new();
    ops.ranges(target, &mut spans).unwrap();
    spans.iter().map(|s| s.range).collect()
}

/// A backend that watches a new workload.
fn watched() -> Option<(Noticed, Workload, TargetId)> {
    let mut ops = Noticed(remote()?);
    let workload = Workload::start();
    ops.0.watch(Watch::process(workload.pid())).unwrap();
    let target = joined(&mut ops)[0];
    Some((ops, workload, target))
}

#[test]
fn a_process_that_ends_is_gone_once_and_its_samples_are_unknown() {
    let Some((mut ops, mut workload, target)) = watched() else { return };
    let memory = workload.map("private", 64);
    assert!(refresh(&mut ops, target).iter().any(|r| r.contains(memory.start())));
    let mut window = samples(target, [memory.start(), memory.start() + PAGE]);
    ops.arm(&window).unwrap();
    workload.kill();
    assert_eq!(check(&mut ops, &mut window), [Seen::Unknown; 2]);
    assert_eq!(events(&mut ops), [TargetEvent::Gone(target)]);
    assert_eq!(events(&mut ops), []);
    assert!(refresh(&mut ops, target).is_empty());
    assert_eq!(ops.resolve(Space::Process(workload.pid()), 0), None);
    ops.arm(&window).unwrap();
    assert_eq!(check(&mut ops, &mut window), [Seen::Unknown; 2]);
}

#[test]
fn who_gets_the_pid_of_one_that_ended_is_never_taken_for_it() {
    let Some(remote) = remote() else { return };
    if !in_vm() {
        return lacks("a machine whose pids may be used up");
    }
    let (limit, mut ops) = (PathBuf::from("/proc/sys/kernel/pid_max"), Noticed(remote));
    let before = std::fs::read_to_string(&limit).unwrap();
    std::fs::write(&limit, "500").unwrap();
    let burn = || Command::new("/bin/true").spawn().map(|mut child| (child.id(), child.wait())).unwrap().0;
    // Where pids are given out again: not the low ones.
    while burn() < 350 {}
    let mut workload = Workload::start();
    ops.0.watch(Watch::process(workload.pid())).unwrap();
    let target = joined(&mut ops)[0];
    let memory = workload.map("private", 64);
    refresh(&mut ops, target);
    let pid = workload.pid();
    workload.kill();
    let heir = (0..3_000).find_map(|_| {
        let next = burn() + 1;
        (next == pid).then(Workload::start).filter(|heir| heir.pid() == pid)
    });
    std::fs::write(&limit, before.trim()).unwrap();
    let Some(mut heir) = heir else { panic!("the pid was not to be had") };
    let theirs = heir.map("private", 64);
    let mut window =
        samples(target, [memory.start(), theirs.start()].into_iter().collect::<std::collections::BTreeSet<_>>());
    ops.arm(&window).unwrap();
    heir.tell("write 0");
    assert!(check(&mut ops, &mut window).iter().all(|&seen| seen == Seen::Unknown));
    assert_eq!(events(&mut ops), [TargetEvent::Gone(target)]);
    ops.0.watch(Watch::process(pid)).unwrap();
    let new = joined(&mut ops)[0];
    assert_ne!(new, target, "a number is never another's");
    assert_eq!(ops.resolve(Space::Process(pid), 5), Some((new, 5)));
}

#[test]
fn exec_replaces_the_target_and_it_is_watched_on() {
    let Some((mut ops, mut workload, target)) = watched() else { return };
    let memory = workload.map("private", 64);
    refresh(&mut ops, target);
    let mut window = samples(target, [memory.start()]);
    ops.arm(&window).unwrap();
    assert_eq!(workload.tell("exec again"), "again");
    assert_eq!(check(&mut ops, &mut window), [Seen::Unknown]);
    assert_eq!(events(&mut ops), [TargetEvent::Replaced(target)]);
    assert_eq!(events(&mut ops), []);
    let memory = workload.map("private", 64);
    assert!(refresh(&mut ops, target).iter().any(|r| r.contains(memory.start())));
    let mut window = samples(target, [memory.start(), memory.start() + PAGE]);
    ops.arm(&window).unwrap();
    workload.tell("write 1");
    assert_eq!(check(&mut ops, &mut window), [Seen::Idle, Seen::Accessed]);
}

#[test]
fn what_is_unmapped_or_paged_out_while_armed_is_unknown_and_what_comes_is_accessed() {
    let Some((mut ops, mut workload, target)) = watched() else { return };
    let memory = workload.map("private", 64);
    refresh(&mut ops, target);
    let mut window = samples(target, (0..4).map(|n| memory.start() + n * PAGE));
    ops.arm(&window).unwrap();
    let process = ops.0.roster().process(target).unwrap();
    let done = act::advise(process.pidfd(), Action::Pageout, &[memory]);
    assert!(done.error.is_none(), "{done:?}");
    let mut after = window.clone();
    let seen = check(&mut ops, &mut after);
    assert!(seen.iter().all(|&s| s == Seen::Unknown), "paged out: {seen:?}");
    ops.arm(&window).unwrap();
    workload.tell("read 2");
    assert_eq!(check(&mut ops, &mut window), [Seen::Idle, Seen::Idle, Seen::Accessed, Seen::Idle]);
    ops.arm(&window).unwrap();
    workload.tell("unmap");
    assert_eq!(check(&mut ops, &mut window)[2], Seen::Unknown);
    refresh(&mut ops, target);
    ops.arm(&window).unwrap();
    assert_eq!(check(&mut ops, &mut window), [Seen::Unknown; 4]);
}

#[test]
fn descendants_join_and_stay_when_their_parent_ends() {
    let Some(remote) = remote() else { return };
    let mut ops = Noticed(remote);
    let mut workload = Workload::start();
    let tree = ops.0.watch(Watch { weight: 7, ..Watch::tree(workload.pid()) }).unwrap();
    let first = joined(&mut ops);
    let pids: Vec<u32> = (0..2).map(|_| workload.tell("fork workload").parse().unwrap()).collect();
    let TargetEvent::Joined(spec) = events(&mut ops).remove(0) else { panic!("a child joins") };
    assert_eq!(spec.weight, 7);
    let all: Vec<TargetId> = ops.0.targets_of(tree).collect();
    assert_eq!((first.len(), all.len()), (1, 3));
    // They may have been held before they ran their own program.
    let _ = events(&mut ops);
    workload.tell("kill 0");
    let gone = events(&mut ops);
    assert!(matches!(gone[..], [TargetEvent::Gone(id)] if id != first[0]), "{gone:?}");
    workload.kill();
    assert_eq!(events(&mut ops), [TargetEvent::Gone(first[0])]);
    let orphan: Vec<TargetId> = ops.0.targets_of(tree).collect();
    let process = ops.0.roster().process(orphan[0]).unwrap();
    assert!(process.is_alive() && pids.contains(&process.pid()));
    // Its standard input ended with its parent, and so does it.
    for _ in 0..200 {
        if !process.is_alive() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(events(&mut ops), [TargetEvent::Gone(orphan[0])]);
    assert!(ops.0.unwatch(tree) && !ops.0.unwatch(tree));
}

#[test]
fn a_cgroups_processes_join_and_leave() {
    let Some(remote) = remote() else { return };
    let dir = PathBuf::from("/sys/fs/cgroup/damon-test-members");
    if let Err(e) = std::fs::create_dir_all(dir.join("below")) {
        return lacks(&format!("a cgroup2 to make cgroups in ({e})"));
    }
    let enter = |dir: &PathBuf, pid: u32| std::fs::write(dir.join("cgroup.procs"), pid.to_string()).unwrap();
    let (mut a, b) = (Workload::start(), Workload::start());
    enter(&dir, a.pid());
    let mut ops = Noticed(remote);
    let group = ops.0.watch(Watch::cgroup(&dir)).unwrap();
    let of_a = joined(&mut ops);
    assert_eq!(of_a.len(), 1);
    enter(&dir.join("below"), b.pid());
    let of_b = joined(&mut ops);
    assert_eq!(ops.0.roster().process(of_b[0]).unwrap().pid(), b.pid());
    assert_eq!(ops.resolve(Space::Process(a.pid()), 9), Some((of_a[0], 9)));

    // Who leaves is gone although it lives, and comes back as somebody new.
    enter(&PathBuf::from("/sys/fs/cgroup"), b.pid());
    assert_eq!(events(&mut ops), [TargetEvent::Gone(of_b[0])]);
    enter(&dir, b.pid());
    let again = joined(&mut ops);
    assert_ne!(again, of_b);
    // A member that is watched by itself as well is one target.
    assert!(matches!(ops.0.watch(Watch::process(a.pid())), Err(WatchError::Twice { .. })));

    enter(&PathBuf::from("/sys/fs/cgroup"), b.pid());
    a.kill();
    for inner in [dir.join("below"), dir.clone()] {
        std::fs::remove_dir(inner).unwrap();
    }
    let gone: Vec<TargetEvent> = [of_a[0], again[0]].map(TargetEvent::Gone).into();
    assert_eq!(events(&mut ops), gone);
    assert_eq!((events(&mut ops), ops.0.targets_of(group).count()), (vec![], 0));
    say("cgroup: joined 3, gone 3, and the cgroup with them");
}
