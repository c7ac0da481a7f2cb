//! Others who take accessed bits: what is lost then, and that it is said.

use std::path::Path;
use std::time::Duration;

use damon_core::{AttrsSpec, Ops, Sample, Seen, TargetId, Want};
use damon_ops_vaddr::Remote;
use damon_ops_vaddr::linux::Disturbance;
use damon_ops_vaddr::remote::Watch;

use crate::child::Workload;
use crate::kernel::Kdamond;
use crate::support::{NOTICE, PAGE, events, in_vm, joined, lacks, remote, say};

const PAGES: u64 = 512;

struct Watched {
    remote: Remote,
    workload: Workload,
    samples: Vec<Sample>,
}

impl Watched {
    fn new(mut remote: Remote) -> Self {
        let mut workload = Workload::start();
        let memory = workload.map("private", PAGES);
        remote.watch(Watch { ranges: vec![memory], ..Watch::process(workload.pid()) }).unwrap();
        let target: TargetId = joined(&mut remote)[0];
        remote.ranges(target, &mut Vec::new()).unwrap();
        let samples = (0..PAGES).map(|n| Sample::new(target, memory.start() + n * PAGE)).collect();
        Self { remote, workload, samples }
    }

    /// The part of accesses that is seen in a window in which every page is touched, then `meanwhile` happens.
    fn recall(&mut self, mut meanwhile: impl FnMut()) -> f64 {
        let (mut seen, mut known) = (0, 0);
        for _ in 0..5 {
            self.remote.arm(&self.samples).unwrap();
            std::thread::sleep(NOTICE);
            self.workload.tell(&format!("touch 0 {PAGES}"));
            std::thread::sleep(NOTICE);
            meanwhile();
            self.remote.check(&mut self.samples, &Want::new(true, &[])).unwrap();
            seen += self.samples.iter().filter(|s| s.seen.is_access()).count();
            known += self.samples.iter().filter(|s| s.seen != Seen::Unknown).count();
        }
        assert!(known > 0);
        seen as f64 / known as f64
    }

    fn said(&mut self) -> Vec<Disturbance> {
        events(&mut self.remote);
        self.remote.lossy().to_vec()
    }
}

#[test]
fn nothing_is_said_and_nothing_lost_where_nobody_disturbs() {
    let Some(remote) = remote() else { return };
    let mut watched = Watched::new(remote);
    let recall = watched.recall(|| ());
    say(&format!("undisturbed: recall {recall:.3}"));
    assert!(recall > 0.98, "{recall}");
    if in_vm() {
        assert_eq!(watched.said(), []);
    }
}

#[test]
fn a_second_monitor_of_ours_is_noticed_by_both() {
    let Some(remote) = remote() else { return };
    let mut watched = Watched::new(remote);
    let mut second = Remote::new().unwrap();
    second.watch(Watch::process(watched.workload.pid())).unwrap();
    let target = joined(&mut second)[0];
    second.ranges(target, &mut Vec::new()).unwrap();
    let theirs: Vec<Sample> = watched.samples.iter().map(|s| Sample::new(target, s.addr)).collect();
    let recall = watched.recall(|| second.arm(&theirs).unwrap());
    say(&format!("a second monitor arms the same pages after each access: recall {recall:.3}, said"));
    assert!(recall < 0.1, "it marks them idle again: {recall}");
    assert!(watched.said().contains(&Disturbance::AnotherMonitor));
    assert!(second.lossy().contains(&Disturbance::AnotherMonitor));
    assert!(watched.remote.capabilities().to_string().contains("lossy: another monitor"));
    drop(second);
    assert!(!watched.said().contains(&Disturbance::AnotherMonitor));
}

#[test]
fn kernel_damon_on_the_same_process_is_noticed() {
    let Some(remote) = remote() else { return };
    if !in_vm() {
        return lacks("a kernel DAMON that nobody else uses");
    }
    let mut watched = Watched::new(remote);
    let ms = Duration::from_millis;
    let attrs = AttrsSpec { sampling: ms(5), aggregation: ms(100), min_nr_regions: 500, ..AttrsSpec::default() };
    let kdamond = Kdamond::vaddr(watched.workload.pid(), &attrs).unwrap();
    let recall = watched.recall(|| std::thread::sleep(ms(200)));
    say(&format!("kernel DAMON, 500 regions, 40 windows in one of ours: recall {recall:.3}, said"));
    let said = watched.said();
    assert!(said.iter().any(|d| matches!(d, Disturbance::KernelDamon { .. })), "{said:?}");
    drop(kdamond);
    assert_eq!(watched.said(), []);
}

#[test]
fn the_multi_generational_lru_is_noticed() {
    let Some(remote) = remote() else { return };
    let switch = Path::new("/sys/kernel/mm/lru_gen/enabled");
    let debug = Path::new("/sys/kernel/debug/lru_gen");
    if !in_vm() || !switch.exists() || !debug.exists() {
        return lacks("a multi-generational LRU that may be switched");
    }
    let mut watched = Watched::new(remote);
    std::fs::write(switch, "y").unwrap();
    let recall = watched.recall(|| age(debug));
    say(&format!("the multi-generational LRU ages in each window: recall {recall:.3}, said"));
    let said = watched.said();
    assert!(said.contains(&Disturbance::MultiGenLru), "{said:?}");
    // The pages of the monitor's own tell it as well, whoever it is.
    age(debug);
    let said = watched.said();
    std::fs::write(switch, "n").unwrap();
    say(&format!("the canary says: {said:?}"));
    assert_eq!(watched.said().iter().filter(|d| **d == Disturbance::MultiGenLru).count(), 0);
}

/// Has the kernel age the memory of the root cgroup, in which everything is.
fn age(debug: &Path) {
    let text = std::fs::read_to_string(debug).unwrap();
    let mut memcg = "1";
    let mut node = "0";
    let mut oldest: Option<(String, String, u64)> = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["memcg", id, ..] => memcg = id,
            ["node", id] => node = id,
            // Generations ascend: the last line of a node is its youngest.
            [generation, ..] if node == "0" => {
                if let Ok(generation) = generation.parse() {
                    oldest = oldest
                        .filter(|o| o.0 != memcg || o.2 > generation)
                        .or_else(|| Some((memcg.into(), node.into(), generation)));
                }
            }
            _ => {}
        }
        if let Some((memcg, node, generation)) = &oldest {
            // It may refuse a generation that is no longer the youngest.
            let _ = std::fs::write(debug, format!("+ {memcg} {node} {generation} 1 1"));
        }
    }
}
