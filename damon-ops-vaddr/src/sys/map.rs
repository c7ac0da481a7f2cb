//! Mappings that the library owns: no one unmaps them while somebody holds them.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use damon_core::AddrRange;

/// Maps of this size or more start at a multiple of it, so that they can have huge pages.
const HUGE: usize = 2 << 20;
/// The others start at a multiple of what a read fault may map around it.
const FAULT_AROUND: usize = 64 << 10;

/// The size of a page in bytes: a power of two.
pub fn page_size() -> u64 {
    // SAFETY: it reads a constant of the system.
    let n = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(n).ok().filter(|n| n.is_power_of_two()).unwrap_or(4096)
}

/// A readable and writable mapping, unmapped when it is dropped.
struct Mapped {
    start: NonNull<u8>,
    len: usize,
    range: AddrRange,
}

// SAFETY: it owns its memory, and hands it out as atomics only.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    fn new(bytes: usize, flags: libc::c_int, file: Option<&File>) -> io::Result<Self> {
        let len = page_aligned(bytes)?;
        // Reserved with room to align, then mapped within, so that nobody else gets in between.
        let align = if len >= HUGE { HUGE } else { FAULT_AROUND };
        let room = len.checked_add(align).ok_or(io::ErrorKind::OutOfMemory)?;
        let hold = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let held = unsafe { libc::mmap(std::ptr::null_mut(), room, libc::PROT_NONE, hold, -1, 0) };
        if held == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let before = (held as usize).next_multiple_of(align) - held as usize;
        let aligned = held.wrapping_byte_add(before);
        let after = aligned.wrapping_byte_add(len);
        let fd = file.map_or(-1, AsRawFd::as_raw_fd);
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: within what is held, which nobody uses.
        let start = unsafe { libc::mmap(aligned, len, prot, flags | libc::MAP_FIXED, fd, 0) };
        let error = io::Error::last_os_error();
        let failed = start == libc::MAP_FAILED;
        for (at, len) in [(held, before), (after, align - before), (aligned, if failed { len } else { 0 })] {
            if len > 0 {
                // SAFETY: held, and nobody uses it.
                unsafe { libc::munmap(at, len) };
            }
        }
        if failed {
            return Err(error);
        }
        let range = AddrRange::from_len(start as u64, len as u64);
        match (NonNull::new(start.cast()), range) {
            (Some(start), Some(range)) => Ok(Self { start, len, range }),
            _ => Err(io::Error::other("mmap returned an address that no range can have")),
        }
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped, page-aligned, zeroed by the kernel, alive as long as `self`, and only ever lent as atomics.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.len / 8) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: `self` owns the mapping, and everything lent has ended.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

fn page_aligned(bytes: usize) -> io::Result<usize> {
    let page = usize::try_from(page_size()).unwrap_or(4096);
    match bytes.checked_next_multiple_of(page) {
        Some(len) if (1..=isize::MAX as usize).contains(&len) => Ok(len),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a mapping cannot have {bytes} bytes"))),
    }
}

/// Memory of the library's own that lives in a memfd and is mapped `MAP_SHARED`: the kind whose reads and writes can be
/// told apart without privileges.
///
/// Its pages belong to the memfd, so taking them out of the page table loses nothing; and it is unmapped when the last
/// [`Arc`](std::sync::Arc) goes, of which a watching [`Own`](crate::Own) holds one. Threads use it as atomics.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use std::sync::atomic::Ordering::Relaxed;
/// let map = damon_ops_vaddr::SharedMap::new("arena", 10_000).unwrap();
/// assert_eq!(map.len() % 4096, 0);
/// map.atomics()[3].store(1, Relaxed);
/// assert_eq!(map.atomics()[3].load(Relaxed), 1);
/// # }
/// ```
pub struct SharedMap {
    memory: Mapped,
    file: File,
    name: String,
}

impl SharedMap {
    /// At least `bytes` of zeroes, rounded up to whole pages, as `/memfd:name` in `maps`.
    ///
    /// # Errors
    /// For no bytes, for a name with a zero in it or longer than 249 bytes, and when the kernel has no memory to give.
    pub fn new(name: &str, bytes: usize) -> io::Result<Self> {
        let c_name = std::ffi::CString::new(name)?;
        let len = page_aligned(bytes)?;
        // SAFETY: the name ends in a zero.
        let fd = unsafe { libc::memfd_create(c_name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else knows.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(len as u64)?;
        // Nobody who gets the descriptor can cut memory off that is borrowed here.
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: it concerns the file's size alone.
        if unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, seals) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let memory = Mapped::new(len, libc::MAP_SHARED, Some(&file))?;
        Ok(Self { memory, file, name: name.to_owned() })
    }

    /// Where it is.
    pub const fn range(&self) -> AddrRange {
        self.memory.range
    }

    /// How many bytes: whole pages, at least one.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub const fn len(&self) -> usize {
        self.memory.len
    }

    /// What it was called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its first byte, for code that brings its own rules for sharing. The mapping must stay as it is.
    pub const fn as_ptr(&self) -> *mut u8 {
        self.memory.start.as_ptr()
    }

    /// All of it as words.
    pub fn atomics(&self) -> &[AtomicU64] {
        self.memory.words()
    }
}

impl AsFd for SharedMap {
    /// The memfd, sealed against changes of its size: another process may map it too, and is not seen here.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl fmt::Debug for SharedMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMap").field("name", &self.name).field("range", &self.memory.range).finish()
    }
}

/// Private anonymous memory of the library's own, to be watched like any other: for tests and examples.
pub struct PrivateMap {
    memory: Mapped,
}

impl PrivateMap {
    /// At least `bytes` of zeroes, rounded up to whole pages.
    ///
    /// # Errors
    /// For no bytes, and when the kernel has no memory to give.
    pub fn new(bytes: usize) -> io::Result<Self> {
        Mapped::new(bytes, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, None).map(|memory| Self { memory })
    }

    /// Where it is.
    pub const fn range(&self) -> AddrRange {
        self.memory.range
    }

    /// How many bytes: whole pages, at least one.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub const fn len(&self) -> usize {
        self.memory.len
    }

    /// Its first byte, for code that brings its own rules for sharing. The mapping must stay as it is.
    pub const fn as_ptr(&self) -> *mut u8 {
        self.memory.start.as_ptr()
    }

    /// All of it as words.
    pub fn atomics(&self) -> &[AtomicU64] {
        self.memory.words()
    }

    /// Asks for huge pages, or for none (`MADV_HUGEPAGE`, `MADV_NOHUGEPAGE`).
    ///
    /// # Errors
    /// Where the kernel is built without transparent huge pages.
    pub fn advise_huge(&self, huge: bool) -> io::Result<()> {
        let advice = if huge { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
        // SAFETY: the mapping is ours, and the advice changes nothing that a program could see.
        match unsafe { libc::madvise(self.memory.start.as_ptr().cast(), self.memory.len, advice) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl fmt::Debug for PrivateMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateMap").field("range", &self.memory.range).finish()
    }
}
