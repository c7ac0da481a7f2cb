//! The limit: knows which memory will be accessed how often, and what moving it costs.

use std::time::Duration;

use damon_core::Instant;

use super::super::Host;
use super::super::bill::Payer;
use super::super::load::{Channel, solve};
use super::super::state::State;
use super::{Policy, PolicyError};

/// How often it looks, how far ahead, and at how many times in between.
const LOOK: Duration = Duration::from_secs(5);
const AHEAD: f64 = 60.0;
const TIMES: u32 = 6;
/// Above this utilisation of some node it asks whether traffic should go elsewhere.
const BUSY: f64 = 0.4;
/// Another part of the traffic is kept away from the nearest node only where that is worth so much.
const WORTH: f64 = 1.005;

/// Places memory by the accesses that are to come: what saves most waiting goes nearest, unless a node is short of bandwidth,
/// and nothing is moved that does not pay for being moved.
#[derive(Debug, Default)]
pub struct Oracle {
    spill: f64,
    /// The other way around: a policy that must come out worst.
    backwards: bool,
}

impl Oracle {
    /// The same, mistaken: what is accessed least goes nearest.
    pub fn backwards() -> Self {
        Self { backwards: true, ..Self::default() }
    }
}

/// What a block is worth and what is to become of it.
struct Plan {
    /// Accesses of an operation to each block, in the mean over the time ahead.
    per_op: Vec<f64>,
    /// By how much a nanosecond less for each of them speeds its program up, by the program's weight.
    value: Vec<f64>,
}

impl Plan {
    fn new(state: &State, backwards: bool) -> Self {
        let mut per_op = vec![0.0; state.blocks.len()];
        let mut value = vec![0.0; state.blocks.len()];
        let ahead = AHEAD.min(state.spec.seconds - state.now).max(0.0);
        let mut weights = Vec::new();
        for p in state.processes.iter().filter(|p| p.runs()) {
            let blocks = p.first as usize..p.first as usize + p.blocks;
            for i in 0..TIMES {
                p.paint(state.now + ahead * f64::from(i) / f64::from(TIMES), &mut weights);
                let each = p.spec.accesses / f64::from(TIMES);
                per_op[blocks.clone()].iter_mut().zip(&weights).for_each(|(n, w)| *n += w * each);
            }
            // An operation's time on a thread.
            let op_ns = p.spec.threads * 1e9 / p.rate.max(1.0);
            let worth = p.spec.weight / (p.spec.mlp * op_ns);
            for i in blocks {
                value[i] = if backwards { -per_op[i] * worth } else { per_op[i] * worth };
            }
        }
        Self { per_op, value }
    }

    /// The node that each block should be on, if the part `spill` of all traffic is kept away from where it would best be.
    fn places(&self, state: &State, spill: f64) -> Vec<u8> {
        let mut room: Vec<usize> =
            state.nodes.iter().map(|n| if n.online { n.frames.len() - n.marks.low } else { 0 }).collect();
        let nearest: Vec<Vec<u8>> = (0..state.processes.len() as u16).map(|p| state.nearest(p)).collect();
        let mut places = vec![u8::MAX; state.blocks.len()];
        let mut put = |block: usize, choice: &[u8], places: &mut [u8]| {
            let free = choice.iter().find(|&&n| room[usize::from(n)] > 0);
            if let Some(&node) = free {
                room[usize::from(node)] -= 1;
                places[block] = node;
            }
        };
        let present = (0..state.blocks.len()).filter(|&b| state.blocks[b].node.is_some());
        let mut order: Vec<usize> = present.collect();
        if spill > 0.0 {
            let rate = |b: usize| state.processes[usize::from(state.blocks[b].process)].rate;
            let traffic = |b: usize| self.per_op[b] * rate(b);
            let all: f64 = order.iter().map(|&b| traffic(b)).sum();
            // Who waits least for an access, and there the hottest: few blocks for much traffic.
            order.sort_by(|&a, &b| {
                let worth = |b: usize| self.value[b] / traffic(b).max(f64::MIN_POSITIVE);
                worth(a).total_cmp(&worth(b)).then(traffic(b).total_cmp(&traffic(a)))
            });
            let mut spilled = 0.0;
            for &b in order.iter().filter(|&&b| traffic(b) > 0.0) {
                if spilled >= spill * all {
                    break;
                }
                spilled += traffic(b);
                put(b, &nearest[usize::from(state.blocks[b].process)][1..], &mut places);
            }
        }
        order.retain(|&b| places[b] == u8::MAX);
        order.sort_by(|&a, &b| self.value[b].total_cmp(&self.value[a]).then(a.cmp(&b)));
        for b in order {
            put(b, &nearest[usize::from(state.blocks[b].process)], &mut places);
        }
        places
    }

