//! What works here, what is used where, and who is not seen: for people to read.

use std::fmt;

use damon_core::{AddrRange, Sees};

use super::method::Method;

/// What became of trying a method.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It saw what it should on memory made for the test, and changed nothing.
    Works,
    /// It does not work.
    Fails {
        /// What happened.
        why: String,
        /// What would make it work.
        way_out: String,
    },
    /// It was not among [`Options::methods`](super::Options::methods).
    NotAsked,
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
        let memory = if self.method.is_for_shared() { "shared" } else { "private" };
        write!(f, "{:<14} {memory:<7} {:<16} ", self.method, says(self.method.sees()))?;
        match &self.outcome {
            Outcome::Works => f.write_str("works"),
            Outcome::Fails { why, way_out } => write!(f, "fails: {why}; needs {way_out}"),
            Outcome::NotAsked => f.write_str("not asked for"),
        }
    }
}

/// A range that is watched, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watched {
    /// The addresses.
    pub range: AddrRange,
    /// What is mapped there, as `maps` calls it.
    pub name: String,
    /// By which method; `None`: by none.
    pub method: Option<Method>,
    /// What is seen there.
    pub sees: Sees,
    /// Why nothing is, where nothing is.
    pub why: Option<String>,
}

/// What works, what is used where, and who is not seen. `Display` prints it as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Every method there is.
    pub methods: Vec<MethodReport>,
    /// What is watched, as of the last look at the mappings.
    pub watched: Vec<Watched>,
    /// Many pages are taken out of the page table with one call.
    pub batched_zap: bool,
}

impl Capabilities {
    /// Whose accesses are invisible whatever method is used.
    pub const BLIND: &'static str = "devices (DMA to pinned pages: io_uring fixed buffers, RDMA, VFIO), \
        and accesses through other mappings of the same memory (other processes, vhost-user)";
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<14} {:<7} {:<16} on this kernel", "method", "memory", "sees")?;
        self.methods.iter().try_for_each(|report| writeln!(f, "{report}"))?;
        if self.batched_zap {
            writeln!(f, "pages are zapped many at a time (process_madvise)")?;
        }
        for w in &self.watched {
            let name = if w.name.is_empty() { "[anonymous]" } else { &w.name };
            write!(f, "{:<30} {:<16} ", w.range.to_string(), says(w.sees))?;
            match (&w.method, &w.why) {
                (Some(method), _) => writeln!(f, "{method:<14} {name}")?,
                (None, why) => writeln!(f, "{:<14} {name}", why.as_deref().unwrap_or("-"))?,
            }
        }
        write!(f, "never seen: {}", Self::BLIND)
    }
}

const fn says(sees: Sees) -> &'static str {
    match sees {
        Sees::Reports => "reports",
        Sees::Writes => "writes",
        Sees::Accesses => "accesses",
        Sees::ReadsAndWrites => "reads and writes",
        _ => "nothing",
    }
}
