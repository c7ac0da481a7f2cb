//! Reads damo's records: `[{.., "snapshots": [{..}, ..]}, ..]`.

use std::io::Read;

use serde_json::{Map, Value};

use super::carve::Carver;
use super::parts::SnapshotPart;
use crate::record::Wrong;
use crate::record::model::{Item, Series};

/// A record of damo being read.
#[derive(Debug)]
pub(in crate::record) struct DamoReader<R> {
    json: Carver<R>,
    place: Place,
    /// Where the value began that could not be understood.
    culprit: Option<u64>,
    series: usize,
    /// What is known of the series under way, in damo's words.
    known: Map<String, Value>,
    /// How much of that was given away.
    given: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Place {
    Start,
    /// A record, or the end.
    Record {
        first: bool,
    },
    /// A field of a record, or its end.
    Field {
        first: bool,
    },
    /// A snapshot, or the end of them.
    Snapshot {
        first: bool,
    },
    End,
}

impl<R: Read> DamoReader<R> {
    pub(in crate::record) fn new(from: R) -> Self {
        Self { json: Carver::new(from), place: Place::Start, culprit: None, series: 0, known: Map::new(), given: 0 }
    }

    /// Where the next thing begins, or the one that could not be read.
    pub(in crate::record) fn offset(&self) -> u64 {
        self.culprit.unwrap_or(self.json.offset())
    }

    /// The next thing, `None` at the end.
    pub(in crate::record) fn next(&mut self) -> Result<Option<Item>, Wrong> {
        loop {
            match self.place {
                Place::Start => {
                    self.json.expect(b'[', "the array of records")?;
                    self.place = Place::Record { first: true };
                }
                Place::Record { first } => {
                    if self.ends(b']', first)? {
                        self.place = Place::End;
                    } else {
                        self.json.expect(b'{', "a record: an object")?;
                        self.known.clear();
                        self.given = 0;
                        self.place = Place::Field { first: true };
                    }
                }
                Place::Field { first } => {
                    if let Some(item) = self.field(first)? {
                        return Ok(Some(item));
                    }
                }
                Place::Snapshot { first } => {
                    if self.ends(b']', first)? {
                        self.place = Place::Field { first: false };
                    } else {
                        self.place = Place::Snapshot { first: false };
                        return self.snapshot().map(Some);
                    }
                }
                Place::End => {
                    return match self.json.peek()? {
                        None => Ok(None),
                        Some(_) => Err(Wrong::Expected("the end of the document")),
                    };
                }
            }
        }
    }

    /// Takes the bracket that ends a list, or the comma before its next element.
    fn ends(&mut self, bracket: u8, first: bool) -> Result<bool, Wrong> {
        if self.json.takes(bracket)? {
            return Ok(true);
        }
        if !first {
            self.json.expect(b',', "a comma or the end of the list")?;
        }
        Ok(false)
    }

    fn field(&mut self, first: bool) -> Result<Option<Item>, Wrong> {
        if self.ends(b'}', first)? {
            self.place = Place::Record { first: false };
            let more = self.known.len() > self.given || self.given == 0;
            let item = if more { Some(self.begun()?) } else { None };
            self.series += 1;
            return Ok(item);
        }
        let name: String = self.parse()?;
        self.json.expect(b':', "a colon after the field's name")?;
        if name == "snapshots" {
            self.json.expect(b'[', "the array of snapshots")?;
            self.place = Place::Snapshot { first: true };
            return self.begun().map(Some);
        }
        let value = self.parse()?;
        self.known.insert(name, value);
        self.place = Place::Field { first: false };
        Ok(None)
    }

    fn begun(&mut self) -> Result<Item, Wrong> {
        self.given = self.known.len().max(1);
        let series: Series = serde_json::from_value(Value::Object(self.known.clone()))?;
        Ok(Item::Series(self.series, series))
    }

    fn snapshot(&mut self) -> Result<Item, Wrong> {
        let start = self.json.offset();
        let part: SnapshotPart = self.parse()?;
        let Some(snapshot) = part.snapshot() else {
            self.culprit = Some(start);
            return Err(Wrong::Nonsense("a region of the snapshot is empty, or counts beyond 2^32"));
        };
        Ok(Item::Snapshot(self.series, snapshot))
    }

    fn parse<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Wrong> {
        let (start, text) = self.json.value()?;
        serde_json::from_slice(text).map_err(|e| {
            let lines = text.split_inclusive(|&b| b == b'\n').take(e.line().saturating_sub(1)).map(<[u8]>::len);
            self.culprit = Some(start + (lines.sum::<usize>() + e.column().saturating_sub(1)) as u64);
            e.into()
        })
    }
}
