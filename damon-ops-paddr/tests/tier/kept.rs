//! What is to stay on its node: memory that its process has bound there, and memory of a process that may use no other.

use crate::cases::{MIB, SHORT, seconds, tell};
use crate::machine::{FAST, Pressure, SLOW, alone, in_vm, write};
use crate::run::watch;
use crate::subject::{Part, Subject};
use crate::tiering::Tier;

/// Hot, and on the wrong node; what is cold on the other can give room for it.
const PARTS: [Part; 2] = [Part { mib: 32, node: SLOW }, Part { mib: 16, node: FAST }];

/// Three below `cgroup` that are alike but for what keeps the memory of two of them; `tier` with `args`.
fn one_of_three_moves(cgroup: &str, args: &[&str]) {
    let mut subjects =
        ["free", "bound", "confined"].map(|name| Subject::start_in(Some(&format!("{cgroup}/{name}")), &PARTS));
    let [free, bound, confined] = &mut subjects;
    write(format!("/sys/fs/cgroup/{cgroup}/cgroup.subtree_control"), "+cpuset");
    write(format!("/sys/fs/cgroup/{cgroup}/confined/cpuset.mems"), SLOW);
    bound.bind(0);
    let _pressure = Pressure::leave(SHORT);
    [&mut *free, &mut *bound, &mut *confined].into_iter().for_each(|subject| subject.heat(0));
    let tier = Tier::start(Some("bytes_per_s = \"16 MiB\"\n"), args);
    let out = watch(&[(free, 0)], seconds(90), seconds(5), || tier.cpu());
    tell(&format!("tier {}", args.join(" ")), &out);
    let stayed = [&*bound, &*confined].map(|subject| subject.on(SLOW, 0));
    let said = tier.end();
    out.verdict().unwrap();
    assert_eq!(stayed, [1.0; 2]);
    assert!(said.contains("left alone") && said.contains("cpuset.mems") && said.contains("mbind"), "{said}");
    // Pages that others map, too, may be refused; that a node is not in the cpuset was known.
    assert!(!said.contains("cpuset leaves the node out"), "{said}");
    assert!(out.moved < 400 * MIB, "what stays is not in the way: {} bytes", out.moved);
    assert_eq!(subjects.map(|mut subject| subject.damaged()), [0; 3]);
}

#[test]
fn of_processes_memory_that_is_kept_on_its_node_stays_and_that_is_said() {
    let _alone = alone();
    if in_vm() {
        one_of_three_moves("kept", &["--cgroup", "/kept"]);
    }
}

#[test]
fn of_physical_memory_what_is_kept_on_its_node_stays_and_that_is_said() {
    let _alone = alone();
    if in_vm() {
        one_of_three_moves("kept-frames", &[]);
    }
}

#[test]
fn policies_may_be_ignored() {
    let _alone = alone();
    if !in_vm() {
        return;
    }
    let mut subject = Subject::start_in(Some("kept-not"), &PARTS);
    subject.bind(0);
    subject.heat(0);
    let tier = Tier::start(None, &["--cgroup", "/kept-not", "--ignore-policies"]);
    let out = watch(&[(&subject, 0)], seconds(60), seconds(1), || tier.cpu());
    tell("tier --ignore-policies", &out);
    assert!(!tier.end().contains("mbind"));
    out.verdict().unwrap();
    assert_eq!((subject.damaged(), subject.on(SLOW, 0)), (0, 0.0));
}
