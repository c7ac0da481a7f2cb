//! Replays a trace into a monitor, in virtual time, and says how far the picture found is from the exact one.

use std::num::{NonZeroU32, NonZeroU64};

use damon_core::{
    Access, AccessKind, Attrs, Instant, Monitor, Next, Region, Rng, Stats, Target, TargetId, TargetSpec, Window,
};

use super::exact::{Exact, First};
use super::footprint::{self, Footprint};
use super::{Event, Kind, TraceError, TraceMemory};
use crate::Score;
use crate::score::Scorer;
use crate::workload::Place;

/// The one target.
const TARGET: TargetId = TargetId::new(0);
/// A trace in which nothing happens for so many windows is taken for damaged.
const MAX_STILL: u64 = 1 << 20;

/// What the monitor is told of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    /// It checks simulated accessed bits.
    pub checks: bool,
    /// It gets reports.
    pub reports: Reports,
}

/// Which events are reported, as accesses to their pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reports {
    /// None.
    None,
    /// Of each page and window the first touch and the first write: all that a monitor can use.
    FirstTouches,
    /// On average one in so many events, each with that weight: what a sampling unit sees. How many are skipped is drawn
    /// for each, or a loop in step with the period would show only part of what it touches.
    Every(NonZeroU32),
}

/// How to replay.
///
/// ```
/// use std::num::NonZeroU64;
/// use damon_core::Attrs;
/// use damon_ops_sim::trace::{Event, Feed, Footprint, Kind, Replay, Reports};
///
/// // 100 pages, of which one in ten is read all the time.
/// let events: Vec<_> = (0..100_000)
///     .map(|i| Event { at: i, kind: Kind::Read, addr: (if i < 1_000 { i } else { 40 + i % 10 }) % 100 * 4096, len: 8 })
///     .collect();
/// let mut footprint = Footprint::new(4096);
/// events.iter().for_each(|e| footprint.add(e));
/// let replay = Replay {
///     feed: Feed { checks: false, reports: Reports::FirstTouches },
///     ticks_per_window: NonZeroU64::new(100).unwrap(),
///     warmup: 10,
///     ..Replay::new(Attrs::default(), 1)
/// };
/// let found = replay.run(&footprint, events.into_iter().map(Ok))?;
/// assert!(found.score.mae < 0.01 && found.captured > 0.99, "{found:?}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replay {
    /// How to monitor. The granule should be the footprint's page.
    pub attrs: Attrs,
    /// The monitor's seed.
    pub seed: u64,
    /// How many ticks of the trace are a sampling interval.
    pub ticks_per_window: NonZeroU64,
    /// What the monitor is told.
    pub feed: Feed,
    /// Gaps of at most so many bytes between touched pages are watched too, as a mapping's untouched pages would be.
    pub gap: u64,
    /// Pages touched in this part of the windows or more are hot, 0 to 1.
    pub hot_rate: f64,
    /// So many aggregations at the beginning are not scored.
    pub warmup: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// How far the monitor's rates are from the exact ones, and which memory it found hot.
    pub score: Score,
    /// Of the events that go to the hottest tenth of the pages touched, how many go to as much memory, chosen by the
    /// monitor's picture: 0 to 1. Chosen blindly it is the part that a random tenth gets.
    pub captured: f64,
    /// Aggregations that were scored.
    pub aggregations: u64,
    /// Windows.
    pub windows: u64,
    /// Events replayed.
    pub events: u64,
    /// Reports that the monitor took.
    pub reports: u64,
    /// Reports that it lost.
    pub lost: u64,
    /// Checks that it made.
    pub checks: u64,
}

/// Why a trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// It touches nothing.
    #[error("the trace touches nothing, or its footprint was not taken: it has no pages")]
    Empty,
    /// Nothing happens for too long.
    #[error("nothing happens before tick {at} for more than 2^20 windows: give a window more ticks")]
    Still {
        /// The event after that.
        at: u64,
    },
    /// It ends before an aggregation could be scored.
    #[error("the trace ends after {windows} windows, before an aggregation could be scored: give a window fewer ticks")]
    Short {
        /// Whole windows that there were.
        windows: u64,
    },
}

impl Replay {
    /// With checks alone, 100,000 ticks a window, gaps of 64 KiB closed, and what is touched in half of the windows hot.
    pub fn new(attrs: Attrs, seed: u64) -> Self {
        Self {
            attrs,
            seed,
            ticks_per_window: NonZeroU64::new(100_000).unwrap_or(NonZeroU64::MIN),
            feed: Feed { checks: true, reports: Reports::None },
            gap: 64 << 10,
            hot_rate: 0.5,
            warmup: 0,
        }
    }

