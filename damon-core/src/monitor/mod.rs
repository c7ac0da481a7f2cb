//! The monitor: a value that is stepped with the time and a borrowed backend.
//!
//! Counterpart: `kdamond_fn` (`mm/damon/core.c`, Linux 7.3), with the sleep taken out: it is the caller's.

mod edit;
mod refit;
#[cfg(test)]
mod tests;
pub(crate) mod tune;
mod update;
mod window;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::adjust::{self, Adjuster};
use crate::attrs::Attrs;
use crate::ops::Sample;
use crate::report::{Access, Intake, Reporter, Source, SourceId, SourceSpec};
use crate::rng::Rng;
use crate::sight::Span;
use crate::snapshot::View;
use crate::target::{Cut, Target, TargetEvent, TargetId, TargetSpec, mean_size};
use crate::time::Instant;

pub use edit::{EditError, Editor};
pub use window::{Next, Stats, Window};

/// Watches targets: learns which of their memory is accessed, how often and since when, with a bounded number of checks.
///
/// It owns no clock, no thread and no file. Who owns it calls [`begin`](Self::begin), waits until the time that gives,
/// calls [`end`](Self::end), and so on. In between, in the *gap*, the regions can be looked at ([`view`](Self::view))
/// and edited, and attributes and targets changed; after [`Window::Aggregated`] they are a finished snapshot.
///
/// ```
/// use damon_core::{Access, AddrRange, Attrs, Instant, Monitor, Next, TargetId, TargetSpec, Window};
///
/// // A thousand slots of a cache, watched by reports alone: no backend.
/// let mut monitor = Monitor::new(Attrs::default(), 1);
/// let slots = TargetId::new(0);
/// monitor.add_target(TargetSpec { ranges: vec![AddrRange::new(0, 4_096_000).unwrap()], ..TargetSpec::new(slots) });
///
/// let mut now = Instant::ZERO;
/// loop {
///     match monitor.begin(now, &mut ())? {
///         Next::At(due) => now = due, // here a program sleeps
///         _ => break,
///     }
///     monitor.report_access(Access::new(slots, 0, 2_048_000));
///     if let Window::Aggregated(_) = monitor.end(now, &mut ())? {
///         break;
///     }
/// }
/// let hot: u64 = monitor.view().targets()[0].regions().iter().filter(|r| r.nr_accesses() > 10).map(|r| r.size()).sum();
/// assert!((1_900_000..2_500_000).contains(&hot), "{hot}");
/// # Ok::<(), core::convert::Infallible>(())
/// ```
#[derive(Debug)]
pub struct Monitor {
    attrs: Attrs,
    /// Sorted by id.
    targets: Vec<Target>,
    adjuster: Box<dyn Adjuster>,
    rng: Rng,
    intake: Intake,
    samples: Vec<Sample>,
    /// Samples of this window that need no check, because of reports.
    known: Vec<Sample>,
    phase: Phase,
    paused: bool,
    /// Windows of the aggregation under way that have ended.
    windows: u32,
    /// When its first window began.
    started: Option<Instant>,
    /// Aggregations since the last tuning.
    untuned: u32,
    /// When the last aggregation ended, and how long it took.
    at: Instant,
    took: Duration,
    /// When targets and ranges are read next.
    update_due: Instant,
    events: Vec<TargetEvent>,
    spans: Vec<Span>,
    cuts: Vec<Cut>,
}

/// Where in the loop the monitor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between windows.
    Gap,
    /// Between windows, and the last one closed an aggregation.
    Finished,
    /// In a window.
    Armed { since: Instant, due: Instant },
}

impl Monitor {
    /// A monitor without targets. Equal attributes, seeds and inputs give equal outputs, on every platform.
    pub fn new(attrs: Attrs, seed: u64) -> Self {
        let adjuster = adjust::build(attrs.spec().adjust);
        Self::with_adjuster(attrs, seed, adjuster)
    }

