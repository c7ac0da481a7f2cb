//! Waiting for descriptors.
//!
//! Counterpart: `poll(2)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use super::Ready;

/// Waits until one of `fds` is ready, at most `timeout` rounded up to milliseconds; without one, for as long as it takes. A
/// signal ends the wait early: then none is ready.
pub(crate) fn poll<const N: usize>(fds: [BorrowedFd<'_>; N], timeout: Option<Duration>) -> io::Result<[Ready; N]> {
    let mut polled = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let ms =
        timeout.map_or(-1, |t| libc::c_int::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX));
    // SAFETY: `polled` is N descriptors that stay open as long as they are borrowed.
    let n = unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, ms) };
    if n < 0 {
        let e = io::Error::last_os_error();
        return if e.kind() == io::ErrorKind::Interrupted { Ok([Ready::default(); N]) } else { Err(e) };
    }
    Ok(polled.map(|p| Ready {
        readable: p.revents & libc::POLLIN != 0,
        over: p.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_readable_is_told_from_what_is_over_and_what_is_silent() {
        let (mut a, b) = UnixStream::pair().unwrap();
        let (c, d) = UnixStream::pair().unwrap();
        let wait = |ms| poll([b.as_fd(), d.as_fd()], Some(Duration::from_millis(ms))).unwrap();
        assert_eq!(wait(1), [Ready::default(); 2]);
        a.write_all(b"x").unwrap();
        drop(c);
        let [b, d] = wait(1_000);
        assert!(b.readable && !b.over && d.over, "{b:?} {d:?}");
    }
}
