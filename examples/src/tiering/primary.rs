//! Whose memory comes first: a cgroup, or a process and its descendants.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Primary {
    /// As `/proc/PID/cgroup` names it; those below it belong to it.
    Cgroup(PathBuf),
    /// A process, and its descendants.
    Process(u32),
}

/// Nobody has more ancestors, unless they change while they are looked at.
const GENERATIONS: usize = 1_024;

impl FromStr for Primary {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s.parse() {
            Ok(pid @ 1..) => Ok(Self::Process(pid)),
            _ if s.starts_with('/') => Ok(Self::Cgroup(s.into())),
            _ => Err("neither a pid nor a cgroup, as /proc/PID/cgroup names it, such as /database".into()),
        }
    }
}

impl Primary {
    /// Is the process with `pid`, which is in `cgroup`, a part of it? `parent` tells of a process whose child it is.
    pub fn has(&self, pid: u32, cgroup: Option<&Path>, parent: impl Fn(u32) -> Option<u32>) -> bool {
        match self {
            Self::Cgroup(of) => cgroup.is_some_and(|cgroup| cgroup.starts_with(of)),
            Self::Process(of) => {
                std::iter::successors(Some(pid), |&pid| parent(pid)).take(GENERATIONS).any(|pid| pid == *of)
            }
        }
    }
}

/// Whose child a process is; `None` if it has ended, or is the first one.
pub(super) fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().filter(|&pid| pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_a_cgroup_with_those_below_or_a_process_with_its_descendants() {
        let tree = |pid| [(5, 4), (4, 2), (3, 1), (8, 9), (9, 8)].iter().find(|(p, _)| *p == pid).map(|&(_, up)| up);
        let has = |what: &str, pid, cgroup: &str| {
            let primary: Primary = what.parse().unwrap();
            primary.has(pid, Some(Path::new(cgroup)), tree)
        };
        assert_eq!([2, 4, 5, 3, 8].map(|pid| has("2", pid, "/")), [true, true, true, false, false]);
        assert_eq!(["/db", "/db/a", "/dbx", "/"].map(|cgroup| has("/db", 5, cgroup)), [true, true, false, false]);
        assert!(!Primary::Cgroup("/".into()).has(1, None, tree), "nobody knows where it is");
        for bad in ["0", "-1", "db", "", "99999999999"] {
            assert!(bad.parse::<Primary>().is_err(), "{bad}");
        }
    }

    #[test]
    fn this_process_has_a_parent() {
        assert!(parent(std::process::id()).is_some());
        assert_eq!(parent(u32::MAX), None);
    }
}
