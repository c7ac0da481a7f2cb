//! Metrics move as what they are about does.

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use damon_core::{Metric, Metrics, NodeId};
use damon_ops_paddr::{HostMetrics, Topology, cgroup2};
use damon_ops_vaddr::PrivateMap;

use crate::child::{PAGE, Workload, alone, drain, in_vm, lacks};

const NODE: NodeId = NodeId(0);

#[test]
fn free_memory_falls_by_what_is_allocated_and_comes_back() {
    let _alone = alone();
    if !in_vm() {
        return lacks("a machine that nobody else allocates on");
    }
    let mut host = HostMetrics::new();
    let total = Topology::read("/".as_ref()).unwrap().node(NODE).unwrap().bytes;
    let mut now = || {
        drain();
        [Metric::NodeMemFreeBp(NODE), Metric::NodeMemUsedBp(NODE)].map(|m| host.read(m).unwrap() as i64)
    };
    let before = now();
    let map = PrivateMap::new(256 << 20).unwrap();
    map.atomics().iter().step_by(512).for_each(|word| word.store(1, Relaxed));
    let (full, expected) = (now(), (10_000 * map.range().size() / total) as i64);
    drop(map);
    let after = now();
    println!("free, used: {before:?}, with 256 MiB more {full:?}, after {after:?}; expected {expected} bp");
    assert!((before[0] - full[0] - expected).abs() < 100 && (full[1] - before[1] - expected).abs() < 100);
    assert!((before[0] - after[0]).abs() < 100);
}

#[test]
fn what_a_machine_has_can_be_read_and_what_it_lacks_is_said() {
    let _alone = alone();
    let mut host = HostMetrics::new();
    std::thread::sleep(Duration::from_millis(120));
    let parts = [Metric::FreeMemRatePermille, Metric::ActiveMemBp, Metric::InactiveMemBp, Metric::CpuLoadBp];
    for part in parts {
        let started = Instant::now();
        (0..100).for_each(|_| drop(host.read(part)));
        println!("{part:?}: {:?} a reading", started.elapsed() / 100);
        let value = host.read(part).unwrap();
        assert!(value <= 10_000, "{part:?} is {value}");
    }
    let [active, inactive] = [Metric::ActiveMemBp, Metric::InactiveMemBp].map(|m| host.read(m).unwrap());
    assert!((9_900..=10_000).contains(&(active + inactive)), "{active} + {inactive}");
    for total in [Metric::SomeMemPsiUs, Metric::Refaults, Metric::Promotions] {
        match (host.read(total), in_vm()) {
            (Ok(first), _) => assert!(host.read(total).unwrap() >= first),
            (Err(e), false) => println!("skipped: {e}"),
            (Err(e), true) => panic!("{e}"),
        }
    }
    // No emulated CPU counts bandwidth.
    if let Err(e) = host.read(Metric::MemBandwidth) {
        assert!(e.to_string().contains("resctrl"), "{e}");
    }
}

#[test]
fn a_busy_cpu_shows_in_the_load() {
    let _alone = alone();
    let cpus = std::thread::available_parallelism().unwrap().get() as u64;
    let mut host = HostMetrics::new();
    let end = Instant::now() + Duration::from_millis(400);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    let load = host.read(Metric::CpuLoadBp).unwrap();
    println!("load with one of {cpus} CPUs busy: {load} bp");
    // An emulated CPU is not always given a real one.
    assert!(load >= 5_000 / cpus, "{load}");
}

#[test]
fn a_cgroups_part_of_a_node_is_what_its_process_uses() {
    let _alone = alone();
    let Ok(root) = cgroup2("/".as_ref()) else { return lacks("cgroup v2") };
    let dir = root.join("paddr-test");
    if std::fs::write(root.join("cgroup.subtree_control"), "+memory").is_err() || std::fs::create_dir(&dir).is_err() {
        return lacks("a cgroup v2 hierarchy with the memory controller that one may write");
    }
    let inode = std::fs::metadata(&dir).unwrap().ino();
    // What is charged before it moves stays where it is: this process moves, has the child started there, and goes back.
    let join =
        |dir: &std::path::Path| std::fs::write(dir.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    join(&dir);
    let pages = 16_384;
    let child = Workload::start(pages);
    join(&root);
    let mut host = HostMetrics::new();
    let total = Topology::read("/".as_ref()).unwrap().node(NODE).unwrap().bytes;
    let expected = 10_000 * pages * PAGE / total;
    // Statistics of cgroups are gathered every two seconds, and sooner where much changed.
    std::thread::sleep(Duration::from_millis(2_500));
    let used = host.read(Metric::NodeMemcgUsedBp(NODE, inode)).unwrap();
    let free = host.read(Metric::NodeMemcgFreeBp(NODE, inode)).unwrap();
    let pressure = host.read(Metric::MemcgSomeMemPsiUs(inode));
    println!("memcg of {pages} pages: used {used} bp, free {free} bp; expected {expected} bp; pressure {pressure:?}");
    drop(child);
    std::thread::sleep(Duration::from_millis(100));
    std::fs::remove_dir(&dir).unwrap();
    assert!(used.abs_diff(expected) <= 60 && (9_998..=10_000).contains(&(used + free)));
    assert!(pressure.is_ok());
    let gone = host.read(Metric::NodeMemcgUsedBp(NODE, inode)).unwrap_err().to_string();
    assert!(gone.contains("no cgroup under"), "{gone}");
}
