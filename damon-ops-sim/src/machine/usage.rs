//! What happened on a machine so far, and what the workload paid for it.

use std::time::Duration;

use damon_core::Bp;

/// Totals since the machine was made. All of them only grow, so the difference of two is what happened in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Virtual time: how long the workload's accesses would have taken by themselves.
    pub elapsed: Duration,
    /// Samples that were checked.
    pub checks: u64,
    /// CPU time of these.
    pub watching: Duration,
    /// CPU time of actions.
    pub acting: Duration,
    /// Time that the workload waited for pages.
    pub stalled: Duration,
    /// Pages that were paged out and came back.
    pub refaults: u64,
    /// Pages that were paged out.
    pub paged_out: u64,
    /// Pages that were migrated.
    pub migrated: u64,
    /// Of these, pages that went to a faster node.
    pub promoted: u64,
    /// Pages times nanoseconds that they were swapped out, and that there were.
    pub(super) swapped: u128,
    pub(super) mapped: u128,
}

impl Usage {
    /// What happened since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            elapsed: self.elapsed.saturating_sub(earlier.elapsed),
            checks: self.checks.saturating_sub(earlier.checks),
            watching: self.watching.saturating_sub(earlier.watching),
            acting: self.acting.saturating_sub(earlier.acting),
            stalled: self.stalled.saturating_sub(earlier.stalled),
            refaults: self.refaults.saturating_sub(earlier.refaults),
            paged_out: self.paged_out.saturating_sub(earlier.paged_out),
            migrated: self.migrated.saturating_sub(earlier.migrated),
            promoted: self.promoted.saturating_sub(earlier.promoted),
            swapped: self.swapped.saturating_sub(earlier.swapped),
            mapped: self.mapped.saturating_sub(earlier.mapped),
        }
    }

    /// The part of memory that was swapped out, in the mean over time. What swap itself keeps in memory, as zram does, is
    /// not taken off.
    pub fn saved(&self) -> Bp {
        Bp((self.swapped * 10_000 / self.mapped.max(1)) as u32)
    }

    /// By which part the workload took longer: what it waited for pages, and its share of the CPU time that watching and acting
    /// took from `cpus`.
    pub fn slowdown(&self, cpus: u32) -> Bp {
        let others = self.watching.saturating_add(self.acting) / cpus.max(1);
        let more = self.stalled.saturating_add(others).as_nanos();
        Bp(u32::try_from(more * 10_000 / self.elapsed.as_nanos().max(1)).unwrap_or(u32::MAX))
    }
}
