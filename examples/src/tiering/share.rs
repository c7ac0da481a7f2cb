//! Who gets how much of what may be moved: cgroups with weights, and who comes first; kept up to date as processes come and go.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use damon_core::{DynOps, TargetId};
use damos::Context;
use damos::scheme::TargetShare;

use super::Planner;
use super::primary::{Primary, parent};
use crate::subject::Opened;

/// What a target weighs that nobody named.
const USUAL: u32 = 100;
const OFTEN: Duration = Duration::from_secs(1);

/// A cgroup's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// As `/proc/PID/cgroup` names it; those below it belong to it.
    cgroup: PathBuf,
    weight: u16,
}

impl FromStr for Share {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (cgroup, weight) = s.rsplit_once('=').unwrap_or((s, ""));
        match weight.parse() {
            Ok(weight @ 1..) if cgroup.starts_with('/') => Ok(Self { cgroup: cgroup.into(), weight }),
            _ => {
                Err("not a cgroup, as /proc/PID/cgroup names it, and a weight from 1 to 65535, such as /batch=20"
                    .into())
            }
        }
    }
}

/// All of them, and who comes first.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    wanted: Vec<Share>,
    primary: Vec<Primary>,
    looked: Option<Instant>,
    /// How many processes come first; `None`: nobody looked yet.
    first: Option<usize>,
}

impl Shares {
    /// What is wanted.
    pub fn new(wanted: Vec<Share>, primary: Vec<Primary>) -> Self {
        Self { wanted, primary, ..Self::default() }
    }

    /// Gives each process its part of its cgroup's share, and those that come first their place, in the last plan of `planner`; looked at
    /// once in a second. Where nobody comes first any more, or again, that is said on standard error.
    ///
    /// # Errors
    /// When the schemes cannot be set any more.
    pub fn keep(
        &mut self,
        planner: &Planner,
        context: &mut Context<Box<DynOps>>,
        opened: &Opened,
    ) -> Result<(), Box<dyn Error>> {
        let nobody = self.wanted.is_empty() && self.primary.is_empty();
        if nobody || self.looked.is_some_and(|at| at.elapsed() < OFTEN) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let pids: Vec<_> =
            context.view().targets().iter().filter_map(|t| Some((t.id(), opened.pid(t.id())?))).collect();
        let members: BTreeMap<_, _> = pids.iter().map(|&(target, pid)| (target, cgroup(pid))).collect();
        let first = |&(target, pid): &(TargetId, u32)| {
            let cgroup = members.get(&target).and_then(Option::as_deref);
            self.primary.iter().any(|primary| primary.has(pid, cgroup, parent)).then_some(target)
        };
        let primary: Vec<TargetId> = pids.iter().filter_map(first).collect();
        self.tell(primary.len());
        let shares = if self.wanted.is_empty() { Vec::new() } else { divide(&self.wanted, &members) };
        match planner.divided(shares, primary) {
            Some(schemes) => Ok(context.set_schemes(schemes)?),
            None => Ok(()),
        }
    }

    fn tell(&mut self, first: usize) {
        let before = self.first.replace(first);
        match first {
            _ if self.primary.is_empty() => {}
            0 if before != Some(0) => eprintln!("tier: no process that is watched comes first (--primary)"),
            1.. if matches!(before, None | Some(0)) => eprintln!("tier: {first} processes come first"),
            _ => {}
        }
    }
}

/// The cgroup that a process is in now.
fn cgroup(pid: u32) -> Option<PathBuf> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(PathBuf::from)
}

/// The share of each of `members`: its part of that of its cgroup, of the innermost one if several are named.
fn divide(wanted: &[Share], members: &BTreeMap<TargetId, Option<PathBuf>>) -> Vec<TargetShare> {
    let of = |cgroup: &Path| {
        let within = wanted.iter().enumerate().filter(|(_, share)| cgroup.starts_with(&share.cgroup));
        within.max_by_key(|(_, share)| share.cgroup.as_os_str().len()).map(|(i, _)| i)
    };
    let groups: Vec<_> = members.iter().map(|(id, cgroup)| (*id, cgroup.as_deref().and_then(of))).collect();
    let share = |&(target, group): &(TargetId, Option<usize>)| {
        let weight = group.map_or(USUAL, |group| {
            let many = groups.iter().filter(|(_, other)| *other == Some(group)).count();
            u32::from(wanted[group].weight) / u32::try_from(many).unwrap_or(u32::MAX)
        });
        TargetShare { target, weight: u16::try_from(weight.max(1)).unwrap_or(u16::MAX) }
    };
    groups.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processes_of_a_cgroup_divide_its_share() {
        let wanted: Vec<Share> = ["/web=600", "/web/batch=30"].iter().map(|s| s.parse().unwrap()).collect();
        let names = [Some("/web/a"), Some("/web"), Some("/web/batch/x"), Some("/website"), None];
        let members = (0..).map(TargetId::new).zip(names.map(|name| name.map(PathBuf::from))).collect();
        let weights: Vec<u16> = divide(&wanted, &members).iter().map(|share| share.weight).collect();
        assert_eq!(weights, [300, 300, 30, 100, 100]);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["/web", "web=3", "/web=0", "/web=-1", "/web=70000"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
        assert_eq!("/a=b=7".parse(), Ok(Share { cgroup: "/a=b".into(), weight: 7 }));
    }
}
