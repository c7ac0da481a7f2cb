//! A machine around simulated memory: what is resident, what is swapped out, on which node, what actions cost and what the
//! workload pays for them.
//!
//! [`Machine`] is all that a monitor with schemes works with: [`Ops`] (as [`SimMemory`](crate::SimMemory), whose checks
//! it counts), [`ApplyOps`](damon_core::ApplyOps) and [`Metrics`](damon_core::Metrics). Its input is time, as theirs is.
//!
//! The model, and what it leaves out:
//!
//! - Accesses to a page that is swapped out read it in, and the workload waits for that. How many do so follows from the
//!   workload's true rates; the workload goes on at the same rates, so that runs can be compared.
//! - Pages that were treated alike are counted, not kept one by one.
//! - Nothing is evicted by itself, and reading in does not fail: more than all memory in use counts as none free. Nodes
//!   differ in capacity alone.
//! - Actions take CPU time ([`Applied::took`](damon_core::Applied)) and no virtual time: who drives a monitor advances the
//!   clock by it where one thread does both.
//!
//! ```
//! use core::time::Duration;
//! use damon_core::{Action, AddrRange, ApplyOps, NodeId, Request, TargetId};
//! use damon_ops_sim::machine::{Costs, Machine, Node};
//! use damon_ops_sim::workload::{Blocks, Heat};
//! use damon_ops_sim::{Clock, memory::Mapping};
//!
//! let (id, clock, all) = (TargetId::new(0), Clock::new(), AddrRange::new(0, 64 << 20).unwrap());
//! let mut machine = Machine::new(7, &clock, &[Node { id: NodeId(0), bytes: 1 << 30 }], Costs::default());
//! // Each page is accessed once in 10 s.
//! machine.insert(id, vec![Mapping::new(all)], Blocks::new([Heat::reads(all, 0.1)]))?;
//!
//! let applied = machine.apply(id, all, &Request::new(Action::Pageout, &[], &[]));
//! assert_eq!(applied.size, 64 << 20);
//! clock.advance(Duration::from_secs(1));
//! let back = machine.usage().refaults;
//! assert!((1_500..1_620).contains(&back), "{back} of 16,384");
//! # Ok::<(), damon_ops_sim::machine::MachineError>(())
//! ```

mod act;
mod costs;
mod extents;
mod metrics;
mod state;
#[cfg(test)]
mod tests;
mod usage;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use damon_core::{NodeId, Ops, Sample, Span, TargetEvent, TargetId, Want};

use crate::clock::Clock;
use crate::memory::SimTargetError;
use state::State;

pub use costs::Costs;
pub use usage::Usage;

/// A node of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// Its capacity.
    pub bytes: u64,
}

/// Why a machine does not take a target, or cannot act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// Its mappings make no sense.
    #[error(transparent)]
    Target(#[from] SimTargetError),
    /// It does not fit.
    #[error("target {} needs {needed} bytes, but {free} are free: give the machine's nodes more", .target.get())]
    Full {
        /// The target.
        target: TargetId,
        /// What it has mapped.
        needed: u64,
        /// What all nodes have left.
        free: u64,
    },
    /// There is no such target.
    #[error("there is no target {}: insert it first", .0.get())]
    NoTarget(TargetId),
    /// It was asked for what [`supports`](damon_core::ApplyOps::supports) had said no to.
    #[error("this is not supported here: ask `supports` first, which says why")]
    NotSupported,
}

/// A simulated machine. Clones share it, so that it can be lent as a backend, as who acts and as who measures at once.
#[derive(Clone, Debug)]
pub struct Machine(Arc<Mutex<State>>);

impl Machine {
    /// A machine on `clock` with these nodes, the fastest first. All its chance comes from `seed`.
    pub fn new(seed: u64, clock: &Clock, nodes: &[Node], costs: Costs) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed, clock, nodes, costs))))
    }

    /// What happened until now.
    pub fn usage(&self) -> Usage {
        let mut state = self.lock();
        state.settle();
        state.usage
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done where somebody may panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ops for Machine {
    type Error = Infallible;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), Infallible> {
        self.lock().memory.targets(events)
    }

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), Infallible> {
        self.lock().memory.ranges(target, out)
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), Infallible> {
        self.lock().memory.arm(samples)
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), Infallible> {
        let mut state = self.lock();
        let cost = state.costs.check;
        state.usage.checks += samples.len() as u64;
        state.usage.watching += state::mul(cost, samples.len() as u64);
        state.memory.check(samples, want)
    }
}
