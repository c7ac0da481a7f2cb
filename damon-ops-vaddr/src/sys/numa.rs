//! On which node each page of a process is, and moving it to another.
//!
//! Counterpart: `move_pages(2)` (`mm/migrate.c`), `mbind(2)` (`mm/mempolicy.c`), Linux 7.3. What is in a page moves with it.

use std::io;

use damon_core::AddrRange;

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

/// `MPOL_MF_STRICT`: fail if a page cannot be moved.
const STRICT: libc::c_uint = 1;
/// `MPOL_MF_MOVE`: move pages that only this process maps.
const BIND_MOVE: libc::c_uint = 1 << 1;
/// `MAX_NUMNODES` at most (`CONFIG_NODES_SHIFT`).
const NODES: usize = 1024;

/// Binds the memory of this process in `range` to `node`, and moves there what is elsewhere. `EINVAL`: the node has no memory,
/// or is none that this process may use. `EIO`: some of it did not move.
pub(crate) fn bind(range: AddrRange, node: u16) -> io::Result<()> {
    mbind(range, node, libc::MPOL_BIND, STRICT | BIND_MOVE)
}

/// Has pages that are made in `range` made on `node`, if it has room. What is there stays where it is.
pub(crate) fn prefer(range: AddrRange, node: u16) -> io::Result<()> {
    mbind(range, node, libc::MPOL_PREFERRED, 0)
}

fn mbind(range: AddrRange, node: u16, mode: libc::c_int, flags: libc::c_uint) -> io::Result<()> {
    let bits = libc::c_ulong::BITS as usize;
    let (mut nodes, node) = ([0 as libc::c_ulong; NODES / libc::c_ulong::BITS as usize], usize::from(node));
    // No kernel has such a node.
    let word = nodes.get_mut(node / bits).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    *word = 1 << (node % bits);
    // Static: the node meant is this one, also after a cpuset has changed.
    let mode = mode | libc::MPOL_F_STATIC_NODES;
    let (start, len, mask) = (range.start() as usize, range.size() as usize, nodes.as_ptr());
    // The kernel takes one bit less than it is told of.
    // SAFETY: wherever pages are, what is in them stays; `nodes` has as many bits.
    let r = unsafe { libc::syscall(libc::SYS_mbind, start, len, mode, mask, NODES + 1, flags) };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
