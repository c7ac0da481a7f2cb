//! A scheme's quota in the course of time: charge windows, what was charged, how the size was tuned.
//!
//! Counterpart: `damos_adjust_quota` (`mm/damon/core.c`, Linux 7.3).

use damon_core::control::{goal, quota};
use damon_core::{Instant, Metric, Metrics, TargetId};

use super::Stats;
use super::share::Portion;
use crate::scheme::{Quota, Tuner};

/// What happened to a quota.
#[derive(Clone, Debug, Default)]
pub(super) struct QuotaState {
    /// When the charge window began.
    window: Option<Instant>,
    /// Charged in this window, and in all before.
    pub(super) charged: u64,
    total: quota::Charged,
    /// The size that this window may work on.
    pub(super) effective: u64,
    /// The same in ten-thousandths, as the tuner left it.
    tuned_bp: u64,
    /// Regions with a lower score have to wait.
    pub(super) min_score: u32,
    /// Where the last window stopped.
    pub(super) resume: Option<(TargetId, u64)>,
    /// What each target gets, sorted, where it is divided.
    pub(super) portions: Vec<Portion>,
    /// The last readings of goals that are totals.
    totals: Vec<Option<u64>>,
    /// What each goal's metric was when this window began.
    pub(super) measured: Vec<Option<u64>>,
    /// What a tuner that learns knows, and all that was charged when it was asked last.
    self_tuning: goal::SelfTuning,
    told: u64,
}

impl Quota {
    fn is_limit(&self) -> bool {
        self.size > 0 || self.ms() > 0 || !self.goals.is_empty()
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX)
    }

    /// Are they the same, whatever the goals' values are and shall be at the moment?
    pub(super) fn same_limits(&self, other: &Self) -> bool {
        let metrics = |q: &Self| q.goals.iter().map(|g| g.metric).collect::<Vec<_>>();
        Self { goals: Vec::new(), ..self.clone() } == Self { goals: Vec::new(), ..other.clone() }
            && metrics(self) == metrics(other)
    }
}

impl QuotaState {
    pub(super) fn is_set(&self, spec: &Quota) -> bool {
        self.effective > 0 || spec.is_limit()
    }

    pub(super) fn is_full(&self, spec: &Quota, granule: u64) -> bool {
        self.is_set(spec) && quota::is_full(self.charged, self.effective, granule)
    }

    /// The same of what the target may have of it.
    pub(super) fn is_full_for(&self, target: TargetId, spec: &Quota, granule: u64) -> bool {
        self.is_full(spec, granule) || self.portion(target).is_some_and(|p| p.is_full(granule))
    }

    /// How much is left for the target, in whole granules, if it is less than `size`.
    pub(super) fn less_than(&self, size: u64, target: TargetId, spec: &Quota, granule: u64) -> Option<u64> {
        if !self.is_set(spec) {
            return None;
        }
        let left = self.effective.saturating_sub(self.charged);
        let left = self.portion(target).map_or(left, |p| left.min(p.limit.saturating_sub(p.charged)));
        (left < size).then_some(left & !(granule - 1))
    }

    /// Starts a new charge window if it is time, with the size that its goals and the throughput allow.
    pub(super) fn start_window(
        &mut self,
        now: Instant,
        spec: &Quota,
        granule: u64,
        stats: &mut Stats,
        metrics: &mut (impl Metrics + ?Sized),
    ) {
        if !self.is_over(now, spec) {
            return;
        }
        if self.window.replace(now).is_some() {
            stats.qt_exceeds += u64::from(self.is_full(spec, granule));
            self.total.size = self.total.size.saturating_add(self.charged);
            self.charged = 0;
            self.portions.iter_mut().for_each(|p| p.charged = 0);
        }
        let tuned_bp = (!spec.goals.is_empty()).then(|| self.tune(spec, stats, metrics));
        let limits = quota::Limits { size: spec.size, ms: spec.ms(), tuned_bp };
        self.effective = quota::effective_size(&limits, &self.total, granule);
    }

    /// Is the window over, or was there none yet? Intervals are compared in whole milliseconds, so that a window of one is
    /// not missed by a hair.
    fn is_over(&self, now: Instant, spec: &Quota) -> bool {
        let ms = |t: Instant| t.as_nanos() / 1_000_000;
        self.window.is_none_or(|start| u128::from(ms(now).saturating_sub(ms(start))) >= spec.reset_interval.as_millis())
    }

    fn tune(&mut self, spec: &Quota, stats: &mut Stats, metrics: &mut (impl Metrics + ?Sized)) -> u64 {
        self.totals.resize(spec.goals.len(), None);
        self.measured.clear();
        let (mut score, mut known) = (0, true);
        for (i, g) in spec.goals.iter().enumerate() {
            let current = match g.metric {
                Metric::UserInput => Ok(g.current_value),
                metric => metrics.read(metric),
            };
            let current = match current {
                Ok(total) if g.metric.is_total() => match self.totals[i].replace(total) {
                    Some(last) => Some(total.saturating_sub(last)),
                    // There is no growth to judge by yet: as it was in the last window.
                    None if spec.tuner == Tuner::Temporal && self.effective > 0 => Some(0),
                    None => None,
                },
                Ok(current) => Some(current),
                Err(_) => {
                    stats.goal_errors += 1;
                    None
                }
            };
            known &= current.is_some();
            self.measured.push(current);
            // The farthest reached goal decides: the least that any of them asks for.
            // Not knowing is no licence to do more.
            score = score.max(goal::score(current.unwrap_or(g.target_value), g.target_value));
        }
        self.tuned_bp = match spec.tuner {
            Tuner::Consist => goal::consist(self.tuned_bp, score),
            Tuner::Temporal => goal::temporal(score, spec.size),
            Tuner::Exact { whole } => goal::exact(score, spec.goals.first().map_or(0, |g| g.target_value), whole),
            Tuner::SelfTuning => {
                let charged = self.total.size - core::mem::replace(&mut self.told, self.total.size);
                self.self_tuning.next_size(known.then_some(score), charged, spec.size).saturating_mul(10_000)
            }
        };
        self.tuned_bp
    }

    /// Where the next window goes on, of the target where each has its own.
    pub(super) fn stop_at(&mut self, target: TargetId, addr: Option<u64>) {
        match self.portion_mut(target) {
            Some(p) => p.resume = addr,
            None => self.resume = addr.map(|addr| (target, addr)),
        }
    }

    /// Charges what was tried in this window.
    pub(super) fn charge(
        &mut self,
        target: TargetId,
        tried: u64,
        applied: u64,
        took: core::time::Duration,
        spec: &Quota,
    ) {
        let charge = quota::charge(tried, applied, spec.fail_charge);
        self.charged = self.charged.saturating_add(charge);
        if let Some(p) = self.portion_mut(target) {
            p.charged = p.charged.saturating_add(charge);
        }
        self.total.ns = self.total.ns.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}
