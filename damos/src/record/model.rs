//! What a record says, in whatever format.
//!
//! Counterpart: `DamonRecord`, `DamonSnapshot`, `DamonRegion` of damo 3.4.3.

use core::time::Duration;

use damon_core::{Bp, Sees};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::config::document::Intervals;

/// The next thing in a record. Series are numbered from 0 in the order in which they are first met.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Item {
    /// A series begins; or more is known of one that has begun: what was said of it before is in it.
    Series(usize, Series),
    /// The next snapshot of a series.
    Snapshot(usize, Snapshot),
    /// What is mapped in a series' addresses from here on.
    Mappings(usize, Vec<Mapping>),
}

/// Whose snapshots they are: of one target, or of one scheme's view. What damo calls a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Series {
    /// Which thread made it.
    pub kdamond_idx: Option<u32>,
    /// Which of its contexts.
    pub context_idx: Option<u32>,
    /// The intervals it was made with; where they are tuned, those at the beginning.
    pub intervals: Option<Intervals>,
    /// Which scheme looked, if one did.
    pub scheme_idx: Option<u32>,
    /// At which target, if at one.
    pub target_id: Option<TargetName>,
    /// The scheme's filters, in damo's words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scheme_filters: Vec<serde_json::Value>,
    /// Where damo had it from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_source: Option<String>,
}

/// What a target is called in a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetName {
    /// By number: a [`TargetId`](damon_core::TargetId), an index, a pid.
    Number(i64),
    /// By name.
    Text(String),
}

/// What was known when an aggregation ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// When the aggregation began, in nanoseconds of the recorder's clock.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// The sampling interval it was made with, where that is tuned.
    pub sampling: Option<Duration>,
    /// Bytes that a scheme found, where that is not the sum of the regions.
    pub total_bytes: Option<u64>,
    /// What the scheme had done until then.
    pub stats: Option<SchemeStats>,
    /// Ascending where they are of one target; a scheme's view may hold several targets, one after the other.
    pub regions: Vec<Region>,
}

/// A scheme's statistics, as the kernel counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named and explained as in `struct damos_stat`")]
pub struct SchemeStats {
    pub nr_tried: u64,
    pub sz_tried: u64,
    pub nr_applied: u64,
    pub sz_applied: u64,
    pub sz_ops_filter_passed: u64,
    pub qt_exceeds: u64,
}

/// One region of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its first address, in bytes.
    pub start: u64,
    /// The address after its last.
    pub end: u64,
    /// In how many of an aggregation's samples an access was found; where more or fewer were taken of the region, in how many of as
    /// many as the intervals say.
    pub nr_accesses: u32,
    /// For how many aggregations the access frequency has not changed significantly.
    pub age: u32,
    /// The same in microseconds, where the record says it so.
    pub age_us: Option<u64>,
    /// Bytes that passed the scheme's filters.
    pub sz_filter_passed: u64,
    /// How many samples were taken, where that is known and differs from the intervals' ratio.
    pub nr_samples: Option<u32>,
    /// In how many of them a write was found, where that could be seen; as `nr_accesses`.
    pub nr_writes: Option<u32>,
    /// The access rate that the adjuster believed in.
    pub rate: Option<Bp>,
    /// What could be seen there.
    pub sees: Option<Sees>,
    /// In how many samples the page had each attribute that was probed.
    pub probe_hits: SmallVec<[u32; 4]>,
}

impl Region {
    /// `start..end`, in bytes, never accessed.
    pub const fn new(start: u64, end: u64) -> Self {
        Self {
            start,
            end,
            nr_accesses: 0,
            age: 0,
            age_us: None,
            sz_filter_passed: 0,
            nr_samples: None,
            nr_writes: None,
            rate: None,
            sees: None,
            probe_hits: SmallVec::new_const(),
        }
    }

    /// Nothing was found there, and that says nothing: reads are invisible, or no sample was taken. Not to be taken for cold.
    pub fn is_unseen(&self) -> bool {
        let blind = self.sees.is_some_and(|sees| !sees.sees_reads());
        self.nr_accesses == 0 && (blind || self.nr_samples == Some(0))
    }

    /// Its size in bytes.
    pub const fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// A range of addresses and what is mapped there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Its first address.
    pub start: u64,
    /// The address after its last.
    pub end: u64,
    /// The file's path, or a name such as `[heap]`; empty for anonymous memory.
    pub name: String,
}
