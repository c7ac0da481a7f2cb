//! What goals and watermarks are steered by, read from the machine.
//!
//! Counterpart: `damos_set_quota_goal_current_value`, `damos_wmark_metric_value` (`mm/damon/core.c`, Linux 7.3).

mod latency;
mod load;
mod memcg;
pub(crate) mod meminfo;
mod psi;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use damon_core::{Bp, Metric, MetricError, Metrics, NodeId};

pub use memcg::{CgroupError, cgroup_by_inode, cgroup2};

use crate::files::{ReadError, numbered, text};
use latency::Latencies;
use load::{Count, Rate};
use meminfo::{counter, host_kib, node_kib};

/// The metrics of this machine. Each reading opens the files it needs anew: about 5 µs for those of `/proc`.
///
/// [`Metric::NodeLatencyNs`] is measured ([`NodeLatency`](damon_ops_vaddr::linux::latency::NodeLatency)): the first reading takes 2 MiB of the
/// node's memory, each reading about a millisecond of CPU time; no more than two in a second, those between get the last; where it
/// failed, for a minute.
///
/// Anybody may read them, but for the pressure of a cgroup that belongs to somebody else and what is charged to it. What
/// is not there on this machine is an error that says why and what would help.
///
/// ```
/// use damon_core::{Metric, Metrics};
/// use damon_ops_paddr::HostMetrics;
/// let mut host = HostMetrics::new();
/// match host.read(Metric::FreeMemRatePermille) {
///     Ok(free) => assert!(free <= 1000),
///     Err(e) => println!("{e}"),
/// }
/// ```
#[derive(Debug)]
pub struct HostMetrics {
    root: PathBuf,
    started: Instant,
    cpu: Rate,
    bandwidth: Rate,
    latencies: Latencies,
    /// Cgroups by inode, where they were found last.
    cgroups: HashMap<u64, PathBuf>,
}

impl Default for HostMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl HostMetrics {
    /// Of the machine this runs on. Rates (CPU load, bandwidth) are told from the second reading on.
    pub fn new() -> Self {
        Self::under(Path::new("/"))
    }

    /// Of the machine whose `proc` and `sys` are in `root`.
    pub fn under(root: &Path) -> Self {
        let (cpu, bandwidth) = (Rate::default(), Rate::default());
        let (latencies, cgroups) = (Latencies::default(), HashMap::new());
        let mut metrics = Self { root: root.into(), started: Instant::now(), cpu, bandwidth, latencies, cgroups };
        // The first of two readings, where it can be had.
        let _ = metrics.cpu_load();
        let _ = metrics.bandwidth();
        metrics
    }

    fn value(&mut self, metric: Metric) -> Result<u64, String> {
        match metric {
            Metric::SomeMemPsiUs => psi::some_total_us(&self.root.join("proc/pressure/memory")),
            Metric::MemcgSomeMemPsiUs(inode) => psi::some_total_us(&self.cgroup(inode)?.join("memory.pressure")),
            Metric::NodeMemUsedBp(node) => self.node(node).map(|[total, free]| used(total.saturating_sub(free), total)),
            Metric::NodeMemFreeBp(node) => self.node(node).map(|[total, free]| part(free, total)),
            Metric::NodeMemcgUsedBp(node, inode) => {
                let [total, _] = self.node(node)?;
                Ok(used(self.memcg_kib(node, inode)?, total))
            }
            Metric::NodeMemcgFreeBp(node, inode) => {
                let [total, _] = self.node(node)?;
                Ok(part(total.saturating_sub(self.memcg_kib(node, inode)?), total))
            }
            Metric::ActiveMemBp => self.host(["Active", "Inactive"]).map(|[a, i]| part(a, a.saturating_add(i))),
            Metric::InactiveMemBp => self.host(["Active", "Inactive"]).map(|[a, i]| part(i, a.saturating_add(i))),
            Metric::FreeMemRatePermille => self.host(["MemTotal", "MemFree"]).map(|[total, free]| {
                let permille = u128::from(free) * 1000 / u128::from(total.max(1));
                u64::try_from(permille).unwrap_or(1000).min(1000)
            }),
            Metric::Refaults => {
                let [anon, file] = self.vmstat(["workingset_refault_anon", "workingset_refault_file"])?;
                Ok(anon.saturating_add(file))
            }
            Metric::Promotions => self.vmstat(["pgpromote_success"]).map(|[promoted]| promoted),
            Metric::CpuLoadBp => self.cpu_load(),
            Metric::MemBandwidth => self.bandwidth(),
            Metric::NodeLatencyNs(node) => self.latencies.of(node),
            Metric::UserInput => Err("the program sets it itself (Schemes::set_goal_input)".into()),
            Metric::NodeEligibleMemBp(_) => Err("the schemes measure it, by asking who acts".into()),
            _ => Err("the machine has no such number: read it with Metrics of your own".into()),
        }
    }

