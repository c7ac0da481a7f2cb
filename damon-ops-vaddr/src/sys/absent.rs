//! The same signatures where there is no Linux: nothing can be made, so nothing can be called.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::AtomicU64;

use damon_core::AddrRange;

use super::{Advice, EventAttr, Mode, ScanRegion};
use crate::linux::Page;

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "memory can be watched on Linux only"))
}

/// What Linux would answer: it numbers them like this on most machines.
pub(crate) mod errno {
    pub(crate) const EPERM: i32 = 1;
    pub(crate) const ENOENT: i32 = 2;
    pub(crate) const ESRCH: i32 = 3;
    pub(crate) const EINTR: i32 = 4;
    pub(crate) const EIO: i32 = 5;
    pub(crate) const EBADF: i32 = 9;
    pub(crate) const EAGAIN: i32 = 11;
    pub(crate) const ENOMEM: i32 = 12;
    pub(crate) const EACCES: i32 = 13;
    pub(crate) const EFAULT: i32 = 14;
    pub(crate) const EBUSY: i32 = 16;
    pub(crate) const ENODEV: i32 = 19;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const ENOSYS: i32 = 38;
}

impl Advice {
    pub(crate) fn is_known(self) -> bool {
        false
    }
}

pub(crate) fn advise(_: AddrRange, _: Advice) -> io::Result<()> {
    unsupported()
}

pub(crate) fn lock(_: &std::fs::File, _: bool) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn in_memory(_: AddrRange, _: u64, _: &mut Vec<u8>) -> io::Result<()> {
    unsupported()
}

/// Ranges handed over in one call at most.
pub(crate) const RANGES_MAX: usize = 1024;

/// Another process: on Linux only.
#[derive(Debug)]
pub struct Pidfd(Infallible);

impl Pidfd {
    /// Not here.
    ///
    /// # Errors
    /// Always: [`io::ErrorKind::Unsupported`].
    pub fn open(_: u32) -> io::Result<Self> {
        unsupported()
    }

    /// Its pid.
    pub const fn pid(&self) -> u32 {
        match self.0 {}
    }

    /// Has it not ended yet?
    pub fn is_alive(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn advise(&self, _: &[AddrRange], _: Advice) -> io::Result<u64> {
        match self.0 {}
    }
}

pub(crate) fn cached(_: &std::fs::File, _: u64, _: u64) -> io::Result<u64> {
    unsupported()
}

pub(crate) fn read_bytes(_: u32, _: &[u64]) -> io::Result<usize> {
    unsupported()
}

/// What the kernel says of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageStatus(Infallible);

impl PageStatus {
    pub(crate) fn node(self) -> Option<u16> {
        match self.0 {}
    }

    pub(crate) fn errno(self) -> Option<i32> {
        match self.0 {}
    }
}

pub(crate) fn nodes_of(_: u32, _: &[u64], _: &mut Vec<PageStatus>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn move_to(_: u32, _: &[u64], _: u16, _: bool, _: &mut Vec<PageStatus>) -> io::Result<u64> {
    unsupported()
}

pub(crate) fn bind(_: AddrRange, _: u16) -> io::Result<()> {
    unsupported()
}

pub(crate) fn prefer(_: AddrRange, _: u16) -> io::Result<()> {
    unsupported()
}

pub(crate) fn hold(_: AddrRange) -> io::Result<()> {
    unsupported()
}

pub(crate) fn flush<'a>(_: impl Iterator<Item = &'a AtomicU64>) -> io::Result<()> {
    unsupported()
}

/// What most machines have.
pub fn page_size() -> u64 {
    4096
}

#[derive(Debug)]
pub(crate) struct Pagemap(Infallible);

impl Pagemap {
    pub(crate) fn open(_: u64) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn open_at(_: &std::path::Path, _: u64) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn read(&self, _: u64, _: &mut [Page]) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn protect_written(&self, _: AddrRange, _: bool) -> io::Result<bool> {
        match self.0 {}
    }

    pub(crate) fn scan(&self, _: AddrRange, _: u64, _: &mut [ScanRegion]) -> io::Result<(usize, u64)> {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Uffd(Infallible);

impl Uffd {
    pub(crate) fn offered() -> io::Result<u64> {
        unsupported()
    }

    pub(crate) fn open(_: u64) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn register(&self, _: AddrRange, _: Mode) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn unregister(&self, _: AddrRange) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn protect(&self, _: AddrRange, _: Mode) -> io::Result<()> {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Event(Infallible);

impl Event {
    pub(crate) fn open(_: &EventAttr, _: Option<u32>, _: u32) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn share_ring_of(&self, _: &Ring) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn enable(&self) -> io::Result<()> {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Ring(Infallible);

impl Ring {
    pub(crate) fn new(_: Event, _: usize) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) const fn event(&self) -> &Event {
        match self.0 {}
    }

    pub(crate) fn take(&mut self, _: &mut Vec<u8>) {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Zapper(());

impl Zapper {
    pub(crate) fn best() -> Self {
        Self(())
    }

    pub(crate) fn one_by_one(self) -> Self {
        self
    }

    pub(crate) fn unlocked_only(self) -> Self {
        self
    }

    pub(crate) const fn is_batched(&self) -> bool {
        false
    }

    /// # Safety
    /// None is needed: it does nothing.
    pub(crate) unsafe fn zap(&self, _: &[AddrRange]) -> io::Result<u32> {
        unsupported()
    }
}

/// Memory of the library's own: on Linux only.
#[derive(Debug)]
pub struct SharedMap(Infallible);

impl SharedMap {
    /// Not here.
    ///
    /// # Errors
    /// Always: [`io::ErrorKind::Unsupported`].
    pub fn new(_: &str, _: usize) -> io::Result<Self> {
        unsupported()
    }

    /// Where it is.
    pub const fn range(&self) -> AddrRange {
        match self.0 {}
    }

    /// How many bytes.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub const fn len(&self) -> usize {
        match self.0 {}
    }

    /// What it was called.
    pub fn name(&self) -> &str {
        match self.0 {}
    }

    /// Its first byte.
    pub const fn as_ptr(&self) -> *mut u8 {
        match self.0 {}
    }

    /// All of it as words.
    pub fn atomics(&self) -> &[AtomicU64] {
        match self.0 {}
    }
}

/// Private anonymous memory of the library's own: on Linux only.
#[derive(Debug)]
pub struct PrivateMap(Infallible);

impl PrivateMap {
    /// Not here.
    ///
    /// # Errors
    /// Always: [`io::ErrorKind::Unsupported`].
    pub fn new(_: usize) -> io::Result<Self> {
        unsupported()
    }

    /// Where it is.
    pub const fn range(&self) -> AddrRange {
        match self.0 {}
    }

    /// How many bytes.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub const fn len(&self) -> usize {
        match self.0 {}
    }

    /// Its first byte.
    pub const fn as_ptr(&self) -> *mut u8 {
        match self.0 {}
    }

    /// All of it as words.
    pub fn atomics(&self) -> &[AtomicU64] {
        match self.0 {}
    }

    /// Not here.
    ///
    /// # Errors
    /// Never reached.
    pub fn advise_huge(&self, _: bool) -> io::Result<()> {
        match self.0 {}
    }
}
