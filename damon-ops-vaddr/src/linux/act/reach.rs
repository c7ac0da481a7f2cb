//! To which nodes pages of processes may be moved: as far as their cpusets go, and their mappings' memory policies.
//!
//! Counterpart: `do_pages_move` (`mm/migrate.c`, Linux 7.3), which asks for the cpuset alone, once for each call.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use damon_core::{AddrRange, Dest, NodeId};

use crate::linux::{Policies, parse_mems_allowed};

/// What is read of a process is read again after so many times as long as it took for all processes: a hundredth of one CPU at most.
const RARELY: u32 = 100;

/// Why memory may not go to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The process's cpuset has no such node.
    Cpuset,
    /// The mapping's memory policy names others, or each page's own.
    Policy,
}

/// What processes' files say of it. Each is read when it is asked for, and kept.
#[derive(Debug)]
pub(crate) struct Reach {
    root: PathBuf,
    policies_too: bool,
    cpusets: Readings<Option<Vec<u16>>>,
    policies: Readings<Policies>,
}

impl Reach {
    /// On the machine whose files are under `root`; with or without memory policies.
    pub(crate) fn new(root: &Path, policies_too: bool) -> Self {
        Self { root: root.into(), policies_too, cpusets: Readings::default(), policies: Readings::default() }
    }

    /// Before a number of questions: what is old by now is read again when it is asked for.
    pub(crate) fn renew(&mut self) {
        self.cpusets.renew(Instant::now());
        self.policies.renew(Instant::now());
    }

    /// Takes out of `parts` of the memory of `pid` what may not go to every one of `dests`: how many bytes, and why. With `known` only
    /// as far as that was asked without it before, so that who only looks does not go through page tables.
    pub(crate) fn cut(
        &mut self,
        pid: u32,
        parts: &mut Vec<AddrRange>,
        dests: &[Dest],
        known: bool,
    ) -> [(Kept, u64); 2] {
        let size = |parts: &[AddrRange]| parts.iter().map(|part| part.size()).sum::<u64>();
        let nodes = || dests.iter().filter(|dest| dest.weight > 0).map(|dest| dest.node);
        let before = size(parts);
        if nodes().next().is_none() || before == 0 {
            return [(Kept::Cpuset, 0), (Kept::Policy, 0)];
        }
        if !nodes().all(|node| self.allows(pid, node, known)) {
            parts.clear();
        }
        let allowed = size(parts);
        if let Some(policies) = self.policies(pid, known).filter(|_| allowed > 0) {
            let let_go = |&part: &AddrRange| {
                let parts = policies.parts(part).filter(|(_, policy)| nodes().all(|node| policy.lets(node)));
                parts.map(|(part, _)| part).collect::<Vec<_>>()
            };
            *parts = parts.iter().flat_map(let_go).collect();
        }
        [(Kept::Cpuset, before - allowed), (Kept::Policy, allowed - size(parts))]
    }

    /// Why the page of `pid` at `addr` may not go to every one of `dests`; `None` where it may.
    pub(crate) fn keeps(&mut self, pid: u32, addr: u64, dests: &[Dest]) -> Option<Kept> {
        let mut nodes = dests.iter().filter(|dest| dest.weight > 0).map(|dest| dest.node);
        if !nodes.clone().all(|node| self.allows(pid, node, false)) {
            return Some(Kept::Cpuset);
        }
        let policy = self.policies(pid, false)?.at(addr);
        (!nodes.all(|node| policy.lets(node))).then_some(Kept::Policy)
    }

    /// Is the node in the cpuset? What cannot be read keeps nothing: the kernel refuses what it will not do.
    fn allows(&mut self, pid: u32, node: NodeId, known: bool) -> bool {
        let read = || parse_mems_allowed(&std::fs::read(self.root.join(format!("proc/{pid}/status"))).ok()?);
        let nodes = self.cpusets.get(pid, known, read).and_then(Option::as_ref);
        nodes.is_none_or(|nodes| nodes.contains(&node.0))
    }