    /// KiB of these lines of `/proc/meminfo`.
    fn host<const N: usize>(&self, keys: [&'static str; N]) -> Result<[u64; N], String> {
        numbers(&self.root.join("proc/meminfo"), keys, host_kib)
    }

    /// Totals of these lines of `/proc/vmstat`.
    fn vmstat<const N: usize>(&self, keys: [&'static str; N]) -> Result<[u64; N], String> {
        numbers(&self.root.join("proc/vmstat"), keys, counter).map_err(|e| {
            format!("{e}; promotions are counted by kernels with CONFIG_NUMA_BALANCING, refaults from Linux 5.9 on")
        })
    }

    /// KiB of a node: all of it, and what is free.
    fn node(&self, id: NodeId) -> Result<[u64; 2], String> {
        let dir = self.root.join("sys/devices/system/node");
        let path = dir.join(format!("node{}/meminfo", id.0));
        if path.exists() {
            return numbers(&path, ["MemTotal", "MemFree"], |text, key| node_kib(text, id, key));
        }
        match numbered(&dir, "node") {
            Ok(online) => Err(format!("node {} is not online: these are: {online:?}", id.0)),
            // A kernel without NUMA: all memory is node 0's.
            Err(e) if e.is_missing() && id == NodeId(0) => self.host(["MemTotal", "MemFree"]),
            Err(e) => Err(format!("{e}: without CONFIG_NUMA there is node 0 alone")),
        }
    }

    fn memcg_kib(&mut self, node: NodeId, inode: u64) -> Result<u64, String> {
        Ok(memcg::lru_bytes(&self.cgroup(inode)?, node)? / 1024)
    }

    /// The directory of a cgroup. Where it was found last is looked at first: it may have been removed or moved.
    fn cgroup(&mut self, inode: u64) -> Result<PathBuf, String> {
        if let Some(found) = self.cgroups.get(&inode).filter(|dir| memcg::is_inode(dir, inode)) {
            return Ok(found.clone());
        }
        self.cgroups.remove(&inode);
        let mounted = cgroup2(&self.root).map_err(|e| e.to_string())?;
        let found = cgroup_by_inode(&mounted, inode).map_err(|e| e.to_string())?;
        self.cgroups.insert(inode, found.clone());
        Ok(found)
    }

    fn cpu_load(&mut self) -> Result<u64, String> {
        let count = load::cpu(&self.root).map_err(|e| e.to_string())?;
        self.cpu.next(Instant::now(), count, 10_000).ok_or_else(|| TOO_EARLY.into())
    }

    fn bandwidth(&mut self) -> Result<u64, String> {
        let part = load::bandwidth_bytes(&self.root)?;
        let now = Instant::now();
        let whole = u64::try_from(now.duration_since(self.started).as_nanos()).unwrap_or(u64::MAX);
        self.bandwidth.next(now, Count { part, whole }, 1_000_000_000).ok_or_else(|| TOO_EARLY.into())
    }
}

const TOO_EARLY: &str = "a rate is known 100 ms after the metrics were made: ask again then";

impl Metrics for HostMetrics {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        self.value(metric).map_err(|why| MetricError::new(metric, why))
    }
}

/// What `parse` finds of each of `keys` in one reading of a file.
fn numbers<const N: usize>(
    path: &Path,
    keys: [&'static str; N],
    parse: impl Fn(&str, &str) -> Option<u64>,
) -> Result<[u64; N], String> {
    let text = text(path).map_err(|e| e.to_string())?;
    let mut found = [0; N];
    for (number, key) in found.iter_mut().zip(keys) {
        *number = parse(&text, key).ok_or_else(|| ReadError::malformed(path, key, &text).to_string())?;
    }
    Ok(found)
}

/// Of nothing, all is used and nothing is free: nobody shall move memory there.
fn used(part: u64, whole: u64) -> u64 {
    Bp::of(part, whole).0.into()
}

fn part(part: u64, whole: u64) -> u64 {
    if whole == 0 { 0 } else { Bp::of(part, whole).0.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    fn machine() -> Tree {
        let tree = Tree::new(&[
            ("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 421 kB\nActive: 30 kB\nInactive: 90 kB\n"),
            ("proc/vmstat", "workingset_refault_anon 3\nworkingset_refault_file 4\npgpromote_success 9\n"),
            ("proc/stat", "cpu  10 0 0 90 0 0 0 0 0 0\n"),
            ("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull total=5\n"),
            ("proc/self/mounts", "none /sys/fs/cgroup cgroup2 rw 0 0\n"),
            ("sys/devices/system/node/node1/meminfo", "Node 1 MemTotal: 4000 kB\nNode 1 MemFree: 1000 kB\n"),
            ("sys/fs/cgroup/a/b/memory.pressure", "some avg10=0.00 total=66\n"),
        ]);
        let lists = ["inactive_anon", "active_anon", "inactive_file", "active_file"];
        let stat: String = lists.iter().map(|list| format!("{list} N0=1024 N1=204800\n")).collect();
        tree.write("sys/fs/cgroup/a/b/memory.numa_stat", &stat);
        tree
    }

    #[cfg(unix)]
    fn inode(tree: &Tree, path: &str) -> u64 {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(tree.path().join(path)).unwrap().ino()
    }

    #[test]
    #[cfg(unix)]
    fn every_metric_is_the_part_it_says() {
        let tree = machine();
        let (mut host, node) = (HostMetrics::under(tree.path()), NodeId(1));
        let memcg = inode(&tree, "sys/fs/cgroup/a/b");
        for (metric, value) in [
            (Metric::SomeMemPsiUs, 77),
            (Metric::MemcgSomeMemPsiUs(memcg), 66),
            (Metric::NodeMemUsedBp(node), 7_500),
            (Metric::NodeMemFreeBp(node), 2_500),
            (Metric::NodeMemcgUsedBp(node, memcg), 2_000),
            (Metric::NodeMemcgFreeBp(node, memcg), 8_000),
            (Metric::ActiveMemBp, 2_500),
            (Metric::InactiveMemBp, 7_500),
            (Metric::FreeMemRatePermille, 421),
            (Metric::Refaults, 7),
            (Metric::Promotions, 9),
        ] {
            assert_eq!(host.read(metric), Ok(value));
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_cgroup_that_was_removed_and_made_again_is_another_one() {
        let tree = machine();
        let mut host = HostMetrics::under(tree.path());
        let memcg = Metric::MemcgSomeMemPsiUs(inode(&tree, "sys/fs/cgroup/a/b"));
        assert_eq!(host.read(memcg), Ok(66));
        // Moved it is the same, and found again.
        std::fs::rename(tree.path().join("sys/fs/cgroup/a/b"), tree.path().join("sys/fs/cgroup/c")).unwrap();
        assert_eq!(host.read(memcg), Ok(66));
        tree.remove("sys/fs/cgroup/c");
        assert!(host.read(memcg).unwrap_err().to_string().contains("no cgroup under"));
    }

    #[test]
    fn what_is_missing_is_said_with_the_way_out() {
        let tree = Tree::new(&[("sys/devices/system/node/node0/x", ""), ("proc/self/mounts", "")]);
        let mut host = HostMetrics::under(tree.path());
        for (metric, says) in [
            (Metric::SomeMemPsiUs, "proc/pressure/memory"),
            (Metric::SomeMemPsiUs, "psi=1"),
            (Metric::MemcgSomeMemPsiUs(1), "mount -t cgroup2"),
            (Metric::NodeMemFreeBp(NodeId(3)), "node 3 is not online: these are: [0]"),
            (Metric::FreeMemRatePermille, "proc/meminfo"),
            (Metric::Promotions, "CONFIG_NUMA_BALANCING"),
            (Metric::MemBandwidth, "mount -t resctrl"),
            (Metric::CpuLoadBp, "proc/stat"),
            (Metric::UserInput, "set_goal_input"),
            (Metric::Custom(3), "Metrics of your own"),
        ] {
            let e = host.read(metric).unwrap_err().to_string();
            assert!(e.contains(says), "{metric:?}: {e}");
        }
    }

    #[test]
    fn a_node_without_memory_is_full() {
        let meminfo = "Node 1 MemTotal: 0 kB\nNode 1 MemFree: 0 kB\n";
        let tree = Tree::new(&[("sys/devices/system/node/node1/meminfo", meminfo)]);
        let mut host = HostMetrics::under(tree.path());
        assert_eq!(host.read(Metric::NodeMemUsedBp(NodeId(1))), Ok(10_000));
        assert_eq!(host.read(Metric::NodeMemFreeBp(NodeId(1))), Ok(0));
    }

    #[test]
    fn without_numa_all_memory_is_node_0s() {
        let tree = Tree::new(&[("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 250 kB\n")]);
        let mut host = HostMetrics::under(tree.path());
        assert_eq!(host.read(Metric::NodeMemFreeBp(NodeId(0))), Ok(2_500));
        let e = host.read(Metric::NodeMemFreeBp(NodeId(1))).unwrap_err().to_string();
        assert!(e.contains("CONFIG_NUMA"), "{e}");
    }

    #[test]
    #[cfg(unix)]
    fn a_memory_controller_that_is_elsewhere_is_told_from_a_cgroup_that_is_not_there() {
        let tree = machine();
        tree.remove("sys/fs/cgroup/a/b/memory.numa_stat");
        let memcg = inode(&tree, "sys/fs/cgroup/a/b");
        let e =
            HostMetrics::under(tree.path()).read(Metric::NodeMemcgUsedBp(NodeId(1), memcg)).unwrap_err().to_string();
        assert!(e.contains("echo +memory") && e.contains("cgroup_no_v1=memory"), "{e}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_free_memory_and_its_cpus_some_load() {
        let mut host = HostMetrics::new();
        assert!((1..=1000).contains(&host.read(Metric::FreeMemRatePermille).unwrap()));
        std::thread::sleep(std::time::Duration::from_millis(120));
        assert!(host.read(Metric::CpuLoadBp).unwrap() <= 10_000);
    }
}
