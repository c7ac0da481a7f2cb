//! Which CPUs there are, and on which NUMA nodes.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use damon_core::NodeId;

use super::PerfError;
use crate::linux::parse_list;

/// The CPUs that are online, as `sys` (usually `/sys`) lists them.
pub(super) fn online(sys: &Path) -> Result<Vec<u32>, PerfError> {
    let path = sys.join("devices/system/cpu/online");
    let cpus = |text: &str| parse_list(text).filter(|cpus| !cpus.is_empty());
    let read = std::fs::read_to_string(&path)
        .and_then(|text| cpus(&text).ok_or_else(|| io::Error::other(format!("it is no list of CPUs: {text:?}"))));
    read.map(|cpus| cpus.into_iter().map(u32::from).collect())
        .map_err(|source| PerfError::Read { path: path.display().to_string(), source })
}

/// On which node each CPU is; a kernel without NUMA knows of none.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes(Arc<HashMap<u32, NodeId>>);

impl Nodes {
    /// As the directories of the CPUs say: each links to its node's.
    pub(super) fn of_cpus(sys: &Path, cpus: &[u32]) -> Self {
        let node = |cpu: &u32| {
            let list = std::fs::read_dir(sys.join(format!("devices/system/cpu/cpu{cpu}"))).ok()?;
            let mut names = list.flatten().map(|entry| entry.file_name());
            let node = names.find_map(|name| name.to_str()?.strip_prefix("node")?.parse().ok())?;
            Some((*cpu, NodeId(node)))
        };
        Self(Arc::new(cpus.iter().filter_map(node).collect()))
    }

    pub(super) fn of(&self, cpu: u32) -> Option<NodeId> {
        self.0.get(&cpu).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_is_on_the_node_that_its_directory_links_to() {
        let sys = std::env::temp_dir().join(format!("damon-cpus-{}", std::process::id()));
        std::fs::create_dir_all(sys.join("devices/system/cpu/cpu3/node1")).unwrap();
        std::fs::create_dir_all(sys.join("devices/system/cpu/cpu4/topology")).unwrap();
        let nodes = Nodes::of_cpus(&sys, &[3, 4, 5]);
        assert_eq!([3, 4, 5].map(|cpu| nodes.of(cpu)), [Some(NodeId(1)), None, None]);
        let e = online(&sys).unwrap_err().to_string();
        assert!(e.contains("devices/system/cpu/online"), "{e}");
        std::fs::remove_dir_all(&sys).unwrap();
    }
}
