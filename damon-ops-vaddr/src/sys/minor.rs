//! A userfaultfd that is told of minor faults: accesses to pages that their file has, but the page table does not.
//!
//! Counterpart: `mm/userfaultfd.c: mfill_atomic_continue`, `fs/userfaultfd.c: handle_userfault`, Linux 7.3. A thread that
//! faults waits until somebody answers; closing the descriptor lets all of them go, and ends the registration.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use damon_core::AddrRange;

use super::uffd::{REGISTER, Range, Register, USER_MODE_ONLY, Uffd};
use super::{MinorFault, SharedMap};

/// `struct uffd_msg`: 32 bytes, of which a page fault's are these.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Message {
    event: u8,
    reserved: [u8; 7],
    flags: u64,
    addr: u64,
    thread: u32,
    rest: u32,
}

/// `struct uffdio_continue`.
#[repr(C)]
struct Continue {
    range: Range,
    mode: u64,
    mapped: i64,
}

const FEATURE_THREAD_ID: u64 = 1 << 8;
const FEATURE_MINOR_SHMEM: u64 = 1 << 10;
const MODE_MINOR: u64 = 1 << 2;
const EVENT_PAGEFAULT: u8 = 0x12;
const FAULT_WRITE: u64 = 1 << 0;
const WAKE: libc::Ioctl = libc::_IOR::<Range>(0xaa, 0x02);
const CONTINUE: libc::Ioctl = libc::_IOWR::<Continue>(0xaa, 0x07);

/// At most so many faults are read at once.
const BATCH: usize = 64;

/// The descriptor. Nothing happens on it by itself: faulting threads wait for [`answer`](Self::answer).
#[derive(Debug)]
pub(crate) struct MinorUffd(Uffd);

impl MinorUffd {
    /// Opens one. If only faults of user mode come to it, system calls that touch a page that is not in the page table
    /// fail with `EFAULT`; it needs no privileges then. `EINVAL`: the kernel knows no minor faults of shared memory.
    pub(crate) fn open(user_mode_only: bool) -> io::Result<Self> {
        let uffd = Uffd::create(if user_mode_only { USER_MODE_ONLY } else { 0 })?;
        uffd.handshake(FEATURE_MINOR_SHMEM | FEATURE_THREAD_ID)?;
        Ok(Self(uffd))
    }

    /// Faults of this mapping come here from now on. `EBUSY`: it is registered elsewhere.
    pub(crate) fn register(&self, map: &SharedMap) -> io::Result<()> {
        let mut arg = Register { range: map.range().into(), mode: MODE_MINOR, ioctls: 0 };
        // SAFETY: `arg` is what the call expects. Threads that fault wait until they are answered, and nothing else changes.
        done(unsafe { libc::ioctl(self.0.0.as_raw_fd(), REGISTER, &raw mut arg) })
    }

    /// Appends the faults that wait, without waiting for any.
    pub(crate) fn take(&self, out: &mut Vec<MinorFault>) -> io::Result<()> {
        let mut messages = [Message::default(); BATCH];
        // SAFETY: `messages` is that large, and any bytes make messages.
        let n = unsafe { libc::read(self.0.0.as_raw_fd(), messages.as_mut_ptr().cast(), size_of_val(&messages)) };
        let Ok(bytes) = usize::try_from(n) else {
            let e = io::Error::last_os_error();
            let none = matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
            return if none { Ok(()) } else { Err(e) };
        };
        let read = messages.iter().take(bytes / size_of::<Message>()).filter(|m| m.event == EVENT_PAGEFAULT);
        out.extend(read.map(|m| MinorFault { addr: m.addr, write: m.flags & FAULT_WRITE != 0, thread: m.thread }));
        Ok(())
    }

    /// Puts the file's page into the page table and lets those go on that wait for it. Where it has none any more, or there is
    /// one in the page table already, they try again.
    pub(crate) fn answer(&self, page: AddrRange) -> io::Result<()> {
        let mut arg = Continue { range: page.into(), mode: 0, mapped: 0 };
        // SAFETY: `arg` is what the call expects. It maps the page that the file has there, in a range registered for it.
        let answered = done(unsafe { libc::ioctl(self.0.0.as_raw_fd(), CONTINUE, &raw mut arg) });
        if answered.is_err() {
            let mut arg = Range::from(page);
            // SAFETY: `arg` is what the call expects; it wakes threads, which look at the page table again.
            done(unsafe { libc::ioctl(self.0.0.as_raw_fd(), WAKE, &raw mut arg) })?;
        }
        answered
    }
}

impl AsFd for MinorUffd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

const _: () = assert!(size_of::<Message>() == 32);

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
