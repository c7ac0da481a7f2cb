//! Runs a policy on a machine, and says what came of it.

use std::time::Duration;

use damon_core::Instant;
use serde::Serialize;

use super::policy::{Policy, PolicyError};
use super::spec::{Kind, Spec, SpecError};
use super::{Bill, Costs, Host};

/// The run is looked at so often for its series.
const LOOKS: u32 = 200;

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The policy's name.
    pub policy: String,
    /// What chance came from.
    pub seed: u64,
    /// The programs, in the order of the spec.
    pub programs: Vec<Throughput>,
    /// What placement cost while throughput was measured.
    pub bill: Bill,
    /// What happened over time.
    pub series: Vec<Point>,
}

/// How fast a program was.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Throughput {
    /// The program's name.
    pub name: String,
    /// How much it matters; 0 where it does not, or has no threads.
    pub weight: f64,
    /// Operations a second, while they were measured.
    pub ops_per_s: f64,
}

/// The machine at a time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Point {
    /// Seconds since the start.
    pub at_s: f64,
    /// Operations a second of each program since the last point.
    pub ops_per_s: Vec<f64>,
    /// The part of all programs' accesses to upper tier memory, by weight, now.
    pub upper_share: f64,
    /// Used bytes of each node that is online.
    pub used: Vec<(u16, u64)>,
    /// Bytes that were promoted and demoted so far.
    pub migrated: (u64, u64),
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// No machine can be made of the spec.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The policy could not go on.
    #[error("policy {policy}: {source}")]
    Policy {
        /// Which.
        policy: String,
        /// Why.
        source: PolicyError,
    },
}

/// Has `policy` place the memory of the machine that `spec` says.
///
/// # Errors
/// Where no machine can be made of it, or the policy fails.
pub fn run(spec: &Spec, costs: Costs, seed: u64, policy: &mut dyn Policy) -> Result<Outcome, RunError> {
    let host = Host::new(spec, costs, seed)?;
    let at = |seconds: f64| Instant::ZERO + Duration::from_secs_f64(seconds);
    let (end, from) = (at(spec.seconds), at(spec.measure_from_s));
    let every = Duration::from_secs_f64(spec.seconds) / LOOKS;

    let mut series = Vec::new();
    let (mut wake, mut look) = (Instant::ZERO, Instant::ZERO + every);
    let mut before: Option<(Bill, Vec<f64>)> = None;
    let ops = |host: &Host| host.programs().into_iter().map(|p| p.ops).collect::<Vec<_>>();
    let mut last = ops(&host);
    loop {
        let due = if before.is_none() { from } else { end };
        let now = wake.min(look).min(due);
        host.advance(now);
        if now == due && before.is_none() {
            before = Some((host.bill(), ops(&host)));
            continue;
        }
        if now == look {
            let done = ops(&host);
            let ops_per_s = done.iter().zip(&last).map(|(a, b)| (a - b) / every.as_secs_f64()).collect();
            series.push(point(&host, spec, now, ops_per_s));
            last = done;
            look = look + every;
        }
        if now >= end {
            break;
        }
        if now == wake {
            let next = policy.wake(now, &host);
            wake = next.map_err(|source| RunError::Policy { policy: policy.name(), source })?;
            // Who does not say until later would stop time.
            wake = wake.max(now + Duration::from_micros(1));
        }
    }
    let (bill, started) = before.unwrap_or_default();
    let measured = spec.seconds - spec.measure_from_s;
    let programs = spec.processes.iter().zip(ops(&host)).zip(started).map(|((p, end), start)| Throughput {
        name: p.name.clone(),
        weight: if p.threads > 0.0 { p.weight } else { 0.0 },
        ops_per_s: (end - start) / measured,
    });
    Ok(Outcome { policy: policy.name(), seed, programs: programs.collect(), bill: host.bill().since(&bill), series })
}

fn point(host: &Host, spec: &Spec, now: Instant, ops_per_s: Vec<f64>) -> Point {
    let upper: Vec<bool> = spec.nodes.iter().map(|n| n.kind == Kind::Dram).collect();
    let (mut share, mut weights) = (0.0, 0.0);
    for (p, program) in host.programs().iter().zip(&spec.processes) {
        let accesses: f64 = p.by_node.iter().sum();
        if accesses > 0.0 && program.weight > 0.0 {
            let there: f64 = p.by_node.iter().zip(&upper).filter(|u| *u.1).map(|u| u.0).sum();
            share += program.weight * there;
            weights += program.weight;
        }
    }
    let bill = host.bill();
    Point {
        at_s: now.as_nanos() as f64 * 1e-9,
        ops_per_s,
        upper_share: if weights > 0.0 { share / weights } else { 0.0 },
        used: host.nodes().iter().map(|n| (n.id.0, n.range.size() - n.free)).collect(),
        migrated: (bill.promoted, bill.demoted),
    }
}

impl Outcome {
    /// By which part the programs were faster than in `base`: the mean by weight. 0.1 is 10% more operations.
    pub fn gain(&self, base: &Self) -> f64 {
        let pairs = || self.programs.iter().zip(&base.programs).filter(|(_, b)| b.weight > 0.0 && b.ops_per_s > 0.0);
        let weights: f64 = pairs().map(|(_, b)| b.weight).sum();
        pairs().map(|(a, b)| b.weight * a.ops_per_s / b.ops_per_s).sum::<f64>() / weights.max(f64::MIN_POSITIVE) - 1.0
    }

    /// By which part an operation took longer than in `base`, which has all memory in DRAM.
    pub fn slowdown(&self, base: &Self) -> f64 {
        1.0 / (1.0 + self.gain(base)) - 1.0
    }
}

/// The same machine with DRAM enough for everything.
pub fn all_dram(spec: &Spec) -> Spec {
    let needed: f64 = spec.processes.iter().flat_map(|p| &p.memory).map(|a| a.gib).sum();
    let mut spec = spec.clone();
    // Watermarks grow with it.
    spec.nodes.iter_mut().filter(|n| n.kind == Kind::Dram).for_each(|n| n.gib += needed * 1.02);
    spec.offline.clear();
    spec.exchange = None;
    spec
}
