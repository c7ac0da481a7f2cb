//! Which physical addresses are memory.
//!
//! Counterpart: `damon_find_system_rams_range` (`mm/damon/core.c`, Linux 7.3), which takes the largest of these ranges.

use std::fs;
use std::path::{Path, PathBuf};

use damon_core::AddrRange;

/// Why the ranges could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IomemError {
    /// The file could not be read.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
    /// A line that is not as the kernel writes them.
    #[error("{}, line {line}: {text:?} is not `START-END : NAME` in hexadecimal", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// The kernel hides the addresses from who lacks `CAP_SYS_ADMIN`: all are zero.
    #[error("{} shows no addresses: reading them needs CAP_SYS_ADMIN (run as root)", .path.display())]
    Hidden {
        /// The file.
        path: PathBuf,
    },
}

/// The System RAM of the machine under `root` (normally `/`): from `proc/iomem`, ascending.
///
/// # Errors
/// Where the file is missing or malformed, or hides its addresses from this user.
pub fn system_ram(root: &Path) -> Result<Vec<AddrRange>, IomemError> {
    let path = root.join("proc/iomem");
    match fs::read_to_string(&path) {
        Ok(text) => parse_iomem(&text, &path),
        Err(error) => Err(IomemError::Unreadable { path, error }),
    }
}

/// The System RAM in the text of `/proc/iomem`; `path` is for errors. What lies within it (the kernel's code, reserved
/// parts) is not left out: it is memory too.
///
/// # Errors
/// Where a line is malformed, or all addresses are zero.
///
/// ```
/// use damon_core::AddrRange;
/// let text = "00001000-0009fbff : System RAM\n000f0000-000fffff : System ROM\n00100000-3fffffff : System RAM\n  01000000-01ffffff : Kernel code\n";
/// let ram = damon_ops_paddr::parse_iomem(text, "/proc/iomem".as_ref())?;
/// assert_eq!(ram, [AddrRange::new(0x1000, 0x9fc00).unwrap(), AddrRange::new(0x10_0000, 0x4000_0000).unwrap()]);
/// # Ok::<(), damon_ops_paddr::IomemError>(())
/// ```
pub fn parse_iomem(text: &str, path: &Path) -> Result<Vec<AddrRange>, IomemError> {
    let mut ranges = Vec::new();
    let mut hidden = false;
    for (index, line) in text.lines().enumerate() {
        let malformed = || IomemError::Malformed { path: path.into(), line: index + 1, text: line.into() };
        let (start, end, name) = split(line).ok_or_else(malformed)?;
        // That of a driver (`System RAM (kmem)`, of a memory expander, say) lies within the device it is of.
        if name != "System RAM" && !(name.starts_with("System RAM (") && name.ends_with(')')) {
            continue;
        }
        if (start, end) == (0, 0) {
            hidden = true;
            continue;
        }
        let end = end.checked_add(1).ok_or_else(malformed)?;
        ranges.push(AddrRange::new(start, end).ok_or_else(malformed)?);
    }
    if ranges.is_empty() && hidden {
        return Err(IomemError::Hidden { path: path.into() });
    }
    Ok(merged(ranges))
}

/// The same addresses as ranges that ascend apart from each other.
pub(crate) fn merged(mut ranges: Vec<AddrRange>) -> Vec<AddrRange> {
    ranges.sort_unstable_by_key(|r| r.start());
    let mut out: Vec<AddrRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut().filter(|last| range.start() <= last.end()) {
            Some(last) => *last = AddrRange::new(last.start(), last.end().max(range.end())).unwrap_or(*last),
            None => out.push(range),
        }
    }
    out
}

/// What is in both lists, each of which ascends apart.
pub(crate) fn common(a: &[AddrRange], b: &[AddrRange]) -> Vec<AddrRange> {
    let (mut i, mut k, mut out) = (0, 0, Vec::new());
    while let (Some(x), Some(y)) = (a.get(i), b.get(k)) {
        out.extend(x.intersection(*y));
        if x.end() <= y.end() { i += 1 } else { k += 1 }
    }
    out
}

fn split(line: &str) -> Option<(u64, u64, &str)> {
    let (range, name) = line.trim_start().split_once(" : ")?;
    let (start, end) = range.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_addresses_and_odd_lines_are_told_apart() {
        let path = Path::new("/proc/iomem");
        let hidden = "00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n";
        let e = parse_iomem(hidden, path).unwrap_err();
        assert_eq!(e.to_string(), "/proc/iomem shows no addresses: reading them needs CAP_SYS_ADMIN (run as root)");
        for bad in ["rubbish", "12-xy : System RAM", "20-10 : System RAM", "0-ffffffffffffffff : System RAM"] {
            let e = parse_iomem(&format!("0-fff : a\n{bad}\n"), path).unwrap_err();
            assert!(matches!(e, IomemError::Malformed { line: 2, .. }), "{bad}: {e}");
        }
        assert_eq!(parse_iomem("", path).unwrap(), []);
    }

    #[test]
    fn memory_that_a_driver_plugged_in_is_memory_too() {
        let text = "00100000-3fffffff : System RAM\n  01000000-01ffffff : Kernel code\n\
            1050000000-105fffffff : CXL Window 0\n  1050000000-105fffffff : dax0.0\n    \
            1050000000-105fffffff : System RAM (kmem)\n70000000-7fffffff : System RAM\n40000000-40000fff : System RAMdisk\n";
        let ram = parse_iomem(text, Path::new("/proc/iomem")).unwrap();
        assert_eq!(ram.iter().map(|r| r.start()).collect::<Vec<_>>(), [0x10_0000, 0x7000_0000, 0x10_5000_0000]);
    }

    #[test]
    fn lists_are_merged_and_their_common_part_is_taken() {
        let list = |ends: &[(u64, u64)]| ends.iter().filter_map(|&(a, b)| AddrRange::new(a, b)).collect::<Vec<_>>();
        assert_eq!(merged(list(&[(5, 7), (0, 2), (2, 3), (6, 9), (6, 7)])), list(&[(0, 3), (5, 9)]));
        let (a, b) = (list(&[(0, 10), (20, 30), (40, 50)]), list(&[(5, 22), (25, 26), (30, 41)]));
        assert_eq!(common(&a, &b), list(&[(5, 10), (20, 22), (25, 26), (40, 41)]));
        assert_eq!(common(&b, &a), common(&a, &b));
    }

    #[test]
    fn a_root_without_the_file_says_which() {
        let e = system_ram(Path::new("/nonexistent")).unwrap_err();
        assert!(e.to_string().starts_with("cannot read /nonexistent/proc/iomem: "), "{e}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_memory_or_hides_it() {
        match system_ram(Path::new("/")) {
            Ok(ram) => assert!(ram.iter().map(|r| r.size()).sum::<u64>() > 64 << 20, "{ram:?}"),
            Err(IomemError::Hidden { .. } | IomemError::Unreadable { .. }) => {}
            Err(e) => panic!("{e}"),
        }
    }
}
