//! Traces of a line for each access.

use std::io::{self, BufRead};

use super::{Event, TraceError};

/// What a line says.
pub trait TextFormat {
    /// Whether a line stands for nothing.
    fn skips(line: &[u8]) -> bool;

    /// The access of a line, without its end.
    ///
    /// # Errors
    /// What could not be found in it.
    fn event(&mut self, line: &[u8]) -> Result<Event, &'static str>;
}

/// The accesses of a text; nothing comes after an error.
#[derive(Debug)]
pub struct TextReader<R, F> {
    lines: Lines<R>,
    format: F,
    failed: bool,
}

impl<R: BufRead, F: TextFormat + Default> TextReader<R, F> {
    /// Reads from `from`.
    pub fn new(from: R) -> Self {
        Self { lines: Lines::new(from), format: F::default(), failed: false }
    }

    fn event(&mut self) -> Option<Result<Event, TraceError>> {
        loop {
            match self.lines.next()? {
                Ok(line) if F::skips(line) => {}
                Ok(line) => {
                    let event = self.format.event(line);
                    return Some(event.map_err(|what| self.lines.error(what)));
                }
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

impl<R: BufRead, F: TextFormat + Default> Iterator for TextReader<R, F> {
    type Item = Result<Event, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let event = self.event();
        self.failed = matches!(event, Some(Err(_)));
        event
    }
}

/// Lines of bounded length, counted.
#[derive(Debug)]
struct Lines<R> {
    from: R,
    line: u64,
    buffer: Vec<u8>,
}

/// No line of a trace is longer.
const MAX_LINE: usize = 4096;

impl<R: BufRead> Lines<R> {
    fn new(from: R) -> Self {
        Self { from, line: 0, buffer: Vec::new() }
    }

    /// The next line without its end; `None` at the end of the file.
    fn next(&mut self) -> Option<Result<&[u8], TraceError>> {
        self.buffer.clear();
        self.line += 1;
        match io::Read::take(&mut self.from, MAX_LINE as u64).read_until(b'\n', &mut self.buffer) {
            Err(e) => return Some(Err(e.into())),
            Ok(0) => return None,
            Ok(MAX_LINE) if !self.buffer.ends_with(b"\n") => return Some(Err(self.error("end"))),
            Ok(_) => {}
        }
        Some(Ok(self.buffer.trim_ascii_end()))
    }

    fn error(&self, what: &'static str) -> TraceError {
        let text = self.buffer.trim_ascii_end();
        let text = String::from_utf8_lossy(&text[..text.len().min(80)]).into_owned();
        TraceError::Line { line: self.line, what, text }
    }
}

/// A number in base 10 or 16, all of the text.
pub(super) fn number<const BASE: u32>(text: &[u8]) -> Option<u64> {
    let digits = (!text.is_empty()).then_some(text)?;
    digits.iter().try_fold(0u64, |n, &c| n.checked_mul(BASE.into())?.checked_add(char::from(c).to_digit(BASE)?.into()))
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn a_line_that_never_ends_is_an_error_and_no_lack_of_memory() {
        let endless = vec![b'x'; 10 * MAX_LINE];
        let e = read(&endless[..]).unwrap().next().unwrap().unwrap_err();
        assert!(e.to_string().starts_with("line 1 of the trace has no end"), "{e}");
    }
}
