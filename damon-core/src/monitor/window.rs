//! One sampling window: armed at its beginning, checked at its end.

use core::time::Duration;

use super::{Monitor, Phase};
use crate::ops::{Ops, Want};
use crate::sight::Seen;
use crate::target::Target;
use crate::time::Instant;

/// When to call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Next {
    /// At this time: [`Monitor::end`], then [`Monitor::begin`]. Later is allowed, and counted.
    At(Instant),
    /// Not before monitoring is resumed.
    Parked,
}

/// What the end of a sampling window brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Window {
    /// There is none to end before this time. Nothing was done.
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
    /// By how much `end` came after it was due.
    pub late: Duration,
    /// The window took more than twice its interval: its samples say nothing about a rate and were left out.
    pub void: bool,
    /// Addresses that were looked at.
    pub checks: u32,
    /// Those that were accessed.
    pub accessed: u32,
    /// Those that could not be checked.
    pub unknown: u32,
    /// Samples that were not checked, because a report said that they are written, or idle.
    pub saved: u32,
    /// Reports that were taken into account.
    pub reports: u64,
    /// The accesses that they stand for: the sum of their weights times their source's period.
    pub events: u64,
    /// Reports about nothing that is watched.
    pub reports_outside: u64,
    /// Reports that the attributes' filter refused.
    pub reports_filtered: u64,
    /// Reports that did not fit.
    pub reports_lost: u64,
    /// The highest count of a region that was checked, in this aggregation so far.
    pub max_nr_accesses: u32,
    /// Regions, over all targets.
    pub nr_regions: usize,
    /// There are more than `max_nr_regions`: more ranges than that, or a size limit that asks for it.
    pub over_max: bool,
}

impl Monitor {
    /// Starts a window: finishes what the end of an aggregation left (tunes the intervals, puts the counts by, splits
    /// regions), looks at targets and ranges when that is due, chooses samples and arms them.
    ///
    /// In a window it does nothing and says when that ends. With no range to watch it asks again in an update interval.
    ///
    /// # Errors
    /// The backend's. Called again, it goes on where it was: nothing is done twice and nothing is lost.
    pub fn begin<O: Ops + ?Sized>(&mut self, now: Instant, ops: &mut O) -> Result<Next, O::Error> {
        if let Phase::Armed { due, .. } = self.phase {
            return Ok(Next::At(due));
        }
        if self.paused {
            return Ok(Next::Parked);
        }
        if self.phase == Phase::Finished {
            self.start_aggregation();
        }
        if self.nr_regions() == 0 {
            self.restart_aggregation();
        }
        if self.windows == 0 && now >= self.update_due {
            self.update(now, ops)?;
        }
        if self.nr_regions() == 0 {
            return Ok(Next::At(self.update_due.max(now + Duration::from_micros(1))));
        }
        self.samples.clear();
        self.known.clear();
        self.adjuster.draw(&self.attrs, &self.targets, &mut self.rng, &mut self.samples);
        if !self.attrs.attributes_only() {
            ops.arm(&self.samples)?;
        }
        let due = now + self.attrs.sampling();
        self.phase = Phase::Armed { since: now, due };
        self.started.get_or_insert(now);
        Ok(Next::At(due))
    }

    /// Ends the window, if it is time: takes the reports, checks the samples, counts, and after the last window of an
    /// aggregation ages and merges the regions.
    ///
    /// # Errors
    /// The backend's. Counts change only after every check returned, so the call can be repeated.
    pub fn end<O: Ops + ?Sized>(&mut self, now: Instant, ops: &mut O) -> Result<Window, O::Error> {
        let Phase::Armed { since, due } = self.phase else { return Ok(Window::Early(now)) };
        if now < due {
            return Ok(Window::Early(due));
        }
        self.take_reports(since, ops);
        self.check(ops)?;
        let void = now - since > self.attrs.sampling().saturating_mul(2);
        let mut stats = self.count(void);
        stats.late = now - due;
        self.phase = Phase::Gap;
        self.windows += 1;
        let aggregated = self.windows >= self.attrs.samples_per_aggregation();
        if aggregated {
            self.finish_aggregation(now);
        }
        stats.nr_regions = self.nr_regions();
        stats.over_max = stats.nr_regions > self.attrs.spec().max_nr_regions;
        Ok(if aggregated { Window::Aggregated(stats) } else { Window::Counted(stats) })
    }

    /// Takes what was reported until now. After an error more may come on top.
    fn take_reports<O: Ops + ?Sized>(&mut self, since: Instant, ops: &mut O) {
        self.intake.drain(since, self.attrs.spec(), &self.targets, ops);
        // Probes look at pages whose accesses are known, too.
        if self.attrs.spec().probes.is_empty() {
            self.intake.settle(&mut self.samples, &mut self.known);
        }
    }

    /// Asks the backend; after an error nothing half-known stays.
    fn check<O: Ops + ?Sized>(&mut self, ops: &mut O) -> Result<(), O::Error> {
        let want = Want::new(!self.attrs.attributes_only(), &self.attrs.spec().probes);
        ops.check(&mut self.samples, &want).inspect_err(|_| {
            for s in &mut self.samples {
                (s.seen, s.attrs) = (Seen::Unknown, 0);
            }
        })
    }

    /// Brings samples and reports into the counts, unless the window is void.
    fn count(&mut self, void: bool) -> Stats {
        let mut stats = Stats {
            void,
            checks: u32::try_from(self.samples.len()).unwrap_or(u32::MAX),
            saved: u32::try_from(self.known.len()).unwrap_or(u32::MAX),
            ..Stats::default()
        };
        if !void {
            self.intake.decide(&mut self.samples);
            if !self.known.is_empty() {
                self.samples.append(&mut self.known);
                self.samples.sort_unstable_by_key(|s| (s.target, s.addr));
            }
            let counted = self.adjuster.count(&self.attrs, &mut self.targets, &self.samples);
            let adjuster = &mut *self.adjuster;
            self.intake.credit(&mut self.targets, |id, index, r, reported| adjuster.hint(id, index, r, reported));
            (stats.accessed, stats.unknown) = (counted.accessed, counted.unknown);
            stats.max_nr_accesses = counted.max_nr_accesses;
        }
        let tally = self.intake.finish();
        (stats.reports, stats.events) = (tally.taken(), tally.events);
        (stats.reports_outside, stats.reports_filtered) = (tally.outside, tally.filtered);
        stats.reports_lost = tally.lost;
        stats
    }

    fn finish_aggregation(&mut self, now: Instant) {
        self.adjuster.aggregate(&self.attrs, &mut self.targets);
        self.targets.iter_mut().for_each(Target::fit_events);
        self.took = self.started.map_or(Duration::ZERO, |started| now - started);
        self.at = now;
        self.phase = Phase::Finished;
    }

    fn start_aggregation(&mut self) {
        self.tune();
        self.adjuster.reset_and_split(&self.attrs, &mut self.targets, &mut self.rng);
        self.targets.iter_mut().for_each(Target::reset_events);
        self.restart_aggregation();
        self.phase = Phase::Gap;
    }
}
