//! Acting on the machine's memory, at a cost.

use damon_core::{
    Action, AddrRange, Applied, ApplyOps, Instant, NodeId, PageFilter, Request, TargetId, Unsupported, passes,
};

use super::extents::{Extent, PAGE};
use super::state::{State, mul};
use super::{Machine, MachineError};
use crate::memory::Mapping;

/// Does a page of `e` pass the request's filters?
fn pass(req: &Request<'_>, mappings: &[Mapping], e: &Extent) -> bool {
    passes(req.filters, |page| match page {
        PageFilter::Active => e.active,
        PageFilter::Node(node) => e.node == node,
        PageFilter::HugepageSize { min, max } => {
            let block = mappings.get(e.mapping).map_or(PAGE, |m| m.block.max(PAGE).next_power_of_two());
            (min..=max).contains(&block)
        }
        other => mappings.get(e.mapping).is_some_and(|m| m.has.contains(&other)),
    })
}

impl State {
    fn supports(&self, req: &Request<'_>) -> Result<(), Unsupported> {
        let no = |why| Err(Unsupported::new(req.action, why));
        if req.filters.iter().any(|f| f.page == PageFilter::Young) {
            return no("which page was accessed since when is not kept: leave the young filter out");
        }
        match req.action {
            Action::Pageout | Action::Willneed | Action::Cold | Action::LruPrio | Action::LruDeprio | Action::Stat => {
                Ok(())
            }
            Action::MigrateHot | Action::MigrateCold => {
                if !req.dests.iter().any(|d| d.weight > 0) {
                    return no("it needs a destination of some weight");
                }
                match req.dests.iter().all(|d| self.nodes.iter().any(|n| n.0 == d.node)) {
                    true => Ok(()),
                    false => no("the machine has no such node: name one that it was made with"),
                }
            }
            _ => no("the simulated machine has neither huge pages nor actions of its own"),
        }
    }

    fn apply(&mut self, id: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<MachineError> {
        self.settle();
        if self.supports(req).is_err() {
            return Applied::failed(MachineError::NotSupported);
        }
        if matches!(req.action, Action::MigrateHot | Action::MigrateCold) {
            return self.migrate(id, range, req);
        }
        let costs = self.costs;
        let Some(held) = self.targets.get_mut(&id) else { return Applied::failed(MachineError::NoTarget(id)) };
        let (mut applied, mut passed, mut looked, mut moved) = (0, 0, 0, 0);
        let mappings = &held.mappings;
        held.extents.within(range, |e| {
            looked += e.pages();
            if !pass(req, mappings, e) {
                return;
            }
            // Swapped pages are on no list: only reading in is about them.
            let about = if req.action == Action::Willneed { e.pages() } else { e.resident() };
            passed += about;
            match req.action {
                Action::Pageout => {
                    moved += e.resident();
                    e.swapped = e.pages();
                }
                Action::Willneed => {
                    moved += e.swapped;
                    e.swapped = 0;
                }
                Action::LruPrio => e.active = true,
                Action::Cold | Action::LruDeprio => e.active = false,
                _ => return,
            }
            applied += about;
        });
        let cost = if req.action == Action::Pageout { costs.pageout } else { costs.willneed };
        if req.action == Action::Pageout {
            self.usage.paged_out += moved;
        }
        let took = mul(costs.walk, looked) + mul(cost, moved);
        self.usage.acting += took;
        Applied { size: applied * PAGE, filter_passed: passed * PAGE, took, error: None }
    }

    /// Each destination gets, of consecutive addresses, its weight's share.
    fn migrate(&mut self, id: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<MachineError> {
        let all: u128 = req.dests.iter().map(|d| u128::from(d.weight)).sum();
        let (mut weights, mut start) = (0, range.start());
        let (mut moved, mut passed) = (0, 0);
        for dest in req.dests {
            weights += u128::from(dest.weight);
            let end = match weights == all {
                true => range.end(),
                false => range.start() + (u128::from(range.size() / PAGE) * weights / all) as u64 * PAGE,
            };
            let Some(part) = AddrRange::new(start, end) else { continue };
            start = end;
            let room = self.free(dest.node);
            let Some(held) = self.targets.get_mut(&id) else { return Applied::failed(MachineError::NoTarget(id)) };
            let mappings = &held.mappings;
            held.extents.within(part, |e| passed += if pass(req, mappings, e) { e.resident() } else { 0 });
            let from = held.extents.migrate(part, dest.node, room, |e| pass(req, mappings, e));
            let rank = |node: NodeId| self.nodes.iter().position(|n| n.0 == node);
            for (node, pages) in from {
                moved += pages;
                if rank(dest.node) < rank(node) {
                    self.usage.promoted += pages;
                }
            }
        }
        let took = mul(self.costs.walk, range.size() / PAGE) + mul(self.costs.migrate, moved);
        self.usage.migrated += moved;
        self.usage.acting += took;
        Applied { size: moved * PAGE, filter_passed: passed * PAGE, took, error: None }
    }

    fn verify(&mut self, id: TargetId, range: AddrRange, req: &Request<'_>) -> Result<Option<u64>, MachineError> {
        self.settle();
        let held = self.targets.get_mut(&id).ok_or(MachineError::NoTarget(id))?;
        let in_effect = |e: &Extent| {
            Some(match req.action {
                Action::Pageout => e.swapped,
                Action::Willneed => e.resident(),
                Action::LruPrio => u64::from(e.active) * e.resident(),
                Action::Cold | Action::LruDeprio => u64::from(!e.active) * e.resident(),
                Action::MigrateHot | Action::MigrateCold => {
                    u64::from(req.dests.iter().any(|d| d.node == e.node)) * e.resident()
                }
                _ => return None,
            })
        };
        let mut sum = Some(0);
        held.extents.within(range, |e| sum = sum.zip(in_effect(e)).map(|(sum, pages)| sum + pages * PAGE));
        Ok(sum)
    }
}

impl ApplyOps for Machine {
    type Error = MachineError;

    fn supports(&self, target: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        let _ = target;
        self.lock().supports(req)
    }

    fn open(&mut self, _: Instant) -> Result<(), MachineError> {
        self.lock().settle();
        Ok(())
    }

    fn apply(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<MachineError> {
        self.lock().apply(target, range, req)
    }

    fn verify(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Result<Option<u64>, MachineError> {
        self.lock().verify(target, range, req)
    }
}
