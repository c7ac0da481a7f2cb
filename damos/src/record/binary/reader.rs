//! Reads frames one after the other.

use std::io::Read;

use super::frame::{self, HEAD};
use super::{HEADER, MAGIC, VERSION, kind, snapshot};
use crate::record::Wrong;
use crate::record::limits::{self, Said};
use crate::record::model::{Item, Mapping, Series};

/// A binary record being read.
#[derive(Debug)]
pub(in crate::record) struct BinaryReader<R> {
    from: R,
    payload: Vec<u8>,
    /// Where the next frame begins.
    offset: u64,
    series: usize,
    said: Said,
}

/// The payload of a frame that begins a series.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Begun<S> {
    pub(super) series: usize,
    #[serde(flatten)]
    pub(super) of: S,
}

/// The payload of a frame of mappings.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Mapped {
    pub(super) series: usize,
    pub(super) mappings: Vec<Mapping>,
}

impl<R: Read> BinaryReader<R> {
    /// Reads the header.
    pub(in crate::record) fn new(mut from: R) -> Result<Self, Wrong> {
        let mut header = [0; HEADER];
        if frame::fill(&mut from, &mut header)? < HEADER {
            return Err(Wrong::Torn("the header"));
        }
        if !header.starts_with(MAGIC) {
            return Err(Wrong::Expected("DAMONREC"));
        }
        match u16::from_le_bytes([header[8], header[9]]) {
            VERSION => Ok(Self { from, payload: Vec::new(), offset: HEADER as u64, series: 0, said: Said::default() }),
            other => Err(Wrong::Version(other)),
        }
    }

    /// Where the next frame begins, or the one that could not be read.
    pub(in crate::record) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the frame ends that was read last, whatever became of it.
    pub(super) fn end_of_frame(&self) -> u64 {
        self.offset + (HEAD + self.payload.len()) as u64
    }

    /// Series that were begun so far.
    pub(super) const fn nr_series(&self) -> usize {
        self.series
    }

    /// The next thing, `None` at the end.
    pub(in crate::record) fn next(&mut self) -> Result<Option<Item>, Wrong> {
        loop {
            let Some(kind) = frame::read(&mut self.from, &mut self.payload)? else { return Ok(None) };
            let item = self.item(kind)?;
            self.offset = self.end_of_frame();
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    fn item(&mut self, kind: u8) -> Result<Option<Item>, Wrong> {
        let begun = |n: usize| if n < self.series { Ok(n) } else { Err(Wrong::Nonsense("its series was not begun")) };
        Ok(Some(match kind {
            kind::SERIES => {
                if self.payload.len() > limits::SERIES_TEXT {
                    return Err(Wrong::TooLong { what: "a series", limit: limits::SERIES_TEXT });
                }
                self.said.more(self.payload.len())?;
                let Begun::<Series> { series, of } = serde_json::from_slice(&self.payload)?;
                if series > self.series {
                    return Err(Wrong::Nonsense("a series was left out"));
                }
                self.series = self.series.max(series + 1);
                Item::Series(series, of)
            }
            kind::SNAPSHOT => {
                let (series, snapshot) = snapshot::decode(&self.payload)?;
                Item::Snapshot(begun(series)?, snapshot)
            }
            kind::MAPPINGS => {
                let mapped: Mapped = serde_json::from_slice(&self.payload)?;
                Item::Mappings(begun(mapped.series)?, mapped.mappings)
            }
            _ => return Ok(None),
        }))
    }
}
