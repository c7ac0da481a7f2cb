//! damo's format: JSON, compressed by zlib. An array of records, each with an array of snapshots.
//!
//! Counterpart: damo 3.4.3, `json_compressed`. Its plain JSON is read too; where it is written, damo itself often
//! cannot read it, so it is not written here. What the format has no words for (`nr_samples`, `nr_writes`, `rate_bp`, `sees`) is
//! written beside what it has, where damo ignores it.

mod carve;
mod inflate;
mod number;
mod parts;
mod reader;
mod writer;

pub(super) use inflate::Inflate;
pub(super) use reader::DamoReader;
pub use writer::DamoWriter;