    /// Throughput with blocks at these places, relative to what it is, summed by weight.
    fn objective(&self, state: &State, places: &[u8]) -> f64 {
        let mut demands = state.demands(|p| p.spec.threads);
        demands.iter_mut().flat_map(|d| &mut d.accesses).for_each(|a| a.0 = 0.0);
        for (b, &place) in places.iter().enumerate().filter(|p| *p.1 != u8::MAX) {
            demands[usize::from(state.blocks[b].process)].accesses[usize::from(place)].0 += self.per_op[b];
        }
        let channels: Vec<Channel> =
            state.nodes.iter().map(|n| Channel { bandwidth: n.bandwidth, migrating: 0.0 }).collect();
        let (rates, _) = solve(&channels, &demands, state.costs.queueing);
        let programs = state.processes.iter().zip(rates).filter(|(p, _)| p.runs());
        programs.map(|(p, rate)| p.spec.weight * rate / p.rate.max(1.0)).sum()
    }
}

impl Oracle {
    fn place(&mut self, state: &mut State) {
        let plan = Plan::new(state, self.backwards);
        let mut places = plan.places(state, self.spill);
        if state.nodes.iter().filter(|n| n.online).count() < 2 || places.is_empty() {
            return;
        }
        let busy = state.nodes.iter().any(|n| n.online && n.utilisation > BUSY);
        if !self.backwards && (busy || self.spill > 0.0) {
            let mut best = plan.objective(state, &places);
            for step in 0..=12 {
                let spill = f64::from(step) * 0.05;
                let other = plan.places(state, spill);
                let objective = plan.objective(state, &other);
                if objective > best * WORTH {
                    (self.spill, best, places) = (spill, objective, other);
                }
            }
        }
        self.migrate(state, &plan, &places);
    }

    /// Moves what is elsewhere, the most valuable first, each in exchange for the least valuable that should leave.
    fn migrate(&self, state: &mut State, plan: &Plan, places: &[u8]) {
        let node_of = |state: &State, b: usize| state.blocks[b].node.unwrap_or(u8::MAX);
        let mut coming: Vec<usize> =
            (0..places.len()).filter(|&b| places[b] != u8::MAX && places[b] != node_of(state, b)).collect();
        coming.sort_by(|&a, &b| plan.value[b].total_cmp(&plan.value[a]).then(a.cmp(&b)));
        // The least valuable at the end of each, to be popped.
        let mut leaving: Vec<Vec<usize>> = vec![Vec::new(); state.nodes.len()];
        coming.iter().for_each(|&b| leaving[usize::from(node_of(state, b))].push(b));

        let ahead = AHEAD.min(state.spec.seconds - state.now).max(0.0);
        // Where a CPU is free to migrate it costs the programs nothing but bandwidth.
        let contended = state.busy > f64::from(state.spec.cpus) - 1.0;
        let cost = if contended { state.pages() * state.costs.migrate_ns } else { 0.0 };
        for &b in &coming {
            let (from, to) = (node_of(state, b), places[b]);
            if from == to {
                continue;
            }
            let mut victim = None;
            if state.nodes[usize::from(to)].free() <= state.nodes[usize::from(to)].marks.min {
                while let Some(v) = leaving[usize::from(to)].pop() {
                    if node_of(state, v) == to {
                        victim = Some(v);
                        break;
                    }
                }
                if victim.is_none() {
                    continue;
                }
            }
            // Nanoseconds of a thread that are saved by a nanosecond less for each access.
            let waits = |b: usize| {
                let p = &state.processes[usize::from(state.blocks[b].process)];
                plan.per_op[b] * p.rate * ahead / p.spec.mlp
            };
            let latency = |n: u8| {
                let p = &state.processes[usize::from(state.blocks[b].process)];
                state.nodes[usize::from(n)].latency_from(p.spec.socket, &state.costs)
            };
            let saved = (latency(from) - latency(to)) * (waits(b) - victim.map_or(0.0, waits));
            let moves = if victim.is_some() { 2.0 } else { 1.0 };
            // What is kept away for the sake of bandwidth was weighed as a whole.
            if self.spill == 0.0 && !self.backwards && saved < moves * cost {
                if let Some(v) = victim {
                    leaving[usize::from(to)].push(v);
                }
                continue;
            }
            if let Some(v) = victim {
                if !state.migrate(v as u32, places[v], 0, Payer::Kernel)
                    && !state.migrate(v as u32, from, 0, Payer::Kernel)
                {
                    continue;
                }
            }
            state.migrate(b as u32, to, 0, Payer::Kernel);
        }
    }
}

impl Policy for Oracle {
    fn name(&self) -> String {
        if self.backwards { "backwards".into() } else { "oracle".into() }
    }

    fn wake(&mut self, now: Instant, host: &Host) -> Result<Instant, PolicyError> {
        self.place(&mut host.lock());
        Ok(now + LOOK)
    }
}
