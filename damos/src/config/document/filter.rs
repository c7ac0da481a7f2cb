//! To what of the memory: a `filter` of a scheme.

use serde::{Deserialize, Serialize};

use super::context::Region;
use crate::config::quantity::{Count, Size, flag, path_or_none};

/// One line of a scheme's filter list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemeFilter {
    /// The property.
    pub filter_type: SchemeFilterKind,
    /// Is the line about memory that has it?
    #[serde(deserialize_with = "flag")]
    pub matching: bool,
    /// Shall the action be applied to that? An older name of it is `filter_pass`.
    #[serde(default, alias = "filter_pass", deserialize_with = "flag")]
    pub allow: bool,
    /// For `memcg`: which, from the mount point on.
    #[serde(default, deserialize_with = "path_or_none")]
    pub memcg_path: Option<String>,
    /// For `addr`.
    #[serde(default)]
    pub address_range: Option<Region>,
    /// For `target`: its place in the context's list.
    #[serde(default)]
    pub damon_target_idx: Option<Count>,
    /// For `hugepage_size`: the smallest and the largest.
    #[serde(default)]
    pub hugepage_size: Option<[Size; 2]>,
    /// For `probe_hits_wsum`: the least and the most.
    #[serde(default)]
    pub probe_hits_wsum_range: Option<[Count; 2]>,
}

impl SchemeFilter {
    /// Memory that is `filter_type` (or is not) passes (or does not); what the kind needs beside that is still missing.
    pub const fn new(filter_type: SchemeFilterKind, matching: bool, allow: bool) -> Self {
        Self {
            filter_type,
            matching,
            allow,
            memcg_path: None,
            address_range: None,
            damon_target_idx: None,
            hugepage_size: None,
            probe_hits_wsum_range: None,
        }
    }
}

/// A property that schemes' filters test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemeFilterKind {
    /// Anonymous memory.
    Anon,
    /// On an active LRU list.
    Active,
    /// Of a memory cgroup.
    Memcg,
    /// Accessed since this was last asked.
    Young,
    /// In a page of a certain size.
    HugepageSize,
    /// Not mapped.
    Unmapped,
    /// At certain addresses.
    Addr,
    /// Of a certain target.
    Target,
    /// With a certain weighted sum of probe hits.
    ProbeHitsWsum,
}
