//! How large the pages of a mapping are: `/proc/PID/smaps`.
//!
//! Counterpart: `Documentation/filesystems/proc.rst`, Linux 7.3.

use std::path::Path;

use super::MapsError;

/// The size in bytes of the pages in the mapping at `addr`, as the `smaps` at `path` says; `None` if nothing is mapped
/// there. The kernel walks all page tables for it: not to be read often.
///
/// # Errors
/// When the file cannot be read.
pub fn kernel_page_size(path: &Path, addr: u64) -> Result<Option<u64>, MapsError> {
    let text = std::fs::read(path).map_err(|source| MapsError::Read { path: path.into(), source })?;
    Ok(parse_kernel_page_size(&text, addr))
}

/// The same from the text of `smaps`.
///
/// ```
/// let smaps = b"1000-3000 rw-p 00000000 00:00 0\nSize: 8 kB\nKernelPageSize:        4 kB\n";
/// assert_eq!(damon_ops_vaddr::linux::parse_kernel_page_size(smaps, 0x2fff), Some(4096));
/// ```
pub fn parse_kernel_page_size(text: &[u8], addr: u64) -> Option<u64> {
    let mut inside = false;
    for line in text.split(|&b| b == b'\n') {
        let line = String::from_utf8_lossy(line);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if let Some((start, end)) = word.split_once('-') {
            let hex = |s| u64::from_str_radix(s, 16).ok();
            inside = hex(start).zip(hex(end)).is_some_and(|(start, end)| start <= addr && addr < end);
        } else if inside && word == "KernelPageSize:" {
            let kib: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
            return kib.checked_mul(1024);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_mapping_around_the_address() {
        let smaps = b"1000-2000 rw-p 0 0:0 0\nKernelPageSize:  4 kB\nVmFlags: rd\n\
            200000-600000 rw-s 0 0:0 7 /huge\nKernelPageSize:     2048 kB\n";
        assert_eq!(parse_kernel_page_size(smaps, 0x1000), Some(4096));
        assert_eq!(parse_kernel_page_size(smaps, 0x200000), Some(2 << 20));
        assert_eq!(parse_kernel_page_size(smaps, 0x2000), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: Vec<u8>, addr: u64) {
            let _ = parse_kernel_page_size(&text, addr);
        }
    }
}
