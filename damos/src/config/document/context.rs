//! What is monitored and how: a `ctx` of a document.

use serde::{Deserialize, Serialize};

use super::scheme::{MinMax, Scheme};
use crate::config::quantity::{Address, BasisPoints, Count, Micros, Number, Size, flag, path_or_none};

/// What is monitored, how, and what is done about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// In which kind of address space.
    pub ops: OpsKind,
    /// Bytes per address. Default: 1.
    #[serde(default = "one_byte")]
    pub addr_unit: Size,
    /// Whose memory.
    pub targets: Vec<Target>,
    /// How often.
    #[serde(default)]
    pub intervals: Intervals,
    /// How many regions. Default: 10 to 1,000.
    #[serde(default = "ten_to_a_thousand")]
    pub nr_regions: MinMax<Count>,
    /// Attributes to count beside accesses.
    #[serde(default)]
    pub probes: Vec<Probe>,
    /// By what accesses are sampled.
    #[serde(default)]
    pub sample_control: SampleControl,
    /// Start paused.
    #[serde(default, deserialize_with = "flag")]
    pub pause: bool,
    /// What is done about it.
    #[serde(default)]
    pub schemes: Vec<Scheme>,
}

fn one_byte() -> Size {
    Size(1)
}

fn ten_to_a_thousand() -> MinMax<Count> {
    MinMax { min: Count(10), max: Count(1_000) }
}

impl Context {
    /// `ops` without targets, all else as damo has it where nothing is said.
    pub fn new(ops: OpsKind) -> Self {
        Self {
            ops,
            addr_unit: one_byte(),
            targets: Vec::new(),
            intervals: Intervals::default(),
            nr_regions: ten_to_a_thousand(),
            probes: Vec::new(),
            sample_control: SampleControl::default(),
            pause: false,
            schemes: Vec::new(),
        }
    }
}

/// A kind of address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpsKind {
    /// All that a process has mapped.
    Vaddr,
    /// Fixed ranges of a process.
    Fvaddr,
    /// Physical memory.
    Paddr,
}

/// Whose memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The process; none for physical memory.
    #[serde(deserialize_with = "Option::deserialize")]
    pub pid: Option<Number>,
    /// To be dropped when the document is committed to a running kernel.
    #[serde(default, deserialize_with = "flag")]
    pub obsolete: bool,
    /// Which parts of it.
    pub regions: Vec<Region>,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The first.
    pub start: Address,
    /// The one after the last.
    pub end: Address,
}

/// How often is looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// The sampling interval. Default: 5 ms.
    pub sample_us: Micros,
    /// The aggregation interval. Default: 100 ms.
    pub aggr_us: Micros,
    /// How often it is asked what there is. Default: 1 s.
    pub ops_update_us: Micros,
    /// What the first two are tuned to.
    #[serde(default)]
    pub intervals_goal: IntervalsGoal,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            sample_us: Micros(5_000),
            aggr_us: Micros(100_000),
            ops_update_us: Micros(1_000_000),
            intervals_goal: IntervalsGoal::default(),
        }
    }
}

/// How many access events are wanted. The default is off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntervalsGoal {
    /// Of all that could be observed.
    pub access_bp: BasisPoints,
    /// In so many aggregations; 0 is off.
    pub aggrs: Count,
    /// The shortest sampling interval.
    pub min_sample_us: Micros,
    /// The longest.
    pub max_sample_us: Micros,
}

/// An attribute to count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// What is done to a page when it is sampled.
    #[serde(default)]
    pub preps: Vec<Prep>,
    /// What passes them has the attribute.
    pub filters: Vec<ProbeFilter>,
    /// What a hit is worth.
    #[serde(default)]
    pub weight: Option<Number>,
}

/// What is done to a page when it is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prep {
    /// The deed.
    pub prep_action: PrepAction,
}

/// See [`Prep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrepAction {
    /// Mark it idle.
    SetPgidle,
}

/// One line of a probe's filter list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeFilter {
    /// The property.
    pub filter_type: ProbeFilterKind,
    /// Is the line about pages that have it?
    #[serde(deserialize_with = "flag")]
    pub matching: bool,
    /// Shall those pass?
    #[serde(deserialize_with = "flag")]
    pub allow: bool,
    /// For `memcg`: which, from the mount point on.
    #[serde(default, deserialize_with = "path_or_none")]
    pub path: Option<String>,
    /// For `hugepage_size`: the smallest.
    #[serde(default)]
    pub range_min: Option<Size>,
    /// For `hugepage_size`: the largest.
    #[serde(default)]
    pub range_max: Option<Size>,
}

/// A property that probes test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeFilterKind {
    /// Anonymous memory.
    Anon,
    /// Of a memory cgroup.
    Memcg,
    /// Not marked idle.
    PgidleUnset,
    /// Marked idle.
    PgidleSet,
    /// In a page of a certain size.
    HugepageSize,
}

/// By what accesses are sampled (`damon/next` only).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleControl {
    /// By which means.
    pub primitives_enabled: Primitives,
    /// Which of the accesses count.
    pub sample_filters: Vec<SampleFilter>,
}

/// By which means accesses are found. The default is page tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Primitives {
    /// The accessed bits of page tables.
    #[serde(deserialize_with = "flag")]
    pub page_table: bool,
    /// Page faults.
    #[serde(deserialize_with = "flag")]
    pub page_fault: bool,
}

impl Default for Primitives {
    fn default() -> Self {
        Self { page_table: true, page_fault: false }
    }
}

/// One line of the list of which accesses count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleFilter {
    /// The property.
    pub filter_type: SampleFilterKind,
    /// Is the line about accesses that have it?
    #[serde(deserialize_with = "flag")]
    pub matching: bool,
    /// Shall those count?
    #[serde(deserialize_with = "flag")]
    pub allow: bool,
    /// For `cpumask`: the kernel's list of CPUs.
    #[serde(default, deserialize_with = "path_or_none")]
    pub cpumask: Option<String>,
    /// For `threads`: the ids, apart by spaces.
    #[serde(default, deserialize_with = "path_or_none")]
    pub tid_arr: Option<String>,
}

/// A property of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleFilterKind {
    /// It is a write.
    Write,
    /// It is by one of these CPUs.
    Cpumask,
    /// It is by one of these threads.
    Threads,
}
