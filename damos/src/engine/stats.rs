//! What a scheme did so far.
//!
//! Counterpart: `struct damos_stat` (`include/linux/damon.h`, Linux 7.3).

/// Counters of one scheme, since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Regions that it was tried on, and their addresses.
    pub nr_tried: u64,
    /// The addresses of these.
    pub sz_tried: u64,
    /// Regions that it was applied to at least in part.
    pub nr_applied: u64,
    /// The addresses that it was applied to.
    pub sz_applied: u64,
    /// Addresses that passed the page filters.
    pub sz_ops_filter_passed: u64,
    /// Charge windows that used up the quota.
    pub qt_exceeds: u64,
    /// Snapshots that it went through.
    pub nr_snapshots: u64,
    /// Regions on which it failed; what was done before that is counted above.
    pub nr_failed: u64,
    /// Addresses left alone since their reads are invisible.
    pub sz_blind: u64,
    /// Of what was looked at after it was applied ([`verify`](crate::scheme::Scheme::verify)): addresses where it is in effect.
    pub sz_verified: u64,
    /// The same where nobody can tell, or looking failed.
    pub sz_unverified: u64,
    /// Addresses that did not stay as the action expected: see [`thrash_guard`](crate::scheme::Scheme::thrash_guard).
    pub sz_came_back: u64,
    /// Addresses left alone because of that, or because nothing to migrate was found there not long ago.
    pub sz_spared: u64,
    /// Readings of goals that failed.
    pub goal_errors: u64,
    /// Readings of watermarks that failed.
    pub watermark_errors: u64,
}
