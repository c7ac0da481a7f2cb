//! Mapped memory that threads may read and write together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use damon_core::AddrRange;
use damon_ops_vaddr::{PrivateMap, SharedMap};

/// A mapping, with a name for people.
#[derive(Clone, Debug)]
pub enum Memory {
    /// Seen by all who map it: its reads can be told.
    Shared(&'static str, Arc<SharedMap>),
    /// This process's own.
    Private(&'static str, Arc<PrivateMap>),
}

impl Memory {
    /// What a person calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shared(name, _) | Self::Private(name, _) => name,
        }
    }

    /// Where it is.
    pub fn range(&self) -> AddrRange {
        match self {
            Self::Shared(_, map) => map.range(),
            Self::Private(_, map) => map.range(),
        }
    }

    /// The words of `range`; none if that is not inside.
    pub fn words(&self, range: AddrRange) -> &[AtomicU64] {
        let all = match self {
            Self::Shared(_, map) => map.atomics(),
            Self::Private(_, map) => map.atomics(),
        };
        let index = |addr: u64| (addr.saturating_sub(self.range().start()) / 8) as usize;
        all.get(index(range.start())..index(range.end())).unwrap_or_default()
    }

    /// Writes to each page, so that there is one.
    pub fn populate(&self) {
        self.words(self.range()).iter().step_by(512).for_each(|word| word.store(1, Ordering::Relaxed));
    }
}
