//! The compact binary form of a trace, about three bytes an access: blocks that can be read and checked one by one.
//!
//! ```text
//! trace   = "DAMONTRC" version:u16 reserved:u16 block* end
//! block   = nr_events:u32 nr_bytes:u32 crc:u32 payload[nr_bytes]        nr_bytes ≤ 1 MiB; crc is the CRC-32 of the payload
//! payload = event[nr_events]
//! event   = head:u8 [ticks:varint] [len:varint] distance:varint
//!           head bits 0–1: fetch, read, write, modify
//!                bits 2–4: 0 to 6: len is 1 << n;   7: len follows
//!                bits 5–7: 0 to 6: ticks since the event before;   7: they follow
//!           distance: zigzag of addr minus the end of the last event of the same kind, modulo 2^64
//! end     = a block of no events, whose payload is how many there were, as u64
//! ```
//!
//! Numbers are little-endian, varints LEB128. A block starts from tick 0 and address 0, so the first event of each
//! carries them whole. A trace without `end` was cut off.

use std::io::{self, Read, Write};

use super::{Event, Kind, TraceError};

/// How a binary trace begins.
pub const MAGIC: [u8; 8] = *b"DAMONTRC";
/// The version of the format that is written and read.
pub const VERSION: u16 = 1;
/// A payload has at most so many bytes.
pub const MAX_BLOCK: usize = 1 << 20;

/// An event takes at most so many: a head and three varints.
const MAX_EVENT: usize = 1 + 10 + 5 + 10;
const HEADER: u64 = 12;
const BLOCK_HEADER: usize = 12;

/// What an event's numbers are relative to.
#[derive(Debug, Default)]
struct Last {
    at: u64,
    /// By kind: where the last one ended.
    ends: [u64; 4],
}

const KINDS: [Kind; 4] = [Kind::Fetch, Kind::Read, Kind::Write, Kind::Modify];

/// Writes the binary form.
///
/// ```
/// use damon_ops_sim::trace::{BinaryReader, BinaryWriter, Event, Kind};
/// let event = Event { at: 7, kind: Kind::Write, addr: 0x1000, len: 8 };
/// let mut writer = BinaryWriter::new(Vec::new())?;
/// writer.write(&event)?;
/// let bytes = writer.finish()?;
/// let events = BinaryReader::new(&bytes[..])?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(events, [event]);
/// # Ok::<(), damon_ops_sim::trace::TraceError>(())
/// ```
#[derive(Debug)]
pub struct BinaryWriter<W> {
    to: W,
    payload: Vec<u8>,
    nr_events: u32,
    total: u64,
    latest: u64,
    last: Last,
}

impl<W: Write> BinaryWriter<W> {
    /// Writes the header to `to`.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn new(mut to: W) -> io::Result<Self> {
        to.write_all(&MAGIC)?;
        to.write_all(&VERSION.to_le_bytes())?;
        to.write_all(&[0; 2])?;
        Ok(Self {
            to,
            payload: Vec::with_capacity(MAX_BLOCK),
            nr_events: 0,
            total: 0,
            latest: 0,
            last: Last::default(),
        })
    }

    /// Writes an event.
    ///
    /// # Errors
    /// Those of `to`; [`io::ErrorKind::InvalidInput`] for an event before the last one.
    pub fn write(&mut self, e: &Event) -> io::Result<()> {
        if self.payload.len() + MAX_EVENT > MAX_BLOCK {
            self.flush_block()?;
        }
        let kind = e.kind as usize;
        if e.at < self.latest {
            let why =
                format!("event {} is at tick {}, before the one ahead of it at {}", self.total, e.at, self.latest);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let ticks = e.at - self.last.at;
        let ticks_code = ticks.min(7) as u8;
        let len_code = if e.len.is_power_of_two() { e.len.trailing_zeros().min(7) as u8 } else { 7 };
        self.payload.push(kind as u8 | len_code << 2 | ticks_code << 5);
        if ticks_code == 7 {
            put_varint(&mut self.payload, ticks);
        }
        if len_code == 7 {
            put_varint(&mut self.payload, e.len.into());
        }
        let distance = e.addr.wrapping_sub(self.last.ends[kind]) as i64;
        put_varint(&mut self.payload, ((distance << 1) ^ (distance >> 63)) as u64);
        (self.latest, self.last.at) = (e.at, e.at);
        self.last.ends[kind] = e.addr.wrapping_add(e.len.into());
        self.nr_events += 1;
        self.total += 1;
        Ok(())
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if self.nr_events > 0 {
            put_block(&mut self.to, self.nr_events, &self.payload)?;
        }
        self.payload.clear();
        self.nr_events = 0;
        self.last = Last::default();
        Ok(())
    }

    /// Writes the end, and gives back what was written to.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush_block()?;
        put_block(&mut self.to, 0, &self.total.to_le_bytes())?;
        self.to.flush()?;
        Ok(self.to)
    }
}

