//! A userfaultfd, of the own process or handed over by another, in asynchronous mode: the kernel resolves every fault by itself, so nobody waits and
//! no content changes; what is registered is only slower at its first access after it was protected.
//!
//! Counterpart: `mm/userfaultfd.c`, `Documentation/admin-guide/mm/userfaultfd.rst`, Linux 7.3.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use damon_core::AddrRange;

use super::Mode;

/// `struct uffdio_api`.
#[derive(Default)]
#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_range`.
#[repr(C)]
pub(super) struct Range {
    start: u64,
    len: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
pub(super) struct Register {
    pub(super) range: Range,
    pub(super) mode: u64,
    pub(super) ioctls: u64,
}

/// `struct uffdio_writeprotect`, `struct uffdio_rwprotect`.
#[repr(C)]
struct Protect {
    range: Range,
    mode: u64,
}

const UFFD_API: u64 = 0xaa;
const API: libc::Ioctl = libc::_IOWR::<Api>(0xaa, 0x3f);
pub(super) const REGISTER: libc::Ioctl = libc::_IOWR::<Register>(0xaa, 0x00);
const UNREGISTER: libc::Ioctl = libc::_IOR::<Range>(0xaa, 0x01);
const WRITEPROTECT: libc::Ioctl = libc::_IOWR::<Protect>(0xaa, 0x06);
const RWPROTECT: libc::Ioctl = libc::_IOWR::<Protect>(0xaa, 0x09);
/// Set the protection, not clear it.
const PROTECT: u64 = 1;
/// Faults of the kernel itself are nobody's business here: they are resolved by the kernel. It is what makes the call
/// free for everybody.
pub(super) const USER_MODE_ONLY: libc::c_int = 1;

/// An open userfaultfd. Closing it unregisters all its ranges.
#[derive(Debug)]
pub(crate) struct Uffd(pub(super) OwnedFd);

impl Uffd {
    /// What the kernel offers, by a descriptor to throw away: asking for a feature that it lacks tells nothing.
    pub(crate) fn offered() -> io::Result<u64> {
        let uffd = Self::create(USER_MODE_ONLY)?;
        uffd.handshake(0)
    }

    /// A descriptor with these features.
    pub(crate) fn open(features: u64) -> io::Result<Self> {
        let uffd = Self::create(USER_MODE_ONLY)?;
        uffd.handshake(features)?;
        Ok(uffd)
    }

    pub(super) fn create(mode: libc::c_int) -> io::Result<Self> {
        let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | mode;
        // SAFETY: it makes a descriptor and nothing else.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
        match libc::c_int::try_from(fd) {
            // SAFETY: a new descriptor that nobody else knows.
            Ok(fd) if fd >= 0 => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub(super) fn handshake(&self, features: u64) -> io::Result<u64> {
        let mut api = Api { api: UFFD_API, features, ioctls: 0 };
        // SAFETY: `api` is what the call expects.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), API, &raw mut api) } {
            0 => Ok(api.features),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// One that somebody made. Its features are what it was made with: only `WP_ASYNC` and `RWP_ASYNC` keep the owner
    /// from waiting for an answer that nobody gives.
    pub(crate) fn of(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Registers a range of whole pages; again is no error. `EBUSY`: somebody else has it.
    pub(crate) fn register(&self, range: AddrRange, mode: Mode) -> io::Result<()> {
        self.register_beside(range, mode, 0)
    }

    /// The same where it is registered for `others` (bits of `UFFDIO_REGISTER`) already, and stays so.
    pub(crate) fn register_beside(&self, range: AddrRange, mode: Mode, others: u64) -> io::Result<()> {
        let mode = mode.bit() | others;
        let mut arg = Register { range: range.into(), mode, ioctls: 0 };
        // SAFETY: `arg` is what the call expects. In asynchronous mode a registered range behaves as before.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), REGISTER, &raw mut arg) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Ends the registration of a range and clears what was protected there.
    pub(crate) fn unregister(&self, range: AddrRange) -> io::Result<()> {
        let mut arg = Range::from(range);
        // SAFETY: `arg` is what the call expects; the range behaves as it did before it was registered.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), UNREGISTER, &raw mut arg) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Protects a registered range of whole pages. `ENOENT`: some of it is not registered here.
    pub(crate) fn protect(&self, range: AddrRange, mode: Mode) -> io::Result<()> {
        self.change(range, mode, PROTECT)
    }

    /// Lifts the protection of a registered range of whole pages.
    pub(crate) fn unprotect(&self, range: AddrRange, mode: Mode) -> io::Result<()> {
        self.change(range, mode, 0)
    }

    fn change(&self, range: AddrRange, mode: Mode, how: u64) -> io::Result<()> {
        let mut arg = Protect { range: range.into(), mode: how };
        let call = match mode {
            Mode::Wp => WRITEPROTECT,
            Mode::Rwp => RWPROTECT,
        };
        // SAFETY: `arg` is what both calls expect. In asynchronous mode the next access lifts the protection.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), call, &raw mut arg) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl From<Uffd> for OwnedFd {
    fn from(uffd: Uffd) -> Self {
        uffd.0
    }
}

impl AsFd for Uffd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<AddrRange> for Range {
    fn from(r: AddrRange) -> Self {
        Self { start: r.start(), len: r.size() }
    }
}
