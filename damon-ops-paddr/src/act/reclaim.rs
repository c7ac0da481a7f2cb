//! `memory.reclaim`: so many bytes of a cgroup, but which ones the kernel chooses.
//!
//! Counterpart: `Documentation/admin-guide/cgroup-v2.rst`, Linux 7.3.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use damon_ops_vaddr::linux::act::{Guardrails, parse_cgroup};

use super::error::ActError;
use crate::metrics::{cgroup_by_inode, cgroup2};

/// Reclaims from cgroups.
#[derive(Debug)]
pub(super) struct Reclaimer {
    root: PathBuf,
    rails: Guardrails,
    /// Directories by inode; `None`: it is left alone.
    dirs: HashMap<u64, Option<PathBuf>>,
}

impl Reclaimer {
    pub(super) fn new(root: &Path, rails: &Guardrails) -> Self {
        Self { root: root.into(), rails: rails.clone(), dirs: HashMap::new() }
    }

    /// Forgets where cgroups are.
    pub(super) fn renew(&mut self) {
        self.dirs.clear();
    }

    /// Has the kernel reclaim `bytes` of the cgroup with this inode; how many it did, as far as it says.
    pub(super) fn reclaim(&mut self, inode: u64, bytes: u64) -> Result<u64, ActError> {
        let dir = match self.dirs.get(&inode) {
            Some(dir) => dir.clone(),
            None => {
                let dir = self.dir(inode)?;
                self.dirs.insert(inode, dir.clone());
                dir
            }
        };
        let Some(dir) = dir else { return Ok(0) };
        let current = || fs::read_to_string(dir.join("memory.current")).ok()?.trim().parse::<u64>().ok();
        let (before, path) = (current(), dir.join("memory.reclaim"));
        match fs::write(&path, bytes.to_string()) {
            Ok(()) => Ok(bytes),
            // Less than that could be reclaimed.
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                let freed = before.zip(current()).map_or(0, |(before, after)| before.saturating_sub(after));
                Ok(freed.min(bytes))
            }
            Err(source) => Err(ActError::Reclaim { path, source }),
        }
    }

    /// Where it is; nowhere, if what would be reclaimed is of a protected cgroup, or this process's.
    fn dir(&self, inode: u64) -> Result<Option<PathBuf>, ActError> {
        let mounted = cgroup2(&self.root)?;
        let dir = cgroup_by_inode(&mounted, inode)?;
        let name = Path::new("/").join(dir.strip_prefix(&mounted).unwrap_or(&dir));
        let own = fs::read_to_string(self.root.join("proc/self/cgroup")).ok().and_then(|text| parse_cgroup(&text));
        // Reclaim takes from cgroups below, too.
        let is_own = !self.rails.this_process && own.is_none_or(|own| own.starts_with(&name));
        let touches = |protected: &PathBuf| name.starts_with(protected) || protected.starts_with(&name);
        Ok(Some(dir).filter(|_| !is_own && !self.rails.protected_cgroups.iter().any(touches)))
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;
    use std::os::unix::fs::MetadataExt;

    fn machine() -> Tree {
        let tree = Tree::new(&[
            ("proc/self/mounts", "none /sys/fs/cgroup cgroup2 rw 0 0\n"),
            ("proc/self/cgroup", "0::/agents/this\n"),
        ]);
        for name in ["agents/this", "agents/other", "jobs/a", "system/kubelet"] {
            tree.write(&format!("sys/fs/cgroup/{name}/memory.reclaim"), "");
        }
        tree
    }

    fn reclaims(tree: &Tree, rails: &Guardrails, name: &str) -> u64 {
        let dir = tree.path().join("sys/fs/cgroup").join(name);
        let inode = fs::metadata(&dir).unwrap().ino();
        let done = Reclaimer::new(tree.path(), rails).reclaim(inode, 8192).unwrap();
        let written = fs::read_to_string(dir.join("memory.reclaim")).unwrap_or_default();
        assert_eq!(written, if done > 0 { "8192" } else { "" });
        done
    }

    #[test]
    fn bytes_are_asked_of_the_cgroup_that_has_them() {
        let tree = machine();
        assert_eq!(reclaims(&tree, &Guardrails::default(), "jobs/a"), 8192);
        assert_eq!(reclaims(&tree, &Guardrails::default(), "agents/other"), 8192);
    }

    #[test]
    fn this_process_and_protected_cgroups_are_left_alone_also_from_above() {
        let tree = machine();
        let rails = Guardrails { protected_cgroups: vec!["/system/kubelet".into()], ..Guardrails::default() };
        for name in ["agents/this", "agents", "system/kubelet", "system"] {
            assert_eq!(reclaims(&tree, &rails, name), 0, "{name}");
        }
        let rails = Guardrails { this_process: true, ..rails };
        assert_eq!(reclaims(&tree, &rails, "agents/this"), 8192);
    }

    #[test]
    fn a_kernel_without_it_is_said() {
        let tree = machine();
        tree.remove("sys/fs/cgroup/jobs/a/memory.reclaim");
        tree.write("sys/fs/cgroup/jobs/a/memory.reclaim/x", "");
        let inode = fs::metadata(tree.path().join("sys/fs/cgroup/jobs/a")).unwrap().ino();
        let e = Reclaimer::new(tree.path(), &Guardrails::default()).reclaim(inode, 1).unwrap_err().to_string();
        assert!(e.contains("jobs/a/memory.reclaim") && e.contains("Linux 5.19"), "{e}");
    }
}
