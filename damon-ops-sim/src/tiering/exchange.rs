//! Takes memory out of the upper tier and other memory in, whatever the policy does.
//!
//! Counterpart: the workload behind the published gains of DAMON-based tiering, in which DAMON moved 10 GiB each way once a minute,
//! by thresholds so coarse that what was moved was as if chosen by chance.

use damon_core::Rng;

use super::bill::Payer;
use super::spec::Kind;
use super::state::State;
use crate::chance::draw;

/// DAMON's default limit of regions.
const REGIONS: usize = 1_000;

/// How far it is.
#[derive(Debug)]
pub(super) struct Exchanging {
    /// Half turns so far: odd ones take memory down, even ones up.
    turns: u64,
    /// Frames that it still takes in this one: as with a quota of DAMON's, also those that are free, and those for which is no room.
    left: usize,
    /// The node and the frame that are next, and how many are taken there one after the other.
    run: (u8, usize, usize),
    /// CPU time that its thread may still use.
    time: f64,
    rng: Rng,
}

impl Exchanging {
    pub(super) fn new(seed: u64) -> Self {
        Self { turns: 0, left: 0, run: (0, 0, 0), time: 0.0, rng: Rng::new(draw(seed, 0x6578_6368)) }
    }
}

impl State {
    /// Moves what one thread can move in a step of so many seconds.
    pub(super) fn exchange(&mut self, passed: f64) {
        let Some(spec) = self.spec.exchange else { return };
        let half = spec.every_s / 2.0;
        while (self.exchanging.turns + 1) as f64 * half <= self.now {
            self.exchanging.turns += 1;
            self.exchanging.left = self.spec.blocks(spec.gib);
        }
        let down = self.exchanging.turns % 2 == 1;
        let each = self.pages() * self.costs.migrate_ns * 1e-9;
        // What is left of a step is used in the next, so that blocks may take longer than a step.
        self.exchanging.time = (self.exchanging.time + passed).min(each.max(passed));
        while self.exchanging.left > 0 && self.exchanging.time >= each {
            let Some((from, frame)) = self.exchange_next(down) else { break };
            self.exchanging.left -= 1;
            let Some(block) = self.nodes[usize::from(from)].frames[frame] else { continue };
            let to = if down { self.below(from) } else { self.nearest(self.blocks[block as usize].process) };
            let room = |n: &u8| {
                let n = &self.nodes[usize::from(*n)];
                (n.kind == Kind::Dram) != down && n.free() > n.marks.min
            };
            if let Some(to) = to.into_iter().find(room) {
                self.migrate(block, to, self.nodes[usize::from(to)].marks.min, Payer::Exchange);
                self.exchanging.time -= each;
            }
        }
    }

    /// The frame that is next: as many in a row as a region of DAMON has that has a thousand of them for a node.
    fn exchange_next(&mut self, down: bool) -> Option<(u8, usize)> {
        let (node, frame, left) = self.exchanging.run;
        let of = |n: &super::node::Node| n.online && (n.kind == Kind::Dram) == down;
        if left > 0 && self.nodes.get(usize::from(node)).is_some_and(|n| of(n) && frame < n.frames.len()) {
            self.exchanging.run = (node, frame + 1, left - 1);
            return Some((node, frame));
        }
        let all: usize = self.nodes.iter().filter(|n| of(n)).map(|n| n.frames.len()).sum();
        let mut at = if all > 0 { self.exchanging.rng.below(all as u64) as usize } else { return None };
        for (i, n) in self.nodes.iter().enumerate().filter(|n| of(n.1)) {
            if at < n.frames.len() {
                self.exchanging.run = (i as u8, at + 1, (n.frames.len() / REGIONS).saturating_sub(1));
                return Some((i as u8, at));
            }
            at -= n.frames.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use damon_core::Instant;
    use std::time::Duration;

    use super::super::{Costs, Host, Spec};

    #[test]
    fn frames_are_taken_down_and_up_at_the_speed_of_one_thread_and_no_policy_is_charged() {
        let spec: Spec = serde_json::from_str(
            r#"{"name": "x", "about": "", "block_mib": 4, "seconds": 100, "measure_from_s": 0, "cpus": 8,
            "exchange": {"gib": 2, "every_s": 20},
            "nodes": [{"id": 0, "gib": 8, "kind": "dram"}, {"id": 1, "gib": 8, "kind": "cxl"}],
            "processes": [{"name": "db", "threads": 1, "cpu_ns": 500, "accesses": 5, "memory": [{"gib": 9, "pattern":
                {"kind": "uniform"}}]}]}"#,
        )
        .unwrap();
        let host = Host::new(&spec, Costs::default(), 1).unwrap();
        let to = |s: f64| host.advance(Instant::ZERO + Duration::from_secs_f64(s));
        let exchanged = || host.bill().exchanged;
        let upper = || host.nodes()[0].range.size() - host.nodes()[0].free;
        to(9.9);
        let before = upper();
        assert_eq!(exchanged(), 0);
        // 2 GiB are 524,288 pages of 3 µs: 1.6 s.
        to(10.8);
        assert!((1 << 29..3 << 29).contains(&exchanged()), "{}", exchanged());
        to(19.9);
        // All but frames that are free, some of them since this turn.
        let down = exchanged();
        assert_eq!(down, before - upper());
        assert!((1_700..2_048).contains(&(down >> 20)), "{} MiB", down >> 20);
        to(29.9);
        // 3 of the 8 GiB below are in use, and as much of what is taken up.
        let up = exchanged() - down;
        assert_eq!(upper(), before - down + up);
        assert!((500..1_000).contains(&(up >> 20)), "{} MiB", up >> 20);
        let bill = host.bill();
        assert_eq!((bill.promoted, bill.demoted, bill.kernel_s()), (0, 0, 0.0));
    }
}
