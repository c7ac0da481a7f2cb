//! Reads damo's records: `[{.., "snapshots": [{..}, ..]}, ..]`.

use std::io::Read;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use super::carve::Carver;
use super::parts::SnapshotPart;
use crate::record::Wrong;
use crate::record::limits::{self, Said};
use crate::record::model::{Item, Series};

/// What is known of a series. Other fields are ignored, as damo does.
const KNOWN: [&str; 7] =
    ["kdamond_idx", "context_idx", "intervals", "scheme_idx", "target_id", "scheme_filters", "data_source"];

/// A record of damo being read.
#[derive(Debug)]
pub(in crate::record) struct DamoReader<R> {
    json: Carver<R>,
    place: Place,
    series: usize,
    said: Said,
    /// How long the last snapshot was: the next one is alike.
    last: usize,
    /// What is known of the series under way, in damo's words.
    known: Map<String, Value>,
    /// How much of that was given away, if it was.
    given: Option<usize>,
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
        let (json, place, said, known) = (Carver::new(from), Place::Start, Said::default(), Map::new());
        Self { json, place, series: 0, said, last: 0, known, given: None }
    }

    /// Where the next thing begins, or the one that could not be read.
    pub(in crate::record) const fn offset(&self) -> u64 {
        self.json.offset()
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
                        self.said.more(0)?;
                        self.known.clear();
                        self.given = None;
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
            let item = if self.given.is_none_or(|given| given < self.known.len()) { Some(self.begun()?) } else { None };
            self.series += 1;
            return Ok(item);
        }
        let name: String = self.small()?.0;
        self.json.expect(b':', "a colon after the field's name")?;
        if name == "snapshots" {
            self.json.expect(b'[', "the array of snapshots")?;
            self.place = Place::Snapshot { first: true };
            return self.begun().map(Some);
        }
        self.place = Place::Field { first: false };
        if KNOWN.contains(&name.as_str()) {
            let (value, length) = self.small()?;
            self.said.more(length)?;
            self.known.insert(name, value);
        } else {
            self.json.value::<IgnoredAny>(self.last, limits::SNAPSHOT_TEXT)?;
        }
        Ok(None)
    }

    fn begun(&mut self) -> Result<Item, Wrong> {
        self.given = Some(self.known.len());
        let series: Series = serde_json::from_value(Value::Object(self.known.clone()))?;
        Ok(Item::Series(self.series, series))
    }

    fn snapshot(&mut self) -> Result<Item, Wrong> {
        let guess = self.last + self.last / 8 + 1_000;
        let (part, length) = self.json.value::<SnapshotPart>(guess, limits::SNAPSHOT_TEXT)?;
        self.last = length;
        Ok(Item::Snapshot(self.series, part.snapshot()))
    }

    fn small<T: DeserializeOwned>(&mut self) -> Result<(T, usize), Wrong> {
        self.json.value(100, limits::SERIES_TEXT)
    }
}
