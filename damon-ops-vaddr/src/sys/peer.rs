//! Who is at the other end of a Unix socket, as the kernel knows it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Of Linux 6.5; not in every libc.
const SO_PEERPIDFD: libc::c_int = 77;

/// The process that connected `stream`, or made the pair. It cannot lie about it, and where it has exited there is none.
pub(crate) fn pidfd_of_peer(stream: &UnixStream) -> io::Result<OwnedFd> {
    let mut fd: libc::c_int = -1;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `fd` has room for the `len` bytes that the call writes.
    let r = unsafe {
        let at = (&raw mut fd).cast();
        libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, at, &raw mut len)
    };
    if r != 0 || fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
