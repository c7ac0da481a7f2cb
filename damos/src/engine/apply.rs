//! Goes through a snapshot once, region by region, and lets every scheme that is due act on it.
//!
//! Counterpart: `damos_apply_target`, `damon_do_apply_schemes`, `damos_apply_scheme` (`mm/damon/core.c`, Linux 7.3).

use core::time::Duration;

use damon_core::control::priority::{self, Histogram, Standing};
use damon_core::{
    Action, AddrRange, Applied, ApplyOps, Attrs, Bp, Editor, Instant, Metrics, Monitor, Region, TargetId,
};

use super::eligible::Eligible;
use super::filter::{self, Verdict};
use super::share::Portion;
use super::{Outcome, Running, Schemes, Tried, own_interval};
use crate::scheme::pattern::Bounds;
use crate::scheme::{Counts, Freq};

/// What a pass through a snapshot is about.
pub(super) struct Pass<'a, A: ApplyOps + ?Sized> {
    pub(super) now: Instant,
    attrs: Attrs,
    /// Joined again, regions do not grow above it.
    size_limit: u64,
    last_target: Option<TargetId>,
    /// Not before the others' turn: where a window stops is where the next goes on.
    pub(super) in_line: bool,
    actor: &'a mut A,
    observe: &'a mut dyn FnMut(&Tried),
    /// What to look at afterwards: by which scheme, whatever the page filters say or not.
    to_verify: Vec<(usize, TargetId, AddrRange, bool)>,
    outcome: Outcome<A::Error>,
}

/// A scheme whose turn it is.
pub(super) struct Due<'a> {
    pub(super) index: usize,
    pub(super) running: &'a mut Running,
    pub(super) bounds: Bounds,
    /// Up to here it is through with the target: what another scheme cuts after it is not its turn again.
    through: u64,
    /// What it did before the others' turn.
    pub(super) first: Vec<(TargetId, AddrRange)>,
}

impl Schemes {
    /// Applies what is due to the monitor's regions as they are: to be called in the gap. `aggregated` says that an
    /// aggregation has just ended, which is when schemes without an interval of their own are due.
    ///
    /// Regions are cut where a filter or a quota ends, and joined again where nothing is lost by it; a region that was
    /// acted on starts its age anew. Whatever fails is counted and charged as far as it got, and the rest gone on with.
    pub fn apply<A: ApplyOps + ?Sized>(
        &mut self,
        now: Instant,
        aggregated: bool,
        monitor: &mut Monitor,
        actor: &mut A,
        metrics: &mut (impl Metrics + ?Sized),
    ) -> Outcome<A::Error> {
        self.apply_with(now, aggregated, monitor, actor, metrics, &mut |_| ())
    }

    /// The same; `observe` is told of each region that a scheme was tried on.
    pub fn apply_with<A: ApplyOps + ?Sized>(
        &mut self,
        now: Instant,
        aggregated: bool,
        monitor: &mut Monitor,
        actor: &mut A,
        metrics: &mut (impl Metrics + ?Sized),
        observe: &mut dyn FnMut(&Tried),
    ) -> Outcome<A::Error> {
        let attrs = monitor.attrs().clone();
        let Self { list, histogram, targets } = self;
        let mut due: Vec<_> =
            list.iter_mut().enumerate().filter_map(|(i, s)| s.due(i, now, aggregated, &attrs)).collect();
        if due.is_empty() {
            return Outcome::default();
        }
        targets.clear();
        targets.extend(monitor.view().targets().iter().filter(|t| !t.regions().is_empty()).map(|t| t.id()));
        let opened = actor.open(now);
        for s in &mut due {
            // Who was to be gone on with may have left, or have nothing mapped any more.
            s.running.quota.resume = s.running.quota.resume.filter(|(target, _)| targets.contains(target));
            s.running.look_back(now, &s.bounds, targets, monitor);
            let goals = &s.running.scheme.quota.goals;
            let metrics = &mut Eligible::new(goals, &s.bounds, monitor, actor, metrics);
            s.running.start_window(now, monitor, metrics);
            s.running.locate(now, &s.bounds, targets, monitor, actor);
            s.running.prepare(now, &s.bounds, targets, monitor, histogram);
        }
        let mut pass = Pass {
            size_limit: monitor.region_size_limit(),
            now,
            attrs,
            last_target: targets.last().copied(),
            in_line: false,
            actor,
            observe,
            to_verify: Vec::new(),
            outcome: Outcome { applied: due.len(), ..Outcome::default() },
        };
        pass.fail(opened.err());
        for s in &mut due {
            pass.first(s, monitor);
        }
        pass.in_line = true;
        for &target in &*targets {
            if let Some(mut editor) = monitor.edit(target) {
                pass.target(&mut due, target, &mut editor);
            }
        }
        let closed = pass.actor.close();
        pass.fail(closed.err());
        pass.verify(&mut due);
        pass.outcome
    }
}

