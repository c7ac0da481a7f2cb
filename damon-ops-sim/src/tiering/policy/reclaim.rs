//! Makes room on a node by demoting what its LRU lists take for cold.
//!
//! Counterpart: `shrink_lruvec`, `inactive_is_low`, `demote_folio_list` (`mm/vmscan.c`, Linux 7.3).

use super::super::bill::Payer;
use super::super::lru::List;
use super::super::state::State;

/// Reclaims from `node` until `enough` blocks are free, or `seconds` of CPU time are used up. True if they are free.
pub(super) fn reclaim(state: &mut State, node: u8, enough: usize, seconds: f64) -> bool {
    let lists = [List { node, active: false }, List { node, active: true }];
    let below = state.below(node);
    let look = state.pages() * state.costs.lru_ns * 1e-9;
    let started = state.bill.kernel_s();
    while state.nodes[usize::from(node)].free() < enough {
        if state.bill.kernel_s() - started >= seconds {
            return false;
        }
        if inactive_is_low(state, lists) {
            if let Some(block) = state.lru.oldest(lists[1]) {
                // Anonymous memory is deactivated even if it was accessed, and its bit is taken.
                state.charge_walk(look);
                state.test_and_clear_accessed(block);
                state.lru.put(block, lists[0]);
            }
        }
        let Some(block) = state.lru.oldest(lists[0]) else { return false };
        state.charge_walk(look);
        if state.test_and_clear_accessed(block) {
            state.lru.put(block, lists[1]);
            continue;
        }
        let to = |&n: &u8| state.nodes[usize::from(n)].free() > state.nodes[usize::from(n)].marks.min;
        // Without room below nothing can be done: there is no swap.
        let Some(&to) = below.iter().find(|n| to(n)) else { return false };
        let keep = state.nodes[usize::from(to)].marks.min;
        if !state.migrate(block, to, keep, Payer::Reclaim) {
            return false;
        }
        // It was found cold: there it begins as inactive.
        state.relist(block, false);
    }
    true
}

fn inactive_is_low(state: &State, [inactive, active]: [List; 2]) -> bool {
    let (inactive, active) = (state.lru.len(inactive) as f64, state.lru.len(active) as f64);
    let gib = (inactive + active) * state.spec.block() as f64 / (1u64 << 30) as f64;
    let ratio = (10.0 * gib.floor()).sqrt().floor().max(1.0);
    inactive * ratio < active
}