    pub(crate) fn with_adjuster(attrs: Attrs, seed: u64, adjuster: Box<dyn Adjuster>) -> Self {
        Self {
            attrs,
            targets: Vec::new(),
            adjuster,
            rng: Rng::new(seed),
            intake: Intake::default(),
            samples: Vec::new(),
            known: Vec::new(),
            phase: Phase::Gap,
            paused: false,
            windows: 0,
            started: None,
            untuned: 0,
            at: Instant::ZERO,
            took: Duration::ZERO,
            update_due: Instant::ZERO,
            events: Vec::new(),
            spans: Vec::new(),
            cuts: Vec::new(),
        }
    }

    /// One that has just finished an aggregation with this target.
    pub(crate) fn finished(attrs: Attrs, target: Target) -> Self {
        let mut monitor = Self::new(attrs, 0);
        monitor.targets.push(target);
        monitor.phase = Phase::Finished;
        monitor
    }

    /// The attributes, with the intervals as tuned.
    pub const fn attrs(&self) -> &Attrs {
        &self.attrs
    }

    /// Takes new attributes from here on. What was counted is rescaled to new intervals and ages are kept as time; where
    /// the intervals differ, an aggregation under way starts anew. A window under way is given up.
    ///
    /// Counterpart: `damon_commit_ctx` (`mm/damon/core.c`, Linux 7.3).
    pub fn commit(&mut self, attrs: Attrs) {
        self.give_up_window();
        let old = core::mem::replace(&mut self.attrs, attrs);
        if old.window() != self.attrs.window() {
            let mid_aggregation = self.phase != Phase::Finished;
            self.adjuster.rescale(&old, &self.attrs, mid_aggregation, &mut self.targets);
            if mid_aggregation {
                self.restart_aggregation();
            }
        }
        let (old, new) = (old.spec(), self.attrs.spec());
        if old.adjust != new.adjust {
            self.adjuster = adjust::build(new.adjust);
            // The new one starts from the counts.
            self.targets.iter_mut().flat_map(|t| &mut t.regions).for_each(|r| r.estimate(0, 0));
        }
        if old.probes != new.probes {
            let probed = !new.probes.is_empty();
            self.targets.iter_mut().for_each(|t| t.set_probed(probed));
        }
        if old.granule != new.granule {
            let granule = old.granule.max(new.granule);
            self.targets.iter_mut().for_each(|t| self.adjuster.realign(t, granule));
        }
        // Limits may cut, and a granule may move the ends of ranges: both are done with the next look at the ranges.
        self.update_due = Instant::ZERO;
    }

    /// Adds a target, or changes the spec of one that is there. Its ranges are read at the next [`begin`](Self::begin).
    pub fn add_target(&mut self, spec: TargetSpec) {
        self.give_up_window();
        match self.targets.binary_search_by_key(&spec.id, Target::id) {
            Ok(at) => self.targets[at].spec = spec,
            Err(at) => {
                let mut target = Target::new(spec);
                target.set_probed(!self.attrs.spec().probes.is_empty());
                self.targets.insert(at, target);
            }
        }
        self.update_due = Instant::ZERO;
    }

    /// Takes a new list of targets: those that are in it stay with their history and take the new spec, the others go.
    pub fn commit_targets(&mut self, specs: impl IntoIterator<Item = TargetSpec>) {
        let specs: Vec<_> = specs.into_iter().collect();
        let gone = self.targets.iter().map(Target::id).filter(|id| specs.iter().all(|spec| spec.id != *id));
        for id in gone.collect::<Vec<_>>() {
            self.remove_target(id);
        }
        for spec in specs {
            self.add_target(spec);
        }
    }

    /// Removes a target and its regions. False if there is none of that name.
    pub fn remove_target(&mut self, id: TargetId) -> bool {
        self.give_up_window();
        match self.targets.binary_search_by_key(&id, Target::id) {
            Ok(at) => {
                self.adjuster.forget(&mut self.targets[at]);
                self.targets.remove(at);
                true
            }
            Err(_) => false,
        }
    }

