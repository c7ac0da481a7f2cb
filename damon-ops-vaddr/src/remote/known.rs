//! Whose memory is watched: told by who watches to who acts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use damon_core::TargetId;

use crate::linux::Process;

/// The processes that are watched now, by target; shared by all clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<Mutex<BTreeMap<TargetId, Arc<Process>>>>);

impl Known {
    /// A target joined, or is another process now.
    pub(crate) fn insert(&self, target: TargetId, process: Arc<Process>) {
        self.with(|known| known.insert(target, process));
    }

    /// A target left.
    #[expect(dead_code, reason = "for who watches")]
    pub(crate) fn remove(&self, target: TargetId) {
        self.with(|known| known.remove(&target));
    }

    pub(crate) fn get(&self, target: TargetId) -> Option<Arc<Process>> {
        self.with(|known| known.get(&target).cloned())
    }

    pub(crate) fn all(&self) -> Vec<Arc<Process>> {
        self.with(|known| known.values().cloned().collect())
    }

    fn with<R>(&self, f: impl FnOnce(&mut BTreeMap<TargetId, Arc<Process>>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
