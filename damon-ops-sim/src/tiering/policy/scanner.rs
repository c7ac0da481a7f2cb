//! Makes memory of lower tiers fault when it is accessed next, a little at a time.
//!
//! Counterpart: `task_numa_work`, `task_numa_placement` (`kernel/sched/fair.c`, Linux 7.3), in tiering mode.

use super::super::spec::Kind;
use super::super::state::State;

/// Of a program's address space so much is armed in a period (`scan_size_mb`), and eight times that is passed at most.
const SCAN: u64 = 256 << 20;
const PASS: u64 = 8 * SCAN;
/// No more than 2,560 MiB are armed in a second: the shortest period of a program that has as much or more.
const SHORTEST: f64 = 0.1;
const LONGEST: f64 = 60.0;

/// Where it is in each program.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    programs: Vec<At>,
}

#[derive(Debug)]
struct At {
    block: usize,
    period: f64,
    next: f64,
}

impl Scanner {
    /// Arms what is due.
    pub(super) fn scan(&mut self, state: &mut State) {
        let size = state.spec.block();
        for place in 0..state.processes.len() {
            let p = &state.processes[place];
            let (runs, first, blocks, from) = (p.runs(), p.first, p.present, p.spec.start_s);
            if self.programs.len() <= place {
                // As many periods to a second as there are parts of 256 MiB.
                let shortest = (SCAN as f64 / (p.blocks as u64 * size).max(1) as f64).clamp(SHORTEST, 1.0);
                self.programs.push(At { block: 0, period: shortest, next: from + 1.0 });
            }
            let Some(at) = self.programs.get_mut(place) else { continue };
            while runs && at.next <= state.now {
                let (mut armed, mut passed) = (0, 0);
                while armed < SCAN && passed < PASS {
                    let block = first + at.block as u32;
                    passed += size;
                    let node = state.blocks[block as usize].node;
                    if node.is_some_and(|n| state.nodes[usize::from(n)].kind > Kind::Dram) {
                        state.arm(block);
                        armed += size;
                    }
                    at.block += 1;
                    if at.block >= blocks {
                        at.block = 0;
                        // All faults look private, which lengthens the period by three tenths after each pass.
                        at.period = (at.period * 1.3).min(LONGEST);
                        break;
                    }
                }
                // Blocks larger than what is scanned in a period take as many of them.
                at.next += at.period * (armed as f64 / SCAN as f64).max(1.0);
            }
        }
    }
}
