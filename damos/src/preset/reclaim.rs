//! Proactive reclaim: pages out what was not accessed for long, the longest idle first.
//!
//! Counterpart: `mm/damon/reclaim.c` (Linux 7.3).

use core::time::Duration;

use damon_core::control::priority::Weights;
use damon_core::control::watermarks::Marks;
use damon_core::{Action, AttrsSpec, Filter, Metric, PageFilter};

use super::{Monitoring, SIZES};
use crate::scheme::{AccessPattern, Age, Freq, Goal, Quota, Scheme, Watermarks};

/// `DAMON_RECLAIM`: its parameters and their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reclaim {
    /// What was not accessed for so long is cold (`min_age`). Default 120 s.
    pub min_age: Duration,
    /// So much time for paging out in a charge window, in whole milliseconds; zero is no limit (`quota_ms`). Default 10 ms.
    pub time: Duration,
    /// So many addresses in a charge window; 0 is no limit (`quota_sz`). Default 128 MiB.
    pub size: u64,
    /// The charge window (`quota_reset_interval_ms`). Default 1 s.
    pub reset_interval: Duration,
    /// Pages out, within the limits above, until so much time in a charge window is lost waiting for memory
    /// (`quota_mem_pressure_us`). `None`, the default, is no such goal.
    pub mem_pressure: Option<Duration>,
    /// Pages out, within the limits above, until this value of the program's own is 10,000; it should rise with what is
    /// paged out (`quota_autotune_feedback`). Given anew with
    /// [`Schemes::set_goal_input`](crate::engine::Schemes::set_goal_input). `None`, the default, is no such goal.
    pub feedback: Option<u64>,
    /// Leaves anonymous memory alone (`skip_anon`).
    pub skip_anon: bool,
    /// Between which amounts of free memory, in thousandths, it works at all, and how often it looks. Default 500, 400 and
    /// 200, every 5 s. `None` is always, without a counterpart.
    pub watermarks: Option<Watermarks>,
    /// How it watches.
    pub monitoring: Monitoring,
}

impl Default for Reclaim {
    fn default() -> Self {
        Self {
            min_age: Duration::from_secs(120),
            time: Duration::from_millis(10),
            size: 128 << 20,
            reset_interval: Duration::from_secs(1),
            mem_pressure: None,
            feedback: None,
            skip_anon: false,
            watermarks: Some(Watermarks {
                metric: Metric::FreeMemRatePermille,
                interval: Duration::from_secs(5),
                marks: Marks { high: 500, mid: 400, low: 200 },
            }),
            monitoring: Monitoring::default(),
        }
    }
}

impl Reclaim {
    /// The attributes, and one scheme. Its goals, where both are set, are the pressure and then the feedback.
    pub fn plan(&self) -> (AttrsSpec, Vec<Scheme>) {
        let us = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let pressure = self.mem_pressure.map(|d| Goal::new(Metric::SomeMemPsiUs, us(d)));
        let feedback = self.feedback.map(|now| Goal { current_value: now, ..Goal::new(Metric::UserInput, 10_000) });
        let not_anon = Filter { page: PageFilter::Anon, matching: true, allow: false };
        let scheme = Scheme {
            pattern: AccessPattern {
                size: SIZES,
                freq: Freq::NONE,
                age: Age::Time(self.min_age..=Duration::MAX),
                ..AccessPattern::default()
            },
            quota: Quota {
                size: self.size,
                time: self.time,
                reset_interval: self.reset_interval,
                weights: Weights { size: 0, nr_accesses: 0, age: 1 },
                goals: pressure.into_iter().chain(feedback).collect(),
                ..Quota::default()
            },
            watermarks: self.watermarks.clone(),
            filters: self.skip_anon.then_some(not_anon).into_iter().collect(),
            ..Scheme::new(Action::Pageout)
        };
        (self.monitoring.attrs(), vec![scheme])
    }
}
