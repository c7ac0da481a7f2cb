//! Records: the pictures that a monitor took one after the other, in files.
//!
//! Two formats, each readable as a stream, in memory that does not grow with the file, and convertible into the other:
//!
//! | | what for |
//! |---|---|
//! | damo's, compressed JSON | what damo 3.4.3 writes and renders: [`DamoWriter`] |
//! | [binary] | for recording: small, appendable, whole up to the last snapshot whatever happens to its writer: [`BinaryWriter`] |
//!
//! ```text
//!   Monitor ──▶ Recorder ──▶ BinaryWriter ──▶ file ──▶ Reader ──▶ Item, Item, ..
//!                                             damo's file ──┘        └──▶ to_damo, to_binary
//! ```
//!
//! A record is a number of [`Series`], each of one target or of one scheme's view, and the [`Snapshot`]s of each.
//! [`Reader`] tells the formats apart by their first bytes and gives what it finds in the order of the file. It stops at the
//! first thing that is wrong with an error that says where; all before it has been given. [`figures`] are what records come to.
//!
//! ```
//! use damos::record::{BinaryWriter, Item, Reader, Region, Series, Snapshot};
//!
//! let mut file = Vec::new();
//! let mut writer = BinaryWriter::new(&mut file)?;
//! let series = writer.series(&Series::default())?;
//! let hot = Region { nr_accesses: 19, age: 4, ..Region::new(0x1000, 0x9000) };
//! writer.snapshot(series, &Snapshot { end_ns: 100_000_000, regions: vec![hot], ..Snapshot::default() })?;
//!
//! let items = Reader::new(&file[..])?.collect::<Result<Vec<_>, _>>()?;
//! let Item::Snapshot(0, snapshot) = &items[1] else { panic!() };
//! assert_eq!(snapshot.regions[0].nr_accesses, 19);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod binary;
mod convert;
mod damo;
mod error;
pub mod figures;
mod limits;
mod model;
mod reader;
mod recorder;
mod replay;

pub use binary::BinaryWriter;
pub use convert::{to_binary, to_damo};
pub use damo::DamoWriter;
pub use error::{ReadError, WriteError, Wrong};
pub use model::{Item, Mapping, Region, SchemeStats, Series, Snapshot, TargetName};
pub use reader::{Format, Reader};
pub use recorder::Recorder;
pub use replay::{Replay, ReplayError};