    /// Replays `events`, whose `footprint` was taken before. What comes after the last whole window is left out.
    ///
    /// # Errors
    /// When the trace cannot be read, or is too short, or still for too long.
    pub fn run(
        &self,
        footprint: &Footprint,
        events: impl IntoIterator<Item = Result<Event, TraceError>>,
    ) -> Result<Found, ReplayError> {
        if footprint.pages().len() == 0 {
            return Err(ReplayError::Empty);
        }
        let mut run = Run::new(self, footprint);
        run.begin();
        for event in events {
            let event = event?;
            run.advance_to(event.at)?;
            run.take(&event);
        }
        run.finish()
    }
}

/// A replay under way.
struct Run<'a> {
    how: &'a Replay,
    monitor: Monitor,
    memory: TraceMemory,
    exact: Exact,
    scorer: Scorer,
    now: Instant,
    /// The tick at which the window ends.
    ends: u64,
    /// Events until one is reported.
    countdown: u64,
    rng: Rng,
    captured: f64,
    capturable: f64,
    found: Found,
}

impl<'a> Run<'a> {
    fn new(how: &'a Replay, footprint: &Footprint) -> Self {
        let ranges = footprint.ranges(how.gap);
        let mut monitor = Monitor::new(how.attrs.clone(), how.seed);
        monitor.add_target(TargetSpec { ranges: ranges.clone(), ..TargetSpec::new(TARGET) });
        // Where the backend has nothing to say of the target, reports are the only source.
        let visible = if how.feed.checks { ranges } else { Vec::new() };
        Self {
            how,
            monitor,
            memory: TraceMemory::new(TARGET, footprint.page(), visible),
            exact: Exact::new(footprint),
            scorer: Scorer::new(how.hot_rate),
            now: Instant::ZERO,
            ends: how.ticks_per_window.get(),
            countdown: 0,
            rng: Rng::new(!how.seed),
            captured: 0.0,
            capturable: 0.0,
            found: Found::default(),
        }
    }

    fn begin(&mut self) {
        let Ok(next) = self.monitor.begin(self.now, &mut self.memory);
        if let Next::At(due) = next {
            self.now = due;
        }
    }

    /// Ends all windows that end at or before `tick`.
    fn advance_to(&mut self, tick: u64) -> Result<(), ReplayError> {
        let step = self.how.ticks_per_window.get();
        if tick.saturating_sub(self.ends) / step > MAX_STILL {
            return Err(ReplayError::Still { at: tick });
        }
        while tick >= self.ends {
            let Some(ends) = self.ends.checked_add(step) else { break };
            self.end_window();
            self.begin();
            self.ends = ends;
        }
        Ok(())
    }

    fn end_window(&mut self) {
        let Ok(window) = self.monitor.end(self.now, &mut self.memory);
        self.found.windows += 1;
        self.exact.end_window();
        match window {
            Window::Counted(stats) => self.count(&stats),
            Window::Aggregated(stats) => {
                self.count(&stats);
                self.score();
                self.exact.end_aggregation();
            }
            _ => {}
        }
    }

    fn count(&mut self, stats: &Stats) {
        self.found.reports += stats.reports;
        self.found.lost += stats.reports_lost;
        self.found.checks += u64::from(stats.checks);
    }

    fn score(&mut self) {
        let samples = self.how.attrs.samples_per_aggregation();
        if self.found.windows <= self.how.warmup * u64::from(samples) {
            return;
        }
        let rate = |r: &Region| f64::from(r.nr_accesses()) / f64::from(r.nr_samples().max(1));
        let view = self.monitor.view();
        let mut regions: Vec<_> =
            view.targets().iter().flat_map(Target::regions).map(|r| (r.range(), rate(r))).collect();
        let seconds = self.how.attrs.sampling().as_secs_f64();
        let truth = self.exact.picture(samples, seconds);
        let place = Place { phase: 0, since: self.found.aggregations, of: 1 };
        self.scorer.snapshot(regions.iter().copied(), &truth, seconds, place);
        let (captured, best) = self.exact.captured(&mut regions);
        self.captured += captured;
        self.capturable += best;
        self.found.aggregations += 1;
    }

