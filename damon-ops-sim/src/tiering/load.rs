//! How fast programs run that wait for memory, and how slow memory gets that many wait for: arithmetic alone.
//!
//! A closed loop: a thread computes, waits for its accesses, and starts its next operation. More operations mean more
//! traffic, that means more latency, and that means fewer operations; [`solve`] finds where the two meet.

/// Bytes that an access moves.
pub(super) const LINE: f64 = 64.0;

/// No node is busier than that: latency would be endless.
const BUSIEST: f64 = 1.0 - 1e-6;

/// A node, as far as latency goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    /// Bytes a second that it can move.
    pub(super) bandwidth: f64,
    /// Bytes a second that migrations take of it.
    pub(super) migrating: f64,
}

/// A program, as far as speed goes.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// Threads that it has the CPUs for.
    pub(super) threads: f64,
    /// Nanoseconds of computing in an operation.
    pub(super) cpu_ns: f64,
    /// Accesses that it has under way at once.
    pub(super) mlp: f64,
    /// By node: accesses of an operation, and the latency of one without load.
    pub(super) accesses: Vec<(f64, f64)>,
}

/// How much longer an access takes at this utilisation.
pub(super) fn stretch(queueing: f64, utilisation: f64) -> f64 {
    let u = utilisation.clamp(0.0, BUSIEST);
    1.0 + queueing * u / (1.0 - u)
}

impl Demand {
    /// Operations a second where latencies are stretched so.
    fn rate(&self, stretches: &[f64]) -> f64 {
        let waiting: f64 = self.accesses.iter().zip(stretches).map(|((n, ns), s)| n * ns * s).sum();
        let ns = self.cpu_ns + waiting / self.mlp;
        if ns > 0.0 { self.threads.max(0.0) * 1e9 / ns } else { 0.0 }
    }
}

/// Operations a second of each program, and the utilisation of each node.
pub(super) fn solve(channels: &[Channel], demands: &[Demand], queueing: f64) -> (Vec<f64>, Vec<f64>) {
    let mut used = vec![0.0; channels.len()];
    let mut stretches = vec![1.0; channels.len()];
    // Node by node, the others as they are: each meeting point is found by halving, as traffic falls with utilisation.
    for _ in 0..12 {
        let mut moved: f64 = 0.0;
        for (i, channel) in channels.iter().enumerate() {
            let (mut low, mut high) = (0.0, BUSIEST);
            for _ in 0..40 {
                let middle = (low + high) / 2.0;
                stretches[i] = stretch(queueing, middle);
                let asked = |d: &Demand| {
                    let accesses = d.accesses.get(i).map_or(0.0, |a| a.0);
                    if accesses > 0.0 { accesses * LINE * d.rate(&stretches) } else { 0.0 }
                };
                let traffic: f64 = channel.migrating + demands.iter().map(asked).sum::<f64>();
                if traffic > middle * channel.bandwidth { low = middle } else { high = middle }
            }
            let meet = (low + high) / 2.0;
            moved = moved.max((meet - used[i]).abs());
            used[i] = meet;
            stretches[i] = stretch(queueing, meet);
        }
        if moved < 1e-6 {
            break;
        }
    }
    (demands.iter().map(|d| d.rate(&stretches)).collect(), used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(threads: f64, accesses: &[(f64, f64)]) -> Demand {
        Demand { threads, cpu_ns: 1_000.0, mlp: 1.0, accesses: accesses.to_vec() }
    }

    #[test]
    fn loaded_latency_never_falls_with_utilisation() {
        let at = |percent: u32| stretch(0.2, f64::from(percent) / 100.0);
        assert!((0..120).all(|p| at(p + 1) >= at(p)));
        assert_eq!(at(0), 1.0);
        assert!((at(50) - 1.2).abs() < 1e-12 && (at(90) - 2.8).abs() < 1e-12);
    }

    #[test]
    fn without_traffic_to_speak_of_an_operation_takes_what_its_parts_take() {
        let wide = [Channel { bandwidth: 1e15, migrating: 0.0 }; 2];
        let (rates, used) = solve(&wide, &[program(8.0, &[(10.0, 100.0), (2.0, 250.0)])], 0.2);
        assert!((rates[0] / (8.0 * 1e9 / 2_500.0) - 1.0).abs() < 1e-4, "{rates:?}");
        assert!(used.iter().all(|&u| u < 1e-4));
    }

    #[test]
    fn no_node_moves_more_than_its_bandwidth() {
        let narrow = [Channel { bandwidth: 1e9, migrating: 0.0 }];
        let (rates, used) = solve(&narrow, &[Demand { mlp: 10.0, ..program(64.0, &[(100.0, 100.0)]) }], 0.2);
        assert!(rates[0] * 100.0 * LINE <= 1e9 * 1.001, "{rates:?}");
        assert!(used[0] > 0.8);
    }

    #[test]
    fn migrations_slow_programs_down_by_the_bandwidth_that_they_take() {
        let rate =
            |migrating| solve(&[Channel { bandwidth: 1e10, migrating }], &[program(16.0, &[(20.0, 100.0)])], 0.2).0[0];
        assert!(rate(0.0) > rate(3e9) && rate(3e9) > rate(6e9));
    }
}
