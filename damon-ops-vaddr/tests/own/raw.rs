//! Raw calls that a program around the library may make: the tests' only `unsafe`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use damon_core::AddrRange;

pub(crate) const SHARED: i32 = libc::MAP_SHARED;
pub(crate) const SHARED_ANONYMOUS: i32 = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
pub(crate) const PRIVATE: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

/// Maps `len` bytes, at `at` in place of what is there.
pub(crate) fn map(at: Option<u64>, len: u64, flags: i32, file: Option<&File>) -> io::Result<AddrRange> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let fixed = if at.is_some() { libc::MAP_FIXED } else { 0 };
    let fd = file.map_or(-1, AsRawFd::as_raw_fd);
    let hint = at.unwrap_or(0) as usize as *mut libc::c_void;
    // SAFETY: fixed addresses come from `map` itself and nobody borrows them.
    let start = unsafe { libc::mmap(hint, len as usize, prot, flags | fixed, fd, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(AddrRange::from_len(start as u64, len).unwrap())
}

/// Unmaps what `map` gave.
pub(crate) fn unmap(range: AddrRange) {
    // SAFETY: it came from `map`, and nobody borrows it.
    unsafe { libc::munmap(range.start() as usize as *mut libc::c_void, range.size() as usize) };
}

/// Moves what `map` gave to another address.
pub(crate) fn remap(range: AddrRange) -> AddrRange {
    let to = map(None, range.size(), PRIVATE, None).unwrap();
    let (from, len) = (range.start() as usize as *mut libc::c_void, range.size() as usize);
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: both came from `map`, and nobody borrows them.
    let at = unsafe { libc::mremap(from, len, len, flags, to.start() as usize as *mut libc::c_void) };
    assert_ne!(at, libc::MAP_FAILED, "{}", io::Error::last_os_error());
    to
}

/// Writes a word of what `map` gave.
pub(crate) fn write(addr: u64, value: u64) {
    // SAFETY: mapped by `map`, and the caller is the only one to use it.
    unsafe { std::ptr::write_volatile(addr as usize as *mut u64, value) };
}

/// Reads a word of what `map` gave.
pub(crate) fn read(addr: u64) -> u64 {
    // SAFETY: mapped by `map`, and the caller is the only one to use it.
    unsafe { std::ptr::read_volatile(addr as usize as *const u64) }
}

/// The kernel writes (`read(2)`) `len` bytes at an address of memory that the library owns.
pub(crate) fn kernel_writes(file: &File, addr: u64, len: usize) -> io::Result<usize> {
    // SAFETY: the memory is alive and is only used as atomics by this thread.
    let n = unsafe { libc::read(file.as_raw_fd(), addr as usize as *mut libc::c_void, len) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// The kernel reads (`write(2)`) `len` bytes at an address of memory that the library owns.
pub(crate) fn kernel_reads(file: &File, addr: u64, len: usize) -> io::Result<usize> {
    // SAFETY: the memory is alive and is only used as atomics by this thread.
    let n = unsafe { libc::write(file.as_raw_fd(), addr as usize as *const libc::c_void, len) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

pub(crate) fn lock_in_memory(range: AddrRange) -> io::Result<()> {
    // SAFETY: it changes no content.
    match unsafe { libc::mlock(range.start() as usize as *const libc::c_void, range.size() as usize) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes a huge page of what is in `range`.
pub(crate) fn collapse(range: AddrRange) -> io::Result<()> {
    const MADV_COLLAPSE: i32 = 25;
    // SAFETY: it changes no content.
    match unsafe { libc::madvise(range.start() as usize as *mut _, range.size() as usize, MADV_COLLAPSE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Runs `child` in a forked process; its exit status.
pub(crate) fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child allocates nothing that another thread may have locked beyond what glibc makes safe, and exits.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let status = child();
        // SAFETY: it ends the child without the parent's exit handlers.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: `pid` is our child.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 }
}

/// The ring of a new io_uring, mapped.
pub(crate) fn io_uring_ring() -> io::Result<(File, AddrRange)> {
    use std::os::fd::FromRawFd;
    let mut params = [0u8; 120];
    // SAFETY: `params` is large enough for `struct io_uring_params`.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 8, params.as_mut_ptr()) };
    let fd = i32::try_from(fd).ok().filter(|&fd| fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: a new descriptor.
    let file = unsafe { File::from_raw_fd(fd) };
    let range = map(None, 4096, SHARED | libc::MAP_POPULATE, Some(&file))?;
    Ok((file, range))
}

/// Watches what the caller mapped and keeps mapped.
pub(crate) fn watch(
    own: &mut damon_ops_vaddr::Own,
    range: AddrRange,
) -> Result<damon_ops_vaddr::Guard, damon_ops_vaddr::WatchError> {
    // SAFETY: the tests keep the mapping as it is until the guard is dropped, or expect a refusal.
    unsafe { own.watch_raw(range) }
}

/// A forked process that sleeps until it is killed: all private memory is shared with it until one of them writes.
pub(crate) fn fork_sleeper() -> u64 {
    // SAFETY: the child only sleeps.
    match unsafe { libc::fork() } {
        0 => loop {
            // SAFETY: it concerns no memory.
            unsafe { libc::pause() };
        },
        pid => u64::try_from(pid).unwrap_or(0),
    }
}

/// Ends a process that a test has started.
pub(crate) fn kill(pid: u32) {
    // SAFETY: it concerns no memory.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}

/// Reads a byte of another process's memory, as it would itself.
pub(crate) fn read_of(pid: u32, addr: u64) -> io::Result<u8> {
    let mut byte = 0u8;
    let here = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let there = libc::iovec { iov_base: addr as usize as *mut libc::c_void, iov_len: 1 };
    // SAFETY: the byte here is ours; nobody follows the address of the other process here.
    match unsafe { libc::process_vm_readv(pid as i32, &raw const here, 1, &raw const there, 1, 0) } {
        1 => Ok(byte),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Runs `child` in a forked process, which ends with it; its pid.
pub(crate) fn fork(child: impl FnOnce()) -> i32 {
    // SAFETY: as for `in_child`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        child();
        // SAFETY: it ends the child without the parent's exit handlers.
        unsafe { libc::_exit(0) };
    }
    pid
}

/// Kills a forked process and waits for it.
pub(crate) fn kill_and_wait(pid: i32) {
    // SAFETY: `pid` is our child, which nobody has waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    let mut status = 0;
    // SAFETY: as above.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
}

/// A userfaultfd with `features`, as a program makes one for itself.
pub(crate) fn userfaultfd(features: u64) -> io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: it makes a descriptor and nothing else.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | libc::O_NONBLOCK | 1) };
    let fd = i32::try_from(fd).ok().filter(|&fd| fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: a new descriptor.
    let fd = unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) };
    let mut api = [0xaa_u64, features, 0];
    uffd_call(&fd, 0xc018_aa3f, &mut api)?;
    Ok(fd)
}

/// `UFFDIO_REGISTER` for `modes`.
pub(crate) fn uffd_register(fd: &impl AsRawFd, range: AddrRange, modes: u64) -> io::Result<()> {
    uffd_call(fd, 0xc020_aa00, &mut [range.start(), range.size(), modes, 0])
}

/// `UFFDIO_UNREGISTER`.
pub(crate) fn uffd_unregister(fd: &impl AsRawFd, range: AddrRange) -> io::Result<()> {
    uffd_call(fd, 0x8010_aa01, &mut [range.start(), range.size()])
}

/// `UFFDIO_WRITEPROTECT`, setting the protection.
pub(crate) fn uffd_protect(fd: &impl AsRawFd, range: AddrRange) -> io::Result<()> {
    uffd_call(fd, 0xc018_aa06, &mut [range.start(), range.size(), 1])
}

fn uffd_call<const N: usize>(fd: &impl AsRawFd, call: u64, arg: &mut [u64; N]) -> io::Result<()> {
    // SAFETY: `arg` is what the call expects, as its number says; the tests own the ranges.
    match unsafe { libc::ioctl(fd.as_raw_fd(), call as _, arg.as_mut_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes the pages of `range`, shared memory that `map` gave, out of the page table.
pub(crate) fn zap(range: AddrRange) -> io::Result<()> {
    // SAFETY: the memory is shared: its pages come back as they are.
    match unsafe { libc::madvise(range.start() as usize as *mut _, range.size() as usize, libc::MADV_DONTNEED) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The categories (`PAGEMAP_SCAN`) of the page that is `range`; 0 if it is not mapped.
pub(crate) fn scan_page(pagemap: &File, range: AddrRange) -> io::Result<u64> {
    const WANTED: u64 = 0x7f;
    let mut region = [0u64; 3];
    let mut arg = [96, 0, range.start(), range.end(), 0, region.as_mut_ptr() as u64, 1, 0, 0, 0, 0, WANTED];
    // SAFETY: `arg` is a `struct pm_scan_arg` of 96 bytes, and `region` has room for the one region that it may fill in.
    match unsafe { libc::ioctl(pagemap.as_raw_fd(), 0xc060_6610, arg.as_mut_ptr()) } {
        0 => Ok(0),
        1 => Ok(region[2]),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes this process execute `program` in place of itself.
pub(crate) fn exec(program: &std::ffi::CStr) {
    let args = [program.as_ptr(), c"60".as_ptr(), std::ptr::null()];
    // SAFETY: `args` ends in a null pointer.
    unsafe { libc::execv(program.as_ptr(), args.as_ptr()) };
}

/// A memfd of `len` bytes.
pub(crate) fn memfd(len: u64) -> File {
    use std::os::fd::FromRawFd;
    // SAFETY: the name ends in a zero.
    let fd = unsafe { libc::memfd_create(c"guest".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0);
    // SAFETY: a new descriptor.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(len).unwrap();
    file
}

/// Asks for huge pages.
pub(crate) fn advise_huge(range: AddrRange) -> io::Result<()> {
    // SAFETY: it changes no content.
    match unsafe { libc::madvise(range.start() as usize as *mut _, range.size() as usize, libc::MADV_HUGEPAGE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From now on the kernel answers `errno` to `calls` of this thread, as a sandbox would.
pub(crate) fn forbid(calls: &[libc::c_long], errno: i32) -> io::Result<()> {
    let op = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    // The number of the call is at the start of what the filter sees.
    let mut program = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (i, call) in calls.iter().enumerate() {
        let to_refusal = (calls.len() - i) as u8;
        program.push(op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, to_refusal, 0, *call as u32));
    }
    program.push(op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: it takes rights away from this thread, and nothing else.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `filter` points to a program that ends in a return on every path.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Calls `handler` when `signal` comes; other signals may interrupt it.
pub(crate) fn handle(signal: i32, handler: extern "C" fn(i32)) -> io::Result<()> {
    // SAFETY: all zero is a valid `sigaction`: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is initialized, and `handler` does nothing that a signal handler may not do.
    match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A thread to send signals to.
#[derive(Clone, Copy)]
pub(crate) struct Thread(libc::pthread_t);

impl Thread {
    pub(crate) fn this() -> Self {
        // SAFETY: it has no preconditions.
        Self(unsafe { libc::pthread_self() })
    }

    /// Sends it a signal. It must be running.
    pub(crate) fn signal(self, signal: i32) {
        // SAFETY: the caller joins the thread later.
        unsafe { libc::pthread_kill(self.0, signal) };
    }
}

/// Memory policies of `mbind(2)`.
pub(crate) const PREFER: i32 = 1;
pub(crate) const BIND: i32 = 2;
pub(crate) const INTERLEAVE: i32 = 3;

/// Gives `range` the memory policy `mode` on the nodes whose bits `nodes` has; what is there stays where it is.
pub(crate) fn mbind(range: AddrRange, mode: i32, nodes: u64) -> io::Result<()> {
    let (start, len, mask) = (range.start(), range.size(), &raw const nodes);
    // SAFETY: it changes no content; `mask` has the 64 bits that it is said to have.
    match unsafe { libc::syscall(libc::SYS_mbind, start, len, mode, mask, 64, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
