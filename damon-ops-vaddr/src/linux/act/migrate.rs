//! Moving another process's pages to other nodes, and asking where they are.

use damon_core::{AddrRange, Dest, NodeId};

use super::{Done, ProcessError};
use crate::sys::{PageStatus, Pidfd, errno, move_to, nodes_of as query};

const CALL: &str = "move_pages";
/// Pages handed over in one call: a call drains every CPU's batches of pages first, so not too few; the kernel holds
/// them off their LRU lists meanwhile, so not too many.
const PAGES: usize = 512;
/// So often a call that stopped early is repeated with what it left.
const ROUNDS: u32 = 4;

/// Pages of one size, side by side: whole ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where.
    pub range: AddrRange,
    /// Bytes of each: the range starts and ends at multiples of it.
    pub page: u64,
}

/// Moves the pages of `runs` of `process` to `dests`, those that others map too only if `shared` says so.
///
/// Which node a page goes to is told by its address and the weights alone: page *n* of the address space, counted in its
/// own size, goes where *n* modulo the sum of weights falls. So a second time nothing moves, and neighbours spread.
/// [`Done::size`] counts what is on its node afterwards, what was there before included; pages that are not in memory
/// are left out and no error.
pub fn migrate(process: &Pidfd, runs: &[Run], dests: &[Dest], shared: bool) -> Done {
    let mut done = Done::default();
    let mut batch = Batch::default();
    for (i, dest) in dests.iter().enumerate().filter(|(_, dest)| dest.weight > 0) {
        for run in runs {
            let mut addr = run.range.start();
            while addr < run.range.end() {
                if chosen(dests, addr / run.page) == Some(i) {
                    batch.pages.push((addr, run.page));
                }
                if batch.pages.len() == PAGES && !batch.flush(process, dest.node, shared, &mut done) {
                    return done;
                }
                addr += run.page;
            }
        }
        if !batch.flush(process, dest.node, shared, &mut done) {
            return done;
        }
    }
    done
}

/// Which destination the page with number `n` goes to.
fn chosen(dests: &[Dest], n: u64) -> Option<usize> {
    let total: u64 = dests.iter().map(|dest| u64::from(dest.weight)).sum();
    let mut rest = n.checked_rem(total)?;
    dests.iter().position(|dest| {
        let weight = u64::from(dest.weight);
        let here = rest < weight;
        rest = rest.saturating_sub(weight);
        here
    })
}

/// Pages on their way to one node.
#[derive(Default)]
struct Batch {
    pages: Vec<(u64, u64)>,
    addrs: Vec<u64>,
    status: Vec<PageStatus>,
}

impl Batch {
    /// Moves what was gathered. False: there is no use in going on.
    fn flush(&mut self, process: &Pidfd, node: NodeId, shared: bool, done: &mut Done) -> bool {
        let mut first_refusal = None;
        for _ in 0..ROUNDS {
            if self.pages.is_empty() {
                return true;
            }
            let before = self.pages.len();
            self.addrs.clear();
            self.addrs.extend(self.pages.iter().map(|&(addr, _)| addr));
            done.calls += 1;
            let moved = move_to(process.pid(), &self.addrs, node.0, shared, &mut self.status);
            // Its pid may be another's by now: nothing that was answered counts.
            if !process.is_alive() {
                done.error.get_or_insert(ProcessError::Gone { pid: process.pid() });
                return false;
            }
            if let Err(source) = moved {
                return self.failed(process, node, source, done);
            }
            let told = self.status.iter().all(|s| s.node() == Some(node.0) || gone(*s));
            let said = std::mem::take(&mut self.status);
            if told {
                self.status.clone_from(&said);
            } else {
                // What failed in a group, or shares a large page with one that moved, is not told: it is asked for.
                done.calls += 1;
                if let Err(source) = query(process.pid(), &self.addrs, &mut self.status) {
                    return self.failed(process, node, source, done);
                }
            }
            let mut at = 0;
            let (status, size) = (&self.status, &mut done.size);
            self.pages.retain(|&(addr, bytes)| {
                let (is, was) = (status[at], said[at]);
                at += 1;
                if is.node() == Some(node.0) {
                    *size += bytes;
                    false
                } else if gone(is) {
                    false
                } else {
                    first_refusal.get_or_insert((addr, was.errno()));
                    true
                }
            });
            if self.pages.len() == before {
                break;
            }
        }
        if let Some(&(addr, _)) = self.pages.first() {
            let (pages, pid) = (self.pages.len() as u64, process.pid());
            let errno = first_refusal.filter(|&(first, _)| first == addr).and_then(|(_, errno)| errno);
            done.error.get_or_insert(ProcessError::Pages { pid, node, pages, addr, errno });
        }
        self.pages.clear();
        true
    }

    fn failed(&mut self, process: &Pidfd, node: NodeId, source: std::io::Error, done: &mut Done) -> bool {
        let pid = process.pid();
        self.pages.clear();
        let error = match source.raw_os_error() {
            Some(errno::ENODEV | errno::EACCES) => ProcessError::Node { pid, node, source },
            Some(errno::ESRCH) => ProcessError::Gone { pid },
            _ => ProcessError::NotAllowed { pid, call: CALL, source },
        };
        let go_on = !error.is_final();
        done.error.get_or_insert(error);
        go_on
    }
}

/// Not in memory, or no page at all: nothing to move.
fn gone(status: PageStatus) -> bool {
    matches!(status.errno(), Some(errno::ENOENT | errno::EFAULT))
}

/// The node of the page at each of `addrs` of `process`; `None` where none is in memory.
///
/// # Errors
/// When the process has ended or may not be traced.
pub fn nodes_of(process: &Pidfd, addrs: &[u64]) -> Result<Vec<Option<NodeId>>, ProcessError> {
    let mut status = Vec::new();
    let asked = query(process.pid(), addrs, &mut status);
    let pid = process.pid();
    match asked {
        _ if !process.is_alive() => Err(ProcessError::Gone { pid }),
        Ok(()) => Ok(status.into_iter().map(|s| s.node().map(NodeId)).collect()),
        Err(source) if source.raw_os_error() == Some(errno::ESRCH) => Err(ProcessError::Gone { pid }),
        Err(source) => Err(ProcessError::NotAllowed { pid, call: CALL, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_spread_by_weight_and_the_same_way_each_time() {
        let dest = |node, weight| Dest { node: NodeId(node), weight };
        let dests = [dest(0, 3), dest(1, 0), dest(2, 1)];
        let of: Vec<_> = (0..8).map(|n| chosen(&dests, n)).collect();
        assert_eq!(of, [0, 0, 0, 2, 0, 0, 0, 2].map(Some));
        assert_eq!(chosen(&[dest(0, 0)], 5), None);
        assert_eq!(chosen(&[], 5), None);
    }
}