    /// The target is somebody else now: voids its history; its ranges are read at the next [`begin`](Self::begin). False if
    /// there is none of that name.
    pub fn replace_target(&mut self, id: TargetId) -> bool {
        self.give_up_window();
        self.update_due = Instant::ZERO;
        match self.targets.binary_search_by_key(&id, Target::id) {
            Ok(at) => {
                self.adjuster.forget(&mut self.targets[at]);
                self.targets[at].clear_events();
                true
            }
            Err(_) => false,
        }
    }

    /// Takes a report of an access, for the window under way or the next: see [`Access`] for what it means. This is for who
    /// owns the monitor; others report through a [`Reporter`].
    ///
    /// Nothing is decided yet, so it is cheap: a report about nothing that is watched, or one too many (262,144 a window),
    /// is counted in the [`Stats`] of the window.
    pub fn report_access(&mut self, access: Access) {
        self.intake.push(access);
    }

    /// Adds a source of reports. The reporter, and its clones, may be used from any thread and any context.
    pub fn add_source(&mut self, spec: SourceSpec) -> Reporter {
        self.intake.add(spec)
    }

    /// Removes a source: what its reporters say from now on, and what waits for the window's end, is lost. False if there is none
    /// of that number.
    pub fn remove_source(&mut self, id: SourceId) -> bool {
        self.intake.remove(id)
    }

    /// The sources of reports, with what became of those: first the owner's ([`report_access`](Self::report_access)), called
    /// `owner`, then those added, in that order.
    pub fn sources(&self) -> &[Source] {
        self.intake.sources()
    }

    /// Stops sampling and freezes ages. The aggregation under way goes on where it was when monitoring resumes; a window
    /// under way is given up.
    pub fn pause(&mut self) {
        self.give_up_window();
        self.paused = true;
    }

    /// Goes on after a [`pause`](Self::pause).
    pub fn resume(&mut self) {
        if self.paused {
            self.paused = false;
            // The time of the pause belongs to no aggregation.
            self.started = None;
        }
    }

    /// Is it paused?
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Targets, regions and counts as they are now.
    pub fn view(&self) -> View<'_> {
        View {
            attrs: &self.attrs,
            targets: &self.targets,
            intake: &self.intake,
            at: self.at,
            took: self.took,
            windows: self.windows_counted(),
        }
    }

    /// The regions of a target, to cut, join and reset: what a scheme may do in the gap. A window under way is given up.
    pub fn edit(&mut self, id: TargetId) -> Option<Editor<'_>> {
        self.give_up_window();
        let at = self.targets.binary_search_by_key(&id, Target::id).ok()?;
        let samples = self.attrs.samples_per_aggregation();
        Some(Editor {
            samples,
            left: samples.saturating_sub(self.windows_counted()),
            adjuster: &mut *self.adjuster,
            target: &mut self.targets[at],
            granule: self.attrs.spec().granule,
        })
    }

    /// Regions above this size would be cut at the end of the next aggregation, to have `min_nr_regions`.
    ///
    /// Counterpart: `damon_region_sz_limit` (`mm/damon/core.c`, Linux 7.3).
    pub fn region_size_limit(&self) -> u64 {
        mean_size(&self.targets, &self.attrs)
    }

    /// Windows that the current counts are made of.
    const fn windows_counted(&self) -> u32 {
        if matches!(self.phase, Phase::Finished) { self.attrs.samples_per_aggregation() } else { self.windows }
    }

    /// Samples speak of regions as they were when they were drawn.
    fn give_up_window(&mut self) {
        if let Phase::Armed { .. } = self.phase {
            self.samples.clear();
            self.known.clear();
            self.phase = Phase::Gap;
        }
    }

    fn restart_aggregation(&mut self) {
        self.windows = 0;
        self.started = None;
    }

    fn nr_regions(&self) -> usize {
        self.targets.iter().map(|t| t.regions.len()).sum()
    }
}
