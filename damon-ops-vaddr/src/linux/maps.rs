//! The mappings of a process: `/proc/PID/maps`.
//!
//! Counterpart: `Documentation/filesystems/proc.rst`, Linux 7.3.

use std::fmt;
use std::path::{Path, PathBuf};

use damon_core::AddrRange;

/// What a mapping permits, and whether it is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Perms {
    /// Readable.
    pub read: bool,
    /// Writable.
    pub write: bool,
    /// Executable.
    pub exec: bool,
    /// `MAP_SHARED`; else private.
    pub shared: bool,
}

impl fmt::Display for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |on, c| if on { c } else { '-' };
        let share = if self.shared { 's' } else { 'p' };
        write!(f, "{}{}{}{share}", flag(self.read, 'r'), flag(self.write, 'w'), flag(self.exec, 'x'))
    }
}

/// A device by its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// A line of `maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mapping {
    /// Its addresses.
    pub range: AddrRange,
    /// What it permits.
    pub perms: Perms,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// The file's device.
    pub device: Device,
    /// The file's inode; 0 without a file.
    pub inode: u64,
    /// The file's path, a name in brackets, or nothing. A newline in it reads `\012`, as the kernel prints it.
    pub name: String,
}

impl Mapping {
    /// Private memory without a file that can be accessed: heap, stacks, allocators' arenas. Neither the kernel's own
    /// (`[vdso]`) nor what is mapped without any permission (guard pages, reserved addresses).
    pub fn is_private_anonymous(&self) -> bool {
        let named = self.name.is_empty() || self.name == "[heap]" || self.name == "[stack]";
        let accessible = self.perms.read || self.perms.write || self.perms.exec;
        !self.perms.shared && self.inode == 0 && (named || self.name.starts_with("[anon:")) && accessible
    }

    /// The kernel's own, mapped into every process: clocks and system calls.
    pub fn is_the_kernels(&self) -> bool {
        self.name.starts_with("[vdso]") || self.name.starts_with("[vvar") || self.name == "[vsyscall]"
    }

    /// Memory that the process can access: neither reserved addresses and guard pages, nor the kernel's own, nor devices'.
    pub fn is_accessible(&self) -> bool {
        let device = self.name.starts_with("/dev/")
            && !self.name.starts_with("/dev/shm/")
            && !self.name.starts_with("/dev/zero");
        (self.perms.read || self.perms.write || self.perms.exec) && !self.is_the_kernels() && !device
    }

    /// Why pages of this mapping must not be dropped from the page table, if there is a reason to be seen in `maps`:
    /// only those that belong to a memfd, to shmem or to a regular file come back with their content.
    pub fn why_not_zappable(&self) -> Option<&'static str> {
        let name = self.name.as_str();
        let shmem = ["/memfd:", "/dev/shm/", "/dev/zero (deleted)", "/SYSV", "[anon_shmem:"];
        if !self.perms.shared {
            Some("it is private: its data would be lost")
        } else if self.inode == 0 {
            Some("no file is behind it")
        } else if shmem.iter().any(|prefix| name.starts_with(prefix)) {
            None
        } else if name.contains("anon_inode:") || name.contains("socket:") {
            Some("it is a ring that the kernel shares with the program (io_uring, perf, packets)")
        } else if name.starts_with("/dev/") || name.starts_with("/sys/") || name.starts_with("/proc/") {
            Some("a driver is behind it")
        } else if !name.starts_with('/') {
            Some("it is not known what is behind it")
        } else {
            None
        }
    }
}

/// Why mappings could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapsError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not what a line of `maps` is.
    #[error("line {line} of maps has no {what}: {text:?}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What could not be found in it.
        what: &'static str,
        /// The line.
        text: String,
    },
}

/// The mappings that a process's `maps` at `path` lists, ascending.
///
/// # Errors
/// When the file cannot be read or is no `maps`.
pub fn read_maps(path: &Path) -> Result<Vec<Mapping>, MapsError> {
    let text = std::fs::read(path).map_err(|source| MapsError::Read { path: path.into(), source })?;
    parse_maps(&text)
}

/// The mappings in the text of a `maps` file. Ranges that would include the last address are left out.
///
/// # Errors
/// When a line lacks a range, permissions, an offset, a device or an inode.
///
/// ```
/// let text = b"7f00-8000 rw-s 00000000 00:01 1024   /memfd:cache (deleted)\n";
/// let maps = damon_ops_vaddr::linux::parse_maps(text).unwrap();
/// assert_eq!(maps[0].name, "/memfd:cache (deleted)");
/// assert!(maps[0].perms.shared && maps[0].why_not_zappable().is_none());
/// ```
pub fn parse_maps(text: &[u8]) -> Result<Vec<Mapping>, MapsError> {
    let mut out = Vec::new();
    for (i, line) in text.split(|&b| b == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let line = String::from_utf8_lossy(line);
        match parse_line(&line) {
            Ok(mapping) => out.extend(mapping),
            Err(what) => return Err(MapsError::Line { line: i + 1, what, text: line.into_owned() }),
        }
    }
    Ok(out)
}

