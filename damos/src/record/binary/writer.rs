//! Writes frames, each with one call, so that a crash leaves at most one incomplete.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use super::frame::{self, HEAD};
use super::reader::{Begun, BinaryReader, Mapped};
use super::{MAGIC, VERSION, kind, snapshot};
use crate::record::limits;
use crate::record::model::{Item, Mapping, Series, Snapshot};
use crate::record::reader::named;
use crate::record::{WriteError, Wrong};

/// Writes a binary record. Nothing is held back: what a call was given is with the operating system when it returns.
#[derive(Debug)]
pub struct BinaryWriter<W> {
    to: W,
    frame: Vec<u8>,
    series: usize,
}

impl<W: Write> BinaryWriter<W> {
    /// A new record.
    ///
    /// # Errors
    /// When its header cannot be written.
    pub fn new(mut to: W) -> Result<Self, WriteError> {
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&[0, 0]);
        to.write_all(&header)?;
        Ok(Self { to, frame: Vec::new(), series: 0 })
    }

    /// Begins a series and gives its number.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn series(&mut self, series: &Series) -> Result<usize, WriteError> {
        let number = self.series;
        self.json(kind::SERIES, &Begun { series: number, of: series }, series.scheme_filters.len())?;
        self.series += 1;
        Ok(number)
    }

    /// Says again what is known of a series that was begun.
    ///
    /// # Errors
    /// When it was not begun, or it cannot be written.
    pub fn update_series(&mut self, number: usize, series: &Series) -> Result<(), WriteError> {
        self.begun(number)?;
        self.json(kind::SERIES, &Begun { series: number, of: series }, series.scheme_filters.len())
    }

    /// The next snapshot of a series.
    ///
    /// # Errors
    /// When the series was not begun, when a region is empty, when it cannot be written. In the first two cases nothing was.
    pub fn snapshot(&mut self, series: usize, snapshot: &Snapshot) -> Result<(), WriteError> {
        self.begun(series)?;
        self.start();
        limits::check(snapshot)?;
        snapshot::encode(&mut self.frame, series, snapshot)?;
        self.finish(kind::SNAPSHOT, snapshot.regions.len())
    }

    /// What is mapped in a series' addresses from here on.
    ///
    /// # Errors
    /// When the series was not begun, or it cannot be written.
    pub fn mappings(&mut self, series: usize, mappings: &[Mapping]) -> Result<(), WriteError> {
        self.begun(series)?;
        self.json(kind::MAPPINGS, &Mapped { series, mappings: mappings.to_vec() }, mappings.len())
    }

    /// What a reader gave, so that all that it gives makes a record that says the same.
    ///
    /// # Errors
    /// As of what it is; a series must have the next number, or one that was begun.
    pub fn item(&mut self, item: &Item) -> Result<(), WriteError> {
        match item {
            Item::Series(n, series) if *n == self.series => self.series(series).map(drop),
            Item::Series(n, series) => self.update_series(*n, series),
            Item::Snapshot(n, s) => self.snapshot(*n, s),
            Item::Mappings(n, mappings) => self.mappings(*n, mappings),
        }
    }

    /// Series begun so far: the number that the next one gets.
    pub const fn nr_series(&self) -> usize {
        self.series
    }

    /// What it writes to.
    pub const fn get_ref(&self) -> &W {
        &self.to
    }

    /// Ends it.
    pub fn into_inner(self) -> W {
        self.to
    }

    const fn begun(&self, series: usize) -> Result<(), WriteError> {
        if series < self.series { Ok(()) } else { Err(WriteError::NoSeries(series)) }
    }

    fn start(&mut self) {
        self.frame.clear();
        self.frame.resize(HEAD, 0);
    }

    fn json(&mut self, kind: u8, value: &impl serde::Serialize, entries: usize) -> Result<(), WriteError> {
        self.start();
        serde_json::to_writer(&mut self.frame, value)?;
        if kind == kind::SERIES && self.frame.len() - HEAD > limits::SERIES_TEXT {
            return Err(WriteError::TooLong { regions: entries });
        }
        self.finish(kind, entries)
    }

    fn finish(&mut self, kind: u8, entries: usize) -> Result<(), WriteError> {
        frame::seal(&mut self.frame, kind).ok_or(WriteError::TooLong { regions: entries })?;
        Ok(self.to.write_all(&self.frame)?)
    }
}

impl BinaryWriter<File> {
    /// Goes on with the record in a file, or begins one where there is none. What a crash left incomplete at its end is cut off.
    /// One writer at a time: nothing is locked.
    ///
    /// # Errors
    /// When the file cannot be read or written, is no binary record, or is damaged before its end; then it stays as it is.
    pub fn append(path: impl AsRef<Path>) -> Result<Self, WriteError> {
        let path = path.as_ref();
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let length = file.metadata()?.len();
        if length == 0 {
            return Self::new(file);
        }
        let error = |offset, wrong| named(&path.display(), offset, false, wrong);
        let mut reader = BinaryReader::new(BufReader::new(&file)).map_err(|wrong| error(0, wrong))?;
        loop {
            match reader.next() {
                Ok(Some(_)) => {}
                Ok(None) | Err(Wrong::Torn(_)) => break,
                // Nothing comes after it: a file that grew before its bytes reached the disk.
                Err(Wrong::Checksum) if reader.end_of_frame() == length => break,
                Err(wrong) => return Err(error(reader.offset(), wrong).into()),
            }
        }
        let (end, series) = (reader.offset(), reader.nr_series());
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        Ok(Self { to: file, frame: Vec::new(), series })
    }
}
