//! Runs all policies on a machine, with several seeds.

use damon_ops_sim::tiering::{Bill, Costs, FirstTouch, Outcome, RunError, Spec, all_dram, run};

use super::{POLICIES, policy};

/// What the policies came to on one machine.
#[derive(Debug)]
pub struct Comparison {
    /// The machine and what ran on it.
    pub spec: Spec,
    /// What things cost there.
    pub costs: Costs,
    /// With all memory in DRAM, a run for each seed.
    pub dram: Vec<Outcome>,
    /// A run for each seed, by policy in the order of [`POLICIES`].
    pub runs: Vec<Vec<Outcome>>,
}

/// Means over the seeds of a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// By which part programs were faster than without tiering; 0.1 is 10%.
    pub gain: f64,
    /// Largest gain less the smallest.
    pub spread: f64,
    /// By which part an operation took longer than with all memory in DRAM.
    pub slowdown: f64,
    /// Bytes that were promoted and demoted while throughput was measured.
    pub migrated: (f64, f64),
    /// Seconds that programs paid: faults, migrations in them, TLB flushes.
    pub programs_s: f64,
    /// CPU seconds that the kernel's threads took.
    pub kernel_s: f64,
    /// Of these, checks.
    pub watching_s: f64,
}

/// Runs each policy on the machine with the seeds 0 to `seeds` - 1, each in a thread of its own.
///
/// # Errors
/// Of the first run that failed.
pub fn compare(spec: &Spec, costs: Costs, seeds: u64) -> Result<Comparison, RunError> {
    let one = |seed| -> Result<(Outcome, Vec<Outcome>), RunError> {
        let dram = run(&all_dram(spec), costs, seed, &mut FirstTouch)?;
        let policies = POLICIES.iter().filter_map(|name| policy(name, seed));
        Ok((dram, policies.map(|mut p| run(spec, costs, seed, p.as_mut())).collect::<Result<_, _>>()?))
    };
    let done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..seeds).map(|seed| scope.spawn(move || one(seed))).collect();
        let join = |t: std::thread::ScopedJoinHandle<'_, _>| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p));
        threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()
    })?;
    let mut comparison =
        Comparison { spec: spec.clone(), costs, dram: Vec::new(), runs: vec![Vec::new(); POLICIES.len()] };
    for (dram, outcomes) in done {
        comparison.dram.push(dram);
        comparison.runs.iter_mut().zip(outcomes).for_each(|(runs, outcome)| runs.push(outcome));
    }
    Ok(comparison)
}

impl Comparison {
    /// What the policy at this place of [`POLICIES`] came to.
    pub fn mean(&self, policy: usize) -> Mean {
        let none = &self.runs[0];
        let runs = &self.runs[policy];
        let n = runs.len().max(1) as f64;
        let gains: Vec<f64> = runs.iter().zip(none).map(|(r, none)| r.gain(none)).collect();
        let of = |f: fn(&Bill) -> f64| runs.iter().map(|r| f(&r.bill)).sum::<f64>() / n;
        Mean {
            gain: gains.iter().sum::<f64>() / n,
            spread: gains.iter().copied().fold(f64::MIN, f64::max) - gains.iter().copied().fold(f64::MAX, f64::min),
            slowdown: runs.iter().zip(&self.dram).map(|(r, dram)| r.slowdown(dram)).sum::<f64>() / n,
            migrated: (of(|b| b.promoted as f64), of(|b| b.demoted as f64)),
            programs_s: of(Bill::programs_s),
            kernel_s: of(Bill::kernel_s),
            watching_s: of(|b| b.watching_s),
        }
    }

    /// The part of the oracle's gain that a policy has; `None` where there is less than a percent to gain.
    pub fn of_oracle(&self, policy: usize) -> Option<f64> {
        let limit = self.mean(POLICIES.len() - 1).gain;
        (limit >= 0.01).then(|| self.mean(policy).gain / limit)
    }
}
