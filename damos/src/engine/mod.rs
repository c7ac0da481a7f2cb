//! Applies schemes to what a monitor found.
//!
//! Counterpart: `kdamond_apply_schemes` (`mm/damon/core.c`, Linux 7.3).

mod apply;
mod eligible;
mod error;
mod filter;
mod first;
mod guard;
mod place;
mod quota;
mod share;
mod stats;
#[cfg(feature = "tracing")]
mod trail;
mod watch;

use core::time::Duration;

use damon_core::control::priority::Histogram;
use damon_core::{Action, AddrRange, ApplyOps, Instant, Request, Sees, TargetId, View};

use crate::scheme::{CoreFilterKind, Scheme};
use guard::Guard;
use place::Places;
use quota::QuotaState;

pub use error::SchemeError;
pub use stats::Stats;

/// Schemes at work: what a person wrote, checked, and what happened since.
#[derive(Debug, Default)]
pub struct Schemes {
    list: Vec<Running>,
    histogram: Histogram,
    /// Targets of the snapshot that is gone through.
    targets: Vec<TargetId>,
}

/// One scheme at work.
#[derive(Debug)]
struct Running {
    scheme: Scheme,
    quota: QuotaState,
    stats: Stats,
    guard: Guard,
    places: Places,
    /// Within its watermarks.
    active: bool,
    /// When they are looked at next.
    look_at: Instant,
    /// With an interval of its own: when it is applied next.
    apply_at: Option<Instant>,
}

/// What applying the schemes once came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Outcome<E> {
    /// Schemes that were due and active.
    pub applied: usize,
    /// Regions on which an action failed; the others were gone on with.
    pub nr_failed: u64,
    /// How long the actions took, as who acts says.
    pub took: Duration,
    /// The first error.
    pub error: Option<E>,
}

impl<E> Default for Outcome<E> {
    fn default() -> Self {
        Self { applied: 0, nr_failed: 0, took: Duration::ZERO, error: None }
    }
}

/// A region that a scheme was tried on: what an audit trail is made of. With the feature `tracing` each is an event of the
/// target `damos::action` as well, at the level `DEBUG`, or `WARN` where the action failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tried {
    /// The scheme's place in the list.
    pub scheme: usize,
    /// What it does.
    pub action: Action,
    /// Whose memory.
    pub target: TargetId,
    /// Which.
    pub range: AddrRange,
    /// The region's count, as of a full aggregation.
    pub nr_accesses: u32,
    /// Its age in aggregations.
    pub age: u32,
    /// Addresses that the action was applied to; with a dry run, that it would have been tried on.
    pub applied: u64,
    /// Nothing was done.
    pub dry_run: bool,
}

impl Schemes {
    /// Schemes for what `view` shows, done by `actor`.
    ///
    /// # Errors
    /// When one of them cannot be done, or cannot know what it is doing.
    pub fn new<A: ApplyOps + ?Sized>(view: &View<'_>, actor: &A, list: Vec<Scheme>) -> Result<Self, SchemeError> {
        let mut schemes = Self::default();
        schemes.commit(view, actor, list)?;
        Ok(schemes)
    }

    /// Replaces the list, all of it or nothing. A scheme keeps the statistics, and while its quota is the same what that
    /// has charged, of the one that was in its place.
    ///
    /// # Errors
    /// As [`new`](Self::new): then all stays as it was.
    pub fn commit<A: ApplyOps + ?Sized>(
        &mut self,
        view: &View<'_>,
        actor: &A,
        list: Vec<Scheme>,
    ) -> Result<(), SchemeError> {
        for (i, scheme) in list.iter().enumerate() {
            check(i, scheme, actor)?;
            check_sight(i, scheme, view)?;
        }
        let mut old = core::mem::take(&mut self.list).into_iter();
        self.list = list.into_iter().map(|scheme| Running::after(old.next(), scheme)).collect();
        Ok(())
    }

    /// The list.
    pub fn schemes(&self) -> impl ExactSizeIterator<Item = &Scheme> {
        self.list.iter().map(|s| &s.scheme)
    }

    /// What a scheme did so far; `None` if there is no such scheme.
    pub fn stats(&self, scheme: usize) -> Option<Stats> {
        self.list.get(scheme).map(|s| s.stats)
    }

    /// The size that a scheme may work on in this charge window, and the score from which on it does.
    pub fn effective_quota(&self, scheme: usize) -> Option<(u64, u32)> {
        self.list.get(scheme).map(|s| (s.quota.effective, s.quota.min_score))
    }

    /// What a scheme has charged in this charge window.
    pub fn charged(&self, scheme: usize) -> Option<u64> {
        self.list.get(scheme).map(|s| s.quota.charged)
    }

    /// What the metrics of a scheme's goals were when the charge window began, in their order: of totals the growth. `None` in it where
    /// that was not to be known; empty before the first window.
    pub fn measured(&self, scheme: usize) -> Option<&[Option<u64>]> {
        self.list.get(scheme).map(|s| s.quota.measured.as_slice())
    }

