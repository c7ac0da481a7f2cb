//! A file as one target whose addresses are offsets into it, however many mappings, in however many processes, it has.
//!
//! A layer over a backend that watches the mappings: each offset is looked at through every mapping of it that the
//! backend sees into, and what was seen through any of them counts, once. Reports about an address of any mapping, or
//! about the file itself, resolve to the offset.
//!
//! ```
//! # #[cfg(target_os = "linux")] fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::os::fd::AsFd;
//! use std::sync::{Arc, atomic::Ordering};
//! use damon_core::{Ops, Sample, TargetId, Want};
//! use damon_ops_vaddr::file::{FileId, Files};
//! use damon_ops_vaddr::{Own, SharedMap};
//!
//! let guest = Arc::new(SharedMap::new("guest", 1 << 20)?);
//! let mut own = Own::new(TargetId::new(0))?;
//! own.watch_shared(&guest)?;
//! let mut files = Files::new(own);
//! files.watch(TargetId::new(1), FileId::of(guest.as_fd())?);
//!
//! files.targets(&mut Vec::new())?; // a monitor does
//! let mut samples = [Sample::new(TargetId::new(1), 0)];
//! files.arm(&samples)?;
//! guest.atomics()[0].store(7, Ordering::Relaxed);
//! files.check(&mut samples, &Want::new(true, &[]))?;
//! assert!(samples[0].seen.is_access());
//! # Ok(()) }
//! # #[cfg(not(target_os = "linux"))] fn main() {}
//! ```

mod mapped;
mod view;

use std::io;
use std::os::fd::BorrowedFd;

use damon_core::{Fault, Ops, Sample, Space, Span, TargetEvent, TargetId, Want};

use crate::linux::{Device, Mapping};
use view::{View, stronger};

/// A file, as `maps` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Its device.
    pub device: Device,
    /// Its inode on it.
    pub inode: u64,
}

impl FileId {
    /// The file of a descriptor: a memfd, shmem, a regular file.
    ///
    /// On file systems that show another device in `maps` than in `stat` (btrfs, some overlays) take it from a mapping.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        let about = std::fs::File::from(file.try_clone_to_owned()?).metadata()?;
        let device = std::os::unix::fs::MetadataExt::dev(&about);
        let (major, minor) = split_device(device);
        Ok(Self { device: Device { major, minor }, inode: std::os::unix::fs::MetadataExt::ino(&about) })
    }

    /// The file that is mapped there; `None` if none is.
    pub fn of_mapping(mapping: &Mapping) -> Option<Self> {
        (mapping.inode != 0).then_some(Self { device: mapping.device, inode: mapping.inode })
    }
}

/// Major and minor number, which `stat` gives as one (`makedev(3)`).
const fn split_device(dev: u64) -> (u32, u32) {
    let major = (dev >> 8 & 0xfff) | (dev >> 32 & 0xffff_f000);
    let minor = (dev & 0xff) | (dev >> 12 & 0xffff_ff00);
    (major as u32, minor as u32)
}

/// A backend that knows what is mapped where in the processes that it watches.
pub trait Mapped: Ops {
    /// Calls `each` with every target, its process and its mappings, ascending, as they are now.
    ///
    /// # Errors
    /// When they cannot be read.
    fn mappings(&mut self, each: &mut dyn FnMut(TargetId, u32, &[Mapping])) -> Result<(), Self::Error>;
}

/// Files as targets, seen through the mappings that backend `B` watches.
///
/// The targets of `B` are not the monitor's: memory that is no watched file is not sampled. An access through a mapping
/// that `B` does not see into (another process's) is invisible, and so is `read(2)`.
#[derive(Debug)]
pub struct Files<B> {
    inner: B,
    watched: Vec<(TargetId, FileId)>,
    /// By file target and offset.
    views: Vec<View>,
    events: Vec<TargetEvent>,
    spans: Vec<Span>,
    /// Which address shows which of the samples, in the order of the backend's samples.
    links: Vec<(TargetId, u64, usize)>,
    samples: Vec<Sample>,
}

