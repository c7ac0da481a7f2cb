//! The tiered machine as others see it: its clock, its nodes and its programs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use damon_core::{AddrRange, Instant, NodeId};

use super::Costs;
use super::bill::Bill;
use super::load::stretch;
use super::spec::{Kind, Spec, SpecError};
use super::state::State;

/// A machine of several nodes and what runs on it. Clones share it.
#[derive(Clone, Debug)]
pub struct Host(Arc<Mutex<State>>);

/// A node as it is now.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NodeNow {
    /// Its number.
    pub id: NodeId,
    /// What it is; nodes of one kind are a tier, and the kinds ascend from the upper tier down.
    pub kind: Kind,
    /// The socket that it is attached to.
    pub socket: u8,
    /// Its physical addresses.
    pub range: AddrRange,
    /// Bytes that are free.
    pub free: u64,
    /// Latency from its own socket without load, in nanoseconds.
    pub idle_ns: f64,
    /// The same under the load of the last step.
    pub loaded_ns: f64,
    /// Bytes a second that it can move.
    pub bandwidth: f64,
    /// The part of that which was used in the last step: 0 to 1.
    pub utilisation: f64,
}

/// A program as it is now.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProgramNow {
    /// Its name.
    pub name: String,
    /// Operations so far.
    pub ops: f64,
    /// Of its accesses now, the part that each node gets.
    pub by_node: Vec<f64>,
}

fn seconds(now: Instant) -> f64 {
    now.as_nanos() as f64 * 1e-9
}

impl Host {
    /// The machine that `spec` says, at time zero, before anything was touched. All its chance comes from `seed`.
    ///
    /// # Errors
    /// Where the spec breaks a rule, or names a trace that cannot be read.
    pub fn new(spec: &Spec, costs: Costs, seed: u64) -> Result<Self, SpecError> {
        Ok(Self(Arc::new(Mutex::new(State::new(spec, costs, seed)?))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done where somebody may panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time go on to `now`.
    pub fn advance(&self, now: Instant) {
        self.lock().advance(seconds(now));
    }

    /// What placement cost so far.
    pub fn bill(&self) -> Bill {
        self.lock().bill
    }

    /// The nodes that are online, in the order of the spec.
    pub fn nodes(&self) -> Vec<NodeNow> {
        let state = self.lock();
        let (block, queueing) = (state.spec.block(), state.costs.queueing);
        let now = |n: &super::node::Node| {
            Some(NodeNow {
                id: NodeId(n.id),
                kind: n.kind,
                socket: n.socket,
                range: AddrRange::from_len(n.base, n.frames.len() as u64 * block)?,
                free: n.free() as u64 * block,
                idle_ns: n.latency_ns,
                loaded_ns: n.latency_ns * stretch(queueing, n.utilisation),
                bandwidth: n.bandwidth,
                utilisation: n.utilisation,
            })
        };
        state.nodes.iter().filter(|n| n.online).filter_map(now).collect()
    }

    /// The programs, in the order of the spec.
    pub fn programs(&self) -> Vec<ProgramNow> {
        let state = self.lock();
        let now = |(place, p): (usize, &super::process::Process)| {
            let all: f64 = p.by_node.iter().map(|n| n.max(0.0)).sum();
            ProgramNow {
                name: p.spec.name.clone(),
                ops: state.ops(place as u16),
                by_node: p.by_node.iter().map(|n| if all > 0.0 { n.max(0.0) / all } else { 0.0 }).collect(),
            }
        };
        state.processes.iter().enumerate().map(now).collect()
    }

    /// Bytes that a program has on each node, in the order of the spec.
    pub fn resident(&self, program: usize) -> Vec<u64> {
        let state = self.lock();
        let mut bytes = vec![0; state.nodes.len()];
        for block in state.blocks.iter().filter(|b| usize::from(b.process) == program) {
            if let Some(node) = block.node {
                bytes[usize::from(node)] += state.spec.block();
            }
        }
        bytes
    }
}
