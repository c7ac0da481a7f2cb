//! On which node each page of a process is, and moving it to another.
//!
//! Counterpart: `move_pages(2)` (`mm/migrate.c`, Linux 7.3). What is in a page moves with it.

use std::io;

/// What the kernel wrote nothing into.
const UNTOLD: libc::c_int = libc::c_int::MIN;

/// Move pages that several processes map, too.
const MOVE_ALL: libc::c_int = 1 << 2;
/// Move pages that only this process maps.
const MOVE: libc::c_int = 1 << 1;

/// What the kernel says of one page: its node, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct PageStatus(libc::c_int);

impl PageStatus {
    /// Nothing: the call ended before it.
    pub(crate) const UNTOLD: Self = Self(UNTOLD);

    /// The node it is on.
    pub(crate) fn node(self) -> Option<u16> {
        u16::try_from(self.0).ok()
    }

    /// Why it has none, or was not moved.
    pub(crate) fn errno(self) -> Option<i32> {
        (self.0 < 0 && self.0 != UNTOLD).then_some(-self.0)
    }
}

/// Asks which node each of the pages at `addrs` of process `pid` is on. `out` is overwritten. `ENOENT` stands for a page
/// that is not in memory, `EFAULT` for an address without a mapping and for the zero page.
pub(crate) fn nodes_of(pid: u32, addrs: &[u64], out: &mut Vec<PageStatus>) -> io::Result<()> {
    call(pid, addrs, None, 0, out).map(|_| ())
}

/// Moves the pages at `addrs` of process `pid` to `node`, those that others map too only if `shared` says so. `out` is
/// overwritten; of a page that is [`PageStatus::UNTOLD`] the kernel does not say whether it moved. It returns how many
/// did not, at least.
pub(crate) fn move_to(pid: u32, addrs: &[u64], node: u16, shared: bool, out: &mut Vec<PageStatus>) -> io::Result<u64> {
    let nodes = vec![libc::c_int::from(node); addrs.len()];
    call(pid, addrs, Some(&nodes), if shared { MOVE_ALL } else { MOVE }, out)
}

fn call(
    pid: u32,
    addrs: &[u64],
    nodes: Option<&[libc::c_int]>,
    flags: libc::c_int,
    out: &mut Vec<PageStatus>,
) -> io::Result<u64> {
    out.clear();
    out.resize(addrs.len(), PageStatus::UNTOLD);
    if cfg!(not(target_pointer_width = "64")) {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "pages are moved on 64-bit machines only"));
    }
    let nodes = nodes.map_or(std::ptr::null(), <[_]>::as_ptr);
    let (count, status) = (addrs.len(), out.as_mut_ptr());
    // SAFETY: addresses are as wide as pointers, and nobody follows them here; `nodes` is null or has a number for each
    // of them; `status` has room for one for each.
    let n = unsafe { libc::syscall(libc::SYS_move_pages, pid, count, addrs.as_ptr(), nodes, status, flags) };
    u64::try_from(n).map_err(|_| io::Error::last_os_error())
}
