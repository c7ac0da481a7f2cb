//! A scheme at work on one's own memory: what is cold is paged out within a quota; where there is no swap, it is marked
//! as cold instead.

use std::fmt;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use damon_core::{Action, AddrRange, ApplyOps, Instant, Request};
use damon_ops_vaddr::{ActError, Own, OwnActor};
use damos::clock::Clock;
use damos::context::Context;
use damos::engine::{SchemeError, Stats, Tried};
use damos::scheme::{AccessPattern, Age, CoreFilter, CoreFilterKind, Freq, Quota, Scheme};

use crate::heatmap::{HeatMap, bytes};

/// Cold is what was not accessed for so long.
const AGE: Duration = Duration::from_secs(1);
/// So much a second at most.
const QUOTA: u64 = 8 << 20;

/// Why there is no scheme.
#[derive(Debug, thiserror::Error)]
pub enum ActingError {
    /// Nobody can act.
    #[error(transparent)]
    Actor(#[from] ActError),
    /// The scheme is refused.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
}

/// One region that was acted on.
#[derive(Clone, Copy, Debug)]
struct Act {
    at: Instant,
    range: AddrRange,
    applied: u64,
    /// Bytes of which it is true; `None` if nobody can tell.
    verified: Option<u64>,
}

/// What the scheme is doing.
#[derive(Debug)]
pub struct Acting {
    action: Action,
    acts: Receiver<Act>,
}

impl Acting {
    /// Lets `context` act on `seen` alone, the part of its memory whose reads are not invisible: elsewhere memory that is
    /// only read would be taken for cold.
    ///
    /// # Errors
    /// When this system cannot do it.
    pub fn start(context: &mut Context<Own>, seen: AddrRange, clock: Clock) -> Result<Self, ActingError> {
        let action = if has_swap() { Action::Pageout } else { Action::Cold };
        let verifier = context.ops().actor()?;
        context.set_actor(context.ops().actor()?);
        context.set_schemes(vec![scheme(action, seen)])?;
        let (done, acts) = mpsc::channel();
        let mut verifier = Verifier { actor: verifier, action };
        context.set_observer(move |tried| {
            // Nobody listens any more where the report is given.
            let _ = done.send(verifier.look(clock.now(), tried));
        });
        Ok(Self { action, acts })
    }

    /// What was done until now, of which the scheme's own counters are `stats`.
    pub fn report(&self, stats: Stats) -> Acted {
        let acts: Vec<_> = self.acts.try_iter().collect();
        Acted { action: self.action, acts, stats }
    }
}

/// Cold memory of `seen` within the quota.
fn scheme(action: Action, seen: AddrRange) -> Scheme {
    Scheme {
        pattern: AccessPattern { freq: Freq::NONE, age: Age::Time(AGE..=Duration::MAX), ..AccessPattern::default() },
        quota: Quota { size: QUOTA, ..Quota::default() },
        core_filters: vec![CoreFilter { kind: CoreFilterKind::Addr(seen), matching: true, allow: true }],
        ..Scheme::new(action)
    }
}

/// Is there anywhere to page out to? The first line of the file is its heading.
fn has_swap() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

/// Looks whether what was done is so, right after it was done.
struct Verifier {
    actor: OwnActor,
    action: Action,
}

impl Verifier {
    fn look(&mut self, at: Instant, tried: &Tried) -> Act {
        let request = Request::new(self.action, &[], &[]);
        // Where it cannot be looked at, nobody can tell.
        let verified = self.actor.verify(tried.target, tried.range, &request).unwrap_or(None);
        Act { at, range: tried.range, applied: tried.applied, verified }
    }
}

/// What the scheme did.
#[derive(Debug)]
pub struct Acted {
    action: Action,
    acts: Vec<Act>,
    stats: Stats,
}

impl Acted {
    /// Marks where it was done in `map`, whose times are since `start`.
    pub fn mark(&self, map: &mut HeatMap, start: Instant) {
        let applied = self.acts.iter().filter(|act| act.applied > 0);
        map.mark(self.what(), applied.map(|act| (act.at - start, act.range)));
    }

    fn what(&self) -> &'static str {
        if self.action == Action::Pageout { "paged out" } else { "marked cold" }
    }
}

impl fmt::Display for Acted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { sz_tried, sz_applied, nr_applied, qt_exceeds, nr_failed, .. } = self.stats;
        if self.action == Action::Cold {
            f.write_str("no swap (/proc/swaps is empty): what is cold is not paged out but marked, to go first\n")?;
        }
        write!(
            f,
            "{}, where reads are seen, what was not accessed for {} s: {} tried, {} applied in {nr_applied} regions; \
             quota {} a second, used up {qt_exceeds} times; ",
            self.what(),
            AGE.as_secs(),
            bytes(sz_tried),
            bytes(sz_applied),
            bytes(QUOTA),
        )?;
        if nr_failed > 0 {
            write!(f, "failed in {nr_failed} regions; ")?;
        }
        match self.acts.iter().map(|act| act.verified).sum::<Option<u64>>() {
            Some(verified) => write!(f, "verified right after: {}", bytes(verified)),
            None => f.write_str("not verified: the kernel does not tell what is marked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acted(action: Action, verified: Option<u64>) -> Acted {
        let range = AddrRange::new(0x1000, 0x3000).unwrap();
        let act = Act { at: Instant::ZERO, range, applied: 8192, verified };
        Acted { action, acts: vec![act, act], stats: Stats::default() }
    }

    #[test]
    fn what_was_verified_is_summed_and_what_cannot_be_is_said() {
        let paged_out = acted(Action::Pageout, Some(4096)).to_string();
        assert!(
            paged_out.starts_with("paged out, ") && paged_out.ends_with("verified right after: 8 KiB"),
            "{paged_out}"
        );
        let cold = acted(Action::Cold, None).to_string();
        assert!(cold.starts_with("no swap") && cold.contains("\nmarked cold, "), "{cold}");
        assert!(cold.ends_with("does not tell what is marked"), "{cold}");
    }
}
