//! Sorts the LRU lists: what is hot goes to their warm end and what is cold to their cold end, before memory is short.
//!
//! Counterpart: `mm/damon/lru_sort.c` (Linux 7.3).

use core::time::Duration;

use damon_core::control::priority::Weights;
use damon_core::control::watermarks::Marks;
use damon_core::{Action, AttrsSpec, Bp, Filter, Metric, PageFilter};

use super::{Monitoring, SIZES};
use crate::scheme::{AccessPattern, Age, Freq, Goal, Quota, Scheme, Watermarks};

/// `DAMON_LRU_SORT`: its parameters and their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LruSort {
    /// What is accessed in so many of a thousand samples, or more, is hot (`hot_thres_access_freq`). Default 500.
    pub hot_access_permille: u32,
    /// What was not accessed for so long is cold (`cold_min_age`). Default 120 s.
    pub cold_min_age: Duration,
    /// So much time for sorting in a charge window, in whole milliseconds, half of it for each scheme; zero is no limit
    /// (`quota_ms`). Default 10 ms. Of 1 ms each scheme has that much: the kernel's half is zero, which is no limit.
    pub time: Duration,
    /// The charge window (`quota_reset_interval_ms`). Default 1 s.
    pub reset_interval: Duration,
    /// Sorts until this part of the memory on LRU lists is active, and the rest, 0.02% more than that, is not
    /// (`active_mem_bp`). `None`, the default, is no such goal.
    pub active_mem: Option<Bp>,
    /// Looks at each page once more: only what was accessed lately becomes hot, and only what was not becomes cold
    /// (`filter_young_pages`).
    pub filter_young: bool,
    /// Between which amounts of free memory, in thousandths, it works at all, and how often it looks. Default 200, 150 and
    /// 50, every 5 s. `None` is always, without a counterpart.
    pub watermarks: Option<Watermarks>,
    /// How it watches.
    pub monitoring: Monitoring,
}

impl Default for LruSort {
    fn default() -> Self {
        Self {
            hot_access_permille: 500,
            cold_min_age: Duration::from_secs(120),
            time: Duration::from_millis(10),
            reset_interval: Duration::from_secs(1),
            active_mem: None,
            filter_young: false,
            watermarks: Some(Watermarks {
                metric: Metric::FreeMemRatePermille,
                interval: Duration::from_secs(5),
                marks: Marks { high: 200, mid: 150, low: 50 },
            }),
            monitoring: Monitoring::default(),
        }
    }
}

/// Parameters that make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LruSortError {
    /// More than all memory cannot be active.
    #[error("active_mem is {} basis points, but must be 1 to 10,000: for no goal, leave it out", .0.0)]
    ActiveMem(Bp),
}

impl LruSort {
    /// The attributes, and two schemes: the hot and the cold one.
    ///
    /// # Errors
    /// Where the active part is nothing, or more than the whole.
    pub fn plan(&self) -> Result<(AttrsSpec, Vec<Scheme>), LruSortError> {
        if let Some(bad) = self.active_mem.filter(|bp| !(Bp(1)..=Bp::WHOLE).contains(bp)) {
            return Err(LruSortError::ActiveMem(bad));
        }
        let attrs = self.monitoring.attrs();
        // The ratio of the intervals is kept when they are tuned, and this with it.
        let samples = attrs.aggregation.as_micros() / attrs.sampling.as_micros().max(1);
        let hot = u32::try_from(samples * u128::from(self.hot_access_permille) / 1_000).unwrap_or(u32::MAX);
        let hot = AccessPattern {
            size: SIZES,
            freq: Freq::Samples(hot..=u32::MAX),
            age: Age::ANY,
            ..AccessPattern::default()
        };
        let cold = AccessPattern {
            size: SIZES,
            freq: Freq::NONE,
            age: Age::Time(self.cold_min_age..=Duration::MAX),
            ..AccessPattern::default()
        };

        let active = |bp: Bp| Goal::new(Metric::ActiveMemBp, bp.0.into());
        // A little more than what is left: the two goals then always want something, but little.
        let inactive = |bp: Bp| Goal::new(Metric::InactiveMemBp, u64::from(10_000 - bp.0 + 2));
        let young = |matching| Filter { page: PageFilter::Young, matching, allow: false };
        let schemes = vec![
            self.scheme(Action::LruPrio, hot, self.active_mem.map(active), young(false)),
            self.scheme(Action::LruDeprio, cold, self.active_mem.map(inactive), young(true)),
        ];
        Ok((attrs, schemes))
    }

    fn scheme(&self, action: Action, pattern: AccessPattern, goal: Option<Goal>, young: Filter) -> Scheme {
        let half = (self.time / 2).max(self.time.min(Duration::from_millis(1)));
        Scheme {
            pattern,
            quota: Quota {
                time: half,
                reset_interval: self.reset_interval,
                weights: Weights { size: 0, nr_accesses: 1, age: 1 },
                goals: goal.into_iter().collect(),
                ..Quota::default()
            },
            watermarks: self.watermarks.clone(),
            filters: self.filter_young.then_some(young).into_iter().collect(),
            ..Scheme::new(action)
        }
    }
}