fn put_block(to: &mut impl Write, nr_events: u32, payload: &[u8]) -> io::Result<()> {
    for n in [nr_events, payload.len() as u32, crc32fast::hash(payload)] {
        to.write_all(&n.to_le_bytes())?;
    }
    to.write_all(payload)
}

fn put_varint(to: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

/// Reads the binary form, block by block.
#[derive(Debug)]
pub struct BinaryReader<R> {
    from: R,
    /// Where the next block begins.
    offset: u64,
    payload: Vec<u8>,
    /// What of the payload has been read.
    read: usize,
    nr_events: u32,
    total: u64,
    latest: u64,
    last: Last,
    ended: bool,
}

impl<R: Read> BinaryReader<R> {
    /// Reads the header from `from`, which should be buffered.
    ///
    /// # Errors
    /// When it cannot be read, is none, or is of another version.
    pub fn new(mut from: R) -> Result<Self, TraceError> {
        let mut header = [0; HEADER as usize];
        from.read_exact(&mut header).map_err(|e| cut_off(e, 0))?;
        if header[..8] != MAGIC {
            return Err(TraceError::Damaged { offset: 0, what: "it does not begin with DAMONTRC" });
        }
        let version = u16::from_le_bytes([header[8], header[9]]);
        if version != VERSION {
            return Err(TraceError::Version(version));
        }
        let (payload, last) = (Vec::new(), Last::default());
        Ok(Self { from, offset: HEADER, payload, read: 0, nr_events: 0, total: 0, latest: 0, last, ended: false })
    }

    fn event(&mut self) -> Result<Option<Event>, TraceError> {
        if self.nr_events == 0 && !self.next_block()? {
            return Ok(None);
        }
        let event = self.decode().ok_or_else(|| self.damaged("an event is incomplete, or its numbers overflow"))?;
        if event.at < self.latest {
            return Err(self.damaged("time goes back"));
        }
        (self.latest, self.last.at) = (event.at, event.at);
        self.last.ends[event.kind as usize] = event.addr.wrapping_add(event.len.into());
        self.nr_events -= 1;
        self.total += 1;
        if self.nr_events == 0 && self.read != self.payload.len() {
            return Err(self.damaged("a block is longer than its events"));
        }
        Ok(Some(event))
    }

    /// Reads a block; false if it is the end.
    fn next_block(&mut self) -> Result<bool, TraceError> {
        self.offset += if self.payload.is_empty() { 0 } else { (BLOCK_HEADER + self.payload.len()) as u64 };
        let at = self.offset;
        let mut header = [0; BLOCK_HEADER];
        self.from.read_exact(&mut header).map_err(|e| cut_off(e, at))?;
        let word = |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        let (nr_events, nr_bytes, crc) = (word(0), word(4) as usize, word(8));
        if nr_bytes > MAX_BLOCK {
            return Err(self.damaged("a block is larger than 1 MiB"));
        }
        self.payload.resize(nr_bytes, 0);
        self.from.read_exact(&mut self.payload).map_err(|e| cut_off(e, at))?;
        if crc32fast::hash(&self.payload) != crc {
            return Err(self.damaged("a block does not have its checksum"));
        }
        (self.nr_events, self.read, self.last) = (nr_events, 0, Last::default());
        if nr_events > 0 {
            return Ok(true);
        }
        if self.payload != self.total.to_le_bytes() {
            return Err(self.damaged("the end tells of another number of events than there were"));
        }
        Ok(false)
    }

    fn decode(&mut self) -> Option<Event> {
        let head = self.byte()?;
        let kind = KINDS[usize::from(head & 3)];
        let ticks = match head >> 5 {
            7 => self.varint()?,
            n => n.into(),
        };
        let len = match head >> 2 & 7 {
            7 => self.varint()?.try_into().ok()?,
            n => 1 << n,
        };
        let distance = self.varint()?;
        let distance = (distance >> 1) ^ (distance & 1).wrapping_neg();
        let addr = self.last.ends[kind as usize].wrapping_add(distance);
        Some(Event { at: self.last.at.checked_add(ticks)?, kind, addr, len })
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.payload.get(self.read)?;
        self.read += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return None;
            }
            n |= bits << shift;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    const fn damaged(&self, what: &'static str) -> TraceError {
        TraceError::Damaged { offset: self.offset, what }
    }
}

fn cut_off(e: io::Error, offset: u64) -> TraceError {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => TraceError::Damaged { offset, what: "it ends here: it was cut off" },
        _ => e.into(),
    }
}