    fn policies(&mut self, pid: u32, known: bool) -> Option<&Policies> {
        if !self.policies_too {
            return None;
        }
        // A kernel without NUMA has no such file, and nothing to move.
        let read = || Policies::read(&self.root.join(format!("proc/{pid}/numa_maps"))).unwrap_or_default();
        self.policies.get(pid, known, read)
    }
}

/// Values that take time to read, one of each process.
#[derive(Debug)]
struct Readings<T> {
    of: BTreeMap<u32, Reading<T>>,
    /// As of the last [`renew`](Self::renew).
    now: Instant,
    /// How long it took to read all that are kept.
    took: Duration,
}

#[derive(Debug)]
struct Reading<T> {
    value: T,
    at: Instant,
    took: Duration,
    /// Somebody asked for it since the last [`renew`](Readings::renew).
    asked: bool,
}

impl<T> Default for Readings<T> {
    fn default() -> Self {
        Self { of: BTreeMap::new(), now: Instant::now(), took: Duration::ZERO }
    }
}

impl<T> Readings<T> {
    fn is_old(&self, reading: &Reading<T>) -> bool {
        self.now.saturating_duration_since(reading.at) >= self.took.saturating_mul(RARELY)
    }

    /// It is `now`; what nobody asks for any more is forgotten, once it is old: processes end.
    fn renew(&mut self, now: Instant) {
        self.now = now;
        let old: Vec<u32> = self.of.iter().filter(|(_, r)| !r.asked && self.is_old(r)).map(|(pid, _)| *pid).collect();
        for pid in old {
            self.took -= self.of.remove(&pid).map_or(Duration::ZERO, |gone| gone.took);
        }
        self.of.values_mut().for_each(|reading| reading.asked = false);
    }

    /// What is known of `pid`: of one that is new it is read, unless `known` asks for the others alone; and it is read again where it is
    /// old.
    fn get(&mut self, pid: u32, known: bool, read: impl FnOnce() -> T) -> Option<&T> {
        if self.of.get(&pid).map_or(!known, |reading| reading.at < self.now && self.is_old(reading)) {
            let started = Instant::now();
            let value = read();
            self.put(pid, value, started.elapsed());
        }
        self.of.get_mut(&pid).map(|reading| {
            reading.asked = true;
            &reading.value
        })
    }

    fn put(&mut self, pid: u32, value: T, took: Duration) {
        let before = self.of.insert(pid, Reading { value, at: self.now, took, asked: true });
        self.took = self.took + took - before.map_or(Duration::ZERO, |before| before.took);
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::super::words::fake::Root;
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn r(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start, end).unwrap()
    }

    fn to(node: u16) -> Dest {
        Dest { node: NodeId(node), weight: 1 }
    }

    /// 10 may use both nodes and has bound what is from 0x3000 to 0x5000 to node 0; 11 may use node 1 alone; of 12 nothing is told.
    fn machine() -> Root {
        let root = Root::new();
        root.put_bytes("proc/10/status", b"Mems_allowed_list:\t0-1\n");
        root.put_bytes("proc/10/numa_maps", b"1000 default anon=1\n3000 bind:0 anon=2\n5000 default anon=9\n");
        root.put_bytes("proc/11/status", b"Mems_allowed_list:\t1\n");
        root.put_bytes("proc/11/numa_maps", b"1000 default anon=1\n");
        root
    }

