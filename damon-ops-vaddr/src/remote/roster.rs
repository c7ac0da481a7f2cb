//! Which process a target is: told by who watches to who acts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use damon_core::TargetId;

use crate::linux::Process;

/// The processes that are watched, by target. Clones show the same, always as of the last look.
#[derive(Clone, Debug, Default)]
pub struct Roster(Arc<Mutex<BTreeMap<TargetId, Arc<Process>>>>);

impl Roster {
    pub(crate) fn insert(&self, target: TargetId, process: Arc<Process>) {
        self.with(|all| all.insert(target, process));
    }

    pub(crate) fn remove(&self, target: TargetId) {
        self.with(|all| all.remove(&target));
    }

    /// The process that `target` is; `None`: it is none, or none any more.
    pub fn process(&self, target: TargetId) -> Option<Arc<Process>> {
        self.with(|all| all.get(&target).cloned())
    }

    /// The target that the living process with `pid` is.
    pub fn target(&self, pid: u32) -> Option<TargetId> {
        self.with(|all| all.iter().find(|(_, p)| p.pid() == pid && p.is_alive()).map(|(&id, _)| id))
    }

    /// All targets with their processes, ascending.
    pub fn all(&self) -> Vec<(TargetId, Arc<Process>)> {
        self.with(|all| all.iter().map(|(&id, process)| (id, process.clone())).collect())
    }

    fn with<R>(&self, f: impl FnOnce(&mut BTreeMap<TargetId, Arc<Process>>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
