//! Tells the formats apart, and reads either.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::path::Path;

use super::binary::{self, BinaryReader};
use super::damo::{DamoReader, Inflate};
use super::{Item, ReadError, Wrong};

/// In which format a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// This project's own.
    Binary,
    /// damo's, compressed.
    Damo,
    /// damo's, as plain JSON.
    DamoPlain,
}

/// So much of a file tells what it is: a line of what `perf script` prints.
const HEAD: u64 = 256;

/// A record being read, item by item. After an error or the end it gives nothing more.
#[derive(Debug)]
pub struct Reader<R: Read> {
    name: String,
    format: Format,
    inner: Inner<Whole<R>>,
    over: bool,
}

/// The bytes that told the format, and the rest.
type Whole<R> = Chain<Cursor<Vec<u8>>, BufReader<R>>;

#[derive(Debug)]
enum Inner<R: Read> {
    Binary(BinaryReader<R>),
    Compressed(DamoReader<Inflate<BufReader<R>>>),
    Plain(DamoReader<R>),
}

impl Reader<File> {
    /// The record in a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no record.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let name = path.as_ref().display();
        let file = File::open(path.as_ref()).map_err(|e| named(&name, 0, false, Wrong::Io(e)))?;
        Self::with_name(file, name.to_string())
    }
}

impl<R: Read> Reader<R> {
    /// The record that `from` gives.
    ///
    /// # Errors
    /// When it cannot be read, or is no record.
    pub fn new(from: R) -> Result<Self, ReadError> {
        Self::with_name(from, "record".into())
    }

    /// The same, called `name` where something is wrong with it.
    ///
    /// # Errors
    /// When it cannot be read, or is no record.
    pub fn with_name(from: R, name: String) -> Result<Self, ReadError> {
        match Self::tell(from) {
            Ok((format, inner)) => Ok(Self { name, format, inner, over: false }),
            Err(wrong) => Err(named(&name, 0, false, wrong)),
        }
    }

    fn tell(from: R) -> Result<(Format, Inner<Whole<R>>), Wrong> {
        let mut from = BufReader::with_capacity(1 << 16, from);
        let mut first = Vec::new();
        (&mut from).take(HEAD).read_to_end(&mut first).map_err(Wrong::Io)?;
        // A zlib stream: deflate, and a check of its first two bytes.
        let zlib = matches!(first[..], [0x78, flags, ..] if (0x7800 + u16::from(flags)) % 31 == 0);
        let json = first.trim_ascii_start().first().is_none_or(|&byte| byte == b'[');
        let is_binary = first.starts_with(binary::MAGIC);
        let hint = hint(&first);
        let whole = Cursor::new(first).chain(from);
        Ok(if is_binary {
            (Format::Binary, Inner::Binary(BinaryReader::new(whole)?))
        } else if zlib {
            (Format::Damo, Inner::Compressed(DamoReader::new(Inflate::new(BufReader::with_capacity(1 << 16, whole)))))
        } else if json && hint.is_empty() {
            (Format::DamoPlain, Inner::Plain(DamoReader::new(whole)))
        } else {
            return Err(Wrong::Unknown { hint });
        })
    }

    /// The format.
    pub const fn format(&self) -> Format {
        self.format
    }

    fn offset(&self) -> (u64, bool) {
        match &self.inner {
            Inner::Binary(r) => (r.offset(), false),
            Inner::Compressed(r) => (r.offset(), true),
            Inner::Plain(r) => (r.offset(), false),
        }
    }
}

fn hint(first: &[u8]) -> &'static str {
    const TRACEPOINT: &[u8] = b"damon_aggregated: ";
    match first {
        [] => "; it is empty",
        [b'P', b'E', b'R', b'F', ..] => {
            "; it looks like perf's data: `damo convert_record_format --record_file OLD --output_file NEW` makes a record of that"
        }
        [b'{', ..] => "; it looks like a JSON object, such as a configuration",
        _ if first.windows(TRACEPOINT.len()).any(|text| text == TRACEPOINT) => {
            "; it looks like what `perf script` prints (damo's format perf_script), which does not say intervals: \
             `damo convert_record_format --record_file OLD --output_file NEW` makes a record of it"
        }
        _ => "",
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Item, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = match &mut self.inner {
            Inner::Binary(r) => r.next(),
            Inner::Compressed(r) => r.next(),
            Inner::Plain(r) => r.next(),
        };
        self.over = !matches!(next, Ok(Some(_)));
        next.transpose().map(|item| {
            item.map_err(|wrong| {
                let (offset, uncompressed) = self.offset();
                named(&self.name, offset, uncompressed, wrong)
            })
        })
    }
}

/// The error, with all that a person must know.
pub(super) fn named(file: &impl Display, offset: u64, uncompressed: bool, wrong: Wrong) -> ReadError {
    ReadError { file: file.to_string(), offset, uncompressed, wrong }
}

impl From<io::Error> for Wrong {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}
