//! What the kernel says about an open descriptor: `/proc/PID/fdinfo/FD`.
//!
//! Counterpart: `userfaultfd_show_fdinfo` (`mm/userfaultfd.c`), `pidfd_show_fdinfo` (`fs/pidfs.c`), Linux 7.3.

/// The features that a userfaultfd was made with, as the text of its `fdinfo` says; `None` if it is not one.
///
/// ```
/// let text = b"pos:\t0\nflags:\t02004002\npending:\t0\ntotal:\t0\nAPI:\taa:9000:1ff\n";
/// assert_eq!(damon_ops_vaddr::linux::parse_uffd_features(text), Some(0x9000));
/// ```
pub fn parse_uffd_features(text: &[u8]) -> Option<u64> {
    let mut parts = value(text, "API:")?.split(':');
    parts.next().filter(|api| *api == "aa")?;
    u64::from_str_radix(parts.next()?, 16).ok()
}

/// The process of a pidfd, as the text of its `fdinfo` says; `None` if it is not one, if the process was reaped (-1), or
/// cannot be named here (0).
///
/// ```
/// assert_eq!(damon_ops_vaddr::linux::parse_pidfd(b"pos:\t0\nPid:\t4711\nNSpid:\t4711\n"), Some(4711));
/// assert_eq!(damon_ops_vaddr::linux::parse_pidfd(b"Pid:\t-1\n"), None);
/// ```
pub fn parse_pidfd(text: &[u8]) -> Option<u32> {
    value(text, "Pid:")?.parse().ok().filter(|&pid| pid != 0)
}

/// What the process of a pidfd is called in each pid namespace that knows it, the reader's first; empty if it is none.
///
/// ```
/// use damon_ops_vaddr::linux::parse_pidfd_names;
/// assert_eq!(parse_pidfd_names(b"Pid:\t4711\nNSpid:\t4711\t7\n"), [4711, 7]);
/// assert_eq!(parse_pidfd_names(b"Pid:\t4711\n"), [4711], "a kernel without namespaces");
/// ```
pub fn parse_pidfd_names(text: &[u8]) -> Vec<u32> {
    let names = value(text, "NSpid:").or(value(text, "Pid:")).unwrap_or_default();
    names.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn value<'a>(text: &'a [u8], name: &str) -> Option<&'a str> {
    let mut lines = text.split(|&b| b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines.find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_userfaultfd_has_no_features() {
        for text in [&b"pos:\t0\n"[..], b"API:\tbb:1:2", b"API:\taa", b"API:\taa:zz:1", b"\xff\nAPI:\n"] {
            assert_eq!(parse_uffd_features(text), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text: Vec<u8>) {
            let _ = (parse_uffd_features(&text), parse_pidfd(&text), parse_pidfd_names(&text));
        }
    }
}
