//! What monitors, schemes and metrics need of the machine.

use damon_core::{
    Action, AddrRange, Applied, ApplyOps, Bp, Filter, Metric, MetricError, Metrics, NodeId, Ops, PageFilter, Request,
    Sample, Seen, Sees, Span, TargetEvent, TargetId, TargetSpec, Unsupported, Want, passes,
};

use super::bill::Payer;
use super::load::stretch;
use super::state::State;
use super::{Host, PAGE};
use crate::chance::{Odds, draw};

impl Host {
    /// A backend of physical addresses: each target is the memory of some nodes. Nodes that go offline leave its ranges.
    pub fn physical(&self, targets: Vec<(TargetId, Vec<NodeId>)>) -> Backend {
        self.backend(Space::Physical(targets))
    }

    /// A backend of virtual addresses: target *n* is the *n*th program, from 0, whose addresses begin at 0. Targets are said
    /// to have joined when they have memory.
    pub fn programs_memory(&self) -> Backend {
        self.backend(Space::Virtual { joined: 0 })
    }

    fn backend(&self, space: Space) -> Backend {
        Backend { host: self.clone(), space, armed: Vec::new(), armings: 0 }
    }
}

/// A sampled address: the block there when it was armed, and its heat then.
type Armed = (TargetId, u64, Option<(u32, f64)>);

#[derive(Clone, Debug)]
enum Space {
    Physical(Vec<(TargetId, Vec<NodeId>)>),
    Virtual { joined: usize },
}

/// What a monitor with schemes works with: watches, acts, and reads metrics. The kernel's CPUs pay for it.
///
/// Checks see a page's accessed bit and leave it alone, as DAMON's do; the young filter takes it. Of the pages of a block
/// all have one bit, and a range is taken for the blocks whose middle is in it: most of their pages are.
#[derive(Clone, Debug)]
pub struct Backend {
    host: Host,
    space: Space,
    armed: Vec<Armed>,
    armings: u64,
}

/// Why something cannot be done to the memory of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// It was asked for what [`supports`](ApplyOps::supports) had said no to.
    #[error("this is not supported here: ask `supports` first, which says why")]
    NotSupported,
}

impl Space {
    /// The block at an address. None: free memory, or none at all.
    fn block(&self, state: &State, target: TargetId, addr: u64) -> Option<u32> {
        let size = state.spec.block();
        match self {
            Self::Physical(_) => {
                let node = state.nodes.iter().rev().find(|n| n.base <= addr)?;
                *node.frames.get(((addr - node.base) / size) as usize)?
            }
            Self::Virtual { .. } => {
                let p = state.processes.get(target.get() as usize)?;
                let i = addr / size;
                (i < p.present as u64).then(|| p.first + i as u32)
            }
        }
    }

    fn ranges(&self, state: &State, target: TargetId, out: &mut Vec<Span>) {
        let size = state.spec.block();
        let mut push = |start, blocks: usize| {
            let range = AddrRange::from_len(start, blocks as u64 * size);
            out.extend(range.map(|range| Span { range, sees: Sees::Accesses }));
        };
        match self {
            Self::Physical(targets) => {
                let of = targets.iter().find(|t| t.0 == target).map_or(&[][..], |t| &t.1);
                let nodes = state.nodes.iter().filter(|n| n.online && of.contains(&NodeId(n.id)));
                nodes.for_each(|n| push(n.base, n.frames.len()));
            }
            Self::Virtual { .. } => {
                state.processes.get(target.get() as usize).into_iter().for_each(|p| push(0, p.present));
            }
        }
    }

    /// The blocks whose middle is in a range of addresses. With those that begin in it, one that is cut a page late would be lost.
    fn within(&self, state: &State, target: TargetId, range: AddrRange) -> Vec<u32> {
        let size = state.spec.block();
        let nearest = |addr: u64| addr.saturating_add(size / 2) / size;
        (nearest(range.start())..nearest(range.end())).filter_map(|i| self.block(state, target, i * size)).collect()
    }
}