impl Running {
    /// Is it this scheme's turn?
    fn due(&mut self, index: usize, now: Instant, aggregated: bool, attrs: &Attrs) -> Option<Due<'_>> {
        match own_interval(&self.scheme) {
            None if !aggregated => return None,
            None => {}
            Some(interval) => {
                // The first time after one interval; half a window early rather than a whole one late.
                let at = *self.apply_at.get_or_insert(now + interval);
                if now + attrs.sampling() / 2 < at {
                    return None;
                }
                self.apply_at = Some(now + interval);
            }
        }
        let bounds = self.scheme.pattern.bounds(attrs);
        self.active.then(|| Due { index, bounds, running: self, through: 0, first: Vec::new() })
    }

    /// Has it gone through as many snapshots as it shall?
    pub(super) fn is_done(&self) -> bool {
        self.scheme.max_nr_snapshots.is_some_and(|max| max <= self.stats.nr_snapshots)
    }

    /// Starts a charge window where one is due.
    fn start_window(&mut self, now: Instant, monitor: &Monitor, metrics: &mut (impl Metrics + ?Sized)) {
        if self.quota.is_set(&self.scheme.quota) {
            let granule = monitor.attrs().spec().granule;
            self.quota.start_window(now, &self.scheme.quota, granule, &mut self.stats, metrics);
        }
    }

    /// Finds from which score on it serves.
    fn prepare(
        &mut self,
        now: Instant,
        bounds: &Bounds,
        targets: &[TargetId],
        monitor: &mut Monitor,
        histogram: &mut Histogram,
    ) {
        if !self.quota.is_set(&self.scheme.quota) {
            return;
        }
        let attrs = monitor.attrs().clone();
        self.divide(now, bounds, targets, monitor, histogram);
        histogram.clear();
        let fits = targets.iter().map(|&target| self.rank(now, bounds, target, &attrs, monitor, histogram));
        let fits = fits.fold(0, u64::saturating_add);
        if !self.is_placed() {
            self.places.eligible = fits;
        }
        self.quota.min_score = histogram.min_score(self.quota.effective);
    }

    /// How much the region, with the count `n`, deserves the action.
    pub(super) fn score(&self, r: &Region, n: u32, attrs: &Attrs, largest: u64) -> u32 {
        let (nr_accesses, samples) = match (&self.scheme.pattern.freq, r.rate()) {
            (Freq::Rate(_), Some(rate)) => (rate.0, Bp::WHOLE.0),
            _ => (n, attrs.samples_per_aggregation()),
        };
        let standing = Standing {
            size: r.size(),
            largest,
            nr_accesses,
            samples,
            age_secs: r.age_time(attrs.aggregation()).as_secs(),
        };
        let hot = priority::hot_score(&standing, self.scheme.quota.weights);
        match self.scheme.action {
            Action::Pageout | Action::Cold | Action::LruDeprio | Action::MigrateCold | Action::Nohugepage => {
                priority::MAX_SCORE - hot
            }
            Action::Stat => priority::MAX_SCORE,
            _ => hot,
        }
    }

    /// Passes over what the last charge window did already. A region that it did in part is cut.
    fn was_charged(&mut self, target: TargetId, i: usize, editor: &mut Editor<'_>) -> bool {
        let addr = match (self.quota.portion(target), self.quota.resume) {
            (Some(Portion { resume: Some(addr), .. }), _) => *addr,
            (Some(_), _) | (None, None) => return false,
            (None, Some((from, addr))) if from == target => addr,
            (None, Some(_)) => return true,
        };
        let Some(r) = editor.regions().get(i).map(|r| r.range()) else { return true };
        let granule = editor.granule();
        let skip = if r.end() <= addr {
            true
        } else if r.start() < addr {
            let done = ((addr - r.start()) & !(granule - 1)).max(granule);
            if done < r.size() {
                let cut = editor.cut(i, r.start() + done);
                debug_assert!(cut.is_ok());
            }
            true
        } else {
            false
        };
        if i + 1 == editor.regions().len() {
            self.quota.stop_at(target, None);
        }
        skip
    }
}

