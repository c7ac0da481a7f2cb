//! What `valgrind --tool=lackey --trace-mem=yes` prints.
//!
//! Counterpart: `lackey/lk_main.c` of valgrind. A line is an instruction (`I  addr,size`), or a load, store or modify of the instruction
//! before it (` L`, ` S`, ` M`), addresses in hexadecimal.

use super::text::{TextFormat, TextReader, number};
use super::{Event, Kind};

/// A tick is an instruction. Valgrind's own lines (`==pid== …`) are passed over.
#[derive(Debug, Default)]
pub struct Lackey {
    /// Instructions so far.
    at: u64,
}

/// Reads lackey's text.
pub type LackeyReader<R> = TextReader<R, Lackey>;

impl TextFormat for Lackey {
    fn skips(line: &[u8]) -> bool {
        line.is_empty() || line.starts_with(b"==") || line.starts_with(b"--") || line.starts_with(b"**")
    }

    fn event(&mut self, line: &[u8]) -> Result<Event, &'static str> {
        let kind = match line {
            [b'I', b' ', b' ', ..] => Kind::Fetch,
            [b' ', b'L', b' ', ..] => Kind::Read,
            [b' ', b'S', b' ', ..] => Kind::Write,
            [b' ', b'M', b' ', ..] => Kind::Modify,
            _ => return Err("access (is the program's own output in it? give valgrind --log-file)"),
        };
        let rest = &line[3..];
        let comma = rest.iter().position(|&c| c == b',').ok_or("comma")?;
        let addr = number::<16>(&rest[..comma]).ok_or("address")?;
        let len = number::<10>(&rest[comma + 1..]).and_then(|n| u32::try_from(n).ok()).ok_or("size")?;
        self.at += u64::from(kind == Kind::Fetch);
        Ok(Event { at: self.at, kind, addr, len })
    }
}

#[cfg(test)]
mod tests {
    use super::super::TraceError;
    use super::*;

    fn all(text: &[u8]) -> Result<Vec<Event>, TraceError> {
        LackeyReader::new(text).collect()
    }

    #[test]
    fn what_lackey_prints_is_read_and_what_valgrind_prints_is_passed_over() {
        let text = b"==1== Lackey, an example Valgrind tool\n==1== \nI  0401ab73,5\n S 1fff000748,8\nI  0401b770,1\n M 0421,4\n L 10,2\n";
        let found = all(text).unwrap();
        let expected = [
            (1, Kind::Fetch, 0x401_ab73, 5),
            (1, Kind::Write, 0x1f_ff00_0748, 8),
            (2, Kind::Fetch, 0x401_b770, 1),
            (2, Kind::Modify, 0x421, 4),
            (2, Kind::Read, 0x10, 2),
        ];
        assert_eq!(found, expected.map(|(at, kind, addr, len)| Event { at, kind, addr, len }));
    }

    #[test]
    fn a_recorded_trace_is_read_whole() {
        let text = include_bytes!("../../traces/true.lackey");
        let own_lines = text.split(|&c| c == b'\n').filter(|line| line.starts_with(b"==")).count();
        let events = all(text).unwrap();
        assert_eq!(events.len() + own_lines, 200);
        assert!(events.iter().all(|e| e.addr > 0x1000 && (1..=64).contains(&e.len)));
    }

    #[test]
    fn a_bad_line_is_named_and_ends_the_trace() {
        for (text, error) in [
            (&b"I  1,1\n L zz,4\n L 1,1\n"[..], "line 2 of the trace has no address: \" L zz,4\""),
            (b" L 1000\n", "line 1 of the trace has no comma: \" L 1000\""),
            (b" L 1000,\n", "line 1 of the trace has no size: \" L 1000,\""),
            (b" L 1000,4294967296\n", "line 1 of the trace has no size: \" L 1000,4294967296\""),
            (b" L 11112222333344445,1\n", "line 1 of the trace has no address: \" L 11112222333344445,1\""),
        ] {
            assert_eq!(all(text).unwrap_err().to_string(), error);
            assert!(LackeyReader::new(text).count() <= 2, "nothing comes after an error");
        }
        let e = all(b"I  1,1\nhello from the program\n").unwrap_err().to_string();
        assert!(e.contains("line 2") && e.contains("--log-file"), "{e}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: Vec<u8>) {
            let _ = all(&text);
        }
    }
}
