//! Traces as CSV, for programs that write or read them otherwise: `time,kind,addr,size`.

use std::io::{self, Write};

use super::text::{TextFormat, TextReader, number};
use super::{Event, Kind};

/// The first line.
pub const CSV_HEADER: &str = "time,kind,addr,size";

/// After the header, lines of time in ticks, `fetch`, `read`, `write` or `modify`, address (decimal, or hexadecimal after
/// `0x`) and size in bytes. Empty lines and lines that begin with `#` are passed over.
#[derive(Debug, Default)]
pub struct Csv {
    /// The time of the last access.
    at: u64,
}

/// Reads CSV.
pub type CsvReader<R> = TextReader<R, Csv>;

impl TextFormat for Csv {
    fn skips(line: &[u8]) -> bool {
        line.is_empty() || line.starts_with(b"#") || line == CSV_HEADER.as_bytes()
    }

    fn event(&mut self, line: &[u8]) -> Result<Event, &'static str> {
        let mut fields = line.split(|&c| c == b',').map(<[u8]>::trim_ascii);
        let mut field = || fields.next().unwrap_or_default();
        let at = number::<10>(field()).ok_or("time")?;
        let kind = match field() {
            b"fetch" => Kind::Fetch,
            b"read" => Kind::Read,
            b"write" => Kind::Write,
            b"modify" => Kind::Modify,
            _ => return Err("kind (fetch, read, write, modify)"),
        };
        let addr = field();
        let addr = addr.strip_prefix(b"0x").map_or_else(|| number::<10>(addr), number::<16>).ok_or("address")?;
        let len = number::<10>(field()).and_then(|n| u32::try_from(n).ok()).ok_or("size")?;
        if fields.next().is_some() {
            return Err("end after its four fields");
        }
        if at < self.at {
            return Err("time that is not before that of the line above");
        }
        self.at = at;
        Ok(Event { at, kind, addr, len })
    }
}

/// Writes CSV.
#[derive(Debug)]
pub struct CsvWriter<W> {
    to: W,
}

impl<W: Write> CsvWriter<W> {
    /// Writes the header to `to`, which should be buffered.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn new(mut to: W) -> io::Result<Self> {
        writeln!(to, "{CSV_HEADER}")?;
        Ok(Self { to })
    }

    /// Writes a line.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&mut self, e: &Event) -> io::Result<()> {
        let kind = match e.kind {
            Kind::Fetch => "fetch",
            Kind::Read => "read",
            Kind::Write => "write",
            Kind::Modify => "modify",
        };
        writeln!(self.to, "{},{kind},{:#x},{}", e.at, e.addr, e.len)
    }

    /// Gives back what was written to.
    ///
    /// # Errors
    /// Those of its last flush.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::super::TraceError;
    use super::super::tests::events;
    use super::*;

    fn all(text: &[u8]) -> Result<Vec<Event>, TraceError> {
        CsvReader::new(text).collect()
    }

    #[test]
    fn spaces_comments_and_both_bases_are_read() {
        let text = b"time,kind,addr,size\n# by hand\n\n5, read , 4096 ,8\n5,modify,0x2000,1\r\n";
        let found = all(text).unwrap();
        assert_eq!(found[0], Event { at: 5, kind: Kind::Read, addr: 4096, len: 8 });
        assert_eq!(found[1], Event { at: 5, kind: Kind::Modify, addr: 0x2000, len: 1 });
    }

    #[test]
    fn a_bad_line_is_named() {
        for (line, what) in [
            ("x,read,1,1", "time"),
            ("1,poke,1,1", "kind (fetch, read, write, modify)"),
            ("1,read,0x,1", "address"),
            ("1,read,1", "size"),
            ("1,read,1,1,1", "end after its four fields"),
            ("0,read,1,1", "time that is not before that of the line above"),
        ] {
            let text = format!("{CSV_HEADER}\n1,read,1,1\n{line}\n");
            let e = all(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(e, format!("line 3 of the trace has no {what}: {line:?}"));
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_written_is_read(events in events()) {
            let mut csv = CsvWriter::new(Vec::new()).unwrap();
            events.iter().for_each(|e| csv.write(e).unwrap());
            proptest::prop_assert_eq!(all(&csv.finish().unwrap()).unwrap(), events);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: Vec<u8>) {
            let _ = all(&text);
        }
    }
}
