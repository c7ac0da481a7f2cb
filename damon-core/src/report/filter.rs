//! Which reports a monitor wants.

use alloc::vec::Vec;

use super::{Access, AccessKind};
use crate::units::NodeId;

/// Which reports count; the others are counted as filtered. The default lets all pass, and so does each empty list.
///
/// A list lets a report pass that says one of its members: one that does not say its CPU does not pass a list of CPUs. What is
/// known idle passes always, for then nobody accesses it. Where reports are the only source, the picture is of
/// what passes: with `writes_only`, "not accessed" means "not written".
///
/// ```
/// use damon_core::{Access, AccessKind, Attrs, AttrsSpec, ReportFilter, TargetId};
/// let report_filter = ReportFilter { writes_only: true, cpus: vec![3, 2], ..Default::default() };
/// let attrs = Attrs::try_from(AttrsSpec { report_filter, ..Default::default() })?;
/// let write = Access { kind: AccessKind::Write, cpu: Some(2), ..Access::new(TargetId::new(0), 0x1000, 64) };
/// let passes = |access| attrs.spec().report_filter.passes(&access);
/// assert!(passes(write) && !passes(Access { cpu: None, ..write }));
/// assert!(!passes(Access { kind: AccessKind::Access, ..write }), "perhaps a read");
/// # Ok::<(), damon_core::BadAttrs>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct ReportFilter {
    /// Writes only. An access that may have been a read is none.
    pub writes_only: bool,
    /// From these CPUs.
    pub cpus: Vec<u32>,
    /// Of these threads.
    pub threads: Vec<u32>,
    /// From these nodes.
    pub nodes: Vec<NodeId>,
}

impl ReportFilter {
    /// Does the report count?
    #[inline]
    pub fn passes(&self, access: &Access) -> bool {
        access.kind == AccessKind::Idle
            || (!self.writes_only || access.kind == AccessKind::Write)
                && within(&self.cpus, access.cpu)
                && within(&self.threads, access.thread)
                && within(&self.nodes, access.node)
    }
}

#[inline]
fn within<T: PartialEq>(list: &[T], is: Option<T>) -> bool {
    list.is_empty() || is.is_some_and(|is| list.contains(&is))
}
