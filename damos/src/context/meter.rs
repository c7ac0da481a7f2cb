//! How monitoring itself is doing: the figures that add up, and the measured period that the budget goes by.

use core::time::Duration;

use damon_core::{Instant, Stats};

use super::budget::Usage;

/// How monitoring itself is doing, since the context was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Sampling windows that were counted.
    pub windows: u64,
    /// Those that ended late by more than a tenth of the sampling interval.
    pub late_windows: u64,
    /// The latest of all: by how much.
    pub max_late: Duration,
    /// Windows that were more than twice too long, and left out.
    pub void_windows: u64,
    /// Aggregations that ended.
    pub aggregations: u64,
    /// Addresses that were looked at.
    pub checks: u64,
    /// Those that could not be checked.
    pub unknown: u64,
    /// Reports that were taken into account.
    pub reports: u64,
    /// Reports about nothing that is watched.
    pub reports_outside: u64,
    /// Reports that the attributes' filter refused.
    pub reports_filtered: u64,
    /// Reports that did not fit. By source: [`View::sources`](damon_core::View::sources).
    pub reports_lost: u64,
    /// Errors of the backend that were, or are about to be, tried again.
    pub retries: u64,
    /// Regions on which a scheme's action failed.
    pub failed_actions: u64,
    /// CPU time that stepping has used.
    pub cpu: Duration,
    /// What monitoring used of it over the period measured last (an update interval, but whole aggregations), as thousandths of
    /// one CPU and with what the budget counts for faults: without what it took to act, which is the schemes' quotas' matter.
    pub cpu_permille: u32,
    /// The shortest sampling interval as thousandths of what the attributes say: 1,000 unless the budget stretches
    /// it.
    pub stretch_permille: u32,
    /// To how many checks a window the budget holds it down, if it does.
    pub held_checks: Option<usize>,
    /// The period measured last cost more than the budget, and there was nothing left to give up.
    pub budget_exceeded: bool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            windows: 0,
            late_windows: 0,
            max_late: Duration::ZERO,
            void_windows: 0,
            aggregations: 0,
            checks: 0,
            unknown: 0,
            reports: 0,
            reports_outside: 0,
            reports_filtered: 0,
            reports_lost: 0,
            retries: 0,
            failed_actions: 0,
            cpu: Duration::ZERO,
            cpu_permille: 0,
            stretch_permille: 1_000,
            held_checks: None,
            budget_exceeded: false,
        }
    }
}

impl Health {
    /// A window of `sampling` was counted.
    pub(super) fn count(&mut self, window: &Stats, sampling: Duration) {
        self.windows += 1;
        self.late_windows += u64::from(window.late > sampling / 10);
        self.max_late = self.max_late.max(window.late);
        self.void_windows += u64::from(window.void);
        self.checks += u64::from(window.checks);
        self.unknown += u64::from(window.unknown);
        self.reports += window.reports;
        self.reports_outside += window.reports_outside;
        self.reports_filtered += window.reports_filtered;
        self.reports_lost += window.reports_lost;
    }
}

/// Measures what monitoring costs over a period.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// The caller's CPU time at the last step; `None` before the first.
    cpu_seen: Option<Duration>,
    since: Option<Instant>,
    usage: Usage,
    /// What acting took in the last step, which its CPU time has in it.
    excused: Duration,
}

impl Meter {
    /// What was used since the last step. A figure below the last one is another thread's: counting starts again.
    pub(super) fn charge(&mut self, cpu_used: Duration) -> Duration {
        let used = self.cpu_seen.and_then(|seen| cpu_used.checked_sub(seen)).unwrap_or_default();
        self.cpu_seen = Some(cpu_used);
        let monitoring = used.saturating_sub(core::mem::take(&mut self.excused));
        self.usage.cpu_ns = self.usage.cpu_ns.saturating_add(nanos(monitoring));
        used
    }

    /// So much of what is charged next was not for monitoring.
    pub(super) fn excuse(&mut self, took: Duration) {
        self.excused += took;
    }

    /// Somebody else steps from now on.
    pub(super) fn hand_over(&mut self) {
        *self = Self::default();
    }

    /// A window begins: a new period, too, if none is under way.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.since.is_none() {
            (self.since, self.usage) = (Some(now), Usage::default());
        }
    }

    /// A window was counted.
    pub(super) fn count(&mut self, window: &Stats, fault_cost: Duration) {
        self.usage.windows += 1;
        self.usage.checks += u64::from(window.checks);
        let faults = nanos(fault_cost.saturating_mul(window.accessed));
        self.usage.cpu_ns = self.usage.cpu_ns.saturating_add(faults);
    }

    /// An aggregation ended: the period that it completes, if that is at least as long as `least`.
    pub(super) fn period(&mut self, now: Instant, least: Duration) -> Option<Usage> {
        let elapsed = now - self.since?;
        if elapsed < least || elapsed.is_zero() {
            return None;
        }
        let usage = Usage { elapsed_ns: nanos(elapsed), ..self.usage };
        self.abandon();
        Some(usage)
    }

    /// The period is void: monitoring stands still.
    pub(super) fn abandon(&mut self) {
        (self.since, self.usage) = (None, Usage::default());
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn cpu_time_counts_from_the_first_step_and_starts_again_with_another_thread() {
        let mut meter = Meter::default();
        let charged: Vec<_> = [700, 703, 705, 1, 2].map(|ms| meter.charge(ms * MS)).into();
        assert_eq!(charged, [Duration::ZERO, 3 * MS, 2 * MS, Duration::ZERO, MS]);
    }

    #[test]
    fn what_acting_took_is_no_cost_of_monitoring() {
        let mut meter = Meter::default();
        meter.begin(Instant::ZERO);
        meter.charge(Duration::ZERO);
        meter.excuse(50 * MS);
        assert_eq!(meter.charge(53 * MS), 53 * MS, "it is CPU time all the same");
        // It may have slept as well.
        meter.excuse(50 * MS);
        meter.charge(60 * MS);
        meter.charge(61 * MS);
        let usage = meter.period(Instant::ZERO + 400 * MS, 200 * MS).unwrap();
        assert_eq!((usage.cpu_ns, usage.permille()), (4_000_000, 10));
    }

    #[test]
    fn a_period_is_whole_aggregations_and_an_update_interval_at_least() {
        let mut meter = Meter::default();
        let at = |ms: u32| Instant::ZERO + ms * MS;
        meter.begin(at(10));
        meter.charge(Duration::ZERO);
        meter.charge(4 * MS);
        assert_eq!(meter.period(at(110), 200 * MS), None);
        meter.charge(6 * MS);
        let usage = meter.period(at(310), 200 * MS).unwrap();
        assert_eq!((usage.cpu_ns, usage.elapsed_ns, usage.permille()), (6_000_000, 300_000_000, 20));
        assert_eq!(meter.period(at(600), 200 * MS), None, "the next one has not begun");
    }
}
