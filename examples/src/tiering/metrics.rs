//! The machine's metrics, as far as they are to count.

use damon_core::{Metric, MetricError, Metrics};
use damon_ops_paddr::HostMetrics;

/// What the machine tells. Where told latencies are to count nobody measures them.
#[derive(Debug)]
pub struct Machine {
    host: HostMetrics,
    told: bool,
}

impl Machine {
    /// `told`: the latencies that firmware tells count.
    pub fn new(told: bool) -> Self {
        Self { host: HostMetrics::new(), told }
    }
}

impl Metrics for Machine {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        match metric {
            Metric::NodeLatencyNs(_) if self.told => Err(MetricError::new(metric, "--told-latencies was given")),
            _ => self.host.read(metric),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use damon_core::NodeId;

    #[test]
    fn told_latencies_are_not_measured() {
        let e = Machine::new(true).read(Metric::NodeLatencyNs(NodeId(0))).unwrap_err();
        assert!(e.why.contains("--told-latencies"));
        assert!(Machine::new(true).read(Metric::FreeMemRatePermille).is_ok());
        assert!(Machine::new(false).read(Metric::NodeLatencyNs(NodeId(0))).unwrap() > 0);
    }
}
