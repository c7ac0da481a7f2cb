//! The same signatures where there is no Linux: nothing can be made, so nothing can be called.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::AtomicU64;

use damon_core::AddrRange;

use super::{Advice, Mode, ScanRegion};
use crate::linux::Page;

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "memory can be watched on Linux only"))
}

impl Advice {
    pub(crate) fn is_known(self) -> bool {
        false
    }
}

pub(crate) fn advise(_: AddrRange, _: Advice) -> io::Result<()> {
    unsupported()
}

pub(crate) fn in_memory(_: AddrRange, _: u64, _: &mut Vec<u8>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn page_size() -> u64 {
    4096
}

#[derive(Debug)]
pub(crate) struct Pagemap(Infallible);

impl Pagemap {
    pub(crate) fn open(_: u64) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn read(&self, _: u64, _: &mut [Page]) -> io::Result<()> {
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
