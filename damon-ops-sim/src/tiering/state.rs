//! Where each block is, what is known of it, and moving it.

use std::cmp::Ordering;

use damon_core::Rng;

use super::Costs;
use super::bill::{Bill, Payer};
use super::exchange::Exchanging;
use super::lru::{List, Lru};
use super::node::{Node, pages};
use super::pattern::exponential;
use super::process::Process;
use super::spec::{Spec, SpecError};

/// Memory that is placed and moved as one, all of whose pages are accessed alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) process: u16,
    /// Its node's place, once it was touched.
    pub(super) node: Option<u8>,
    pub(super) frame: u32,
    /// Accesses to each page in an operation of its program.
    pub(super) per_op: f64,
    /// Accesses to a page that were expected when its program had done `base` operations.
    heat: f64,
    base: f64,
    /// The accessed bit is set from that heat on: it was drawn when the bit was cleared.
    accessed_from: f64,
    /// A hint fault comes at that heat.
    fault_at: f64,
    /// When that was armed.
    armed_at: f64,
}

/// A hint fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) block: u32,
    /// Seconds since it was armed.
    pub(super) latency: f64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) spec: Spec,
    pub(super) costs: Costs,
    /// Seconds.
    pub(super) now: f64,
    pub(super) nodes: Vec<Node>,
    pub(super) blocks: Vec<Block>,
    pub(super) processes: Vec<Process>,
    pub(super) lru: Lru,
    pub(super) bill: Bill,
    /// CPU time of the kernel's threads since the last step.
    pub(super) kernel_s: f64,
    /// CPUs that were busy in the last step.
    pub(super) busy: f64,
    /// When the last step was, and the next will be.
    pub(super) stepped: f64,
    pub(super) steps: u64,
    pub(super) armed: Vec<u32>,
    pub(super) seed: u64,
    pub(super) rng: Rng,
    pub(super) exchanging: Exchanging,
    pub(super) weights: Vec<f64>,
}

impl State {
    pub(super) fn new(spec: &Spec, costs: Costs, seed: u64) -> Result<Self, SpecError> {
        spec.check()?;
        let mut nodes = Vec::new();
        let mut base = 0;
        for n in &spec.nodes {
            let node = Node::new(n, &costs, spec.block(), base);
            base += node.frames.len() as u64 * spec.block();
            nodes.push(node);
        }
        let (mut processes, mut blocks) = (Vec::new(), Vec::new());
        for place in 0..spec.processes.len() {
            let first = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
            let process = Process::new(spec, place, first, seed)?;
            let block = Block {
                process: u16::try_from(place).unwrap_or(u16::MAX),
                node: None,
                frame: 0,
                per_op: 0.0,
                heat: 0.0,
                base: 0.0,
                // It is touched before anybody looks.
                accessed_from: 0.0,
                fault_at: f64::INFINITY,
                armed_at: 0.0,
            };
            blocks.resize(blocks.len() + process.blocks, block);
            processes.push(process);
        }
        Ok(Self {
            lru: Lru::new(nodes.len(), blocks.len()),
            spec: spec.clone(),
            costs,
            now: 0.0,
            nodes,
            blocks,
            processes,
            bill: Bill::default(),
            kernel_s: 0.0,
            busy: 0.0,
            stepped: 0.0,
            steps: 0,
            armed: Vec::new(),
            seed,
            rng: Rng::new(seed ^ 0x7469_6572),
            exchanging: Exchanging::new(seed),
            weights: Vec::new(),
        })
    }

    /// Pages of a block.
    pub(super) fn pages(&self) -> f64 {
        pages(self.spec.block())
    }

    /// Operations of a program so far.
    pub(super) fn ops(&self, process: u16) -> f64 {
        let p = &self.processes[usize::from(process)];
        p.ops + p.rate * (self.now - self.stepped)
    }

    /// Accesses to each page of a block so far, as expected.
    pub(super) fn heat(&self, block: u32) -> f64 {
        let b = &self.blocks[block as usize];
        b.heat + b.per_op * (self.ops(b.process) - b.base)
    }