impl<A: ApplyOps + ?Sized> Pass<'_, A> {
    fn fail(&mut self, error: Option<A::Error>) {
        if let Some(error) = error {
            self.outcome.nr_failed += 1;
            self.outcome.error.get_or_insert(error);
        }
    }

    /// Looks what is in effect of what was done, now that nothing is batched any more.
    fn verify(&mut self, due: &mut [Due<'_>]) {
        for (index, target, range, core_allowed) in core::mem::take(&mut self.to_verify) {
            let Some(s) = due.iter_mut().find(|s| s.index == index).map(|s| &mut *s.running) else { continue };
            match self.actor.verify(target, range, &s.scheme.request(core_allowed)) {
                Ok(Some(size)) => s.stats.sz_verified += size.min(range.size()),
                Ok(None) => s.stats.sz_unverified += range.size(),
                Err(error) => {
                    s.stats.sz_unverified += range.size();
                    self.fail(Some(error));
                }
            }
        }
    }

    fn target(&mut self, due: &mut [Due<'_>], target: TargetId, editor: &mut Editor<'_>) {
        due.iter_mut().for_each(|s| s.through = 0);
        let mut i = 0;
        while let Some(r) = editor.regions().get(i) {
            // Cutting leaves the count as it is: once for all schemes.
            let start = r.range().start();
            let counts = (editor.believed_count(r), editor.moving_sum(r));
            for s in due.iter_mut().filter(|s| s.through <= start) {
                let n = if s.bounds.counts == Counts::Raw { counts.1 } else { counts.0 };
                self.scheme(s, target, i, n, editor);
                s.through = editor.regions().get(i).map_or(u64::MAX, |r| r.range().end());
            }
            // Cut for a quota and alike again: the piece goes back.
            let back = match editor.regions().get(i.wrapping_sub(1)..=i) {
                Some([last, r]) => last.continues_in(r) && r.range().end() - last.range().start() <= self.size_limit,
                _ => false,
            };
            if !back || editor.join(i - 1).is_err() {
                i += 1;
            }
        }
    }

    fn scheme(&mut self, due: &mut Due<'_>, target: TargetId, i: usize, n: u32, editor: &mut Editor<'_>) {
        let served = editor.regions().get(i).is_some_and(|r| due.did(target, r.range()));
        let Due { index, running: s, bounds, .. } = due;
        if s.quota.is_full_for(target, &s.scheme.quota, editor.granule()) || s.was_charged(target, i, editor) {
            return;
        }
        if s.is_done() {
            return;
        }
        let Some(r) = editor.regions().get(i) else { return };
        let placed = s.is_placed() && s.eligible(target, r.range()) == 0;
        if !served && !placed && bounds.hold(r, n) && self.deserves(s, target, r, n) {
            if s.is_blind(r.sees()) {
                s.stats.sz_blind += r.size();
            } else if s.spares(target, i, self.now, editor) {
                s.stats.sz_spared += editor.regions().get(i).map_or(0, |r| r.size());
            } else {
                self.act(*index, s, target, i, n, editor);
            }
        }
        if Some(target) == self.last_target && i + 1 == editor.regions().len() {
            s.stats.nr_snapshots += 1;
        }
    }

    fn deserves(&self, s: &Running, target: TargetId, r: &Region, n: u32) -> bool {
        let min_score = s.quota.portion(target).map_or(s.quota.min_score, |p| p.min_score);
        min_score == 0 || !s.quota.is_set(&s.scheme.quota) || s.score(r, n, &self.attrs, self.size_limit) >= min_score
    }

    /// Acts on region `i`, or on the left part of it that quota and filters leave: that is the region then, and returned.
    pub(super) fn act(
        &mut self,
        index: usize,
        s: &mut Running,
        target: TargetId,
        i: usize,
        n: u32,
        editor: &mut Editor<'_>,
    ) -> Option<AddrRange> {
        let granule = editor.granule();
        let &r = editor.regions().get(i)?;
        if let Some(left) = s.quota.less_than(r.size(), target, &s.scheme.quota, granule) {
            editor.cut(i, r.range().start() + left).ok()?;
        }
        let verdict = filter::judge(&s.scheme, target, i, editor);
        let &r = editor.regions().get(i).filter(|_| verdict != Verdict::Out)?;
        let range = r.range();
        let Applied { size, filter_passed, took, error } = if s.scheme.dry_run {
            Applied { size: range.size(), filter_passed: range.size(), took: Duration::ZERO, error: None }
        } else {
            self.actor.apply(target, range, &s.scheme.request(verdict == Verdict::Allowed))
        };
        s.quota.charge(target, range.size(), size, took, &s.scheme.quota);
        self.outcome.took += took;
        // What was moved is not to be moved again: there is no need to go on where this stopped.
        if self.in_line && !s.is_placed() && s.quota.is_full_for(target, &s.scheme.quota, granule) {
            s.quota.stop_at(target, Some(range.end()));
        }
        s.stats.nr_tried += 1;
        s.stats.sz_tried += range.size();
        if !s.scheme.dry_run {
            s.stats.nr_applied += u64::from(size > 0);
            s.stats.sz_applied += size;
            s.stats.sz_ops_filter_passed += filter_passed;
            s.stats.nr_failed += u64::from(error.is_some());
            if s.scheme.action != Action::Stat {
                if size > 0 && s.scheme.thrash_guard.is_some() {
                    s.guard.acted(target, range, self.now);
                }
                let migrates = matches!(s.scheme.action, Action::MigrateHot | Action::MigrateCold);
                if migrates
                    && filter_passed == 0
                    && error.is_none()
                    && !s.is_placed()
                    && s.quota.is_set(&s.scheme.quota)
                {
                    s.guard.was_empty(target, range, self.now);
                }
                if size > 0 && s.scheme.verify {
                    self.to_verify.push((index, target, range, verdict == Verdict::Allowed));
                }
                let reset = editor.reset_age(i);
                debug_assert!(reset.is_ok());
            }
        }
        let tried = Tried {
            scheme: index,
            action: s.scheme.action,
            target,
            range,
            nr_accesses: n,
            age: r.age(),
            applied: size,
            dry_run: s.scheme.dry_run,
        };
        (self.observe)(&tried);
        #[cfg(feature = "tracing")]
        super::trail::tell(&tried, error.as_ref());
        self.fail(error);
        Some(range)
    }
}
