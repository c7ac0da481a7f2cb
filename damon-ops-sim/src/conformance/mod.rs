//! A suite that any backend can be run against: does it keep the promises of [`Ops`]? Another part, [`run_acting`], is for
//! those of [`ApplyOps`](damon_core::ApplyOps).
//!
//! It knows nothing of simulation. A [`Fixture`] lends the backend and touches its memory; the suite arms, has pages
//! touched, checks, and says by name what does not hold.
//!
//! ```
//! use damon_core::{AddrRange, TargetId};
//! use damon_ops_sim::conformance::{self, Fixture, Touch};
//! use damon_ops_sim::{Clock, SimMemory, SimTarget, memory::Mapping, workload::Blocks};
//!
//! struct Sim(SimMemory);
//! impl Fixture for Sim {
//!     type Ops = SimMemory;
//!     fn ops(&mut self) -> &mut SimMemory { &mut self.0 }
//!     fn target(&self) -> TargetId { TargetId::new(0) }
//!     fn touch(&mut self, addr: u64, touch: Touch) { self.0.touch(TargetId::new(0), addr, touch == Touch::Write) }
//! }
//!
//! let mut memory = SimMemory::new(1, &Clock::new());
//! let mapping = Mapping::new(AddrRange::new(0x10000, 0x50000).unwrap());
//! memory.insert(TargetId::new(0), SimTarget::new(vec![mapping], Blocks::default())?);
//! conformance::run(&mut Sim(memory)).assert();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acting;
mod bench;
mod checks;

use std::fmt;

use damon_core::{Ops, TargetId};

pub use acting::{ActFixture, run_acting};

/// A way to touch memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Reads a byte.
    Read,
    /// Writes a byte.
    Write,
}

/// A backend with memory that the suite may touch.
///
/// Nobody else touches it meanwhile. At least one span can be checked, and has four blocks, a block being what one check
/// observes; all of it is resident.
pub trait Fixture {
    /// The backend.
    type Ops: Ops;

    /// The backend.
    fn ops(&mut self) -> &mut Self::Ops;

    /// The target whose ranges are the memory.
    fn target(&self) -> TargetId;

    /// Touches the byte at `addr`, an address of the target's ranges, now.
    fn touch(&mut self, addr: u64, touch: Touch);

    /// Bytes of a page: of what sampled addresses and ranges are multiples.
    fn page_bytes(&self) -> u64 {
        4096
    }
}

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The promise was kept.
    Passed,
    /// It does not apply to this memory, and why.
    Skipped(String),
    /// It was broken, and how.
    Failed(String),
}

/// One check of the suite, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The promise.
    pub name: &'static str,
    /// Was it kept?
    pub verdict: Verdict,
}

/// What came of a run of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// All checks, in the order they ran.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// The names of the checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.outcomes.iter().filter(|o| matches!(o.verdict, Verdict::Failed(_))).map(|o| o.name)
    }

    /// Did none fail?
    pub fn passed(&self) -> bool {
        self.failed().next().is_none()
    }

    /// For tests.
    ///
    /// # Panics
    /// With the whole report, if a check failed.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.passed(), "the backend does not conform:\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Outcome { name, verdict } in &self.outcomes {
            match verdict {
                Verdict::Passed => writeln!(f, "passed   {name}")?,
                Verdict::Skipped(why) => writeln!(f, "skipped  {name}: {why}")?,
                Verdict::Failed(why) => writeln!(f, "FAILED   {name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Runs the suite.
pub fn run<F: Fixture + ?Sized>(fixture: &mut F) -> Report {
    Report { outcomes: checks::all(&mut bench::Bench::new(fixture)) }
}

/// `Ok(None)`: kept. `Ok(Some(why))`: does not apply. `Err(how)`: broken.
type Kept = Result<Option<String>, String>;

const KEPT: Kept = Ok(None);

fn outcome(name: &'static str, kept: Kept) -> Outcome {
    let verdict = match kept {
        Ok(None) => Verdict::Passed,
        Ok(Some(why)) => Verdict::Skipped(why),
        Err(how) => Verdict::Failed(how),
    };
    Outcome { name, verdict }
}