    /// From now on each page of a block is accessed that often in an operation.
    pub(super) fn set_per_op(&mut self, block: u32, per_op: f64) {
        let heat = self.heat(block);
        let base = self.ops(self.blocks[block as usize].process);
        let b = &mut self.blocks[block as usize];
        (b.heat, b.base, b.per_op) = (heat, base, per_op);
    }

    /// Is the accessed bit of its pages set?
    pub(super) fn accessed(&self, block: u32) -> bool {
        self.heat(block) >= self.blocks[block as usize].accessed_from
    }

    /// Tells whether the accessed bit was set, and clears it.
    pub(super) fn test_and_clear_accessed(&mut self, block: u32) -> bool {
        let was = self.accessed(block);
        self.blocks[block as usize].accessed_from = self.heat(block) + exponential(&mut self.rng);
        was
    }

    /// Has the next access to a block fault, and says whether it would not have before. Its program pays for that.
    pub(super) fn arm(&mut self, block: u32) -> bool {
        let fault_at = self.heat(block) + exponential(&mut self.rng);
        let b = &mut self.blocks[block as usize];
        if b.fault_at.is_finite() {
            return false;
        }
        b.fault_at = fault_at;
        b.armed_at = self.now;
        self.armed.push(block);
        let (process, s) = (b.process, self.pages() * self.costs.arm_hint_ns * 1e-9);
        self.bill.arming_s += s;
        self.processes[usize::from(process)].debt += s;
        true
    }

    /// The hint faults since the last time. Their programs pay for them.
    pub(super) fn take_faults(&mut self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut armed = std::mem::take(&mut self.armed);
        armed.retain(|&block| {
            let b = self.blocks[block as usize];
            let over = self.heat(block) - b.fault_at;
            // Armed no more, or not due.
            if b.fault_at.is_infinite() || over < 0.0 {
                return b.fault_at.is_finite();
            }
            let p = &self.processes[usize::from(b.process)];
            let rate = if self.now > self.stepped { p.rate } else { p.was };
            let ago = if over > 0.0 { over / (b.per_op * rate).max(f64::MIN_POSITIVE) } else { 0.0 };
            faults.push(Fault { block, latency: (self.now - ago - b.armed_at).max(0.0) });
            false
        });
        self.armed = armed;
        for fault in &faults {
            let process = self.blocks[fault.block as usize].process;
            self.blocks[fault.block as usize].fault_at = f64::INFINITY;
            let s = self.pages() * self.costs.hint_fault_ns * 1e-9;
            self.bill.faulting_s += s;
            self.bill.hint_faults += self.pages() as u64;
            self.processes[usize::from(process)].debt += s;
        }
        faults
    }

    /// The kernel's threads took so much CPU time.
    pub(super) fn charge_walk(&mut self, seconds: f64) {
        self.bill.walking_s += seconds;
        self.kernel_s += seconds;
    }

    /// First touch of a block: on the node that is nearest and has memory.
    pub(super) fn touch(&mut self, block: u32) {
        let process = self.blocks[block as usize].process;
        let nearest = self.nearest(process);
        let keeps: [fn(&Node) -> usize; 3] = [|n| n.marks.low, |n| n.marks.min, |_| 0];
        for keep in keeps {
            for &node in &nearest {
                let n = &mut self.nodes[usize::from(node)];
                if let Some(frame) = n.take(block, keep(n)) {
                    self.settle_in(block, node, frame);
                    self.lru.put(block, List { node, active: false });
                    return;
                }
            }
        }
    }

    /// A block's memory is freed, and touched anew.
    pub(super) fn renew(&mut self, block: u32) {
        let (heat, pages) = (self.heat(block), self.pages());
        let b = &mut self.blocks[block as usize];
        let Some(node) = b.node.take() else { return };
        // New memory was accessed by who touched it, and nobody armed it.
        (b.accessed_from, b.fault_at) = (heat, f64::INFINITY);
        let (process, frame, per_op) = (b.process, b.frame, b.per_op);
        self.processes[usize::from(process)].by_node[usize::from(node)] -= per_op * pages;
        self.nodes[usize::from(node)].give(frame);
        self.touch(block);
    }

