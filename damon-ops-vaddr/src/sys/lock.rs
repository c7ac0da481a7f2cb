//! `flock(2)`: to know of others that use the same file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Takes a lock on `file`, or turns the one it has into this, without waiting: an exclusive one only if nobody else has
/// any. `false`: it is not to be had, and the old one may be lost.
pub(crate) fn lock(file: &File, exclusive: bool) -> io::Result<bool> {
    let how = if exclusive { libc::LOCK_EX } else { libc::LOCK_SH } | libc::LOCK_NB;
    // SAFETY: it concerns nothing but the open file.
    match unsafe { libc::flock(file.as_raw_fd(), how) } {
        0 => Ok(true),
        _ => match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            e => Err(e),
        },
    }
}
