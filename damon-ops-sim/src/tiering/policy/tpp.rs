//! Promotion on the hint fault of what is active already, and demotion ahead of need.
//!
//! Counterpart: "TPP: Transparent Page Placement for CXL-Enabled Tiered-Memory", ASPLOS 2023, sections 5.1 to 5.3.

use damon_core::Instant;

use super::super::Host;
use super::super::bill::Payer;
use super::super::spec::Kind;
use super::reclaim::reclaim;
use super::scanner::Scanner;
use super::{Policy, PolicyError, TICK};

/// Demotion goes on until this part of a node is free, whatever allocation needs (`demote_scale_factor`, 2%).
const FREE: f64 = 0.02;

/// TPP's way.
#[derive(Debug, Default)]
pub struct Tpp {
    scanner: Scanner,
}

impl Policy for Tpp {
    fn name(&self) -> String {
        "tpp".into()
    }

    fn wake(&mut self, now: Instant, host: &Host) -> Result<Instant, PolicyError> {
        let mut state = host.lock();
        let state = &mut *state;
        for fault in state.take_faults() {
            let process = state.blocks[fault.block as usize].process;
            if !state.lru.of(fault.block).is_some_and(|l| l.active) {
                // It may be on its way to be cold: the next fault will tell.
                state.relist(fault.block, true);
                continue;
            }
            let Some(to) = state.nearest(process).first().copied() else { continue };
            let min = state.nodes[usize::from(to)].marks.min;
            state.migrate(fault.block, to, min, Payer::Program(process));
        }
        for node in 0..state.nodes.len() as u8 {
            let n = &state.nodes[usize::from(node)];
            if n.online && n.kind == Kind::Dram {
                let enough = (n.frames.len() as f64 * FREE) as usize;
                reclaim(state, node, enough, TICK.as_secs_f64());
            }
        }
        self.scanner.scan(state);
        Ok(now + TICK)
    }
}
