//! The monitor's side of the hello: what was handed over is what it claims to be, before anything is done with it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use damon_core::AddrRange;
use rustix::fs::{PROC_SUPER_MAGIC, fstatfs};

use super::error::AcceptError;
use super::offer::Registered;
use super::wire::{Deadline, FDS, HELLO, Inbox, LinkError, MAX_RANGES, RANGE, VERSION};
use crate::linux::{parse_pidfd, parse_pidfd_names, parse_uffd_features};
use crate::sys::{Mode, Pidfd, Uffd, page_size, pidfd_of_peer};

/// A range on offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offered {
    pub(super) range: AddrRange,
    pub(super) registered: Registered,
}

/// What a process handed over, looked at from all sides.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) uffd: Uffd,
    pub(super) features: u64,
    pub(super) pagemap: File,
    pub(super) maps: File,
    pub(super) process: Pidfd,
    /// None: all private anonymous memory.
    pub(super) offered: Vec<Offered>,
    pub(super) inbox: Inbox,
}

impl Handover {
    pub(super) fn receive(stream: &UnixStream, deadline: Deadline) -> Result<Self, AcceptError> {
        let (mut inbox, mut fds) = (Inbox::default(), Vec::new());
        let hello = inbox.next(stream, &mut fds, deadline)?;
        if hello.kind != HELLO {
            return Err(LinkError::Protocol("not a hello").into());
        }
        if hello.arg != VERSION {
            return Err(AcceptError::Version(hello.arg));
        }
        if hello.start != page_size() {
            return Err(AcceptError::PageSize { theirs: hello.start, ours: page_size() });
        }
        if hello.end > MAX_RANGES {
            return Err(LinkError::Protocol("more ranges than may be offered").into());
        }
        let mut offered = Vec::new();
        for _ in 0..hello.end {
            offered.push(offered_range(&mut inbox, stream, deadline)?);
        }
        offered.sort_by_key(|o: &Offered| o.range.start());
        if offered.windows(2).any(|pair| pair[0].range.end() > pair[1].range.start()) {
            return Err(LinkError::Protocol("ranges that overlap").into());
        }

        let mut fds = fds.into_iter();
        let (uffd, _) = expect(0, fds.next(), "a userfaultfd", |name, _| name == "anon_inode:[userfaultfd]")?;
        let (pagemap, pagemap_name) =
            expect(1, fds.next(), "a process's pagemap", |name, fd| is_proc(name, fd, "/pagemap"))?;
        let (maps, maps_name) = expect(2, fds.next(), "a process's maps", |name, fd| is_proc(name, fd, "/maps"))?;
        debug_assert_eq!(FDS, 3);
        let features = parse_uffd_features(&fdinfo(&uffd)?).unwrap_or(0);
        if ![Mode::Wp, Mode::Rwp].iter().any(|mode| mode.is_async_in(features)) {
            return Err(AcceptError::Synchronous { features });
        }
        let pidfd = pidfd_of_peer(stream).map_err(AcceptError::NoPeer)?;
        let gone = || AcceptError::NoPeer(io::ErrorKind::NotFound.into());
        let about = fdinfo(&pidfd)?;
        let pid = parse_pidfd(&about).ok_or_else(gone)?;
        let names = parse_pidfd_names(&about);
        for file in [pagemap_name, maps_name] {
            let is_its = |pid: &u32| file.split('/').rev().nth(1) == Some(&pid.to_string());
            if !names.iter().any(is_its) {
                return Err(AcceptError::Foreign { pid, file });
            }
        }
        let uffd = Uffd::of(uffd);
        let process = Pidfd::of(pidfd, pid);
        Ok(Self { uffd, features, pagemap: pagemap.into(), maps: maps.into(), process, offered, inbox })
    }
}

fn offered_range(inbox: &mut Inbox, stream: &UnixStream, deadline: Deadline) -> Result<Offered, AcceptError> {
    let mut none = Vec::new();
    let frame = inbox.next(stream, &mut none, deadline)?;
    if frame.kind != RANGE || !none.is_empty() {
        return Err(LinkError::Protocol("not a range").into());
    }
    let range =
        frame.range()?.aligned_outward(page_size()).ok_or(LinkError::Protocol("a range above all addresses"))?;
    Ok(Offered { range, registered: Registered::of_bits(frame.modes) })
}

/// The descriptor, if it is what it `should` be. Nothing was read from it and no call made that it could answer.
fn expect(
    index: usize,
    fd: Option<OwnedFd>,
    should: &'static str,
    is_right: impl FnOnce(&str, &OwnedFd) -> bool,
) -> Result<(OwnedFd, String), AcceptError> {
    let Some(fd) = fd else { return Err(AcceptError::WrongDescriptor { index, is: String::new(), should }) };
    let name = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
        .map_err(|source| AcceptError::Io { what: "read /proc/self/fd", source })?;
    let is = name.to_string_lossy().into_owned();
    if is_right(&is, &fd) { Ok((fd, is)) } else { Err(AcceptError::WrongDescriptor { index, is, should }) }
}

/// A file of procfs itself: one of that name elsewhere might block whoever reads it.
fn is_proc(name: &str, fd: &OwnedFd, file: &str) -> bool {
    name.ends_with(file) && fstatfs(fd).is_ok_and(|fs| fs.f_type == PROC_SUPER_MAGIC)
}

fn fdinfo(fd: &impl AsFd) -> Result<Vec<u8>, AcceptError> {
    std::fs::read(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))
        .map_err(|source| AcceptError::Io { what: "read /proc/self/fdinfo", source })
}

impl Mode {
    /// Does a userfaultfd with these features resolve this mode's faults by itself?
    pub(super) const fn is_async_in(self, features: u64) -> bool {
        let needed = match self {
            Self::Wp => crate::sys::feature::WP_ASYNC,
            Self::Rwp => self.features(),
        };
        features & needed == needed
    }
}
