//! What monitoring costs at the moment: figures of the last second or so.

use std::time::Duration;

use damon_core::Instant;
use damos::context::Health;

/// Measures over this time at least.
const PERIOD: Duration = Duration::from_secs(1);

/// Checks and CPU time per second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    since: Option<(Instant, u64, Duration)>,
    /// Addresses looked at, a second; `None` before the first period is over.
    pub checks: Option<f64>,
    /// Part of one CPU; the same.
    pub cpu: Option<f64>,
}

impl Meter {
    /// `health` is what has added up until `at`.
    pub fn count(&mut self, at: Instant, health: &Health) {
        let Some((since, checks, cpu)) = self.since else {
            self.since = Some((at, health.checks, health.cpu));
            return;
        };
        let time = at - since;
        if time >= PERIOD {
            self.checks = Some(health.checks.saturating_sub(checks) as f64 / time.as_secs_f64());
            self.cpu = Some(health.cpu.saturating_sub(cpu).as_secs_f64() / time.as_secs_f64());
            self.since = Some((at, health.checks, health.cpu));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::{at, health};

    #[test]
    fn figures_are_of_the_last_period_and_not_since_the_start() {
        let mut meter = Meter::default();
        meter.count(at(0), &health(0, 0));
        assert_eq!((meter.checks, meter.cpu), (None, None), "nothing is known yet");
        meter.count(at(10), &health(1_000, 50));
        assert_eq!((meter.checks, meter.cpu), (Some(100.0), Some(0.005)));
        meter.count(at(12), &health(1_100, 70));
        assert_eq!((meter.checks, meter.cpu), (Some(50.0), Some(0.01)));
    }
}
