//! What works here, which process is watched how, and what makes it miss accesses: for people to read.

use std::fmt;

use damon_core::TargetId;

use crate::linux::Disturbance;
use crate::own::Outcome;

/// A way to see accesses of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Reads and writes, not told apart, by the idle flags of its pages: `/sys/kernel/mm/page_idle/bitmap`. A folio (a
    /// transparent huge page) has one flag, and who else maps a page clears it too.
    PageIdle,
}

impl Method {
    /// All.
    pub const ALL: [Self; 1] = [Self::PageIdle];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PageIdle => "page_idle",
        })
    }
}

/// A method and what became of trying it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodReport {
    /// The method.
    pub method: Method,
    /// What became of it.
    pub outcome: Outcome,
}

impl fmt::Display for MethodReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<10} reads and writes  ", self.method)?;
        match &self.outcome {
            Outcome::Works => f.write_str("works"),
            Outcome::Fails { why, way_out } if way_out.is_empty() => write!(f, "fails: {why}"),
            Outcome::Fails { why, way_out } => write!(f, "fails: {why}; {way_out}"),
            Outcome::NotAsked => f.write_str("not asked for"),
        }
    }
}

/// A process that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchedProcess {
    /// The target that it is.
    pub target: TargetId,
    /// Its pid.
    pub pid: u32,
    /// By which method.
    pub method: Method,
}

/// A member of a tree or a cgroup that is not watched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Its pid.
    pub pid: u32,
    /// Why, and the way out.
    pub why: String,
}

/// What works, what is watched, who is not seen, and what is missed. `Display` prints it as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Every method there is.
    pub methods: Vec<MethodReport>,
    /// The processes that are watched, as of the last look.
    pub watched: Vec<WatchedProcess>,
    /// Members that are not watched, as of the last look.
    pub refused: Vec<Refused>,
    /// What makes it miss accesses now; empty: nothing that is known.
    pub lossy: Vec<Disturbance>,
}

impl Capabilities {
    /// Whose accesses are invisible, and whose cannot be told from the target's.
    pub const BLIND: &'static str = "devices (DMA) and memory on no LRU list (hugetlbfs, the zero page, pages that are a few \
        milliseconds old); accesses of others that map the same page (libraries, shared memory) count as the target's";
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.methods.iter().try_for_each(|report| writeln!(f, "{report}"))?;
        for w in &self.watched {
            writeln!(f, "target {:<5} process {:<8} {}", w.target.get(), w.pid, w.method)?;
        }
        for r in &self.refused {
            writeln!(f, "not watched: process {:<8} {}", r.pid, r.why)?;
        }
        self.lossy.iter().try_for_each(|d| writeln!(f, "lossy: {d}"))?;
        write!(f, "never seen: {}", Self::BLIND)
    }
}
