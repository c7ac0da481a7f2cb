//! The binary format: small, appendable, and whole up to the last complete snapshot whatever happens to its writer.
//!
//! ```text
//! file      "DAMONREC"  version: u16 = 1  0: u16  frame*
//! frame     kind: u8  length of payload: u32  low half of the CRC-32 of these: u16  CRC-32 of kind, length and payload: u32  payload
//! kind 1    a series: JSON, {"series": n, ..} as in damo's records without the snapshots; said again, it replaces what was said
//! kind 2    a snapshot of it
//! kind 3    mappings: JSON, {"series": n, "mappings": [{"start", "end", "name"}..]}
//! snapshot  series  fields  start_ns  end_ns - start_ns  [sampling, ns]  [total_bytes]  [6 of stats]  shift  regions  region*
//! region    (start - end of the last) >> shift  size >> shift  nr_accesses  age  [age_us + 1]  [sz_filter_passed]
//!           [nr_samples + 1]  [nr_writes + 1]  [rate + 1]  [sees + 1]  [probes  hits*]
//! ```
//!
//! Numbers of fixed width are little-endian; all others are varints: seven bits a byte, the lowest first, the eighth bit
//! says that there is more; the difference of two addresses as 0, -1, 1, -2, .. `fields` has a bit for each thing in brackets, in this order. `+ 1` leaves 0 for "not known".
//! Series count from 0.
//! Frames of other kinds are skipped, so that later versions can add some.

mod frame;
mod reader;
mod snapshot;
mod varint;
mod writer;

pub(super) use reader::BinaryReader;
pub use writer::BinaryWriter;

/// The first bytes of a file.
pub(super) const MAGIC: &[u8; 8] = b"DAMONREC";
const VERSION: u16 = 1;
/// Magic, version and two bytes of zero.
const HEADER: usize = 12;

/// What a frame holds.
mod kind {
    pub(super) const SERIES: u8 = 1;
    pub(super) const SNAPSHOT: u8 = 2;
    pub(super) const MAPPINGS: u8 = 3;
}
