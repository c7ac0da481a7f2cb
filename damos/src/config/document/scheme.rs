//! What is done about it: a `scheme` of a document.

use serde::{Deserialize, Serialize};

use super::filter::SchemeFilter;
use super::quota::Quotas;
use crate::config::quantity::{AgeBound, Count, FreqBound, Micros, Number, Percent, Permil, Size};

/// Does something to memory that is accessed in a certain way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scheme {
    /// What. Default: `stat`.
    pub action: Action,
    /// For migrations: where to, by weight.
    pub dests: Vec<Dest>,
    /// For migrations: where to, if to one node; -1 is none.
    pub target_nid: Option<Number>,
    /// To which memory. Default: all.
    pub access_pattern: AccessPattern,
    /// How often; 0, the default, is once an aggregation.
    pub apply_interval_us: Micros,
    /// How much.
    pub quotas: Quotas,
    /// When at all.
    pub watermarks: Watermarks,
    /// To what of that memory.
    pub filters: Vec<SchemeFilter>,
    /// What came of it, and where damo has `max_nr_snapshots`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<Stats>,
}

/// What is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Expect accesses.
    Willneed,
    /// Expect none.
    Cold,
    /// Page it out.
    Pageout,
    /// Back it with huge pages.
    Hugepage,
    /// Back it with small pages.
    Nohugepage,
    /// Collapse it into huge pages.
    Collapse,
    /// To the warm end of its LRU list.
    LruPrio,
    /// To the cold end of its LRU list.
    LruDeprio,
    /// Migrate it, the hottest first.
    MigrateHot,
    /// Migrate it, the coldest first.
    MigrateCold,
    /// Only count it.
    #[default]
    Stat,
}

/// A node to migrate to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dest {
    /// The node.
    pub id: Number,
    /// Its share, relative to the others'.
    pub weight: Number,
}

/// Two bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinMax<T> {
    /// The lower.
    pub min: T,
    /// The upper.
    pub max: T,
}

/// Which memory. The default is all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessPattern {
    /// Of regions of this size.
    pub sz_bytes: MinMax<Size>,
    /// Accessed so often.
    pub nr_accesses: MinMax<FreqBound>,
    /// For so long.
    pub age: MinMax<AgeBound>,
}

impl Default for AccessPattern {
    fn default() -> Self {
        let percent = |n| FreqBound::Percent(Percent::new(n));
        let time = |n| AgeBound::Time(Micros(n));
        Self {
            sz_bytes: MinMax { min: Size(0), max: Size(u64::MAX) },
            nr_accesses: MinMax { min: percent(0), max: percent(u64::MAX) },
            age: MinMax { min: time(0), max: time(u64::MAX) },
        }
    }
}

/// Between which marks of a metric the scheme is active. The default is always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watermarks {
    /// What is looked at.
    pub metric: WatermarkMetric,
    /// How often.
    pub interval_us: Micros,
    /// Above it there is no need.
    pub high_permil: Permil,
    /// From above it starts here.
    pub mid_permil: Permil,
    /// Below it others must help.
    pub low_permil: Permil,
}

/// What watermarks look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatermarkMetric {
    /// Nothing: it is always active.
    #[default]
    None,
    /// The free part of memory.
    FreeMemRate,
}

/// What came of a scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    /// Regions that it was tried on.
    pub nr_tried: Count,
    /// Their size.
    pub sz_tried: Size,
    /// Regions that it was applied to.
    pub nr_applied: Count,
    /// Their size.
    pub sz_applied: Size,
    /// The size of what passed the page filters.
    pub sz_ops_filter_passed: Size,
    /// Windows in which the quota was used up.
    pub qt_exceeds: Count,
    /// Snapshots that it was applied to.
    #[serde(default)]
    pub nr_snapshots: Count,
    /// It stops after so many; 0 is never. A setting among the figures.
    #[serde(default)]
    pub max_nr_snapshots: Count,
}
