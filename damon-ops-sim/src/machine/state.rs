//! The machine itself: who has which memory where, and what happens to it while time passes.

use std::collections::BTreeMap;
use std::time::Duration;

use damon_core::{AddrRange, Instant, Metric, NodeId, TargetId};

use super::extents::{Extent, Extents, PAGE};
use super::{Costs, Machine, MachineError, Node, Usage};
use crate::chance::{draw, probability};
use crate::clock::Clock;
use crate::memory::{Mapping, SimMemory, SimTarget};
use crate::workload::{Heat, Picture, Workload};

#[derive(Debug)]
pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) memory: SimMemory,
    pub(super) costs: Costs,
    /// Capacities in pages, the fastest node first.
    pub(super) nodes: Vec<(NodeId, u64)>,
    pub(super) targets: BTreeMap<TargetId, Held>,
    pub(super) usage: Usage,
    /// Metrics that the program gives.
    pub(super) inputs: Vec<(Metric, u64)>,
    seed: u64,
    settled: Instant,
    heats: Vec<Heat>,
    picture: Picture,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) mappings: Vec<Mapping>,
    pub(super) extents: Extents,
}

impl State {
    pub(super) fn new(seed: u64, clock: &Clock, nodes: &[Node], costs: Costs) -> Self {
        Self {
            memory: SimMemory::new(seed, clock),
            costs,
            nodes: nodes.iter().map(|n| (n.id, n.bytes / PAGE)).collect(),
            targets: BTreeMap::new(),
            usage: Usage::default(),
            inputs: Vec::new(),
            seed,
            settled: clock.now(),
            heats: Vec::new(),
            picture: Picture::default(),
            clock: clock.clone(),
        }
    }

    /// First touch: from the fastest node on, each takes what it has room for.
    pub(super) fn insert(
        &mut self,
        id: TargetId,
        mappings: Vec<Mapping>,
        workload: impl Workload + 'static,
    ) -> Result<(), MachineError> {
        self.settle();
        let pages = |r: AddrRange| (r.start().div_ceil(PAGE) * PAGE, r.end() / PAGE * PAGE);
        let needed: u64 = mappings.iter().map(|m| pages(m.range)).map(|(s, e)| e.saturating_sub(s) / PAGE).sum();
        self.targets.remove(&id);
        let mut rooms: Vec<(NodeId, u64)> = self.nodes.iter().map(|&(id, _)| (id, self.free(id))).collect();
        let free: u64 = rooms.iter().map(|r| r.1).sum();
        if needed > free {
            return Err(MachineError::Full { target: id, needed: needed * PAGE, free: free * PAGE });
        }
        let target = SimTarget::new(mappings.clone(), workload)?;
        let mut list = Vec::new();
        for (mapping, m) in mappings.iter().enumerate() {
            let (mut start, end) = pages(m.range);
            for (node, room) in &mut rooms {
                let size = (end.saturating_sub(start)).min(*room * PAGE);
                if size > 0 {
                    list.push(Extent { start, end: start + size, mapping, node: *node, active: false, swapped: 0 });
                    *room -= size / PAGE;
                    start += size;
                }
            }
        }
        list.sort_by_key(|e| e.start);
        self.memory.insert(id, target);
        let extents = Extents::new(list, draw(self.seed, id.get().into()));
        self.targets.insert(id, Held { mappings, extents });
        Ok(())
    }

    /// Pages that a node has left.
    pub(super) fn free(&self, node: NodeId) -> u64 {
        let capacity = self.nodes.iter().find(|n| n.0 == node).map_or(0, |n| n.1);
        let used = |e: &Extent| if e.node == node { e.resident() } else { 0 };
        let used: u64 = self.targets.values().flat_map(|t| t.extents.iter()).map(used).sum();
        capacity.saturating_sub(used)
    }

    /// Lets happen what the workloads did since the last time: their accesses read in what was swapped out.
    pub(super) fn settle(&mut self) {
        let (from, now) = (self.settled, self.clock.now());
        let passed = now - from;
        if passed.is_zero() {
            return;
        }
        self.settled = now;
        let mut stalled = Duration::ZERO;
        for (&id, held) in &mut self.targets {
            let before = held.extents.swapped();
            let pages: u64 = held.extents.iter().map(Extent::pages).sum();
            let mut faults = 0;
            let mut at = from;
            while before > faults && at < now {
                self.heats.clear();
                let holds = self.memory.paint(id, at, &mut self.heats).unwrap_or(Instant::MAX);
                // A workload that does not say until later would stop time.
                let until = holds.max(at + Duration::from_nanos(1)).min(now);
                self.picture.repaint(&self.heats);
                let seconds = (until - at).as_secs_f64();
                for heat in self.picture.heats() {
                    faults += held.extents.fault(heat.range, probability(heat.hz * seconds));
                }
                at = until;
            }
            // What came back did so somewhere in between: in the middle, in the mean.
            let nanos = passed.as_nanos();
            self.usage.swapped += (u128::from(before) * 2 - u128::from(faults)) * nanos / 2;
            self.usage.mapped += u128::from(pages) * nanos;
            self.usage.refaults += faults;
            stalled += mul(self.costs.fault, faults);
        }
        self.usage.elapsed += passed;
        self.usage.stalled += stalled;
    }
}

/// A cost, so many times.
pub(super) fn mul(cost: Duration, times: u64) -> Duration {
    let nanos = cost.as_nanos().saturating_mul(times.into());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

impl Machine {
    /// Puts a target in, or in another's place, all of it resident: on the first node as far as it goes, then on the next.
    /// The monitor is not told: its owner gives it the spec.
    ///
    /// # Errors
    /// Where mappings overlap, or there is not so much memory free. What was in its place is gone then.
    pub fn insert(
        &self,
        id: TargetId,
        mappings: Vec<Mapping>,
        workload: impl Workload + 'static,
    ) -> Result<(), MachineError> {
        self.lock().insert(id, mappings, workload)
    }
}
