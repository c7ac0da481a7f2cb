//! Who gets how much of what may be moved: cgroups with weights, kept up to date as their processes come and go.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use damon_core::{DynOps, TargetId};
use damos::Context;
use damos::preset::tier::Plan;
use damos::scheme::TargetShare;

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

/// All of them, and what was made of them last.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    wanted: Vec<Share>,
    given: Vec<TargetShare>,
    looked: Option<Instant>,
}

impl Shares {
    /// What is wanted.
    pub fn new(wanted: Vec<Share>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Gives each process its part of its cgroup's share, in the schemes of `plan`; looked at once in a second.
    ///
    /// # Errors
    /// When the schemes cannot be set any more.
    pub fn keep(
        &mut self,
        plan: &Plan,
        context: &mut Context<Box<DynOps>>,
        opened: &Opened,
    ) -> Result<(), Box<dyn Error>> {
        if self.wanted.is_empty() || self.looked.is_some_and(|at| at.elapsed() < OFTEN) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let members = context.view().targets().iter().map(|t| (t.id(), opened.pid(t.id()).and_then(cgroup))).collect();
        let shares = divide(&self.wanted, &members);
        if shares != self.given || context.schemes().schemes().any(|scheme| scheme.shares != shares) {
            let mut schemes = plan.schemes.clone();
            schemes.iter_mut().for_each(|scheme| scheme.shares.clone_from(&shares));
            context.set_schemes(schemes)?;
            self.given = shares;
        }
        Ok(())
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
