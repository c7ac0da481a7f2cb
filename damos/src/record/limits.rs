//! The most that a record may hold at once. It bounds a reader's memory whatever the bytes say; what writers refuse, readers need not take.

use super::model::Snapshot;
use super::{WriteError, Wrong};

/// Regions of a snapshot: a thousand times what the kernel takes by default.
pub(super) const REGIONS: usize = 1 << 20;
pub(super) const TOO_MANY_REGIONS: &str = "more than 2^20 regions are no snapshot";

/// Probe hits of a region; the kernel has four.
pub(super) const PROBES: usize = 64;

/// The text of a snapshot: half a million regions as damo writes them.
pub(super) const SNAPSHOT_TEXT: usize = 1 << 28;

/// The text of what is said of a series.
pub(super) const SERIES_TEXT: usize = 1 << 20;

/// The same of all series of a record.
const ALL_SERIES: usize = 1 << 25;

/// What is said of series, and nothing, takes so much.
const LEAST: usize = 64;

/// How much was said of the series so far.
#[derive(Debug, Default)]
pub(super) struct Said(usize);

impl Said {
    /// So many bytes more.
    pub(super) fn more(&mut self, bytes: usize) -> Result<(), Wrong> {
        self.0 += bytes.max(LEAST);
        if self.0 > ALL_SERIES { Err(Wrong::TooLong { what: "a list of series", limit: ALL_SERIES }) } else { Ok(()) }
    }
}

/// Could a reader take it?
pub(super) fn check(s: &Snapshot) -> Result<(), WriteError> {
    let fits = s.regions.len() <= REGIONS && s.regions.iter().all(|r| r.probe_hits.len() <= PROBES);
    if fits { Ok(()) } else { Err(WriteError::TooLong { regions: s.regions.len() }) }
}
