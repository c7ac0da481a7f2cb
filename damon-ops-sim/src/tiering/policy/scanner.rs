//! Makes memory of lower tiers fault when it is accessed next, a little at a time.
//!
//! Counterpart: `task_numa_work`, `task_scan_min`, `task_scan_max`, `update_task_scan_period` (`kernel/sched/fair.c`, Linux 7.3), in
//! tiering mode.

use super::super::spec::Kind;
use super::super::state::State;

/// So much of a program's address space is passed at once (`scan_size_mb`): in a period once, or up to eight times until something was armed.
const SCAN: u64 = 256 << 20;
const WINDOWS: usize = 8;
/// Seconds in which all memory of a program is to be passed, at the fastest and at the slowest.
const PASS: (f64, f64) = (1.0, 60.0);
/// But the shortest period is that of 2,560 MiB a second.
const SHORTEST: f64 = 0.1;
/// A thread runs 32 times as long as it spent on this before it does so again.
const SPENT: f64 = 32.0;

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
            let threads = p.spec.threads.max(1.0);
            let (shortest, longest) = periods(blocks as u64 * size);
            if self.programs.len() <= place {
                self.programs.push(At { block: 0, period: shortest, next: from + 1.0 });
            }
            let Some(at) = self.programs.get_mut(place) else { continue };
            while runs && at.next <= state.now {
                let before = state.bill.arming_s;
                for _ in 0..WINDOWS {
                    let until = (at.block + (SCAN / size).max(1) as usize).min(blocks);
                    let mut armed = false;
                    for block in at.block..until {
                        let block = first + block as u32;
                        let node = state.blocks[block as usize].node;
                        let lower = node.is_some_and(|n| state.nodes[usize::from(n)].kind > Kind::Dram);
                        armed |= lower && state.arm(block);
                    }
                    // Whether a page is armed is asked of each; arming is paid on top of that.
                    let asked = (until - at.block) as f64 * state.pages() * state.costs.walk_ns * 1e-9;
                    state.bill.arming_s += asked;
                    state.processes[place].debt += asked;
                    at.block = until;
                    if at.block >= blocks {
                        at.block = 0;
                        // All faults look private, which lengthens the period by three tenths after each pass.
                        at.period *= 1.3;
                        break;
                    }
                    if armed {
                        break;
                    }
                }
                at.period = at.period.clamp(shortest, longest);
                // Blocks larger than what is scanned in a period take as many of them.
                let period = at.period * (size as f64 / SCAN as f64).max(1.0);
                at.next += period.max((state.bill.arming_s - before) * SPENT / threads);
            }
        }
    }
}

/// The shortest and the longest period of a program with so much memory.
fn periods(bytes: u64) -> (f64, f64) {
    let windows = bytes.div_ceil(SCAN).max(1) as f64;
    let shortest = (PASS.0 / windows).max(SHORTEST);
    (shortest, (PASS.1 / windows).max(shortest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use damon_core::Instant;

    use super::super::super::{Costs, Host, Spec};
    use super::*;

    /// So many MiB of a program of 6 GiB, which begins with 4 GiB in DRAM, are armed after so many periods of 100 ms.
    fn armed(periods: u32) -> f64 {
        let spec: Spec = serde_json::from_str(
            r#"{"name": "s", "about": "", "block_mib": 4, "seconds": 100, "measure_from_s": 0, "cpus": 8,
            "nodes": [{"id": 0, "gib": 4.2, "kind": "dram"}, {"id": 1, "gib": 4, "kind": "cxl"}],
            "processes": [{"name": "db", "threads": 8, "cpu_ns": 500, "memory": [{"gib": 6, "pattern": {"kind": "idle"}}]}]}"#,
        )
        .unwrap();
        let costs = Costs { walk_ns: 0.0, ..Costs::default() };
        let host = Host::new(&spec, costs, 0).unwrap();
        let mut scanner = Scanner::default();
        for period in 0..=periods {
            host.advance(Instant::ZERO + Duration::from_secs(1) + Duration::from_millis(100) * period);
            scanner.scan(&mut host.lock());
        }
        let state = host.lock();
        state.armed.len() as f64 * 4.0
    }

    #[test]
    fn a_period_passes_256_mib_with_something_to_arm_and_2_gib_without() {
        // Two pass what is in DRAM but for its end, one that; from then on it is a window each.
        let (two, four, six) = (armed(1), armed(3), armed(5));
        assert!(two == 0.0 && four <= 256.0 && six - four == 512.0, "{two} {four} {six}");
    }

    #[test]
    fn a_thread_runs_32_times_as_long_as_it_scanned() {
        let spec: Spec = serde_json::from_str(
            r#"{"name": "s", "about": "", "block_mib": 4, "seconds": 100, "measure_from_s": 0, "cpus": 8,
            "nodes": [{"id": 0, "gib": 33, "kind": "dram"}, {"id": 1, "gib": 1, "kind": "cxl"}],
            "processes": [{"name": "db", "threads": 1, "cpu_ns": 500, "memory": [{"gib": 32, "pattern": {"kind": "idle"}}]}]}"#,
        )
        .unwrap();
        let host = Host::new(&spec, Costs::default(), 0).unwrap();
        let mut scanner = Scanner::default();
        for tick in 0..600 {
            host.advance(Instant::ZERO + Duration::from_millis(100) * tick);
            scanner.scan(&mut host.lock());
        }
        // For 59 s; the last time may not be over yet.
        let spent = host.bill().arming_s;
        assert!((1.5..59.0 / 32.0 + 0.1).contains(&spent), "{spent}");
    }

    #[test]
    fn periods_get_shorter_with_memory_and_those_of_much_memory_are_the_shortest_for_ever() {
        assert_eq!(periods(0), (1.0, 60.0));
        assert_eq!(periods(1 << 30), (0.25, 15.0));
        assert_eq!(periods(10 << 30), (0.1, 1.5));
        // As large programs in their 100 ms: `task_scan_max` is the larger of 60 s over the windows and the shortest.
        assert_eq!(periods(270 << 30), (0.1, 0.1));
    }
}
