//! Numbers about a system that quotas and watermarks are steered by.
//!
//! Counterpart: `enum damos_quota_goal_metric`, `enum damos_wmark_metric` (`include/linux/damon.h`, Linux 7.3).

use alloc::string::String;

use crate::units::NodeId;

/// What is measured. Parts are in basis points; totals that only grow are read as they are, and their growth counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// A number that the program sets itself.
    UserInput,
    /// Microseconds in which some task waited for memory: a total (`/proc/pressure/memory`).
    SomeMemPsiUs,
    /// The same of one cgroup, by the inode of its directory.
    MemcgSomeMemPsiUs(u64),
    /// Used part of a node's memory.
    NodeMemUsedBp(NodeId),
    /// Free part of a node's memory.
    NodeMemFreeBp(NodeId),
    /// Part of a node's memory that a cgroup uses.
    NodeMemcgUsedBp(NodeId, u64),
    /// The rest of the node's memory.
    NodeMemcgFreeBp(NodeId, u64),
    /// Active part of the memory on LRU lists.
    ActiveMemBp,
    /// Inactive part of the memory on LRU lists.
    InactiveMemBp,
    /// Of the memory that a scheme is about, the part that is on a node.
    NodeEligibleMemBp(NodeId),
    /// Free memory, in thousandths: what watermarks look at.
    FreeMemRatePermille,
    /// Pages that came back after they were paged out: a total.
    Refaults,
    /// Pages that were promoted to a faster node: a total.
    Promotions,
    /// Busy part of all CPUs.
    CpuLoadBp,
    /// Bytes a second between CPUs and memory.
    MemBandwidth,
    /// Nanoseconds that an access to a node's memory takes now, waiting for its bandwidth included: its loaded latency.
    NodeLatencyNs(NodeId),
    /// Used part of a node's bandwidth.
    NodeBandwidthUsedBp(NodeId),
    /// Something that only the program's [`Metrics`] understand.
    Custom(u16),
}

impl Metric {
    /// Is it a total, of which the growth since the last reading counts?
    pub const fn is_total(self) -> bool {
        matches!(self, Self::SomeMemPsiUs | Self::MemcgSomeMemPsiUs(_) | Self::Refaults | Self::Promotions)
    }
}

/// A metric that could not be read. It never means "no limit".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {metric:?}: {why}")]
#[non_exhaustive]
pub struct MetricError {
    /// Which.
    pub metric: Metric,
    /// Why not, and the way out.
    pub why: String,
}

impl MetricError {
    /// `metric` could not be read because of `why`.
    pub fn new(metric: Metric, why: impl Into<String>) -> Self {
        Self { metric, why: why.into() }
    }
}

/// Who reads them.
pub trait Metrics {
    /// The value now.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError>;
}

/// None can be read.
impl Metrics for () {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        Err(MetricError::new(metric, "there is nobody who reads metrics"))
    }
}

impl<M: Metrics + ?Sized> Metrics for &mut M {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        (**self).read(metric)
    }
}

impl<M: Metrics + ?Sized> Metrics for alloc::boxed::Box<M> {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        (**self).read(metric)
    }
}

impl<F: FnMut(Metric) -> Result<u64, MetricError>> Metrics for MetricsFn<F> {
    fn read(&mut self, metric: Metric) -> Result<u64, MetricError> {
        (self.0)(metric)
    }
}

/// A closure that reads metrics.
///
/// ```
/// use damon_core::{Metric, MetricError, Metrics, MetricsFn};
/// let mut metrics = MetricsFn(|m| match m {
///     Metric::FreeMemRatePermille => Ok(420),
///     other => Err(MetricError::new(other, "this program knows free memory only")),
/// });
/// assert_eq!(metrics.read(Metric::FreeMemRatePermille), Ok(420));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MetricsFn<F>(pub F);
