//! Reports on records: what `report` prints and draws.

pub mod access;
pub mod heat;
pub mod idle;
pub mod regions;
pub mod replay;
pub mod schemes;
mod times;
pub(crate) mod units;
pub mod wss;

use std::cell::{Cell, OnceCell};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use damos::record::figures::{Survey, Surveyed};
use damos::record::{BinaryWriter, Format, Item, ReadError, Reader, Snapshot};

use crate::heatmap::PictureError;

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
    /// A picture can have two forms.
    #[error("{}: a picture's name ends in .svg or .png", path.display())]
    Picturesque {
        /// What was given.
        path: PathBuf,
    },
}

/// So many bytes of a record are kept between two readings, as the binary format has them: half a million regions.
const KEEP: usize = 1 << 22;

/// A record, and which of its series is meant.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    series: Option<usize>,
    /// All of it in the format that is read ten times as fast, if it is that short.
    kept: OnceCell<Vec<u8>>,
    /// It was said that it is damaged.
    told: Cell<bool>,
}

impl Source {
    /// A file, and the number of the series; that which saw most if none is given.
    pub const fn new(path: PathBuf, series: Option<usize>) -> Self {
        Self { path, series, kept: OnceCell::new(), told: Cell::new(false) }
    }

    /// Reads the record once: what each series covers. A record that is damaged counts up to there, and a note goes to
    /// standard error.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn survey(&self) -> Result<Survey, ReportError> {
        let mut survey = Survey::default();
        let reader = Reader::open(&self.path)?;
        let mut copy = if reader.format() == Format::Binary { None } else { Some(BinaryWriter::new(Vec::new())?) };
        self.read(reader, |item| {
            survey.add(&item);
            if let Some(kept) = copy.as_mut() {
                kept.item(&item)?;
                copy = copy.take().filter(|kept| kept.get_ref().len() < KEEP);
            }
            Ok(())
        })?;
        if let Some(copy) = copy {
            self.kept.get_or_init(|| copy.into_inner());
        }
        Ok(survey)
    }

    /// Which series is meant.
    ///
    /// # Errors
    /// When there is none, or it has no snapshot.
    pub fn chosen<'a>(&self, survey: &'a Survey) -> Result<(usize, &'a Surveyed), ReportError> {
        let all = survey.series().iter().enumerate();
        let chosen = match self.series {
            Some(n) => all.clone().nth(n),
            None => all.rev().max_by_key(|(_, s)| s.ranges().iter().map(|r| u128::from(r.end - r.start)).sum::<u128>()),
        };
        let what = || self.series.map_or("snapshots".into(), |n| format!("series {n}, or none with snapshots"));
        chosen.filter(|(_, s)| s.snapshots > 0).ok_or_else(|| self.nothing(what()))
    }

    /// Gives each snapshot of a series.
    ///
    /// # Errors
    /// When the record cannot be opened; what `f` says.
    pub fn snapshots(
        &self,
        series: usize,
        mut f: impl FnMut(Snapshot) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        self.each(|item| match item {
            Item::Snapshot(n, snapshot) if n == series => f(snapshot),
            _ => Ok(()),
        })
    }

    fn each(&self, f: impl FnMut(Item) -> Result<(), ReportError>) -> Result<(), ReportError> {
        match self.kept.get() {
            Some(kept) => self.read(Reader::new(&kept[..])?, f),
            None => self.read(Reader::open(&self.path)?, f),
        }
    }

    fn read<R: Read>(
        &self,
        reader: Reader<R>,
        mut f: impl FnMut(Item) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        for (read, item) in reader.enumerate() {
            match item {
                Ok(item) => f(item)?,
                Err(e) if read > 0 => {
                    if !self.told.replace(true) {
                        eprintln!("{e}; the report is on what comes before");
                    }
                    return Ok(());
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn nothing(&self, what: String) -> ReportError {
        ReportError::Nothing { path: self.name(), what }
    }

    fn no_intervals(&self) -> ReportError {
        ReportError::NoIntervals { path: self.name() }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
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
