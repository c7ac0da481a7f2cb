//! Frames: a payload, what it is, and checksums of both.

use std::io::Read;

use flate2::Crc;

use crate::record::Wrong;

/// Kind, length, the check of these two, and the checksum of all.
pub(super) const HEAD: usize = 11;

/// More than a snapshot of a million regions needs; less than what a damaged length would make a reader allocate.
pub(super) const LIMIT: usize = 1 << 26;

/// Of kind and length alone, so that a damaged length is not taken for a frame that was cut: its low half; and of all.
fn checksums(head: &[u8], payload: &[u8]) -> (u16, u32) {
    let mut crc = Crc::new();
    crc.update(head);
    let check = crc.sum() as u16;
    crc.update(payload);
    (check, crc.sum())
}

/// Fills in the head of a frame whose first `HEAD` bytes were left free. `None` if its payload is too long.
pub(super) fn seal(frame: &mut [u8], kind: u8) -> Option<()> {
    let (head, payload) = frame.split_at_mut(HEAD);
    let length = u32::try_from(payload.len()).ok().filter(|&n| n as usize <= LIMIT)?;
    head[0] = kind;
    head[1..5].copy_from_slice(&length.to_le_bytes());
    let (check, sum) = checksums(&head[..5], payload);
    head[5..7].copy_from_slice(&check.to_le_bytes());
    head[7..].copy_from_slice(&sum.to_le_bytes());
    Some(())
}

/// Reads the next frame's payload into `payload` and gives its kind; `None` at the end.
pub(super) fn read(from: &mut impl Read, payload: &mut Vec<u8>) -> Result<Option<u8>, Wrong> {
    let mut head = [0; HEAD];
    match fill(from, &mut head)? {
        0 => return Ok(None),
        HEAD if head != [0; HEAD] => {}
        // A file that grew without its bytes reaching the disk ends in zeros.
        _ => return Err(Wrong::Torn("a frame's head")),
    }
    let field = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (length, check, sum) = (field(1) as usize, [head[5], head[6]], field(7));
    if checksums(&head[..5], &[]).0.to_le_bytes() != check {
        return Err(Wrong::Checksum);
    }
    if length > LIMIT {
        return Err(Wrong::TooLong { what: "a frame", limit: LIMIT });
    }
    payload.clear();
    // In steps, so that a length alone allocates nothing.
    let read = from.take(length as u64).read_to_end(payload).map_err(Wrong::Io)?;
    if read < length {
        return Err(Wrong::Torn("a frame"));
    }
    if checksums(&head[..5], payload).1 != sum {
        return Err(Wrong::Checksum);
    }
    Ok(Some(head[0]))
}

/// Reads until `into` is full or the file ends, and says how much that was.
pub(super) fn fill(from: &mut impl Read, into: &mut [u8]) -> Result<usize, Wrong> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Wrong::Io(e)),
        }
    }
    Ok(filled)
}
