//! Promotion on hint faults, demotion by reclaim.
//!
//! Counterpart: `should_numa_migrate_memory` (`kernel/sched/fair.c`), `migrate_misplaced_folio` (`mm/migrate.c`), Linux 7.3,
//! with `numa_balancing` 2 and `demotion_enabled`.

use damon_core::Instant;

use super::super::Host;
use super::super::bill::Payer;
use super::super::spec::Kind;
use super::super::state::State;
use super::reclaim::reclaim;
use super::scanner::Scanner;
use super::{Policy, PolicyError, TICK};

/// Seconds between arming and fault below which memory is hot, at first (`hot_threshold_ms`); at most twice that.
const HOT: f64 = 1.0;
/// Bytes a second that may be candidates for promotion (`promote_rate_limit_MBps`).
const RATE_LIMIT: f64 = 65_536.0 * (1 << 20) as f64;
/// The threshold follows the rate of candidates so often, in steps of a sixteenth of its range.
const ADJUST: f64 = 60.0;

/// The kernel's NUMA balancing in tiering mode.
#[derive(Debug)]
pub struct NumaBalancing {
    scanner: Scanner,
    threshold: f64,
    adjusted: f64,
    /// Bytes since then that were hot.
    candidates: f64,
    /// Candidates of the second that runs, and when it began.
    second: (f64, f64),
    /// Nodes whose reclaim goes on until there is room to promote to.
    reclaiming: u32,
}

impl Default for NumaBalancing {
    fn default() -> Self {
        Self {
            scanner: Scanner::default(),
            threshold: HOT,
            adjusted: 0.0,
            candidates: 0.0,
            second: (0.0, 0.0),
            reclaiming: 0,
        }
    }
}

impl NumaBalancing {
    /// Is a page promoted that faulted so long after it was armed?
    fn is_hot(&mut self, state: &State, to: u8, latency: f64) -> bool {
        let n = &state.nodes[usize::from(to)];
        let size = state.spec.block() as f64;
        // With plenty of memory free, a sixteenth and at least 1 GiB, everything is promoted.
        let plenty = (n.frames.len() / 16).max(((1u64 << 30) / state.spec.block()) as usize);
        if n.free() >= n.marks.promo + plenty {
            return true;
        }
        if state.now - self.adjusted >= ADJUST {
            let (reference, step) = (RATE_LIMIT * ADJUST, HOT * 2.0 / 16.0);
            if self.candidates > reference * 1.1 {
                self.threshold = (self.threshold - step).max(step);
            } else if self.candidates < reference * 0.9 {
                self.threshold = (self.threshold + step).min(2.0 * HOT);
            }
            (self.adjusted, self.candidates) = (state.now, 0.0);
        }
        if latency >= self.threshold {
            return false;
        }
        self.candidates += size;
        if state.now - self.second.1 >= 1.0 {
            self.second = (0.0, state.now);
        }
        self.second.0 += size;
        self.second.0 <= RATE_LIMIT
    }
}

impl Policy for NumaBalancing {
    fn name(&self) -> String {
        "numab".into()
    }

    fn wake(&mut self, now: Instant, host: &Host) -> Result<Instant, PolicyError> {
        let mut state = host.lock();
        let state = &mut *state;
        for fault in state.take_faults() {
            let process = state.blocks[fault.block as usize].process;
            // The node of the CPU that faulted.
            let Some(to) = state.nearest(process).first().copied() else { continue };
            if !self.is_hot(state, to, fault.latency) {
                continue;
            }
            let high = state.nodes[usize::from(to)].marks.high;
            if !state.migrate(fault.block, to, high, Payer::Program(process)) {
                self.reclaiming |= 1 << to;
            }
        }
        for node in 0..state.nodes.len() as u8 {
            let n = &state.nodes[usize::from(node)];
            if self.reclaiming & (1 << node) == 0 || !n.online || n.kind != Kind::Dram {
                continue;
            }
            let promo = n.marks.promo;
            if reclaim(state, node, promo, TICK.as_secs_f64()) {
                self.reclaiming &= !(1 << node);
            }
        }
        self.scanner.scan(state);
        Ok(now + TICK)
    }
}
