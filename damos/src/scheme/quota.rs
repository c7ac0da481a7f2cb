//! How much a scheme may do, and what it is to achieve.

use core::time::Duration;

use damon_core::Metric;
use damon_core::control::priority::Weights;

/// Limits of what a scheme does in a charge window; the tightest holds. The default is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Addresses; 0 is no limit.
    pub size: u64,
    /// Time that the action may take, in whole milliseconds; zero is no limit. The size that it is good for is estimated.
    pub time: Duration,
    /// How long a charge window is.
    pub reset_interval: Duration,
    /// What is charged of memory to which the action was not applied: `Some((1, 4))` a quarter, `None` all of it.
    pub fail_charge: Option<(u32, u32)>,
    /// By what regions are served first where there are more than the quota.
    pub weights: Weights,
    /// What is to be achieved: the size is tuned until the farthest reached goal is reached.
    pub goals: Vec<Goal>,
    /// How it is tuned.
    pub tuner: Tuner,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            size: 0,
            time: Duration::ZERO,
            reset_interval: Duration::from_secs(1),
            fail_charge: None,
            weights: Weights::default(),
            goals: Vec::new(),
            tuner: Tuner::default(),
        }
    }
}

/// A value that some metric shall have. More of the action is taken to bring it nearer from below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// What is measured.
    pub metric: Metric,
    /// What it shall be: not 0.
    pub target_value: u64,
    /// What it is, for [`Metric::UserInput`]: see [`Schemes::set_goal_input`](crate::engine::Schemes::set_goal_input).
    pub current_value: u64,
}

impl Goal {
    /// `metric` shall be `target_value`.
    pub const fn new(metric: Metric, target_value: u64) -> Self {
        Self { metric, target_value, current_value: 0 }
    }
}

/// How a quota's size is tuned to its goals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tuner {
    /// A little more or less in each window, to hold the goal: [`consist`](damon_core::control::goal::consist).
    #[default]
    Consist,
    /// As much as the size limit allows until the goal is reached, then nothing:
    /// [`temporal`](damon_core::control::goal::temporal).
    Temporal,
    /// What a byte does to the goals is learned, and the size that reaches them is taken, from an unknown start in about 8
    /// windows: [`SelfTuning`](damon_core::control::goal::SelfTuning). The kernel has none like it.
    SelfTuning,
    /// Just what is missing, for a first goal that is a part of so many addresses, as a node's free or used memory is:
    /// [`exact`](damon_core::control::goal::exact). Other goals take from it as they come near. The kernel has none like it.
    Exact {
        /// So many addresses are all of it: a node's bytes.
        whole: u64,
    },
}