impl<B: Mapped> Files<B> {
    /// No file yet, seen through what `inner` watches.
    pub const fn new(inner: B) -> Self {
        Self {
            inner,
            watched: Vec::new(),
            views: Vec::new(),
            events: Vec::new(),
            spans: Vec::new(),
            links: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// `file` is the target `target`, of the name that the monitor has for it. Where it is mapped is looked up at each
    /// update. In place of what `target` was before.
    pub fn watch(&mut self, target: TargetId, file: FileId) {
        self.unwatch(target);
        self.watched.push((target, file));
    }

    /// Forgets a file; false if there was no such target.
    pub fn unwatch(&mut self, target: TargetId) -> bool {
        let before = self.watched.len();
        self.watched.retain(|(id, _)| *id != target);
        self.views.retain(|view| view.file != target);
        self.watched.len() < before
    }

    /// The space in which reports speak of offsets of `file`; `None` if it is not watched.
    pub fn space(&self, file: FileId) -> Option<Space> {
        let watched = self.watched.iter().find(|(_, id)| *id == file);
        watched.map(|(target, _)| Space::Custom(target.get().into()))
    }

    /// The backend that watches the mappings.
    pub const fn inner(&self) -> &B {
        &self.inner
    }

    /// The backend that watches the mappings, to add to it.
    pub const fn inner_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    /// Looks up where the files are mapped, and what is seen there.
    fn look_up(&mut self) -> Result<(), B::Error> {
        let Self { inner, watched, views, .. } = self;
        views.clear();
        inner.mappings(&mut |target, pid, mappings| {
            for mapping in mappings {
                let file = FileId::of_mapping(mapping);
                let watched = watched.iter().filter(|(_, id)| Some(*id) == file);
                views.extend(watched.filter_map(|(file, _)| View::new(*file, target, pid, mapping)));
            }
        })?;
        self.see()?;
        self.views.sort_unstable_by_key(|view| (view.file, view.offsets.start(), view.target, view.start));
        Ok(())
    }

    /// Cuts the views to what the backend sees into.
    fn see(&mut self) -> Result<(), B::Error> {
        let all = std::mem::take(&mut self.views);
        let mut targets: Vec<TargetId> = all.iter().map(|view| view.target).collect();
        targets.sort_unstable();
        targets.dedup();
        for target in targets {
            self.spans.clear();
            self.inner.ranges(target, &mut self.spans)?;
            let views = all.iter().filter(|view| view.target == target);
            self.views.extend(views.flat_map(|view| self.spans.iter().filter_map(|span| view.seen_in(span))));
        }
        Ok(())
    }

    /// The backend's samples for `samples`: each through every mapping.
    fn spread(&mut self, samples: &[Sample]) {
        self.links.clear();
        for (i, s) in samples.iter().enumerate() {
            let from = self.views.partition_point(|view| view.file < s.target);
            let of_file = self.views[from..].iter().take_while(|view| view.file == s.target);
            let through = of_file.take_while(|view| view.offsets.start() <= s.addr);
            self.links.extend(through.filter_map(|view| Some((view.target, view.addr(s.addr)?, i))));
        }
        self.links.sort_unstable();
        self.samples.clear();
        for &(target, addr, _) in &self.links {
            if self.samples.last().is_none_or(|last| (last.target, last.addr) != (target, addr)) {
                self.samples.push(Sample::new(target, addr));
            }
        }
    }
}

impl<B: Mapped> Ops for Files<B> {
    type Error = B::Error;

    fn targets(&mut self, _: &mut Vec<TargetEvent>) -> Result<(), B::Error> {
        // Who maps a file joins and leaves without the file's doing so.
        self.events.clear();
        self.inner.targets(&mut self.events)?;
        self.look_up()
    }

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), B::Error> {
        let from = self.views.partition_point(|view| view.file < target);
        let to = self.views.partition_point(|view| view.file <= target);
        view::spans(&self.views[from..to], out);
        Ok(())
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), B::Error> {
        self.spread(samples);
        self.inner.arm(&self.samples)
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), B::Error> {
        self.spread(samples);
        self.inner.check(&mut self.samples, want)?;
        let mut first = vec![true; samples.len()];
        let mut seen = self.samples.iter().peekable();
        for &(target, addr, i) in &self.links {
            while seen.next_if(|s| (s.target, s.addr) != (target, addr)).is_some() {}
            let (Some(through), Some(sample)) = (seen.peek(), samples.get_mut(i)) else { continue };
            if want.access {
                let fresh = std::mem::take(&mut first[i]);
                sample.seen = if fresh { through.seen } else { stronger(sample.seen, through.seen) };
                // A block in one space is one in the other where both are aligned alike.
                if (addr ^ sample.addr) & (through.extent.bytes() - 1) == 0 {
                    sample.extent = sample.extent.max(through.extent);
                }
            }
            sample.attrs |= through.attrs;
        }
        Ok(())
    }

    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        let is_watched = |n: u64| self.watched.iter().map(|(id, _)| *id).find(|id| u64::from(id.get()) == n);
        match space {
            Space::Process(pid) => {
                let mut views = self.views.iter().filter(|view| view.pid == pid);
                views.find_map(|view| Some((view.file, view.offset(addr)?)))
            }
            Space::Custom(n) => is_watched(n).map(|id| (id, addr)),
            Space::Target(id) => is_watched(id.get().into()).map(|id| (id, addr)),
            _ => None,
        }
    }

    fn fault(&self, error: &B::Error) -> Fault {
        self.inner.fault(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_split_as_the_c_library_does() {
        assert_eq!(split_device(0xfe00), (254, 0));
        assert_eq!(split_device(1), (0, 1));
        // makedev(0x12345, 0x6789a)
        let dev = (0x12345 & 0xffff_f000) << 32 | (0x12345 & 0xfff) << 8 | (0x6789a & 0xffff_ff00) << 12 | 0x9a;
        assert_eq!(split_device(dev), (0x12345, 0x6789a));
    }
}
