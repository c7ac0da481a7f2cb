//! What can be wrong with a record.

use std::io;

/// A record that cannot be read on: where, and why. All before that place was read.
#[derive(Debug, thiserror::Error)]
#[error("{file}: at byte {offset}{of}: {wrong}", of = if *uncompressed { " of what it is uncompressed" } else { "" })]
#[non_exhaustive]
pub struct ReadError {
    /// Which file; `record` where it has no name.
    pub file: String,
    /// Where the thing begins that is wrong.
    pub offset: u64,
    /// The offset counts bytes of the uncompressed text.
    pub uncompressed: bool,
    /// What is wrong.
    #[source]
    pub wrong: Wrong,
}

impl ReadError {
    /// A record that cannot be opened, by the operating system's answer: for who opens it otherwise than [`Reader::open`](super::Reader::open).
    pub const fn unopened(file: String, cause: io::Error) -> Self {
        Self { file, offset: 0, uncompressed: false, wrong: Wrong::Io(cause) }
    }
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// The operating system's answer.
    #[error("cannot read: {0}")]
    Io(#[source] io::Error),
    /// It is no record.
    #[error("this is neither a record of damo (compressed JSON) nor a binary one{hint}")]
    Unknown {
        /// What it looks like, and what makes a record of that.
        hint: &'static str,
    },
    /// A binary record of a version that is not known here.
    #[error("version {0} of the binary format is newer than this program, which reads 1")]
    Version(u16),
    /// It ends in the middle: its writer was stopped, or it was cut.
    #[error("it ends in the middle of {0}")]
    Torn(&'static str),
    /// Bytes are not what was written.
    #[error("the checksum is wrong: the file was damaged")]
    Checksum,
    /// The checksum is right, and what it covers makes no sense.
    #[error("{0}")]
    Nonsense(&'static str),
    /// Something is longer than a record of this size can need.
    #[error("{what} of more than {limit} bytes is no part of a record")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// The most that is taken.
        limit: usize,
    },
    /// What should be there according to the format, is not.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A value that does not mean what its place asks for.
    #[error("{0}")]
    Value(String),
}

impl From<serde_json::Error> for Wrong {
    /// Without line and column, which would be those of a part.
    fn from(e: serde_json::Error) -> Self {
        let text = e.to_string();
        let end = text.rfind(" at line ").unwrap_or(text.len());
        Self::Value(text[..end].into())
    }
}

/// A record that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The operating system's answer.
    #[error("cannot write a record: {0}")]
    Io(#[from] io::Error),
    /// A snapshot of a series that was not begun.
    #[error("series {0} was not begun: begin it first")]
    NoSeries(usize),
    /// A snapshot, or a list of mappings, beyond what a reader takes.
    #[error("{regions} entries are more than one entry of a record can hold; split them")]
    TooLong {
        /// How many regions or mappings.
        regions: usize,
    },
    /// A region without addresses.
    #[error("region {start:#x}..{end:#x} is empty")]
    Empty {
        /// Where it begins.
        start: u64,
        /// Where it ends.
        end: u64,
    },
    /// The record that it should be made from, or continue.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Text that is no JSON.
    #[error("cannot write a record as JSON: {0}")]
    Json(#[from] serde_json::Error),
}
