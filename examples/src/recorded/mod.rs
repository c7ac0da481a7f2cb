//! Reports on records: what `report` prints and draws.

pub mod access;
pub mod heat;
pub mod idle;
mod mapped;
pub mod regions;
pub mod replay;
pub mod schemes;
mod source;
mod times;
pub(crate) mod units;
pub mod wss;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use damos::record::ReadError;

use crate::heatmap::PictureError;

pub use source::Source;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The record cannot be read on.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It cannot be written in another format.
    #[error(transparent)]
    Convert(#[from] damos::record::WriteError),
    /// Schemes cannot be tried on it.
    #[error(transparent)]
    Replay(#[from] damos::record::ReplayError),
    /// Its picture cannot be drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The report cannot be written.
    #[error("cannot write the report: {0}")]
    Write(#[from] io::Error),
    /// It cannot be written as JSON.
    #[error("cannot write the report as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A record from standard input is too long to be kept.
    #[error("cannot keep the record until it has been read twice: {0}; is there room in TMPDIR?")]
    Keep(#[source] io::Error),
    /// There is nothing to report on.
    #[error("{path}: the record has no {what}")]
    Nothing {
        /// The record.
        path: String,
        /// What it should have.
        what: String,
    },
    /// It does not say what the report is about.
    #[error("{path}: the record does not say its intervals, without which there is no time: try `report regions`")]
    NoIntervals {
        /// The record.
        path: String,
    },
    /// The record would be overwritten before it is read.
    #[error("{path}: this is the record itself: give another file")]
    Itself {
        /// The new file.
        path: String,
    },
    /// A file cannot be made.
    #[error("{path}: {cause}")]
    Create {
        /// The new file.
        path: String,
        /// The operating system's answer.
        #[source]
        cause: io::Error,
    },
    /// A picture can have two forms.
    #[error("{}: a picture's name ends in .svg or .png", path.display())]
    Picturesque {
        /// What was given.
        path: PathBuf,
    },
}

/// How figures are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// With units, for people.
    #[default]
    Units,
    /// Whole numbers of bytes, microseconds and basis points, for programs.
    Raw,
    /// As JSON, a document a line.
    Json,
}

/// Writes a value as a line of JSON.
fn json_line(out: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), ReportError> {
    serde_json::to_writer(&mut *out, value)?;
    Ok(writeln!(out)?)
}

/// `.svg` or `.png`?
fn is_svg(path: &Path) -> Result<bool, ReportError> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("svg") => Ok(true),
        Some("png") => Ok(false),
        _ => Err(ReportError::Picturesque { path: path.into() }),
    }
}
