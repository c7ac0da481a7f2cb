//! Memory that latencies are measured with is on the node that is asked for. On an emulated machine all nodes are equally fast: what
//! is measured is judged on real ones, by the tests beside the code.

use damon_core::{AddrRange, Dest, Metric, Metrics, NodeId};
use damon_ops_paddr::HostMetrics;
use damon_ops_vaddr::linux::Pidfd;
use damon_ops_vaddr::linux::act::{Run, migrate};
use damon_ops_vaddr::linux::latency::{LatencyError, NodeLatency};

use crate::child::{PAGE, alone, in_vm, lacks};

const NEAR: NodeId = NodeId(0);
const FAR: NodeId = NodeId(1);
const PAGES: u64 = 512;

/// Where the memory is that is bound to the node, and how many of its pages are on each, as the kernel says.
fn bound(node: NodeId) -> (AddrRange, [u64; 2]) {
    let maps = std::fs::read_to_string("/proc/self/numa_maps").unwrap();
    let policy = format!("bind=static:{}", node.0);
    let line = maps.lines().find(|line| line.split(' ').nth(1) == Some(&policy)).unwrap();
    let start = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
    let on = |node: NodeId| {
        let key = format!("N{}=", node.0);
        line.split(' ').find_map(|word| word.strip_prefix(&key)?.parse().ok()).unwrap_or(0)
    };
    (AddrRange::from_len(start, PAGES * PAGE).unwrap(), [on(NEAR), on(FAR)])
}

#[test]
fn a_node_is_timed_with_memory_that_is_there_and_is_brought_back_when_somebody_moves_it() {
    let _alone = alone();
    if !in_vm() {
        return lacks("a second node");
    }
    let mut probe = NodeLatency::open(FAR).unwrap();
    let first = probe.measure().unwrap();
    let (range, on) = bound(FAR);
    assert_eq!(on, [0, PAGES]);
    let own = Pidfd::open(std::process::id()).unwrap();
    let moved = migrate(&own, &[Run { range, page: PAGE }], &[Dest { node: NEAR, weight: 1 }], false);
    assert_eq!((moved.size, bound(FAR).1), (range.size(), [PAGES, 0]));
    println!("an access takes {first:?}, and {:?} after its memory was moved", probe.measure().unwrap());
    assert_eq!(bound(FAR), (range, [0, PAGES]));
}

#[test]
fn an_emulated_cpu_has_no_caches_to_tell_memory_from() {
    let _alone = alone();
    if !in_vm() {
        return lacks("an emulated CPU");
    }
    let e = NodeLatency::open(FAR).unwrap().verify().unwrap_err();
    let told = HostMetrics::new().read(Metric::NodeLatencyNs(FAR)).unwrap_err().to_string();
    println!("{told}");
    assert!(matches!(e, LatencyError::Caches { node: FAR, .. }) && told.contains("emulated"), "{e}");
}

#[test]
fn a_node_that_is_not_there_is_no_node_to_measure() {
    let _alone = alone();
    let e = HostMetrics::new().read(Metric::NodeLatencyNs(NodeId(7))).unwrap_err().to_string();
    println!("{e}");
    assert!(e.contains("node 7") && e.contains("online") && e.contains("cpuset.mems"), "{e}");
}

#[test]
fn a_node_that_is_full_refuses_and_nobody_is_ended_for_it() {
    let _alone = alone();
    if !in_vm() {
        return lacks("a node whose memory nobody needs");
    }
    let mut all = Vec::new();
    // It has 256 MiB.
    let full = (0..128).find_map(|_| NodeLatency::open(FAR).map(|probe| all.push(probe)).err());
    println!("{} of 2 MiB each, then: {full:?}", all.len());
    assert!(all.len() > 64);
    let Some(LatencyError::Bind { node: FAR, needs, .. }) = full else { panic!("{full:?}") };
    assert!(needs.contains("no room"));
    all.truncate(1);
    all[0].measure().unwrap();
}