    fn take(&mut self, event: &Event) {
        self.found.events += 1;
        let thinned = self.is_thinned_out();
        let page = self.exact.page();
        for start in footprint::pages(event, page) {
            let Some(first) = self.exact.touch(start, event.kind) else { continue };
            if self.how.feed.checks && first != First::No {
                self.memory.touch_page(start, event.kind);
            }
            match self.how.feed.reports {
                Reports::FirstTouches if first != First::No => self.report(start, page, event.kind, 1),
                Reports::Every(n) if !thinned => self.report(start, page, event.kind, n.get()),
                _ => {}
            }
        }
    }

    /// Is it one of the events that a sampling unit does not see?
    fn is_thinned_out(&mut self) -> bool {
        let Reports::Every(n) = self.how.feed.reports else { return false };
        let seen = self.countdown == 0;
        // From 0 to twice the mean: the mean is n − 1.
        let skipped = |rng: &mut Rng| rng.below(2 * u64::from(n.get()) - 1);
        self.countdown = if seen { skipped(&mut self.rng) } else { self.countdown - 1 };
        !seen
    }

    fn report(&mut self, page: u64, size: u64, kind: Kind, weight: u32) {
        let kind = match kind {
            Kind::Fetch | Kind::Read => AccessKind::Read,
            Kind::Write | Kind::Modify => AccessKind::Write,
        };
        self.monitor.report_access(Access { kind, weight, ..Access::new(TARGET, page, size) });
    }

    fn finish(mut self) -> Result<Found, ReplayError> {
        if self.found.aggregations == 0 {
            return Err(ReplayError::Short { windows: self.found.windows });
        }
        self.found.score = self.scorer.score();
        self.found.captured = if self.capturable > 0.0 { self.captured / self.capturable } else { 1.0 };
        Ok(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 pages, each touched once; then pages 40 to 59 are written over and over, one access a tick.
    fn program() -> Vec<Event> {
        let once = (0u64..200).map(|i| (i, Kind::Read));
        let then = (0..200_000).map(|i| (40 + i % 20, Kind::Write));
        let event = |(at, (page, kind))| Event { at: at as u64, kind, addr: page * 4096 + 8, len: 8 };
        once.chain(then).enumerate().map(event).collect()
    }

    fn replay(feed: Feed) -> Found {
        let events = program();
        let mut footprint = Footprint::new(4096);
        events.iter().for_each(|e| footprint.add(e));
        let ticks_per_window = NonZeroU64::new(200).unwrap();
        let replay = Replay { feed, ticks_per_window, warmup: 10, ..Replay::new(Attrs::default(), 7) };
        replay.run(&footprint, events.into_iter().map(Ok)).unwrap()
    }

    #[test]
    fn first_touches_and_checks_find_the_picture_and_nothing_finds_nothing() {
        let first = replay(Feed { checks: false, reports: Reports::FirstTouches });
        assert!(first.score.mae < 0.005 && first.captured > 0.99 && first.checks == 0, "{first:?}");
        let checks = replay(Feed { checks: true, reports: Reports::None });
        assert!(checks.score.mae < 0.05 && checks.captured > 0.9 && checks.reports == 0, "{checks:?}");
        let blind = replay(Feed { checks: false, reports: Reports::None });
        assert!((blind.score.mae - 0.1).abs() < 0.001 && blind.captured < 0.15, "{blind:?}");
    }

    #[test]
    fn thinned_events_still_tell_where_most_go() {
        let n = NonZeroU32::new(10).unwrap();
        let thinned = replay(Feed { checks: false, reports: Reports::Every(n) });
        assert!((thinned.events / 10).abs_diff(thinned.reports) <= 400, "{thinned:?}");
        assert!(thinned.captured > 0.9, "{thinned:?}");
    }

    #[test]
    fn traces_that_cannot_be_replayed_say_why() {
        let replay = Replay::new(Attrs::default(), 1);
        let mut footprint = Footprint::new(4096);
        assert!(matches!(replay.run(&footprint, []), Err(ReplayError::Empty)));
        let event = Event { at: 0, kind: Kind::Read, addr: 0, len: 1 };
        footprint.add(&event);
        let e = replay.run(&footprint, [Ok(event)]).unwrap_err();
        assert!(e.to_string().starts_with("the trace ends after 0 windows"), "{e}");
        let e = replay.run(&footprint, [Ok(event), Ok(Event { at: u64::MAX, ..event })]).unwrap_err();
        assert!(matches!(e, ReplayError::Still { at: u64::MAX }), "{e}");
    }
}
