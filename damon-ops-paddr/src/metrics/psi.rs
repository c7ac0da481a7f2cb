//! Pressure stall information: how long tasks waited for memory.
//!
//! Counterpart: `Documentation/accounting/psi.rst`, Linux 7.3.

use std::path::Path;

use crate::files::{ReadError, parsed};

/// What to do where a pressure file is missing or refuses.
const WAY_OUT: &str = "boot with psi=1, of a kernel with CONFIG_PSI (and leave cgroup.pressure at 1)";

/// The microseconds in which some task waited, as a pressure file at `path` says: a total.
pub(super) fn some_total_us(path: &Path) -> Result<u64, String> {
    parsed(path, "total of `some`", parse_some_total).map_err(|e| match &e {
        // What is compiled in and switched off is missing in /proc, and cannot be read in a cgroup.
        ReadError::Unreadable { source, .. } if e.is_missing() || source.raw_os_error() == Some(EOPNOTSUPP) => {
            format!("{e}: {WAY_OUT}")
        }
        _ => e.to_string(),
    })
}

/// On all architectures that Rust's std supports with Linux, but MIPS and SPARC.
const EOPNOTSUPP: i32 = 95;

fn parse_some_total(text: &str) -> Option<u64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_ascii_whitespace().find_map(|word| word.strip_prefix("total=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_some_is_found() {
        let text =
            "some avg10=0.00 avg60=0.12 avg300=0.00 total=4711\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=12\n";
        assert_eq!(parse_some_total(text), Some(4711));
        assert_eq!(parse_some_total("full avg10=0.00 total=12\n"), None);
        assert_eq!(parse_some_total("some total=-1"), None);
    }
}
