//! Processes that belong together: a tree, a cgroup. Who is in it now?
//!
//! Counterpart: none in the kernel's DAMON, which is given pids.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::linux::{FileError, Process};

/// Which processes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Who {
    /// One.
    Process(u32),
    /// One and its descendants, as they come. Who was in it stays in it until it ends, also when its parent ends first.
    Tree(u32),
    /// The processes of a cgroup, and of the cgroups below it, by its directory (`/sys/fs/cgroup/...`), as they come and go.
    Cgroup(PathBuf),
}

/// The pids that belong to `who` now. `members`: the processes that are known to.
pub(crate) fn pids<'a>(who: &Who, members: impl Iterator<Item = &'a Arc<Process>>) -> Result<BTreeSet<u32>, FileError> {
    let mut pids = BTreeSet::new();
    match who {
        Who::Process(_) => pids.extend(members.map(|p| p.pid())),
        Who::Tree(_) => {
            let mut children = Vec::new();
            for process in members {
                process.children(&mut children)?;
                pids.insert(process.pid());
            }
            pids.extend(children);
        }
        Who::Cgroup(dir) => cgroup(dir, &mut pids)?,
    }
    Ok(pids)
}

/// The processes of the cgroup at `dir` and of those below it. One that is removed meanwhile has none.
fn cgroup(dir: &Path, pids: &mut BTreeSet<u32>) -> Result<(), FileError> {
    let path = dir.join("cgroup.procs");
    match std::fs::read_to_string(&path) {
        // 0: a process of another pid namespace.
        Ok(text) => {
            pids.extend(
                text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()).filter(|&pid| pid != 0),
            );
        }
        Err(e) if is_removed(&e) => return Ok(()),
        // The processes of a threaded cgroup are those of the one above.
        Err(e) if e.raw_os_error() == Some(EOPNOTSUPP) => {}
        Err(source) => return Err(FileError { what: "read", needs: needs(&source), path, source }),
    }
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            cgroup(&entry.path(), pids)?;
        }
    }
    Ok(())
}

/// Is there a cgroup at `dir`?
pub(crate) fn cgroup_exists(dir: &Path) -> Result<(), FileError> {
    let path = dir.join("cgroup.procs");
    match std::fs::metadata(&path) {
        Ok(_) => Ok(()),
        Err(source) => Err(FileError { what: "find", needs: needs(&source), path, source }),
    }
}

const ENODEV: i32 = 19;
const EOPNOTSUPP: i32 = 95;

fn is_removed(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(ENODEV)
}

fn needs(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::NotFound => {
            "it takes the directory of a cgroup, below where cgroup2 is mounted (/sys/fs/cgroup)"
        }
        io::ErrorKind::PermissionDenied => "it takes root, or read access to the cgroup",
        _ => "it takes the directory of a cgroup",
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::linux::fake::Root;

    #[test]
    fn a_cgroup_has_the_processes_of_those_below_it() {
        let root = Root::new();
        root.put_bytes("pod/cgroup.procs", b"");
        root.put_bytes("pod/a/cgroup.procs", b"3\n1\n");
        root.put_bytes("pod/b/c/cgroup.procs", b"2\n0\n");
        root.put_bytes("pod/b/cgroup.procs", b"");
        let who = Who::Cgroup(root.path().join("pod"));
        assert_eq!(pids(&who, std::iter::empty()).unwrap(), BTreeSet::from([1, 2, 3]));
        let gone = Who::Cgroup(root.path().join("none"));
        assert!(pids(&gone, std::iter::empty()).unwrap().is_empty());
        let e = cgroup_exists(&root.path().join("none")).unwrap_err().to_string();
        assert!(e.contains("none/cgroup.procs") && e.contains("/sys/fs/cgroup"), "{e}");
    }

    #[test]
    fn a_tree_has_the_children_of_all_who_are_known() {
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let this = Arc::new(Process::open(Path::new("/"), std::process::id()).unwrap());
        let found = pids(&Who::Tree(this.pid()), [&this].into_iter()).unwrap();
        assert!(found.contains(&child.id()) && found.contains(&this.pid()));
        assert_eq!(pids(&Who::Process(this.pid()), [&this].into_iter()).unwrap(), BTreeSet::from([this.pid()]));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