    /// Nodes by their latency from where a program runs.
    pub(super) fn nearest(&self, process: u16) -> Vec<u8> {
        let socket = self.processes[usize::from(process)].spec.socket;
        let mut all: Vec<u8> = (0..self.nodes.len() as u8).filter(|&n| self.nodes[usize::from(n)].online).collect();
        let latency = |n: u8| self.nodes[usize::from(n)].latency_from(socket, &self.costs);
        all.sort_by(|&a, &b| latency(a).total_cmp(&latency(b)));
        all
    }

    fn settle_in(&mut self, block: u32, node: u8, frame: u32) {
        let pages = self.pages();
        let b = &mut self.blocks[block as usize];
        (b.node, b.frame) = (Some(node), frame);
        self.processes[usize::from(b.process)].by_node[usize::from(node)] += b.per_op * pages;
    }

    /// Migrates a block, if its new node has more than `keep` blocks free. The payer pays, and both nodes' bandwidth is used.
    pub(super) fn migrate(&mut self, block: u32, to: u8, keep: usize, payer: Payer) -> bool {
        let b = self.blocks[block as usize];
        let Some(from) = b.node.filter(|&from| from != to) else { return false };
        let Some(frame) = self.nodes[usize::from(to)].take(block, keep) else { return false };
        let (pages, bytes) = (self.pages(), self.spec.block());
        self.nodes[usize::from(from)].give(b.frame);
        self.processes[usize::from(b.process)].by_node[usize::from(from)] -= b.per_op * pages;
        self.settle_in(block, to, frame);
        self.blocks[block as usize].fault_at = f64::INFINITY;
        let active = self.lru.of(block).is_some_and(|l| l.active);
        self.lru.put(block, List { node: to, active });

        for node in [from, to] {
            self.nodes[usize::from(node)].migrated += bytes as f64;
        }
        match self.nodes[usize::from(to)].kind.cmp(&self.nodes[usize::from(from)].kind) {
            _ if payer == Payer::Exchange => self.bill.exchanged += bytes,
            Ordering::Less => self.bill.promoted += bytes,
            Ordering::Greater => self.bill.demoted += bytes,
            Ordering::Equal => self.bill.moved += bytes,
        }
        let seconds = pages * self.costs.migrate_ns * 1e-9;
        let program = &mut self.processes[usize::from(b.process)];
        let flushes = (pages / payer.batch()).ceil();
        let flushing = flushes * program.spec.threads * self.costs.shootdown_ns * 1e-9;
        program.debt += flushing;
        self.bill.shootdown_s += flushing;
        match payer {
            Payer::Kernel | Payer::Reclaim => {
                self.bill.migrating_s += seconds;
                self.kernel_s += seconds;
            }
            Payer::Exchange => self.kernel_s += seconds,
            Payer::Program(p) => {
                self.bill.direct_s += seconds;
                self.processes[usize::from(p)].debt += seconds;
            }
        }
        true
    }

    /// Puts a block on the active or the inactive list of its node.
    pub(super) fn relist(&mut self, block: u32, active: bool) -> bool {
        let Some(node) = self.blocks[block as usize].node else { return false };
        self.lru.put(block, List { node, active });
        true
    }

    /// The place of a node by its number.
    pub(super) fn node(&self, id: u16) -> Option<u8> {
        let at = self.nodes.iter().position(|n| n.id == id && n.online)?;
        u8::try_from(at).ok()
    }

    /// Nodes of lower tiers than a node's, those of the next tier and of its socket first.
    pub(super) fn below(&self, node: u8) -> Vec<u8> {
        let from = &self.nodes[usize::from(node)];
        let mut lower: Vec<u8> = (0..self.nodes.len() as u8)
            .filter(|&n| self.nodes[usize::from(n)].online && self.nodes[usize::from(n)].kind > from.kind)
            .collect();
        lower.sort_by_key(|&n| {
            let n = &self.nodes[usize::from(n)];
            (n.kind, n.socket != from.socket, n.id)
        });
        lower
    }
}