    /// How much memory the last application found that the scheme is about and that lies where it may be taken from, whatever its
    /// goals allow; up to about its quota's size where who acts has to be asked for the node. `None` without a quota.
    pub fn eligible(&self, scheme: usize) -> Option<u64> {
        self.list.get(scheme).filter(|s| s.is_placed() || s.quota.is_set(&s.scheme.quota)).map(|s| s.places.eligible)
    }

    /// Is the scheme within its watermarks?
    pub fn is_active(&self, scheme: usize) -> Option<bool> {
        self.list.get(scheme).map(|s| s.active)
    }

    /// Sets the value of a goal whose metric is [`UserInput`](damon_core::Metric::UserInput). False if there is none.
    pub fn set_goal_input(&mut self, scheme: usize, goal: usize, value: u64) -> bool {
        let goal = self.list.get_mut(scheme).and_then(|s| s.scheme.quota.goals.get_mut(goal));
        goal.map(|g| g.current_value = value).is_some()
    }
}

impl Running {
    fn after(old: Option<Self>, scheme: Scheme) -> Self {
        let fresh = Self {
            quota: QuotaState::default(),
            stats: Stats::default(),
            guard: Guard::default(),
            places: Places::default(),
            // Watermarks are looked at before anything is applied.
            active: true,
            look_at: Instant::ZERO,
            apply_at: None,
            scheme,
        };
        match old {
            Some(old) if old.scheme.action == fresh.scheme.action => {
                let quota = if old.scheme.quota.same_limits(&fresh.scheme.quota) { old.quota } else { <_>::default() };
                // Who commits more often than it is applied would put it off for ever.
                let apply_at = old.apply_at.filter(|_| old.scheme.apply_interval == fresh.scheme.apply_interval);
                let Self { stats, guard, places, active, .. } = old;
                Self { quota, stats, guard, places, active, apply_at, ..fresh }
            }
            _ => fresh,
        }
    }

    /// Where it acts on what was not accessed, it must be able to tell.
    fn is_blind(&self, sees: Sees) -> bool {
        sees == Sees::Nothing || rests_on_idle(&self.scheme) && !sees.sees_reads()
    }
}

impl Scheme {
    fn request(&self, core_allowed: bool) -> Request<'_> {
        Request::new(self.action, if core_allowed { &[] } else { &self.filters }, &self.dests)
    }
}

fn rests_on_idle(scheme: &Scheme) -> bool {
    scheme.action != Action::Stat && !scheme.allow_write_only && scheme.pattern.includes_idle()
}

fn check<A: ApplyOps + ?Sized>(i: usize, scheme: &Scheme, actor: &A) -> Result<(), SchemeError> {
    if !scheme.dry_run {
        let supported = actor.supports(None, &scheme.request(false));
        supported.map_err(|reason| SchemeError::Unsupported { scheme: i, reason })?;
    }
    if let Some((goal, g)) = scheme.quota.goals.iter().enumerate().find(|(_, g)| g.target_value == 0) {
        return Err(SchemeError::ZeroGoal { scheme: i, goal, metric: g.metric });
    }
    if let Some((num, 0)) = scheme.quota.fail_charge {
        return Err(SchemeError::FailCharge { scheme: i, num });
    }
    match scheme.watermarks.as_ref().map(|w| w.marks) {
        Some(m) if m.high < m.mid || m.mid < m.low => {
            Err(SchemeError::Watermarks { scheme: i, high: m.high, mid: m.mid, low: m.low })
        }
        _ => Ok(()),
    }
}

/// Refuses a scheme that would take "not written" for "not accessed" somewhere that no filter leaves out.
fn check_sight(i: usize, scheme: &Scheme, view: &View<'_>) -> Result<(), SchemeError> {
    if !rests_on_idle(scheme) {
        return Ok(());
    }
    let left_out = |target: TargetId, range: AddrRange| {
        let decided = scheme.core_filters.iter().find(|f| {
            let matched = match f.kind {
                CoreFilterKind::Target(id) => id == target,
                CoreFilterKind::Addr(r) if r.intersection(range) == Some(range) => true,
                CoreFilterKind::Addr(r) if r.intersection(range).is_none() => false,
                // In part: what is left of it must be seen.
                CoreFilterKind::Addr(_) => return f.allow,
            };
            matched == f.matching
        });
        match decided {
            Some(f) => !f.allow,
            None => scheme.filters.is_empty() && scheme.core_filters.last().is_some_and(|f| f.allow),
        }
    };
    for t in view.targets() {
        let unseen = t.spans().iter().find(|s| s.sees == Sees::Writes && !left_out(t.id(), s.range));
        if unseen.is_some() {
            return Err(SchemeError::Blind { scheme: i, target: t.id() });
        }
    }
    Ok(())
}

/// A scheme's own interval; `None` where it is applied at the end of each aggregation.
fn own_interval(scheme: &Scheme) -> Option<Duration> {
    (!scheme.apply_interval.is_zero()).then_some(scheme.apply_interval)
}
