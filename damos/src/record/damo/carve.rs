//! Carves values out of a stream of JSON one by one, so that a document of any length is read in the memory of its longest part.

use std::io::{ErrorKind, Read};

use serde::de::DeserializeOwned;
use serde_json::Deserializer;

use crate::record::Wrong;

/// How much is read at a time, at least.
const STEP: usize = 1 << 16;

/// JSON being read.
#[derive(Debug)]
pub(super) struct Carver<R> {
    from: R,
    /// Read, and not done with: `buffer[at..end]`.
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// How much was read before the buffer's first byte.
    before: u64,
    /// There is no more to read.
    over: bool,
    /// Why, if that is no end. It is told when all before it was taken.
    broken: Option<Wrong>,
}

impl<R: Read> Carver<R> {
    pub(super) const fn new(from: R) -> Self {
        Self { from, buffer: Vec::new(), at: 0, end: 0, before: 0, over: false, broken: None }
    }

    /// Where the next thing begins, or the one that was just carved ended.
    pub(super) const fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    /// The next byte that is not space, without taking it. `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Wrong> {
        loop {
            while self.at < self.end {
                match self.buffer[self.at] {
                    b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                    byte => return Ok(Some(byte)),
                }
            }
            if self.over {
                return self.broken.take().map_or(Ok(None), Err);
            }
            self.fill(1);
        }
    }

    /// Takes the byte if it is next.
    pub(super) fn takes(&mut self, byte: u8) -> Result<bool, Wrong> {
        let next = self.peek()? == Some(byte);
        self.at += usize::from(next);
        Ok(next)
    }

    /// Takes the byte, which must be next.
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Wrong> {
        match self.peek()? {
            Some(next) if next == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Wrong::Expected(what)),
            None => Err(Wrong::Torn("the document")),
        }
    }

    /// Takes the next value, which is probably shorter than `guess` bytes and at most `limit`, and says how long it was. A
    /// guess that is too low costs time; where it is about right the text is looked at once. An error is at [`offset`](Self::offset).
    pub(super) fn value<T: DeserializeOwned>(&mut self, guess: usize, limit: usize) -> Result<(T, usize), Wrong> {
        if self.peek()?.is_none() {
            return Err(Wrong::Torn("the document"));
        }
        let mut wanted = guess.clamp(1, limit);
        loop {
            while self.end - self.at < wanted && !self.over {
                self.fill(wanted);
            }
            let text = &self.buffer[self.at..self.end.min(self.at + limit)];
            let mut values = Deserializer::from_slice(text).into_iter::<T>();
            let value = values.next();
            let length = values.byte_offset();
            match value {
                // The last number might go on.
                Some(Ok(value)) if length < text.len() || self.over => {
                    self.at += length;
                    return Ok((value, length));
                }
                Some(Err(e)) if !e.is_eof() => {
                    let lines = text.split_inclusive(|&b| b == b'\n').take(e.line().saturating_sub(1)).map(<[u8]>::len);
                    self.at += lines.sum::<usize>() + e.column().saturating_sub(1);
                    return Err(e.into());
                }
                _ if text.len() >= limit => return Err(Wrong::TooLong { what: "a value", limit }),
                _ if self.over => return Err(self.broken.take().unwrap_or(Wrong::Torn("a value"))),
                _ => wanted = text.len().saturating_mul(2).min(limit),
            }
        }
    }

    /// Reads more behind what is there, which shall become `wanted` bytes.
    fn fill(&mut self, wanted: usize) {
        if self.at + wanted.max(STEP) > self.buffer.len() {
            self.buffer.copy_within(self.at..self.end, 0);
            self.before += self.at as u64;
            self.end -= self.at;
            self.at = 0;
            // Room for the next ones, so that what is left is not moved for each.
            let room = wanted.saturating_mul(4).min(wanted + (1 << 20)).max(2 * STEP);
            self.buffer.resize(room.max(self.buffer.len()), 0);
        }
        match self.from.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.over = true,
            Ok(n) => self.end += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => {
                self.over = true;
                self.broken = Some(match e.kind() {
                    // As the decompressor says it.
                    ErrorKind::UnexpectedEof => Wrong::Torn("the compressed data"),
                    ErrorKind::InvalidData => Wrong::Nonsense("the compressed data is damaged"),
                    _ => Wrong::Io(e),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Gives one byte at a time, and then an error.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let (&byte, rest) = self.0.split_first().ok_or(ErrorKind::UnexpectedEof)?;
            (out[0], self.0) = (byte, rest);
            Ok(1)
        }
    }

    #[test]
    fn values_are_carved_whole_however_the_bytes_arrive() {
        let text = br#" {"a": [1, {"b": "]}\"\\"}], "c": 2}, -1.5e3 ,"x\"y",null ]"#;
        for guess in [1, 20, 1_000] {
            let mut carver = Carver::new(Drip(text));
            let mut carved: Vec<Value> = Vec::new();
            loop {
                carved.push(carver.value(guess, 1_000).unwrap().0);
                if !carver.takes(b',').unwrap() {
                    break;
                }
            }
            assert_eq!(carved, [json!({"a": [1, {"b": "]}\"\\"}], "c": 2}), json!(-1.5e3), json!("x\"y"), Value::Null]);
            assert!(carver.takes(b']').unwrap(), "what was read counts before the error behind it");
            assert_eq!(carver.peek().unwrap_err().to_string(), "it ends in the middle of the compressed data");
        }
    }

    #[test]
    fn what_ends_too_soon_is_no_value_or_too_long_is_told_with_its_place() {
        for (text, offset, expected) in [
            (&b" {\"a\": [1"[..], 1, "it ends in the middle of a value"),
            (b"\"abc", 0, "it ends in the middle of a value"),
            (b"", 0, "it ends in the middle of the document"),
            (b"  ]", 2, "expected value"),
            (b"[1,\n 2 3]", 7, "expected `,` or `]`"),
            (b"\"0123456789\"", 0, "a value of more than 10 bytes is no part of a record"),
        ] {
            let mut carver = Carver::new(text);
            assert_eq!(carver.value::<Value>(4, 10).unwrap_err().to_string(), expected);
            assert_eq!(carver.offset(), offset, "{expected}");
        }
        assert_eq!(Carver::new(&b"12"[..]).value::<u32>(1, 10).unwrap(), (12, 2), "a number ends with the document");
    }
}
