//! Who is watched now: processes, trees and cgroups, as their members come and go.

use std::collections::BTreeSet;
use std::sync::Arc;

use damon_core::{AddrRange, TargetEvent, TargetId, TargetSpec};

use super::capabilities::Refused;
use super::error::{RemoteError, WatchError};
use super::target::{Fate, Target};
use super::{Remote, WatchId};
use crate::group::{Who, cgroup_exists, pids};
use crate::linux::{Layout, Process, ProcessOpenError};

/// Processes to watch, and what of them. A plain struct: `Watch { weight: 200, ..Watch::tree(pid) }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Which processes.
    pub who: Who,
    /// Which of their addresses. Default: what is mapped, without big holes.
    pub layout: Layout,
    /// Only these, of each of them; empty: all.
    pub ranges: Vec<AddrRange>,
    /// Their share where checks are scarce: [`TargetSpec::weight`]. Default 100.
    pub weight: u16,
    /// The smallest and the largest region, in bytes: [`TargetSpec::region_bytes`].
    pub region_bytes: Option<(u64, u64)>,
}

impl Watch {
    /// All of `who`, with weight 100.
    pub fn new(who: Who) -> Self {
        Self { who, layout: Layout::default(), ranges: Vec::new(), weight: 100, region_bytes: None }
    }

    /// The process that has `pid` now.
    pub fn process(pid: u32) -> Self {
        Self::new(Who::Process(pid))
    }

    /// That process and its descendants.
    pub fn tree(pid: u32) -> Self {
        Self::new(Who::Tree(pid))
    }

    /// The processes of the cgroup at `dir`, and of those below it.
    pub fn cgroup(dir: impl Into<std::path::PathBuf>) -> Self {
        Self::new(Who::Cgroup(dir.into()))
    }
}

/// So many generations of new members are looked for at once: each may have children.
const GENERATIONS: u32 = 64;

impl Remote {
    /// Watches processes from the monitor's next look at targets on. Each becomes a target of its own, which
    /// [`targets`](damon_core::Ops::targets) tells the monitor: it need not be told otherwise. Members of a tree or a cgroup
    /// share a [group](TargetSpec::group); a number that was one process's target is never another's.
    ///
    /// # Errors
    /// When a process cannot be held or read, is watched already, or there is no such cgroup.
    pub fn watch(&mut self, watch: Watch) -> Result<WatchId, WatchError> {
        let id = self.next_watch;
        let next_watch = id.checked_add(1).ok_or(WatchError::NoIdLeft)?;
        match &watch.who {
            Who::Process(pid) | Who::Tree(pid) => {
                if self.roster.target(*pid).is_some() {
                    return Err(WatchError::Twice { pid: *pid });
                }
                let process = Process::open(&self.root, *pid)?;
                self.join(id, &watch, process)?;
            }
            Who::Cgroup(dir) => cgroup_exists(dir)?,
        }
        self.next_watch = next_watch;
        self.watches.insert(id, watch);
        Ok(WatchId(id))
    }

    /// Watches them no more; false: there is no such watch.
    pub fn unwatch(&mut self, id: WatchId) -> bool {
        let gone: Vec<TargetId> = self.members(id.0).map(|t| t.id).collect();
        gone.into_iter().for_each(|target| self.leave(target));
        self.watches.remove(&id.0).is_some()
    }

    /// The targets that belong to a watch, as of the last look, ascending.
    pub fn targets_of(&self, id: WatchId) -> impl Iterator<Item = TargetId> {
        self.members(id.0).map(|t| t.id)
    }

    fn members(&self, watch: u32) -> impl Iterator<Item = &Target> {
        self.targets.values().filter(move |t| t.watch == watch)
    }

    /// Makes `process` a target.
    fn join(&mut self, id: u32, watch: &Watch, process: Process) -> Result<(), WatchError> {
        let target = TargetId::new(self.next_target);
        let next_target = self.next_target.checked_add(1).ok_or(WatchError::NoIdLeft)?;
        let process = Arc::new(process);
        let joined = Target::new(target, process.clone(), (id, watch), self.page)?;
        self.next_target = next_target;
        self.targets.insert(target, joined);
        self.roster.insert(target, process);
        let spec = TargetSpec {
            // Alone in group 0, where only weights count.
            group: if let Who::Process(_) = watch.who { 0 } else { id + 1 },
            weight: watch.weight,
            region_bytes: watch.region_bytes,
            ranges: watch.ranges.clone(),
            ..TargetSpec::new(target)
        };
        self.events.push(TargetEvent::Joined(spec));
        Ok(())
    }

    fn leave(&mut self, target: TargetId) {
        if self.targets.remove(&target).is_some() {
            self.roster.remove(target);
            self.events.push(TargetEvent::Gone(target));
        }
    }

    /// Finds out who ended, became another, left and came.
    pub(crate) fn refresh(&mut self) -> Result<(), RemoteError> {
        let mut gone = Vec::new();
        for (&id, target) in &mut self.targets {
            match target.fate()? {
                Fate::Same => {}
                Fate::Replaced => self.events.push(TargetEvent::Replaced(id)),
                Fate::Gone => gone.push(id),
            }
        }
        gone.into_iter().for_each(|id| self.leave(id));

        self.refused.clear();
        let watches = std::mem::take(&mut self.watches);
        let result = watches.iter().try_for_each(|(&id, watch)| self.refresh_members(id, watch));
        self.watches = watches;
        result
    }

    fn refresh_members(&mut self, id: u32, watch: &Watch) -> Result<(), RemoteError> {
        if let Who::Process(_) = watch.who {
            return Ok(());
        }
        let mut listed = pids(&watch.who, self.members(id).map(|t| &t.process))?;
        let left: Vec<TargetId> =
            self.members(id).filter(|t| !listed.contains(&t.process.pid())).map(|t| t.id).collect();
        left.into_iter().for_each(|target| self.leave(target));

        for _ in 0..GENERATIONS {
            let mut new = Vec::new();
            let refused = self.refused.iter().map(|r| r.pid);
            let known: BTreeSet<u32> = self.targets.values().map(|t| t.process.pid()).chain(refused).collect();
            for &pid in listed.difference(&known) {
                match Process::open(&self.root, pid) {
                    Ok(process) => new.push(process),
                    Err(ProcessOpenError::Gone { .. }) => {}
                    Err(e) => self.refused.push(Refused { pid, why: e.to_string() }),
                }
            }
            if new.is_empty() {
                break;
            }
            // The pid may have become another's before it was held. If it is still listed, it is whom the list means.
            listed = pids(&watch.who, self.members(id).map(|t| &t.process))?;
            new.retain(|process| listed.contains(&process.pid()) && process.is_alive());
            for process in new {
                let pid = process.pid();
                match self.join(id, watch, process) {
                    Ok(())
                    | Err(WatchError::Process(ProcessOpenError::Gone { .. } | ProcessOpenError::NoMemory { .. })) => {}
                    Err(e) => self.refused.push(Refused { pid, why: e.to_string() }),
                }
            }
            if let Who::Cgroup(_) = watch.who {
                break;
            }
            listed = pids(&watch.who, self.members(id).map(|t| &t.process))?;
        }
        Ok(())
    }
}