impl Space {
    /// Looks at pages and moves none: of each block at those that are in the range.
    fn look(&self, state: &mut State, target: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<HostError> {
        let size = state.spec.block();
        let (mut looked, mut passed) = (0, 0);
        for i in range.start() / size..range.end().div_ceil(size) {
            let Some(block) = self.block(state, target, i * size) else { continue };
            let part = range.end().min((i + 1) * size) - range.start().max(i * size);
            let pass = passes(req.filters, |filter| match filter {
                PageFilter::Young => state.test_and_clear_accessed(block),
                other => has(state, block, other),
            });
            looked += part;
            passed += if pass { part } else { 0 };
        }
        let walk = looked as f64 / PAGE as f64 * state.costs.walk_ns * 1e-9;
        state.charge_walk(walk);
        Applied { size: passed, filter_passed: passed, took: std::time::Duration::from_secs_f64(walk), error: None }
    }
}

impl Ops for Backend {
    type Error = std::convert::Infallible;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), Self::Error> {
        let state = self.host.lock();
        if let Space::Virtual { joined } = &mut self.space {
            for (place, p) in state.processes.iter().enumerate() {
                if p.present > 0 && *joined & (1 << place) == 0 {
                    *joined |= 1 << place;
                    events.push(TargetEvent::Joined(TargetSpec::new(TargetId::new(place as u32))));
                }
            }
        }
        Ok(())
    }

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), Self::Error> {
        self.space.ranges(&self.host.lock(), target, out);
        Ok(())
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), Self::Error> {
        let state = self.host.lock();
        self.armings += 1;
        self.armed.clear();
        self.armed.extend(samples.iter().map(|s| {
            let block = self.space.block(&state, s.target, s.addr);
            (s.target, s.addr, block.map(|b| (b, state.heat(b))))
        }));
        Ok(())
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), Self::Error> {
        let mut state = self.host.lock();
        let key = draw(state.seed, self.armings);
        let mut at = 0;
        for s in samples.iter_mut() {
            while self.armed.get(at).is_some_and(|a| (a.0, a.1) < (s.target, s.addr)) {
                at += 1;
            }
            let block = self.space.block(&state, s.target, s.addr);
            s.attrs = 0;
            for (i, probe) in want.probes.iter().enumerate() {
                let has = block.is_some_and(|b| passes(&probe.filters, |f| has(&state, b, f)));
                s.attrs |= u8::from(has) << i;
            }
            s.seen = match self.armed.get(at).filter(|a| (a.0, a.1) == (s.target, s.addr) && want.access) {
                None => Seen::Unknown,
                // What is free is not accessed.
                Some((.., None)) => Seen::Idle,
                Some(&(.., Some((armed, heat)))) if block == Some(armed) => {
                    // The same accesses for whoever looks, and once seen always seen.
                    let odds = Odds::of_events(state.heat(armed) - heat);
                    if odds.hit(key, s.addr) { Seen::Accessed } else { Seen::Idle }
                }
                // Somebody else's memory is there now.
                Some(_) => Seen::Unknown,
            };
        }
        let seconds = samples.len() as f64 * state.costs.check_ns * 1e-9;
        state.bill.checks += samples.len() as u64;
        state.bill.watching_s += seconds;
        state.kernel_s += seconds;
        Ok(())
    }
}

/// Does a block's memory have a property, as far as that can be told without changing it?
fn has(state: &State, block: u32, filter: PageFilter) -> bool {
    match filter {
        PageFilter::Young => state.accessed(block),
        PageFilter::Active => state.lru.of(block).is_some_and(|l| l.active),
        // All of it is anonymous memory of small pages.
        PageFilter::Anon => true,
        PageFilter::HugepageSize { min, max } => (min..=max).contains(&PAGE),
        PageFilter::Node(id) => {
            state.blocks[block as usize].node.is_some_and(|n| state.nodes[usize::from(n)].id == id.0)
        }
        _ => false,
    }
}