    #[test]
    fn what_a_cpuset_or_a_policy_keeps_is_taken_out_and_counted() {
        let root = machine();
        let mut reach = Reach::new(root.path(), true);
        let mut cut = |pid, dests: &[Dest]| {
            let mut parts = vec![r(0x1000, 0x2000), r(0x2800, 0x6000)];
            let [(_, cpuset), (_, policy)] = reach.cut(pid, &mut parts, dests, false);
            (parts, cpuset, policy)
        };
        let all = vec![r(0x1000, 0x2000), r(0x2800, 0x6000)];
        let free = vec![r(0x1000, 0x2000), r(0x2800, 0x3000), r(0x5000, 0x6000)];
        assert_eq!(cut(10, &[to(1)]), (free.clone(), 0, 0x2000));
        assert_eq!(cut(10, &[to(0), to(1)]), (free, 0, 0x2000), "to each of them");
        assert_eq!(cut(10, &[to(0), Dest { weight: 0, ..to(1) }]).2, 0, "nothing goes there");
        assert_eq!(cut(11, &[to(0)]), (vec![], 0x4800, 0));
        assert_eq!(cut(11, &[to(0), to(1)]), (vec![], 0x4800, 0), "to each of them");
        assert_eq!(cut(11, &[to(1)]).1, 0);
        assert_eq!(cut(12, &[to(0)]), (all, 0, 0), "the kernel refuses what it will not do");
    }

    #[test]
    fn a_page_is_kept_as_its_part_is_and_policies_only_where_they_are_heeded() {
        let root = machine();
        let mut reach = Reach::new(root.path(), true);
        assert_eq!(reach.keeps(10, 0x2fff, &[to(1)]), None);
        assert_eq!(reach.keeps(10, 0x3000, &[to(1)]), Some(Kept::Policy));
        assert_eq!(reach.keeps(10, 0x3000, &[to(0)]), None);
        assert_eq!(reach.keeps(11, 0x3000, &[to(0)]), Some(Kept::Cpuset));
        let mut reach = Reach::new(root.path(), false);
        assert_eq!(reach.keeps(10, 0x3000, &[to(1)]), None);
        assert_eq!(reach.keeps(11, 0x3000, &[to(0)]), Some(Kept::Cpuset), "the kernel would refuse it");
    }

    #[test]
    fn who_only_looks_reads_nothing_of_processes_that_nothing_was_moved_of() {
        let root = machine();
        let mut reach = Reach::new(root.path(), true);
        let mut left = |known| {
            let mut parts = vec![r(0x3000, 0x4000)];
            reach.cut(10, &mut parts, &[to(1)], known);
            parts.len()
        };
        assert_eq!([left(true), left(false), left(true)], [1, 0, 0]);
    }

    #[test]
    fn all_readings_together_take_a_hundredth_of_the_time() {
        let mut readings = Readings::default();
        let start = readings.now;
        for pid in 0..4 {
            readings.put(pid, 0, 5 * MS);
        }
        let mut read = 0;
        for ms in 1..=8_000 {
            readings.renew(start + ms * MS);
            for pid in 0..4 {
                readings.of.get_mut(&pid).unwrap().asked = true;
                if readings.is_old(&readings.of[&pid]) {
                    readings.put(pid, ms, 5 * MS);
                    read += 1;
                }
            }
        }
        assert_eq!(read, 4 * 4, "5 ms each of 16 in 8 s");
        readings.renew(start + 8_000 * MS);
        readings.renew(start + 9_000 * MS);
        assert_eq!((readings.of.len(), readings.took), (4, 20 * MS), "not old yet");
        readings.renew(start + 10_000 * MS);
        assert_eq!((readings.of.len(), readings.took), (0, Duration::ZERO), "nobody asked any more");
    }

    #[test]
    fn a_change_is_seen_when_the_reading_is_old_and_not_before() {
        let root = machine();
        let mut reach = Reach::new(root.path(), true);
        assert_eq!(reach.keeps(11, 0, &[to(0)]), Some(Kept::Cpuset));
        root.put_bytes("proc/11/status", b"Mems_allowed_list:\t0-1\n");
        assert_eq!(reach.keeps(11, 0, &[to(0)]), Some(Kept::Cpuset), "the same application");
        reach.cpusets.put(11, Some(vec![1]), MS);
        reach.cpusets.renew(reach.cpusets.now + 100 * MS);
        reach.cpusets.of.get_mut(&11).unwrap().took = MS;
        assert_eq!(reach.keeps(11, 0, &[to(0)]), None);
    }
}
