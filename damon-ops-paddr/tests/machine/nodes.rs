//! Nodes, tiers and their memory, as the machine of `.ci/vm` is known to be made.

use damon_core::{Dest, NodeId};
use damon_ops_paddr::{Area, TierSource, Topology, memory_blocks};
use damon_ops_vaddr::linux::Pidfd;
use damon_ops_vaddr::linux::act::{Run, migrate};

use crate::child::{PAGE, Workload, alone, in_vm, lacks};

const NEAR: NodeId = NodeId(0);
const FAR: NodeId = NodeId(1);

#[test]
fn the_node_without_cpus_is_the_slower_tier_and_three_times_as_slow() {
    let topology = Topology::read("/".as_ref()).unwrap();
    println!("{topology:?}");
    if !in_vm() {
        return lacks("a node without CPUs");
    }
    let (near, far) = (topology.node(NEAR).unwrap(), topology.node(FAR).unwrap());
    assert_eq!((near.cpus.len(), far.cpus.len()), (2, 0));
    assert_eq!((near.distance(FAR), far.distance(FAR)), (Some(20), Some(10)));
    for (node, ns, mib_per_s) in [(near, 100, 20_480), (far, 300, 5_120)] {
        let access = node.from_cpus().unwrap();
        assert_eq!((access.read_latency_ns, access.write_latency_ns), (Some(ns), Some(ns)));
        assert_eq!((access.read_mib_per_s, access.initiators.as_slice()), (Some(mib_per_s), [NEAR].as_slice()));
    }
    assert_eq!((topology.tiers_by, topology.tiers.len()), (TierSource::Kernel, 2));
    assert_eq!((topology.slower(NEAR), topology.faster(FAR)), (vec![FAR], vec![NEAR]));
    // Without the kernel's tiers the same would be found.
    assert_eq!(topology.tiers_by_attributes(), topology.tiers);
}

#[test]
fn a_nodes_ranges_hold_the_pages_that_are_moved_there() {
    let _alone = alone();
    let root = "/".as_ref();
    let Ok(all) = Area::SystemRam.ranges(root, PAGE) else { return lacks("root, to read /proc/iomem") };
    if !in_vm() {
        return lacks("a second node");
    }
    let size = |ranges: &[damon_core::AddrRange]| ranges.iter().map(|r| r.size()).sum::<u64>();
    let [near, far] = [NEAR, FAR].map(|node| Area::Node(node).ranges(root, PAGE).unwrap());
    assert_eq!(size(&near) + size(&far), size(&all));
    assert!(size(&far) > 240 << 20 && size(&far) <= 256 << 20, "{far:?}");
    let child = Workload::start(512);
    let process = Pidfd::open(child.pid()).unwrap();
    for (node, ranges) in [(FAR, &far), (NEAR, &near)] {
        let done = migrate(&process, &[Run { range: child.range, page: PAGE }], &[Dest { node, weight: 1 }], true);
        assert_eq!(done.size, child.range.size(), "{:?}", done.error);
        let inside = |addr: u64| ranges.iter().any(|range| range.contains(addr));
        assert!(child.frames().into_iter().flatten().all(|pfn| inside(pfn.0 * PAGE)));
    }
}

#[test]
fn a_block_taken_offline_leaves_the_ranges_and_comes_back() {
    let _alone = alone();
    let root = "/".as_ref();
    if !in_vm() {
        return lacks("a node whose memory nobody needs");
    }
    let size = || Area::Node(FAR).ranges(root, PAGE).unwrap().iter().map(|r| r.size()).sum::<u64>();
    let blocks = memory_blocks(root).unwrap().unwrap();
    let Some(block) = blocks.iter().rev().find(|b| b.online && b.nodes == [FAR]) else { panic!("{blocks:?}") };
    let state = format!("/sys/devices/system/memory/memory{}/state", block.range.start() / block.range.size());
    let before = size();
    let Ok(()) = std::fs::write(&state, "offline") else { return println!("skipped: {state} cannot go offline") };
    let without = size();
    std::fs::write(&state, "online").unwrap();
    println!("node 1: {before} bytes, {without} without one block");
    assert!(before - without > 100 << 20 && before - without <= block.range.size());
    assert_eq!(size(), before);
}