fn known(filters: &[Filter]) -> bool {
    use PageFilter::{Active, Anon, HugepageSize, Node, Young};
    filters.iter().all(|f| matches!(f.page, Young | Active | Anon | Node(_) | HugepageSize { .. }))
}

impl ApplyOps for Backend {
    type Error = HostError;

    fn supports(&self, _: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        let no = |why| Err(Unsupported::new(req.action, why));
        if !known(req.filters) {
            return no(
                "of pages it is known whether they are young, active, anonymous, small, and on which node: use these filters",
            );
        }
        match req.action {
            Action::Stat | Action::LruPrio | Action::LruDeprio | Action::Cold => Ok(()),
            Action::MigrateHot | Action::MigrateCold => {
                let state = self.host.lock();
                let exists = |id: u16| state.nodes.iter().any(|n| n.id == id);
                match req.dests.iter().any(|d| d.weight > 0) && req.dests.iter().all(|d| exists(d.node.0)) {
                    true => Ok(()),
                    false => no("it needs a destination of some weight, and each must be a node of the machine"),
                }
            }
            _ => no("the tiered machine has neither swap nor huge pages"),
        }
    }

    fn apply(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<HostError> {
        if self.supports(None, req).is_err() {
            return Applied::failed(HostError::NotSupported);
        }
        let mut state = self.host.lock();
        let state = &mut *state;
        if req.action == Action::Stat {
            return self.space.look(state, target, range, req);
        }
        let blocks = self.space.within(state, target, range);
        let walk = blocks.len() as f64 * state.pages() * state.costs.walk_ns * 1e-9;
        state.charge_walk(walk);
        let before = state.bill.migrating_s;
        let (mut passed, mut applied) = (0, 0);
        for block in blocks {
            // To ask whether it is young takes the accessed bit, as in the kernel.
            let mut young = None;
            let pass = passes(req.filters, |filter| match filter {
                PageFilter::Young => *young.get_or_insert_with(|| state.test_and_clear_accessed(block)),
                other => has(state, block, other),
            });
            if !pass {
                continue;
            }
            passed += 1;
            applied += u64::from(match req.action {
                Action::MigrateHot | Action::MigrateCold => migrate(state, block, req),
                Action::LruPrio => state.relist(block, true),
                Action::LruDeprio | Action::Cold => state.relist(block, false),
                _ => true,
            });
        }
        let size = state.spec.block();
        let took = walk + state.bill.migrating_s - before;
        Applied {
            size: applied * size,
            filter_passed: passed * size,
            took: std::time::Duration::from_secs_f64(took),
            error: None,
        }
    }

    fn verify(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Result<Option<u64>, HostError> {
        let state = self.host.lock();
        let in_effect = |block: &u32| match req.action {
            Action::MigrateHot | Action::MigrateCold => {
                let node = state.blocks[*block as usize].node.map(|n| state.nodes[usize::from(n)].id);
                req.dests.iter().any(|d| Some(d.node.0) == node)
            }
            Action::LruPrio => has(&state, *block, PageFilter::Active),
            Action::LruDeprio | Action::Cold => !has(&state, *block, PageFilter::Active),
            _ => false,
        };
        if req.action == Action::Stat {
            return Ok(None);
        }
        let blocks = self.space.within(&state, target, range);
        Ok(Some(blocks.iter().filter(|b| in_effect(b)).count() as u64 * state.spec.block()))
    }
}

/// Migrates a block to one of the destinations: which, is for its address to say, by weight.
fn migrate(state: &mut State, block: u32, req: &Request<'_>) -> bool {
    let all: u64 = req.dests.iter().map(|d| u64::from(d.weight)).sum();
    let mut at = draw(0x6465_7374, block.into()) % all.max(1);
    for dest in req.dests {
        match at.checked_sub(dest.weight.into()) {
            Some(left) => at = left,
            None => {
                let Some(node) = state.node(dest.node.0) else { return false };
                let keep = state.nodes[usize::from(node)].marks.min;
                return state.migrate(block, node, keep, Payer::Kernel);
            }
        }
    }
    false
}

impl Metrics for Backend {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        let state = self.host.lock();
        let node = |id: u16| {
            let found = state.nodes.iter().find(|n| n.id == id && n.online);
            found.ok_or_else(|| MetricError::new(metric, "the machine has no such node online"))
        };
        let free = |id: NodeId| node(id.0).map(|n| u64::from(Bp::of(n.free() as u64, n.frames.len() as u64).0));
        let online = || state.nodes.iter().filter(|n| n.online);
        let listed = |active| -> u64 {
            let list = |node| super::lru::List { node, active };
            (0..state.nodes.len() as u8).map(|n| state.lru.len(list(n)) as u64).sum()
        };
        match metric {
            Metric::NodeMemFreeBp(id) => free(id),
            Metric::NodeMemUsedBp(id) => free(id).map(|bp| 10_000 - bp),
            Metric::FreeMemRatePermille => {
                let free: usize = online().map(super::node::Node::free).sum();
                let all: usize = online().map(|n| n.frames.len()).sum();
                Ok(free as u64 * 1_000 / (all as u64).max(1))
            }
            Metric::ActiveMemBp | Metric::InactiveMemBp => {
                let (part, rest) = (listed(metric == Metric::ActiveMemBp), listed(metric != Metric::ActiveMemBp));
                Ok(if part + rest == 0 { 0 } else { Bp::of(part, part + rest).0.into() })
            }
            Metric::CpuLoadBp => Ok((state.busy / f64::from(state.spec.cpus) * 10_000.0) as u64),
            Metric::MemBandwidth => Ok(online().map(|n| n.utilisation * n.bandwidth).sum::<f64>() as u64),
            Metric::Promotions => Ok(state.bill.promoted / PAGE),
            Metric::SomeMemPsiUs => Ok((state.bill.programs_s() * 1e6) as u64),
            Metric::NodeBandwidthUsedBp(id) => node(id.0).map(|n| (n.utilisation * 10_000.0) as u64),
            Metric::NodeLatencyNs(id) => {
                node(id.0).map(|n| (n.latency_ns * stretch(state.costs.queueing, n.utilisation)) as u64)
            }
            other => Err(MetricError::new(other, "the tiered machine does not know it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiering::{Costs, Spec};

    #[test]
    fn a_block_belongs_to_the_range_that_most_of_it_is_in() {
        let spec: Spec = serde_json::from_str(
            r#"{"name": "small", "about": "two blocks", "block_mib": 4, "seconds": 1, "measure_from_s": 0, "cpus": 1,
            "nodes": [{"id": 0, "gib": 0.25, "kind": "dram"}, {"id": 1, "gib": 0.25, "kind": "cxl"}],
            "processes": [{"name": "p", "threads": 1, "cpu_ns": 500, "accesses": 5,
                "memory": [{"gib": 0.0625, "pattern": {"kind": "uniform"}}]}]}"#,
        )
        .unwrap();
        let host = Host::new(&spec, Costs::default(), 0).unwrap();
        host.advance(damon_core::Instant::ZERO);
        let mut backend = host.programs_memory();
        let dests = [damon_core::Dest { node: NodeId(1), weight: 1 }];
        let request = Request::new(Action::MigrateCold, &[], &dests);
        let mut moved = |start: u64, end: u64| {
            let range = AddrRange::new(start * PAGE, end * PAGE).unwrap();
            backend.apply(TargetId::new(0), range, &request).size >> 22
        };
        // A block is 1,024 pages. Where two ranges meet none is lost, and none is in both.
        assert_eq!([moved(1, 100), moved(100, 1_023)], [0, 1]);
        assert_eq!([moved(1_025, 2_500), moved(2_500, 2_561), moved(2_561, 4_000)], [1, 1, 1]);
    }
}
