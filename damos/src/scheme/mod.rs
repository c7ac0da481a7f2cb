//! Schemes as a person writes them: which memory, what to do, how much, towards what, when.
//!
//! Counterpart: `struct damos` (`include/linux/damon.h`, Linux 7.3). All of it is plain data with defaults; an engine
//! ([`Schemes`](crate::engine::Schemes)) checks it, and keeps what happened.

mod filter;
pub(crate) mod pattern;
mod quota;

use core::time::Duration;

use damon_core::control::watermarks::Marks;
use damon_core::{Action, AddrRange, Dest, Filter, Instant, Metric, TargetId};

pub use filter::{CoreFilter, CoreFilterKind};
pub use pattern::{AccessPattern, Age, Counts, Freq};
pub use quota::{Goal, Quota, Tuner};

/// An operation scheme: does something to memory that is accessed in a certain way.
///
/// ```
/// use std::time::Duration;
/// use damon_core::Action;
/// use damos::scheme::{AccessPattern, Age, Freq, Quota, Scheme};
///
/// // Page out what was not accessed for two minutes, 128 MiB and 10 ms of work a second at most.
/// let scheme = Scheme {
///     pattern: AccessPattern {
///         freq: Freq::NONE,
///         age: Age::Time(Duration::from_secs(120)..=Duration::MAX),
///         ..AccessPattern::default()
///     },
///     quota: Quota { size: 128 << 20, time: Duration::from_millis(10), ..Quota::default() },
///     ..Scheme::new(Action::Pageout)
/// };
/// # let _ = scheme;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scheme {
    /// Which memory.
    pub pattern: AccessPattern,
    /// What to do to it.
    pub action: Action,
    /// How often; zero is at the end of each aggregation.
    pub apply_interval: Duration,
    /// Where to migrate to: one node, or several by weight.
    pub dests: Vec<Dest>,
    /// How much.
    pub quota: Quota,
    /// Which target gets how much of the quota: by weight, and what one has no use for is lent to the others. A target that is not
    /// named has the weight 100. Empty, and without primary ones: the quota is used up in order of address, as in the kernel.
    pub shares: Vec<TargetShare>,
    /// These targets, a workload that comes first, get of the quota what they have use for; what is left the others share. Where it is less,
    /// they share it. Empty: nobody comes first.
    pub primary: Vec<TargetId>,
    /// When at all.
    pub watermarks: Option<Watermarks>,
    /// To which regions; see [`CoreFilter`].
    pub core_filters: Vec<CoreFilter>,
    /// To which pages, tested by who acts; see [`damon_core::passes`].
    pub filters: Vec<Filter>,
    /// What of that comes first.
    pub priority_ranges: Vec<PriorityRange>,
    /// Stops after so many snapshots.
    pub max_nr_snapshots: Option<u64>,
    /// Acts even where reads are invisible, taking "not written" for "not accessed".
    pub allow_write_only: bool,
    /// Looks after it acted how much of it is in effect (is it paged out, is it on its node?), as far as who acts can tell.
    pub verify: bool,
    /// Memory whose access frequency leaves the pattern so soon after the action came back: what was paged out was needed.
    /// It is left alone for that time, and if it comes back again for twice as long, and so on.
    pub thrash_guard: Option<Duration>,
    /// Only says what it would do.
    pub dry_run: bool,
}

impl Scheme {
    /// `action` on all memory, at the end of each aggregation, without limits.
    pub fn new(action: Action) -> Self {
        Self {
            pattern: AccessPattern::default(),
            action,
            apply_interval: Duration::ZERO,
            dests: Vec::new(),
            quota: Quota::default(),
            shares: Vec::new(),
            primary: Vec::new(),
            watermarks: None,
            core_filters: Vec::new(),
            filters: Vec::new(),
            priority_ranges: Vec::new(),
            max_nr_snapshots: None,
            allow_write_only: false,
            verify: false,
            thrash_guard: None,
            dry_run: false,
        }
    }
}

/// Between which marks of a metric a scheme is active. While all of a monitor's schemes are inactive it does not watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// What is looked at; the kernel's is free memory in thousandths.
    pub metric: Metric,
    /// How often.
    pub interval: Duration,
    /// The marks.
    pub marks: Marks,
}

/// Memory that stands first in line: whatever its score, it gets the action before the rest of a snapshot does, and quota, filters,
/// watermarks and access pattern hold for it as for all. Several are served in their order.
///
/// Where the action does not take memory out of the pattern, it is first in line again each time, and may use up all of a quota:
/// bound the pattern's age, or give it an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityRange {
    /// Whose memory.
    pub target: TargetId,
    /// Which; the ends are rounded down to the granule.
    pub range: AddrRange,
    /// Until then; [`Instant::MAX`] for as long as the scheme is there.
    pub until: Instant,
}

/// A target's share of a scheme's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetShare {
    /// Whose.
    pub target: TargetId,
    /// How much, relative to the other targets'; 0 counts as 1.
    pub weight: u16,
}
