//! Runs all policies on a machine, with several seeds.

use damon_ops_sim::tiering::{Bill, Costs, FirstTouch, Outcome, RunError, Spec, all_dram, run};

use super::{POLICIES, policy};

/// What the policies came to on one machine.
#[derive(Clone, Debug)]
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

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::LazyLock;

    use super::*;

    static SMALL: LazyLock<Comparison> = LazyLock::new(run_small);

    /// Each test may change its own.
    pub(crate) fn small() -> Comparison {
        SMALL.clone()
    }

    /// The cold half of memory is in DRAM, the hot one below it; what is hot stays so.
    fn run_small() -> Comparison {
        let spec: Spec = serde_json::from_str(
            r#"{"name": "small", "about": "an index behind a log", "block_mib": 4, "seconds": 8, "measure_from_s": 6, "cpus": 8,
            "nodes": [{"id": 0, "gib": 0.5, "kind": "dram"}, {"id": 1, "gib": 0.5, "kind": "cxl"}],
            "processes": [
                {"name": "log", "threads": 0, "memory": [{"gib": 0.3, "pattern": {"kind": "idle"}}]},
                {"name": "db", "threads": 4, "cpu_ns": 500, "accesses": 5, "memory": [{"gib": 0.4, "pattern": {"kind": "uniform"}}]}]}"#,
        )
        .unwrap();
        compare(&spec, Costs::default(), 2).unwrap()
    }

    fn place(name: &str) -> usize {
        POLICIES.iter().position(|p| *p == name).unwrap()
    }

    #[test]
    fn each_policy_runs_under_its_name_with_each_seed() {
        let c = small();
        assert_eq!(c.dram.len(), 2);
        for (runs, name) in c.runs.iter().zip(POLICIES) {
            let said: Vec<_> = runs.iter().map(|r| (r.policy.as_str(), r.seed)).collect();
            assert_eq!(said, [(name, 0), (name, 1)]);
        }
        assert!(policy("nobody", 0).is_none());
    }

    #[test]
    fn gains_are_relative_to_none_slowdowns_to_dram_and_what_the_oracle_gains_is_all() {
        let c = small();
        let (none, oracle) = (c.mean(place("none")), c.mean(place("oracle")));
        assert_eq!((none.gain, none.spread, none.migrated), (0.0, 0.0, (0.0, 0.0)));
        assert!(none.slowdown > 0.05 && oracle.slowdown < 0.01, "{none:?} {oracle:?}");
        // What is gained on none is what none was slower by, less what the oracle still is.
        assert!(((1.0 + none.slowdown) / (1.0 + oracle.slowdown) - 1.0 - oracle.gain).abs() < 1e-3);
        assert_eq!((c.of_oracle(place("oracle")), c.of_oracle(0)), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn where_nothing_can_be_gained_no_part_of_it_is_said() {
        let mut c = small();
        c.runs = vec![c.runs[0].clone(); POLICIES.len()];
        assert_eq!(c.of_oracle(place("ours")), None);
    }

    #[test]
    fn the_mean_is_over_seeds_and_the_spread_between_them() {
        let mut c = small();
        let none = c.runs[0][0].programs[1].ops_per_s;
        c.runs[0].iter_mut().for_each(|r| r.programs[1].ops_per_s = none);
        c.runs[3][0].programs[1].ops_per_s = none * 1.1;
        c.runs[3][1].programs[1].ops_per_s = none * 1.3;
        let mean = c.mean(3);
        assert!((mean.gain - 0.2).abs() < 1e-9 && (mean.spread - 0.2).abs() < 1e-9, "{mean:?}");
    }
}
