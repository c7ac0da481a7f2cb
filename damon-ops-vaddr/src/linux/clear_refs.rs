//! What of each mapping was referenced since that was last forgotten: `/proc/PID/clear_refs` and `smaps`.
//!
//! Coarse and dear: the kernel walks all page tables of the process to forget (16–35 ms a GiB) and to tell (14–29 ms), and
//! each next access of a page costs the process 0.5–1.3 µs. So the rate is limited here, where nobody gets around it.
//!
//! Counterpart: `clear_refs_write`, `show_smap` (`fs/proc/task_mmu.c`, Linux 7.3).

use std::time::{Duration, Instant};

use damon_core::AddrRange;

use super::process::is_gone;
use super::{FileError, Process};

/// A mapping by its bytes in memory, and how many of those were referenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Referenced {
    /// The mapping.
    pub range: AddrRange,
    /// Bytes in memory (`Rss`).
    pub rss_bytes: u64,
    /// Of those, accessed since it was last forgotten (`Referenced`).
    pub referenced_bytes: u64,
}

/// The mappings in the text of an `smaps` file, ascending. What a kernel leaves out counts as 0.
///
/// ```
/// let smaps = b"1000-3000 rw-p 00000000 00:00 0\nRss: 8 kB\nReferenced:        4 kB\n";
/// let mappings = damon_ops_vaddr::linux::parse_referenced(smaps);
/// assert_eq!((mappings[0].rss_bytes, mappings[0].referenced_bytes), (8192, 4096));
/// ```
pub fn parse_referenced(text: &[u8]) -> Vec<Referenced> {
    let mut out: Vec<Referenced> = Vec::new();
    for line in text.split(|&b| b == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((start, end)) = word.split_once('-') {
            let hex = |s| u64::from_str_radix(s, 16).ok();
            let range = hex(start).zip(hex(end)).and_then(|(start, end)| AddrRange::new(start, end));
            out.extend(range.map(|range| Referenced { range, rss_bytes: 0, referenced_bytes: 0 }));
        } else if let Some(last) = out.last_mut() {
            let kib = || rest.trim().strip_suffix(" kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024);
            match word {
                "Rss:" => last.rss_bytes = kib().unwrap_or(0),
                "Referenced:" => last.referenced_bytes = kib().unwrap_or(0),
                _ => {}
            }
        }
    }
    out
}

/// What came of asking to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleared {
    /// All references are forgotten as of now.
    Now,
    /// Nothing was done: the last time was too short ago. Again after this.
    TooSoon(Duration),
    /// The process has ended.
    Gone,
}

/// Why references cannot be forgotten as often as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "clearing references every {asked:?} slows the process down tenfold and more: allow at least {:?}",
    ClearRefs::LEAST
)]
#[non_exhaustive]
pub struct TooOften {
    /// The interval that was asked for.
    pub asked: Duration,
}

/// The references of a process: forgotten at most once in an interval, told at any time.
///
/// Forgetting disturbs whoever else looks at accessed bits: reclaim, kernel DAMON; page_idle keeps what was accessed.
#[derive(Debug)]
pub struct ClearRefs {
    every: Duration,
    last: Option<Instant>,
}

impl ClearRefs {
    /// The shortest interval that may be asked for.
    pub const LEAST: Duration = Duration::from_secs(1);

    /// References are forgotten at most once in `every`.
    ///
    /// # Errors
    /// When that is less than [`LEAST`](Self::LEAST).
    pub fn new(every: Duration) -> Result<Self, TooOften> {
        if every < Self::LEAST {
            return Err(TooOften { asked: every });
        }
        Ok(Self { every, last: None })
    }

    /// Forgets all references of `process`, unless the last time was too short ago.
    ///
    /// # Errors
    /// When its `clear_refs` cannot be written: it takes the same user or root, and `CONFIG_PROC_PAGE_MONITOR`.
    pub fn clear(&mut self, process: &Process) -> Result<Cleared, FileError> {
        let now = Instant::now();
        let left = self.last.map_or(Duration::ZERO, |last| (last + self.every).saturating_duration_since(now));
        if !left.is_zero() {
            return Ok(Cleared::TooSoon(left));
        }
        let path = process.path("clear_refs");
        match std::fs::write(&path, "1") {
            Ok(()) => {
                self.last = Some(now);
                Ok(Cleared::Now)
            }
            Err(e) if is_gone(&e) || !process.is_alive() => Ok(Cleared::Gone),
            Err(source) => Err(FileError { what: "write", path, source, needs: NEEDS }),
        }
    }

    /// What of each mapping of `process` was referenced since it was forgotten, by whoever maps it; empty if it has ended.
    ///
    /// # Errors
    /// When its `smaps` cannot be read.
    pub fn referenced(process: &Process) -> Result<Vec<Referenced>, FileError> {
        let path = process.path("smaps");
        match std::fs::read(&path) {
            Ok(text) => Ok(parse_referenced(&text)),
            Err(e) if is_gone(&e) || !process.is_alive() => Ok(Vec::new()),
            Err(source) => Err(FileError { what: "read", path, source, needs: NEEDS }),
        }
    }
}

const NEEDS: &str = "it takes root or the same user, and CONFIG_PROC_PAGE_MONITOR";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_keep_their_figures_apart() {
        let smaps = b"1000-3000 rw-p 0 0:0 0\nSize: 8 kB\nRss:  8 kB\nReferenced: 4 kB\nVmFlags: rd\n\
            5000-6000 r--s 0 0:0 7 /a b-c\nRss: 4 kB\n7000-7000 r--p 0 0:0 0\n";
        let all: Vec<_> =
            parse_referenced(smaps).iter().map(|m| (m.range.start(), m.rss_bytes, m.referenced_bytes)).collect();
        assert_eq!(all, [(0x1000, 8192, 4096), (0x5000, 4096, 0)]);
    }

    #[test]
    fn an_interval_that_would_stop_the_process_is_refused() {
        let e = ClearRefs::new(Duration::from_millis(999)).unwrap_err();
        assert!(e.to_string().contains("at least 1s"), "{e}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: Vec<u8>) {
            let _ = parse_referenced(&text);
        }
    }
}
