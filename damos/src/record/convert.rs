//! From one format into the other.

use std::io::{Read, Write};

use super::{BinaryWriter, DamoWriter, Item, ReadError, Reader, Series, WriteError};

/// Writes all that a record says in the binary format.
///
/// # Errors
/// When the record cannot be read on, or the other not be written; all before that is there.
pub fn to_binary<R: Read, W: Write>(from: Reader<R>, to: W) -> Result<W, WriteError> {
    let mut writer = BinaryWriter::new(to)?;
    for item in from {
        writer.item(&item?)?;
    }
    Ok(writer.into_inner())
}

/// Writes a record in damo's format, which has one series after the other: `open` gives the record anew for each, so that
/// the memory that this takes does not grow with its length. Mappings are left out; damo keeps those in a file of their own.
///
/// # Errors
/// When the record cannot be read, or the other not be written. One that ends in an error is written up to there first, and is whole.
pub fn to_damo<R: Read, W: Write>(
    mut open: impl FnMut() -> Result<Reader<R>, ReadError>,
    to: W,
) -> Result<W, WriteError> {
    let (all, mut damaged) = all_series(open()?);
    let mut writer = DamoWriter::new(to);
    for (n, series) in all.iter().enumerate() {
        writer.series(series)?;
        for item in open()? {
            match item {
                Ok(Item::Snapshot(of, snapshot)) if of == n => writer.snapshot(&snapshot)?,
                Ok(_) => {}
                Err(e) => damaged = Some(e),
            }
        }
    }
    let to = writer.finish()?;
    damaged.map_or(Ok(to), |e| Err(e.into()))
}

/// What is known of each series in the end, and what ended the record too soon.
fn all_series<R: Read>(from: Reader<R>) -> (Vec<Series>, Option<ReadError>) {
    let mut all = Vec::new();
    for item in from {
        match item {
            Ok(Item::Series(n, series)) if n < all.len() => all[n] = series,
            Ok(Item::Series(_, series)) => all.push(series),
            Ok(_) => {}
            Err(e) => return (all, Some(e)),
        }
    }
    (all, None)
}
