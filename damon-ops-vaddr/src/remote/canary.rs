//! Pages of the monitor's own whose accesses it knows: does page_idle work here, and does it still?

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use damon_core::Seen;

use super::idle::{Armed, IdlePages, Look, There};
use crate::linux::{Disturbance, FileError, ProcessPagemap};
use crate::own::Outcome;
use crate::sys::{PrivateMap, page_size};

/// More than a CPU holds back from its LRU lists (31).
const PAGES: u64 = 192;
/// So many are looked at in a round.
const SAMPLES: u64 = 32;
/// One page in so many may be wrong: somebody reclaims, compacts, or ages at the same moment.
const TOLERATED: usize = 8;

/// Why the test did not even run to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CanaryError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot map memory for the self-test: {0}")]
    Map(#[source] io::Error),
}

#[derive(Debug)]
pub(crate) struct Canary {
    memory: PrivateMap,
    pagemap: ProcessPagemap,
    page: u64,
    /// The first page of the round under way; each round looks at others.
    first: u64,
    armed: Vec<Armed>,
    looks: Vec<Look>,
    there: Vec<There>,
}

impl Canary {
    pub(crate) fn new(root: &Path) -> Result<Self, CanaryError> {
        let page = page_size();
        let pagemap = ProcessPagemap::open(root.join("proc/self/pagemap"), page)?;
        let memory = PrivateMap::new((PAGES * page) as usize).map_err(CanaryError::Map)?;
        // Where huge pages cannot be had there is nothing to refuse.
        let _ = memory.advise_huge(false);
        let canary = Self { memory, pagemap, page, first: 0, armed: Vec::new(), looks: Vec::new(), there: Vec::new() };
        (0..PAGES).for_each(|n| canary.touch(n));
        Ok(canary)
    }

    fn touch(&self, page: u64) {
        if let Some(word) = self.memory.atomics().get((page % PAGES * self.page / 8) as usize) {
            word.fetch_add(1, Relaxed);
        }
    }

    fn look(&mut self) -> Result<(), FileError> {
        let at = |n| self.memory.range().start() + (self.first + n) % PAGES * self.page;
        let mut entries = Vec::new();
        self.pagemap.entries((0..SAMPLES).map(at), &mut entries)?;
        self.there.clear();
        self.there.extend(entries.into_iter().map(There::of));
        Ok(())
    }

    /// Marks pages idle and touches every second.
    pub(crate) fn arm(&mut self, idle: &mut IdlePages) -> Result<(), FileError> {
        self.first = (self.first + SAMPLES) % PAGES;
        self.look()?;
        idle.arm(&self.there, &mut self.armed)?;
        (0..SAMPLES).step_by(2).for_each(|n| self.touch(self.first + n));
        Ok(())
    }

    /// What the pages that `arm` marked show now.
    pub(crate) fn check(&mut self, idle: &mut IdlePages) -> Result<Round, FileError> {
        self.look()?;
        idle.check(&self.armed, &self.there, &mut self.looks)?;
        let mut round = Round::default();
        for (n, look) in self.looks.iter().enumerate() {
            let touched = n % 2 == 0;
            round.known += usize::from(look.seen != Seen::Unknown);
            round.missed += usize::from(touched && look.seen == Seen::Idle);
            round.invented += usize::from(!touched && look.seen.is_access());
        }
        round.hidden = self.there.iter().all(|t| *t == There::Nowhere);
        Ok(round)
    }
}

/// What a round showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    known: usize,
    missed: usize,
    invented: usize,
    /// No page showed its frame.
    hidden: bool,
}

impl Round {
    /// Were there more surprises than chance has?
    pub(crate) fn disturbance(self) -> Option<Disturbance> {
        (self.missed.max(self.invented) > self.known / TOLERATED).then_some(Disturbance::Canary {
            missed: self.missed as u32,
            invented: self.invented as u32,
            of: self.known as u32,
        })
    }
}

/// Does page_idle see what it should?
pub(crate) fn self_test(idle: &mut IdlePages, canary: &mut Canary) -> Outcome {
    let fails = |why: String, way_out: &str| Outcome::Fails { why, way_out: way_out.to_owned() };
    let mut last = Round::default();
    // Somebody else may age pages at the same moment. An emulated CPU shows accesses when it switches to another task, which
    // takes the longer the less of the real one it gets.
    for wait_ms in [3, 3, 15, 75] {
        let round = canary.arm(idle).and_then(|()| {
            std::thread::sleep(Duration::from_millis(wait_ms));
            canary.check(idle)
        });
        match round {
            Ok(round) if round.hidden => {
                return fails(
                    "/proc/self/pagemap hides frames".into(),
                    "it takes CAP_SYS_ADMIN in the initial user namespace",
                );
            }
            Ok(round) if round.known > SAMPLES as usize / 4 && round.disturbance().is_none() => return Outcome::Works,
            Ok(round) => last = round,
            Err(e) => return fails(e.to_string(), ""),
        }
    }
    let Round { known, missed, invented, .. } = last;
    fails(
        format!(
            "of {SAMPLES} pages {known} had an idle flag, {missed} did not show an access, {invented} showed one that was none"
        ),
        "turn off what else takes accessed bits: kernel DAMON, another monitor, the multi-generational LRU",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_surprise_is_chance_and_many_are_a_disturbance() {
        let round = Round { known: 32, missed: 4, ..Round::default() };
        assert_eq!(round.disturbance(), None);
        let lossy = Round { missed: 5, ..round };
        assert_eq!(lossy.disturbance(), Some(Disturbance::Canary { missed: 5, invented: 0, of: 32 }));
        assert!(Round { known: 0, ..Round::default() }.disturbance().is_none());
    }
}
