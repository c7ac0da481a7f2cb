//! How much is done, towards what: the `quotas` of a scheme.

use serde::{Deserialize, Serialize};

use crate::config::quantity::{Count, GoalValue, Millis, Permil, Size, flag, path_or_none};

/// Limits in a charge window. The default is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    /// Time that the action may take; 0 is no limit.
    pub time_ms: Millis,
    /// Size that it may be tried on; 0 is no limit.
    pub sz_bytes: Size,
    /// How long a window is. Default: for ever.
    pub reset_interval_ms: Millis,
    /// Of memory to which the action was not applied, `fail_charge_num / fail_charge_denom` is charged.
    #[serde(default)]
    pub fail_charge_num: Count,
    /// 0 charges all of it.
    #[serde(default)]
    pub fail_charge_denom: Count,
    /// What is to be achieved.
    #[serde(default)]
    pub goals: Vec<Goal>,
    /// How the size is tuned to it.
    #[serde(default)]
    pub goal_tuner: GoalTuner,
    /// The size that a window may work on at last: an output.
    #[serde(default)]
    pub effective_sz_bytes: Size,
    /// What is served first.
    pub weights: Weights,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            time_ms: Millis(0),
            sz_bytes: Size(0),
            reset_interval_ms: Millis(u64::MAX),
            fail_charge_num: Count(0),
            fail_charge_denom: Count(0),
            goals: Vec::new(),
            goal_tuner: GoalTuner::default(),
            effective_sz_bytes: Size(0),
            weights: Weights::default(),
        }
    }
}

/// How much each property counts for what is served first, relative to the others'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// The size.
    pub sz_permil: Permil,
    /// The access frequency.
    pub nr_accesses_permil: Permil,
    /// The age.
    pub age_permil: Permil,
}

/// How the size is tuned to goals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalTuner {
    /// A little more or less.
    #[default]
    Consist,
    /// All or nothing.
    Temporal,
}

/// A value that a metric shall have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// What is measured.
    pub metric: GoalMetric,
    /// It is the rest of the whole that is meant (`damon/next` only).
    #[serde(default, deserialize_with = "flag")]
    pub complement: bool,
    /// For metrics of a node: which.
    #[serde(default)]
    pub nid: Option<Count>,
    /// For metrics of a memory cgroup: which, from the mount point on.
    #[serde(default, deserialize_with = "path_or_none")]
    pub memcg_path: Option<String>,
    /// What it shall be.
    pub target_value: GoalValue,
    /// What it is; an input for `user_input` only.
    pub current_value: Count,
}

/// What a goal measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalMetric {
    /// What the user says.
    UserInput,
    /// Time in which some task waited for memory.
    SomeMemPsiUs,
    /// Used part of a node.
    NodeMemUsedBp,
    /// Free part of a node.
    NodeMemFreeBp,
    /// Part of a node that a cgroup uses.
    NodeMemcgUsedBp,
    /// The rest of the node.
    NodeMemcgFreeBp,
    /// Active part of memory on LRU lists.
    ActiveMemBp,
    /// The inactive one.
    InactiveMemBp,
    /// Of the memory that the scheme is about, the part on a node.
    NodeEligibleMemBp,
}
