//! Which CPUs there are, and on which NUMA nodes.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use damon_core::NodeId;

use super::PerfError;

/// The CPUs that are online, as `sys` (usually `/sys`) lists them.
pub(super) fn online(sys: &Path) -> Result<Vec<u32>, PerfError> {
    let path = sys.join("devices/system/cpu/online");
    let read = std::fs::read_to_string(&path)
        .and_then(|text| parse(&text).ok_or_else(|| io::Error::other(format!("it is no list of CPUs: {text:?}"))));
    read.map_err(|source| PerfError::Read { path: path.display().to_string(), source })
}

/// `0-3,8`; `None` where it is no such list, or names a CPU above 65,535.
fn parse(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        cpus.extend(u32::from(first)..=u32::from(last));
    }
    Some(cpus)
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
    fn a_list_of_cpus_is_read() {
        assert_eq!(parse("0-2,7\n"), Some(vec![0, 1, 2, 7]));
        assert_eq!(parse("0\n"), Some(vec![0]));
        for bad in ["", "x", "1-", "0-70000"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

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
