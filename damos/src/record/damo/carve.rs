//! Carves whole values out of a stream of JSON, so that a document of any length is read in the memory of its longest part.

use std::io::Read;

use crate::record::Wrong;

/// How much is read at a time.
const STEP: usize = 1 << 18;

/// The longest value that is carved: a snapshot of half a million regions as damo writes them.
const LIMIT: usize = 1 << 28;

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
}

impl<R: Read> Carver<R> {
    pub(super) const fn new(from: R) -> Self {
        Self { from, buffer: Vec::new(), at: 0, end: 0, before: 0 }
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
            if !self.fill()? {
                return Ok(None);
            }
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

    /// Takes the next value, whole, and says where it began. Brackets and quotes match; nothing else of it is looked at.
    pub(super) fn value(&mut self) -> Result<(u64, &[u8]), Wrong> {
        if self.peek()?.is_none() {
            return Err(Wrong::Torn("the document"));
        }
        let mut length = 0;
        let mut scan = Scan::default();
        while !scan.step(&self.buffer[self.at..self.end], &mut length) {
            if length > LIMIT {
                return Err(Wrong::TooLong { what: "a value", limit: LIMIT });
            }
            if !self.fill()? {
                return if scan.may_end() { Ok(self.carve(length)) } else { Err(Wrong::Torn("a value")) };
            }
        }
        if length == 0 { Err(Wrong::Expected("a value")) } else { Ok(self.carve(length)) }
    }

    fn carve(&mut self, length: usize) -> (u64, &[u8]) {
        let (offset, start) = (self.offset(), self.at);
        self.at += length;
        (offset, &self.buffer[start..start + length])
    }

    /// Reads more behind what is there; false at the end.
    fn fill(&mut self) -> Result<bool, Wrong> {
        if self.at > 0 {
            self.buffer.copy_within(self.at..self.end, 0);
            self.before += self.at as u64;
            self.end -= self.at;
            self.at = 0;
        }
        if self.buffer.len() < self.end + STEP {
            self.buffer.resize((2 * self.end).max(self.end + STEP), 0);
        }
        loop {
            match self.from.read(&mut self.buffer[self.end..]) {
                Ok(n) => {
                    self.end += n;
                    return Ok(n > 0);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                // What the decompressor says of a stream that is cut, or of one that is none.
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(Wrong::Torn("the compressed data"));
                }
                Err(e) => return Err(Wrong::Io(e)),
            }
        }
    }
}

/// How far into a value the scan is.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    in_text: bool,
    escaped: bool,
    scalar: bool,
}

impl Scan {
    /// A number or a word ends where the document does.
    const fn may_end(&self) -> bool {
        self.scalar && self.depth == 0 && !self.in_text
    }

    /// Goes on behind the first `length` bytes. True when the value ends, after `length` bytes.
    fn step(&mut self, bytes: &[u8], length: &mut usize) -> bool {
        let mut i = *length;
        while i < bytes.len() {
            let ended = if self.in_text { self.text(bytes, &mut i) } else { self.structure(bytes, &mut i) };
            if ended {
                *length = i;
                return true;
            }
        }
        *length = i;
        false
    }

    /// Goes on in a text. True if it ends, and is the value.
    fn text(&mut self, bytes: &[u8], i: &mut usize) -> bool {
        if core::mem::take(&mut self.escaped) {
            *i += 1;
            return false;
        }
        let rest = &bytes[*i..];
        let Some(stop) = rest.iter().position(|&byte| byte == b'"' || byte == b'\\') else {
            *i = bytes.len();
            return false;
        };
        *i += stop + 1;
        self.escaped = rest[stop] == b'\\';
        self.in_text = self.escaped;
        !self.in_text && self.depth == 0
    }

    /// Takes a byte, or the run of spaces that indents a line. True if the value ends.
    fn structure(&mut self, bytes: &[u8], i: &mut usize) -> bool {
        let in_scalar = self.scalar && self.depth == 0;
        match bytes[*i] {
            b'"' if !in_scalar => self.in_text = true,
            b'{' | b'[' if !in_scalar => self.depth += 1,
            b'}' | b']' | b',' | b' ' | b'\n' | b'\t' | b'\r' | b':' if self.depth == 0 => return true,
            b'}' | b']' => {
                self.depth -= 1;
                *i += 1;
                return self.depth == 0;
            }
            b' ' => {
                // Two thirds of what damo writes: eight at a time.
                while bytes.get(*i..*i + 8).is_some_and(|run| run == b"        ") {
                    *i += 8;
                }
                *i += usize::from(bytes.get(*i) == Some(&b' '));
                return false;
            }
            _ if self.depth == 0 => self.scalar = true,
            _ => {}
        }
        *i += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.len().min(out.len()).min(1);
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn values_are_carved_whole_however_the_bytes_arrive() {
        let text = br#" {"a": [1, {"b": "]}\"\\"}], "c": 2}, -1.5e3 ,"x\"y",null ]"#;
        let mut carver = Carver::new(Drip(text));
        let mut carved = Vec::new();
        loop {
            let (offset, value) = carver.value().unwrap();
            assert!(text[offset as usize..].starts_with(value));
            carved.push(String::from_utf8(value.to_vec()).unwrap());
            if !carver.takes(b',').unwrap() {
                break;
            }
        }
        assert_eq!(carved, [r#"{"a": [1, {"b": "]}\"\\"}], "c": 2}"#, "-1.5e3", r#""x\"y""#, "null"]);
        assert!(carver.takes(b']').unwrap() && carver.peek().unwrap().is_none());
    }

    #[test]
    fn what_ends_too_soon_or_is_no_value_is_told() {
        for (text, expected) in [
            (&b"{\"a\": [1"[..], "it ends in the middle of a value"),
            (b"\"abc", "it ends in the middle of a value"),
            (b"", "it ends in the middle of the document"),
            (b"]", "expected a value"),
            (b",", "expected a value"),
        ] {
            assert_eq!(Carver::new(text).value().unwrap_err().to_string(), expected);
        }
        assert_eq!(Carver::new(&b"12"[..]).value().unwrap().1, b"12", "a number ends with the document");
    }
}
