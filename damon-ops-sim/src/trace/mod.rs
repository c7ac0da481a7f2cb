//! Memory traces of real programs: read from three formats, written in two, replayed into a monitor in virtual time.
//!
//! ```text
//!  lackey's text ─┐                             ┌─▶ reports (first touches, or one in n events) ─┐
//!  CSV ───────────┼─▶ Event, Event, … ─▶ Replay ┤                                                ├─▶ Monitor ─▶ Found
//!  binary ────────┘                             └─▶ TraceMemory: Ops (simulated accessed bits) ──┘      against
//!                                                └────────────── which pages really were touched ──▶  the exact picture
//! ```
//!
//! Reading streams: a trace may be larger than memory. Whatever is wrong in one is an error that says where.

mod binary;
mod csv;
mod exact;
mod footprint;
mod lackey;
mod memory;
mod replay;
mod text;

use std::io::{self, BufRead};

pub use binary::{BinaryReader, BinaryWriter, MAGIC, MAX_BLOCK, VERSION};
pub use csv::{CSV_HEADER, Csv, CsvReader, CsvWriter};
pub use footprint::Footprint;
pub use lackey::{Lackey, LackeyReader};
pub use memory::TraceMemory;
pub use replay::{Feed, Found, Replay, ReplayError, Reports};
pub use text::{TextFormat, TextReader};

/// How memory was accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An instruction was fetched.
    Fetch,
    /// Data was read.
    Read,
    /// Data was written.
    Write,
    /// Data was read and written by one instruction.
    Modify,
}

/// One access of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// When, in ticks since the trace began; of lackey's traces a tick is an executed instruction. It never goes back.
    pub at: u64,
    /// How.
    pub kind: Kind,
    /// The first byte.
    pub addr: u64,
    /// How many bytes.
    pub len: u32,
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be read.
    #[error("cannot read the trace: {0}")]
    Read(#[from] io::Error),
    /// A line of text is no access.
    #[error("line {line} of the trace has no {what}: {text:?}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What could not be found in it.
        what: &'static str,
        /// The line, at most its first 80 bytes.
        text: String,
    },
    /// A binary trace is damaged or ends early.
    #[error("the trace is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where the block begins that cannot be read.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A binary trace of a later version of the format.
    #[error(
        "the trace has version {0} of the format, and this reads version {VERSION}: convert it with the program that wrote it"
    )]
    Version(u16),
}

/// The events of a trace in any of the three formats, told apart by how it begins.
///
/// ```
/// use damon_ops_sim::trace::{self, Kind};
/// let lackey = b"I  0401ab70,3\n S 1fff000748,8\n";
/// let events = trace::read(&lackey[..])?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!((events[1].at, events[1].kind, events[1].addr, events[1].len), (1, Kind::Write, 0x1f_ff00_0748, 8));
/// # Ok::<(), trace::TraceError>(())
/// ```
///
/// # Errors
/// When the beginning cannot be read, or is that of a binary trace of another version.
pub fn read<'a, R: BufRead + 'a>(
    mut from: R,
) -> Result<Box<dyn Iterator<Item = Result<Event, TraceError>> + 'a>, TraceError> {
    let begin = from.fill_buf()?;
    // A pipe may give less than all of the first word: two bytes tell the three apart.
    if begin.starts_with(&MAGIC[..2]) {
        Ok(Box::new(BinaryReader::new(from)?))
    } else if begin.starts_with(&CSV_HEADER.as_bytes()[..2]) {
        Ok(Box::new(CsvReader::new(from)))
    } else {
        Ok(Box::new(LackeyReader::new(from)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn events() -> impl Strategy<Value = Vec<Event>> {
        let kind = prop_oneof![Just(Kind::Fetch), Just(Kind::Read), Just(Kind::Write), Just(Kind::Modify)];
        let step = prop_oneof![0u64..9, Just(1 << 40)];
        let len = prop_oneof![Just(1u32), Just(8), Just(64), 0u32..300, Just(u32::MAX)];
        let addr = prop_oneof![0u64..10_000, any::<u64>()];
        prop::collection::vec((step, kind, addr, len), 0..300).prop_map(|steps| {
            let next = |at: &mut u64, (step, kind, addr, len)| {
                *at += step;
                Some(Event { at: *at, kind, addr, len })
            };
            steps.into_iter().scan(0, next).collect()
        })
    }

    #[test]
    fn the_format_is_known_by_how_the_trace_begins() {
        let event = Event { at: 1, kind: Kind::Read, addr: 0x1000, len: 4 };
        let mut binary = BinaryWriter::new(Vec::new()).unwrap();
        binary.write(&event).unwrap();
        let binary = binary.finish().unwrap();
        let csv = format!("{CSV_HEADER}\n1,read,0x1000,4\n");
        for bytes in [&binary[..], csv.as_bytes(), b"I  8000,1\n L 1000,4\n"] {
            let found: Vec<_> = read(bytes).unwrap().map(Result::unwrap).filter(|e| e.kind == Kind::Read).collect();
            assert_eq!(found, [event]);
        }
        assert_eq!(read(&b""[..]).unwrap().count(), 0);
    }
}
