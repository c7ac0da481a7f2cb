//! A record in a file or from standard input, read as often as a report needs it.

use std::cell::{Cell, OnceCell};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use damos::record::figures::{Survey, Surveyed};
use damos::record::{BinaryWriter, Format, Item, ReadError, Reader, Snapshot, to_binary, to_damo};

use super::ReportError;

/// So many bytes of a record are kept between two readings, as the binary format has them: half a million regions.
const KEEP: usize = 1 << 22;

/// A record, and which of its series is meant.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    /// Its number.
    pub(super) series: Option<usize>,
    /// What came from standard input, if it is to be read again.
    input: OnceCell<File>,
    /// All of it in the format that is read ten times as fast, if it is that short.
    short: OnceCell<Vec<u8>>,
    /// It was said that it is damaged.
    told: Cell<bool>,
}

impl Source {
    /// A file, `-` for standard input, and the number of the series; that which saw most if none is given.
    pub const fn new(path: PathBuf, series: Option<usize>) -> Self {
        Self { path, series, input: OnceCell::new(), short: OnceCell::new(), told: Cell::new(false) }
    }

    /// Reads the record once: what each series covers. A record that is damaged counts up to there, and a note goes to
    /// standard error.
    ///
    /// # Errors
    /// When it cannot be opened, or not be kept until it is read again.
    pub fn survey(&self) -> Result<Survey, ReportError> {
        self.keep_input()?;
        let mut survey = Survey::default();
        let reader = self.open()?;
        let mut copy = if reader.format() == Format::Binary { None } else { Some(BinaryWriter::new(Vec::new())?) };
        self.read(reader, |item| {
            survey.add(&item);
            if let Some(short) = copy.as_mut() {
                short.item(&item)?;
                copy = copy.take().filter(|short| short.get_ref().len() < KEEP);
            }
            Ok(())
        })?;
        if let Some(copy) = copy {
            self.short.get_or_init(|| copy.into_inner());
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

    /// Writes the record anew into the file `to`: in damo's format if its name ends in `.damon`, in this project's own otherwise.
    ///
    /// # Errors
    /// When it cannot be read on, which comes after all that is before; when `to` is the record itself, or cannot be written.
    pub fn convert(&self, to: &Path) -> Result<(), ReportError> {
        let path = || to.display().to_string();
        // The new file would be empty before the record is read.
        if fs::canonicalize(to).is_ok_and(|to| fs::canonicalize(&self.path).is_ok_and(|from| from == to)) {
            return Err(ReportError::Itself { path: path() });
        }
        let theirs = to.extension().is_some_and(|e| e == "damon");
        if theirs {
            // It is read once for each series.
            self.keep_input()?;
        }
        // What is no record leaves no file behind.
        let reader = self.open()?;
        let file = File::create(to).map_err(|cause| ReportError::Create { path: path(), cause })?;
        if theirs {
            let mut first = Some(reader);
            to_damo(|| first.take().map_or_else(|| self.open(), Ok), BufWriter::new(file))?.flush()?;
        } else {
            to_binary(reader, BufWriter::new(file))?.flush()?;
        }
        Ok(())
    }

    /// Gives all of it, item by item.
    pub(super) fn each(&self, f: impl FnMut(Item) -> Result<(), ReportError>) -> Result<(), ReportError> {
        self.read(self.open()?, f)
    }

    /// From its beginning; standard input once, unless it is kept.
    fn open(&self) -> Result<Reader<Box<dyn Read + '_>>, ReadError> {
        let wrong = |e: io::Error| ReadError::unopened(self.name(), e);
        let bytes: Box<dyn Read + '_> = match (self.short.get(), self.input.get()) {
            (Some(short), _) => Box::new(&short[..]),
            (_, Some(input)) => {
                let mut input = input.try_clone().map_err(wrong)?;
                input.rewind().map_err(wrong)?;
                Box::new(input)
            }
            _ if self.is_input() => Box::new(io::stdin().lock()),
            _ => Box::new(File::open(&self.path).map_err(wrong)?),
        };
        Reader::with_name(bytes, self.name())
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

    fn keep_input(&self) -> Result<(), ReportError> {
        if self.is_input() && self.input.get().is_none() {
            let mut file = tempfile::tempfile().map_err(ReportError::Keep)?;
            io::copy(&mut io::stdin().lock(), &mut file).map_err(ReportError::Keep)?;
            self.input.get_or_init(|| file);
        }
        Ok(())
    }

    fn is_input(&self) -> bool {
        self.path == Path::new("-")
    }

    pub(super) fn nothing(&self, what: String) -> ReportError {
        ReportError::Nothing { path: self.name(), what }
    }

    pub(super) fn no_intervals(&self) -> ReportError {
        ReportError::NoIntervals { path: self.name() }
    }

    /// What stands over a picture.
    pub(super) fn title(&self, snapshots: u64) -> String {
        let name = self.path.file_name().map_or_else(|| self.name(), |name| name.to_string_lossy().into_owned());
        let name = if self.is_input() { self.name() } else { name };
        format!("{name}: {snapshots} {}", if snapshots == 1 { "snapshot" } else { "snapshots" })
    }

    pub(super) fn name(&self) -> String {
        if self.is_input() { "standard input".into() } else { self.path.display().to_string() }
    }
}