impl<R: Read> Iterator for BinaryReader<R> {
    type Item = Result<Event, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let event = self.event().transpose();
        self.ended = !matches!(event, Some(Ok(_)));
        event
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::events;
    use super::*;
    use proptest::prelude::*;

    fn written(events: &[Event]) -> Vec<u8> {
        let mut writer = BinaryWriter::new(Vec::new()).unwrap();
        events.iter().for_each(|e| writer.write(e).unwrap());
        writer.finish().unwrap()
    }

    fn all(bytes: &[u8]) -> Result<Vec<Event>, TraceError> {
        BinaryReader::new(bytes)?.collect()
    }

    fn walk(n: u64) -> Vec<Event> {
        (0..n).map(|i| Event { at: i, kind: Kind::Read, addr: 0x7f00_0000_0000 + 8 * i, len: 8 }).collect()
    }

    #[test]
    fn a_walk_takes_two_bytes_an_event_and_more_than_one_block() {
        let events = walk(1_000_000);
        let bytes = written(&events);
        assert!(bytes.len() < 2_000_200, "{}", bytes.len());
        assert_eq!(all(&bytes).unwrap(), events);
    }

    #[test]
    fn any_flipped_bit_is_found() {
        let events = walk(20);
        let bytes = written(&events);
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // The reserved bytes mean nothing yet.
            let reserved = (10..12).contains(&(bit / 8));
            assert_eq!(all(&damaged).is_ok(), reserved, "bit {bit}");
        }
    }

    #[test]
    fn a_trace_that_was_cut_off_anywhere_says_so_after_what_is_whole() {
        let bytes = written(&walk(20));
        for len in 0..bytes.len() {
            let e = all(&bytes[..len]).unwrap_err();
            assert!(e.to_string().ends_with("it ends here: it was cut off"), "{e}");
        }
    }

    #[test]
    fn another_version_and_a_large_block_are_refused() {
        let mut bytes = written(&walk(1));
        bytes[8] = 9;
        assert!(all(&bytes).unwrap_err().to_string().contains("has version 9 of the format, and this reads version 1"));
        bytes[8] = 1;
        bytes[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(
            all(&bytes).unwrap_err().to_string(),
            "the trace is damaged at byte 12: a block is larger than 1 MiB"
        );
    }

    #[test]
    fn time_that_goes_back_is_not_written() {
        let mut writer = BinaryWriter::new(Vec::new()).unwrap();
        let event = |at| Event { at, kind: Kind::Fetch, addr: 0, len: 1 };
        writer.write(&event(5)).unwrap();
        let e = writer.write(&event(4)).unwrap_err();
        assert_eq!(e.to_string(), "event 1 is at tick 4, before the one ahead of it at 5");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(events in events()) {
            prop_assert_eq!(all(&written(&events)).unwrap(), events);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(payload: Vec<u8>, nr_events in 1u32..9) {
            let mut bytes = written(&[]);
            bytes.truncate(HEADER as usize);
            put_block(&mut bytes, nr_events, &payload).unwrap();
            let _ = all(&bytes);
        }
    }
}
