//! Decompresses, and gives all that comes before a damage: flate2's own reader drops what it has in hand when it meets one.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

use flate2::{Decompress, FlushDecompress, Status};

/// The text of a zlib stream.
#[derive(Debug)]
pub(in crate::record) struct Inflate<R> {
    from: R,
    state: Decompress,
}

impl<R> Inflate<R> {
    pub(in crate::record) fn new(from: R) -> Self {
        Self { from, state: Decompress::new(true) }
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            let input = self.from.fill_buf()?;
            let over = input.is_empty();
            let before = (self.state.total_in(), self.state.total_out());
            let flush = if over { FlushDecompress::Finish } else { FlushDecompress::None };
            let status = self.state.decompress(input, out, flush);
            let taken = (self.state.total_in() - before.0) as usize;
            let given = (self.state.total_out() - before.1) as usize;
            self.from.consume(taken);
            match status {
                // A damage is met again by the next call.
                _ if given > 0 || out.is_empty() => return Ok(given),
                Ok(Status::StreamEnd) => return Ok(0),
                Ok(_) if over => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) if taken > 0 => {}
                _ => return Err(Error::from(ErrorKind::InvalidData)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// All that it gives, in pieces of `step`, and how it ended.
    fn text(packed: &[u8], step: usize) -> (Vec<u8>, Option<ErrorKind>) {
        let (mut inflate, mut all, mut piece) = (Inflate::new(packed), Vec::new(), vec![0; step]);
        loop {
            match inflate.read(&mut piece) {
                Ok(0) => return (all, None),
                Ok(n) => all.extend_from_slice(&piece[..n]),
                Err(e) => return (all, Some(e.kind())),
            }
        }
    }

    #[test]
    fn all_before_a_cut_or_a_damage_is_given_however_it_is_asked_for() {
        let whole: Vec<u8> = (0..30_000_u32).flat_map(|n| format!("{},", n * n % 9_973).into_bytes()).collect();
        let mut stream = packed(&whole);
        assert_eq!(text(&stream, 1 << 20), (whole.clone(), None));
        let (given, end) = text(&stream[..stream.len() / 2], 1 << 20);
        assert_eq!((whole.starts_with(&given), end), (true, Some(ErrorKind::UnexpectedEof)));
        assert!(given.len() > whole.len() / 3, "{} of {}", given.len(), whole.len());
        *stream.last_mut().unwrap() ^= 1;
        assert_eq!(text(&stream, 1 << 20), (whole, Some(ErrorKind::InvalidData)), "the checksum comes last");
        for at in [100, stream.len() / 2, stream.len() * 3 / 4] {
            let mut damaged = stream.clone();
            damaged[at] ^= 0x10;
            assert_eq!(text(&damaged, 1 << 20), text(&damaged, 1), "at {at}");
        }
    }
}