/// `Ok(None)`: a range that is empty for us. `Err`: what is missing.
fn parse_line(line: &str) -> Result<Option<Mapping>, &'static str> {
    let mut rest = line;
    let mut field = || {
        let (word, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = tail;
        word
    };
    let hex = |s: &str| u64::from_str_radix(s, 16).ok();
    let number = |s: &str| u32::from_str_radix(s, 16).ok();

    let (start, end) = field().split_once('-').and_then(|(a, b)| Some((hex(a)?, hex(b)?))).ok_or("range")?;
    let &[r, w, x, s] = field().as_bytes() else { return Err("permissions") };
    let perms = Perms { read: r == b'r', write: w == b'w', exec: x == b'x', shared: s == b's' };
    let offset = hex(field()).ok_or("offset")?;
    let device = field().split_once(':').and_then(|(a, b)| Some(Device { major: number(a)?, minor: number(b)? }));
    let device = device.ok_or("device")?;
    let inode = field().parse().map_err(|_| "inode")?;
    let name = rest.trim_start_matches(' ').to_owned();
    Ok(AddrRange::new(start, end).map(|range| Mapping { range, perms, offset, device, inode, name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0                          [heap]
7f1200000000-7f1200001000 r--s 00003000 fe:00 917533                     /tmp/a file
7f1200001000-7f1200002000 ---p 00000000 00:00 0 
7f1200002000-7f1200003000 rw-s 00000000 00:0e 2056                       anon_inode:[io_uring]
7f1200003000-7f1200004000 rw-p 00000000 00:00 0                          [anon:arena]
7ffd0000d000-7ffd0000f000 r-xp 00000000 00:00 0                          [vdso]
";

    #[test]
    fn every_field_of_a_line_is_read() {
        let maps = parse_maps(MAPS.as_bytes()).unwrap();
        assert_eq!(maps.len(), 6);
        let file = &maps[1];
        assert_eq!(file.range, AddrRange::new(0x7f12_0000_0000, 0x7f12_0000_1000).unwrap());
        assert_eq!((file.offset, file.inode, file.name.as_str()), (0x3000, 917_533, "/tmp/a file"));
        assert_eq!((file.device, file.perms.to_string().as_str()), (Device { major: 0xfe, minor: 0 }, "r--s"));
    }

    #[test]
    fn private_anonymous_memory_is_what_can_be_accessed_and_is_not_the_kernels() {
        let maps = parse_maps(MAPS.as_bytes()).unwrap();
        let found: Vec<_> = maps.iter().map(Mapping::is_private_anonymous).collect();
        assert_eq!(found, [true, false, false, false, true, false]);
    }

    #[test]
    fn private_memory_rings_and_drivers_are_never_zappable() {
        let maps = parse_maps(MAPS.as_bytes()).unwrap();
        let refused: Vec<_> = maps.iter().map(|m| m.why_not_zappable().is_some()).collect();
        assert_eq!(refused, [true, false, true, true, true, true]);
        let of = |name: &str| {
            let line = format!("1000-2000 rw-s 00000000 00:05 9 {name}");
            parse_maps(line.as_bytes()).unwrap()[0].why_not_zappable().is_some()
        };
        assert!(of("/dev/dri/card0") && of("socket:[4711]") && of("") && of("/sys/bus/pci/devices/0/resource0"));
        assert!(!of("/dev/shm/x") && !of("/dev/zero (deleted)") && !of("/memfd:a (deleted)"));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let e = parse_maps(b"1000-2000 rw-p 0 00:00 0\nnonsense\n").unwrap_err();
        assert_eq!(e.to_string(), "line 2 of maps has no range: \"nonsense\"");
        for text in ["1-2", "1-2 rw", "1-2 rw-p x", "1-2 rw-p 0 0", "1-2 rw-p 0 0:0 x", "\u{ff}-1"] {
            assert!(parse_maps(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn names_that_are_not_utf8_do_not_hurt() {
        let maps = parse_maps(b"1000-2000 rw-p 00000000 00:01 7 /tmp/\xff\xfe").unwrap();
        assert!(maps[0].name.starts_with("/tmp/"));
    }

    #[test]
    fn the_file_is_named_where_it_cannot_be_read() {
        let e = read_maps(Path::new("/nowhere/maps")).unwrap_err();
        assert!(e.to_string().contains("/nowhere/maps"), "{e}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: Vec<u8>) {
            let _ = parse_maps(&text);
        }
    }
}
