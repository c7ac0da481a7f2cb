//! Memory cgroups (v2) by the inode of their directory, which is their id.
//!
//! Counterpart: `Documentation/admin-guide/cgroup-v2.rst`, Linux 7.3.

use std::fs;
use std::path::{Path, PathBuf};

use damon_core::NodeId;

use crate::files::{ReadError, text};

/// Why a cgroup could not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// The mounts could not be read.
    #[error(transparent)]
    Mounts(ReadError),
    /// There is no cgroup v2 hierarchy.
    #[error("no cgroup2 file system is mounted: cgroup v1 is not supported; `mount -t cgroup2 none /sys/fs/cgroup`")]
    NotMounted,
    /// None has this inode.
    #[error("no cgroup under {} has inode {inode}: `stat -c %i DIRECTORY` tells a cgroup's", under.display())]
    Unknown {
        /// Where it was looked for.
        under: PathBuf,
        /// The inode.
        inode: u64,
    },
}

/// Where the cgroup v2 hierarchy of the machine under `root` is mounted.
///
/// # Errors
/// When it is not mounted, or the mounts cannot be read.
pub fn cgroup2(root: &Path) -> Result<PathBuf, CgroupError> {
    let mounts = text(&root.join("proc/self/mounts")).map_err(CgroupError::Mounts)?;
    let point = parse_cgroup2(&mounts).ok_or(CgroupError::NotMounted)?;
    Ok(root.join(point.trim_start_matches('/')))
}

/// The directory, under `mounted`, of the cgroup with this inode. It looks at every cgroup there is.
///
/// # Errors
/// When there is none.
pub fn cgroup_by_inode(mounted: &Path, inode: u64) -> Result<PathBuf, CgroupError> {
    let mut rest = vec![mounted.to_path_buf()];
    while let Some(dir) = rest.pop() {
        if is_inode(&dir, inode) {
            return Ok(dir);
        }
        // One that was removed since it was listed is not the one.
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        rest.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
    Err(CgroupError::Unknown { under: mounted.into(), inode })
}

/// Is `inode` that of `dir`?
#[cfg(unix)]
pub(super) fn is_inode(dir: &Path, inode: u64) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(dir).is_ok_and(|found| found.ino() == inode)
}

/// Without inodes there are no cgroups.
#[cfg(not(unix))]
pub(super) fn is_inode(_: &Path, _: u64) -> bool {
    false
}

/// The mount point of the first cgroup v2 hierarchy. What the kernel escapes in it (spaces) is not expected there.
fn parse_cgroup2(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let point = words.next()?;
        (words.next()? == "cgroup2").then_some(point)
    })
}

/// Bytes on the LRU lists of `node` that are charged to the cgroup in `dir`.
pub(super) fn lru_bytes(dir: &Path, node: NodeId) -> Result<u64, String> {
    let path = dir.join("memory.numa_stat");
    let stat = text(&path).map_err(|e| match e.is_missing() {
        true => format!(
            "{e}: enable the memory controller (`echo +memory` into cgroup.subtree_control of its parent; where cgroup v1 has \
            it, boot with cgroup_no_v1=memory), of a kernel with CONFIG_NUMA; the root cgroup has none"
        ),
        false => e.to_string(),
    })?;
    parse_lru_bytes(&stat, node).ok_or_else(|| format!("{} has no LRU lists of node {}", path.display(), node.0))
}

fn parse_lru_bytes(stat: &str, node: NodeId) -> Option<u64> {
    let key = format!("N{}=", node.0);
    let lists = ["inactive_anon", "active_anon", "inactive_file", "active_file"];
    lists.iter().try_fold(0_u64, |sum, list| {
        let of = stat.lines().find_map(|line| line.strip_prefix(list)?.strip_prefix(' '))?;
        let bytes = of.split_ascii_whitespace().find_map(|word| word.strip_prefix(&key)?.parse().ok())?;
        Some(sum.saturating_add(bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    #[test]
    fn the_bytes_of_a_node_are_those_on_its_lru_lists() {
        let stat = "anon N0=9 N1=9\ninactive_anon N0=10 N1=1\nactive_anon N0=20 N1=2\n\
            inactive_file N0=30 N1=3\nactive_file N0=40 N1=4\nunevictable N0=5 N1=5\n";
        assert_eq!((parse_lru_bytes(stat, NodeId(0)), parse_lru_bytes(stat, NodeId(1))), (Some(100), Some(10)));
        assert_eq!(parse_lru_bytes(stat, NodeId(10)), None);
        assert_eq!(parse_lru_bytes("anon=5\n", NodeId(0)), None);
    }

    #[test]
    fn the_v2_hierarchy_is_found_beside_v1_ones() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let tree = Tree::new(&[("proc/self/mounts", mounts)]);
        assert_eq!(cgroup2(tree.path()).unwrap(), tree.path().join("sys/fs/cgroup/unified"));
        tree.write("proc/self/mounts", "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n");
        assert!(cgroup2(tree.path()).unwrap_err().to_string().contains("mount -t cgroup2"));
    }

    #[test]
    #[cfg(unix)]
    fn a_cgroup_is_found_by_its_inode_however_deep() {
        use std::os::unix::fs::MetadataExt;
        let tree = Tree::new(&[("a/b/c/x", ""), ("a/d/x", ""), ("e/x", "")]);
        let deep = tree.path().join("a/b/c");
        let inode = fs::metadata(&deep).unwrap().ino();
        assert_eq!(cgroup_by_inode(tree.path(), inode).unwrap(), deep);
        tree.remove("a/b");
        let e = cgroup_by_inode(tree.path(), inode).unwrap_err().to_string();
        assert!(e.contains(&format!("has inode {inode}: `stat -c %i")), "{e}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text: String) {
            let _ = (parse_lru_bytes(&text, NodeId(0)), parse_cgroup2(&text));
        }
    }
}
