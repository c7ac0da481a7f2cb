//! What placement cost, and who paid it.

use serde::Serialize;

/// Totals since the machine was made: seconds of CPU time, bytes, and counts. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bill {
    /// Hint faults, paid by the program.
    pub faulting_s: f64,
    /// Arming hint faults, paid by the program.
    pub arming_s: f64,
    /// Migrations in a fault, paid by the program.
    pub direct_s: f64,
    /// Interrupts that flushed TLBs, paid by the program.
    pub shootdown_s: f64,
    /// Checks of samples, paid by the kernel's CPUs.
    pub watching_s: f64,
    /// Walks over memory and over LRU lists, paid by the kernel's CPUs.
    pub walking_s: f64,
    /// Migrations by the kernel's threads, paid by its CPUs.
    pub migrating_s: f64,
    /// Bytes that went to a faster tier.
    pub promoted: u64,
    /// Bytes that went to a slower one.
    pub demoted: u64,
    /// Bytes that went to another node of the same one.
    pub moved: u64,
    /// Bytes that changed places whatever the policy did: see [`Exchange`](super::Exchange).
    pub exchanged: u64,
    /// Pages that faulted for a hint.
    pub hint_faults: u64,
    /// Samples checked.
    pub checks: u64,
}

impl Bill {
    /// What was added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            faulting_s: self.faulting_s - earlier.faulting_s,
            arming_s: self.arming_s - earlier.arming_s,
            direct_s: self.direct_s - earlier.direct_s,
            shootdown_s: self.shootdown_s - earlier.shootdown_s,
            watching_s: self.watching_s - earlier.watching_s,
            walking_s: self.walking_s - earlier.walking_s,
            migrating_s: self.migrating_s - earlier.migrating_s,
            promoted: self.promoted.saturating_sub(earlier.promoted),
            demoted: self.demoted.saturating_sub(earlier.demoted),
            moved: self.moved.saturating_sub(earlier.moved),
            exchanged: self.exchanged.saturating_sub(earlier.exchanged),
            hint_faults: self.hint_faults.saturating_sub(earlier.hint_faults),
            checks: self.checks.saturating_sub(earlier.checks),
        }
    }

    /// What the programs paid.
    pub fn programs_s(&self) -> f64 {
        self.faulting_s + self.arming_s + self.direct_s + self.shootdown_s
    }

    /// What the kernel's threads took of the machine's CPUs.
    pub fn kernel_s(&self) -> f64 {
        self.watching_s + self.walking_s + self.migrating_s
    }
}

/// Who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payer {
    /// The kernel's reclaim.
    Reclaim,
    /// Another thread of the kernel.
    Kernel,
    /// A thread of the kernel that is no part of the policy.
    Exchange,
    /// A program, by its place.
    Program(u16),
}

impl Payer {
    /// Pages that it migrates at once: TLBs are flushed once for them.
    ///
    /// Counterpart: `SWAP_CLUSTER_MAX`, `NR_MAX_BATCHED_MIGRATION`, Linux 7.3; faults migrate one.
    pub(super) const fn batch(self) -> f64 {
        match self {
            Self::Program(_) => 1.0,
            Self::Reclaim => 32.0,
            Self::Kernel | Self::Exchange => 512.0,
        }
    }
}
