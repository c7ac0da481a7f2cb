//! The monitor.

use alloc::vec::Vec;
use core::time::Duration;

use crate::attrs::Attrs;
use crate::ops::Ops;
use crate::report::Access;
use crate::snapshot::View;
use crate::target::{Target, TargetId, TargetSpec};
use crate::time::Instant;

/// When to call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Next {
    /// At this time; later is allowed.
    At(Instant),
    /// Paused, or nothing to watch: when something changed.
    Parked,
}

/// What the end of a sampling window brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Window {
    /// It has not ended: call again at this time. Nothing was done.
    Early(Instant),
    /// Its samples were counted.
    Counted(Stats),
    /// They were, and with them an aggregation ended: the regions are a finished snapshot until the next `begin`.
    Aggregated(Stats),
}

/// Figures of one sampling window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// By how much `end` was called after it was due.
    pub late: Duration,
    /// The window was more than twice too long, and its samples were left out.
    pub void: bool,
    /// Addresses that were looked at.
    pub checks: u32,
    /// Those that were accessed.
    pub accessed: u32,
    /// Those that could not be checked.
    pub unknown: u32,
    /// Reports taken into account.
    pub reports: u64,
    /// The events that they stand for: the sum of their weights.
    pub events: u64,
    /// Reports about nothing that is watched.
    pub reports_outside: u64,
    /// Reports that did not fit.
    pub reports_lost: u64,
    /// The highest count of any region in this aggregation so far.
    pub max_nr_accesses: u32,
    /// Regions over all targets.
    pub nr_regions: usize,
    /// There are more regions than `max_nr_regions`.
    pub over_max: bool,
}

/// Watches targets through a backend that each step borrows.
#[derive(Debug)]
pub struct Monitor {
    attrs: Attrs,
    targets: Vec<Target>,
}

impl Monitor {
    /// A monitor without targets.
    pub fn new(attrs: Attrs, seed: u64) -> Self {
        let _ = seed;
        Self { attrs, targets: Vec::new() }
    }
    /// The attributes, with the intervals as tuned.
    pub const fn attrs(&self) -> &Attrs {
        &self.attrs
    }
    /// Takes new attributes.
    pub fn commit(&mut self, attrs: Attrs) {
        self.attrs = attrs;
    }
    /// Adds a target, or changes its spec.
    pub fn add_target(&mut self, spec: TargetSpec) {
        self.targets.push(Target::new(spec));
    }
    /// Removes a target with its regions; false if there is none.
    pub fn remove_target(&mut self, id: TargetId) -> bool {
        let _ = id;
        false
    }
    /// Takes a report.
    pub fn report_access(&mut self, access: Access) {
        let _ = access;
    }
    /// Stops sampling and freezes ages.
    pub fn pause(&mut self) {}
    /// Goes on.
    pub fn resume(&mut self) {}
    /// Is it paused?
    pub const fn is_paused(&self) -> bool {
        false
    }
    /// Starts a sampling window.
    pub fn begin<O: Ops + ?Sized>(&mut self, now: Instant, ops: &mut O) -> Result<Next, O::Error> {
        let _ = (now, ops);
        Ok(Next::Parked)
    }
    /// Ends a sampling window.
    pub fn end<O: Ops + ?Sized>(&mut self, now: Instant, ops: &mut O) -> Result<Window, O::Error> {
        let _ = ops;
        Ok(Window::Early(now))
    }
    /// The targets and regions.
    pub fn view(&self) -> View<'_> {
        View { attrs: &self.attrs, targets: &self.targets, at: Instant::ZERO, took: Duration::ZERO }
    }
}
