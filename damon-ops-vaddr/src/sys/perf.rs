//! Events of the kernel or of the hardware, sampled into a ring that it shares with us.
//!
//! Counterpart: `perf_event_open(2)`, `kernel/events/core.c`, `kernel/events/ring_buffer.c`, Linux 7.3.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{EventAttr, page_size};

/// `struct perf_event_attr`, as long as it was in Linux 4.8.
#[derive(Default)]
#[repr(C)]
struct Attr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
    branch_sample_type: u64,
    sample_regs_user: u64,
    sample_stack_user: u32,
    clockid: i32,
    sample_regs_intr: u64,
    aux_watermark: u32,
    sample_max_stack: u16,
    reserved: u16,
}

const DISABLED: u64 = 1 << 0;
const INHERIT: u64 = 1 << 1;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HV: u64 = 1 << 6;
const PRECISE_SHIFT: u32 = 15;
const USE_CLOCKID: u64 = 1 << 25;
/// Of Linux 5.13: threads inherit the event, processes do not.
const INHERIT_THREAD: u64 = 1 << 35;

const FD_CLOEXEC: libc::c_ulong = 1 << 3;
const ENABLE: libc::Ioctl = libc::_IO(b'$' as u32, 0);
const SET_OUTPUT: libc::Ioctl = libc::_IO(b'$' as u32, 5);

/// Where in the first page the kernel writes how far it has written, and we how far we have read.
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;

/// An event of one thread, or of all, on one CPU; it stops when it is closed.
#[derive(Debug)]
pub(crate) struct Event(OwnedFd);

impl Event {
    /// Opens it, not yet running: for thread `tid`, or for all that runs on the CPU.
    pub(crate) fn open(attr: &EventAttr, tid: Option<u32>, cpu: u32) -> io::Result<Self> {
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let tid = tid.map_or(Ok(-1), libc::pid_t::try_from).map_err(invalid)?;
        let cpu = libc::c_int::try_from(cpu).map_err(invalid)?;
        let threads = if attr.inherit && tid >= 0 { INHERIT | INHERIT_THREAD } else { 0 };
        match Self::try_open(attr, tid, cpu, threads) {
            // Before Linux 5.13 child processes inherit it too: who reads the samples tells them apart by their pid.
            Err(e) if threads != 0 && e.raw_os_error() == Some(libc::EINVAL) => Self::try_open(attr, tid, cpu, INHERIT),
            result => result,
        }
    }

    fn try_open(attr: &EventAttr, tid: libc::pid_t, cpu: libc::c_int, inherit: u64) -> io::Result<Self> {
        let kernel = if attr.exclude_kernel { EXCLUDE_KERNEL } else { 0 };
        let raw = Attr {
            kind: attr.kind,
            size: size_of::<Attr>() as u32,
            config: attr.config,
            config1: attr.config1,
            config2: attr.config2,
            sample_period: attr.period,
            sample_type: attr.sample_type,
            flags: DISABLED
                | EXCLUDE_HV
                | USE_CLOCKID
                | u64::from(attr.precise & 3) << PRECISE_SHIFT
                | kernel
                | inherit,
            clockid: libc::CLOCK_MONOTONIC,
            ..Attr::default()
        };
        // SAFETY: `raw` is what the call expects and says how long it is; it makes a descriptor.
        let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const raw, tid, cpu, -1, FD_CLOEXEC) };
        match libc::c_int::try_from(fd) {
            // SAFETY: a new descriptor that nobody else knows.
            Ok(fd) if fd >= 0 => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Its samples go to the ring of `other`, of the same CPU.
    pub(crate) fn share_ring_of(&self, other: &Ring) -> io::Result<()> {
        // SAFETY: the call takes a descriptor, and changes where samples go.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), SET_OUTPUT, other.event.0.as_raw_fd()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Lets it run.
    pub(crate) fn enable(&self) -> io::Result<()> {
        // SAFETY: the call takes no argument.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), ENABLE, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// An event with the ring that its samples go to.
#[derive(Debug)]
pub(crate) struct Ring {
    event: Event,
    start: NonNull<u8>,
    page: usize,
    data: usize,
}

// SAFETY: it owns its mapping; what the kernel writes concurrently is read as atomics or after they say that it is there.
unsafe impl Send for Ring {}

impl Ring {
    /// Maps a ring of at least `bytes` for `event`, rounded up to a power of two of pages.
    pub(crate) fn new(event: Event, bytes: usize) -> io::Result<Self> {
        let page = page_size() as usize;
        let too_large = || io::Error::from(io::ErrorKind::InvalidInput);
        let data = bytes.max(page).checked_next_power_of_two().ok_or_else(too_large)?;
        let len = data.checked_add(page).ok_or_else(too_large)?;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, libc::MAP_SHARED, event.0.as_raw_fd(), 0) };
        let start = NonNull::new(start.cast()).filter(|_| start != libc::MAP_FAILED);
        start.map(|start| Self { event, start, page, data }).ok_or_else(io::Error::last_os_error)
    }

    pub(crate) fn event(&self) -> &Event {
        &self.event
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: within the first page, which is mapped as long as `self` is, and aligned.
        let word = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: as above; the kernel and we use it as one word.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    /// Appends all that has been written since, and makes room for more.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>) {
        // Pairs with the kernel's barrier before it moves the head: what is before it can be read.
        let head = self.word(DATA_HEAD).load(Ordering::Acquire);
        let tail = self.word(DATA_TAIL).load(Ordering::Relaxed);
        // Never more than fits: the kernel drops what would not.
        let len = usize::try_from(head.wrapping_sub(tail)).unwrap_or(usize::MAX).min(self.data);
        let from = (tail & (self.data as u64 - 1)) as usize;
        let until_end = len.min(self.data - from);
        for (at, len) in [(from, until_end), (0, len - until_end)] {
            // SAFETY: within the data pages of the mapping.
            let start = unsafe { self.start.as_ptr().add(self.page + at) };
            // SAFETY: as above. Until the tail moves the kernel does not write between tail and head.
            let part = unsafe { std::slice::from_raw_parts(start, len) };
            out.extend_from_slice(part);
        }
        // The copy is done before the kernel may write there.
        self.word(DATA_TAIL).store(head, Ordering::Release);
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.0.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: `self` owns the mapping, and nothing of it is lent.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.page + self.data) };
    }
}
