//! What of one's own memory is watched: what is added by hand, and what is found in `maps`.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};

use damon_core::{AddrRange, Sees};

use super::capabilities::Outcome;
use super::engine::Shared;
use super::error::{NothingWorks, WatchError};
use super::method::Method;
use super::{How, Own, Piece};
use crate::linux::{Mapping, MapsError, kernel_page_size, read_maps};
use crate::sys::{Mode, SharedMap, Uffd, Zappable};

pub(crate) const MAPS: &str = "/proc/self/maps";

impl Own {
    /// Watches shared memory of the library's own, reads and writes told apart where userfaultfd works. It stays mapped
    /// until [`unwatch`](Self::unwatch), or until this is dropped.
    ///
    /// # Errors
    /// When it is watched already, and when no method for shared memory works here.
    pub fn watch_shared(&mut self, map: &Arc<SharedMap>) -> Result<(), WatchError> {
        let method = self.shared_method()?;
        self.refuse_overlap(map.range())?;
        self.register_shared(map.range(), method)?;
        Ok(self.add_shared(Zappable::of(map), method)?)
    }

    /// Watches private anonymous memory: writes, and reads where the kernel can show them. It may be unmapped and mapped
    /// again at any time; what is mapped at the addresses is looked up at each update. Partial pages are watched whole.
    ///
    /// Where no method works, or somebody else registered the memory, it is there with [`Sees::Nothing`] and a reason.
    ///
    /// # Errors
    /// When something else is mapped in the range, or nothing, and when it is watched already.
    pub fn watch_private(&mut self, range: AddrRange) -> Result<(), WatchError> {
        self.check_process().map_err(WatchError::Forked)?;
        let range = self.whole_pages(range)?;
        self.refuse_overlap(range)?;
        let maps = read_maps(Path::new(MAPS))?;
        let mut there = maps.iter().filter(|m| m.range.intersection(range).is_some()).peekable();
        if there.peek().is_none() {
            return Err(WatchError::NotMapped { range });
        }
        if let Some(m) = there.find(|m| !m.is_private_anonymous() && (m.perms.shared || m.inode != 0)) {
            return Err(WatchError::NotPrivate { range: m.range, name: m.name.clone() });
        }
        self.private.push(range);
        self.refresh()?;
        Ok(())
    }

    /// Watches all private anonymous memory that `maps` shows now and at each update: heap, stacks, arenas.
    ///
    /// The stack and the buffers of whoever monitors are among it: they are written in each window. Left out is what
    /// cannot be accessed (guard pages), the kernel's own (`[vdso]`), and what belongs to files.
    ///
    /// # Errors
    /// When `maps` cannot be read.
    pub fn watch_found(&mut self) -> Result<(), WatchError> {
        self.check_process().map_err(WatchError::Forked)?;
        self.found = true;
        self.refresh()?;
        Ok(())
    }

    /// Stops watching what was added with exactly this range; false if there was none. A [`SharedMap`] is let go.
    pub fn unwatch(&mut self, range: AddrRange) -> bool {
        let before = self.shared.len() + self.private.len();
        self.shared.retain(|s| s.zappable.range() != range);
        let whole = range.aligned_outward(self.engine.page);
        self.private.retain(|&r| Some(r) != whole);
        let gone = self.shared.len() + self.private.len() < before;
        if gone && self.check_process().is_ok() {
            for mode in [Mode::Wp, Mode::Rwp] {
                if let Some(uffd) = self.engine.uffd(mode) {
                    // Fails where it was not registered, which is what is wanted.
                    let _ = uffd.unregister(range);
                }
            }
            self.registered.clear();
            self.lay_out();
        }
        gone
    }

    /// What is mapped at `addr`, as `maps` said at the last update; `[anonymous]` where it has no name.
    pub fn name_of(&self, addr: u64) -> Option<&str> {
        let i = self.mappings.partition_point(|m| m.range.end() <= addr);
        let mapping = self.mappings.get(i).filter(|m| m.range.contains(addr))?;
        Some(if mapping.name.is_empty() { "[anonymous]" } else { &mapping.name })
    }

    /// The process's mappings as of the last update, ascending.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// Whole pages around `range` and a method for them, if `maps` shows shared memory that comes back when it is zapped.
    pub(crate) fn inspect_shared(&self, range: AddrRange) -> Result<(AddrRange, Method), WatchError> {
        let range = self.whole_pages(range)?;
        let method = self.shared_method()?;
        self.refuse_overlap(range)?;
        let maps = read_maps(Path::new(MAPS))?;
        let mut at = range.start();
        for m in maps.iter().filter(|m| m.range.intersection(range).is_some()) {
            if m.range.start() > at {
                break;
            }
            at = m.range.end();
            let refuse = |why| Err(WatchError::NotShared { range: m.range, name: m.name.clone(), why });
            if let Some(why) = m.why_not_zappable() {
                return refuse(why);
            }
            if m.name.starts_with('/') && std::fs::metadata(&m.name).is_ok_and(|file| !file.is_file()) {
                return refuse("its file is not a regular one");
            }
            if kernel_page_size(Path::new("/proc/self/smaps"), m.range.start())? != Some(self.engine.page) {
                return refuse("its pages are not of the usual size (hugetlbfs)");
            }
        }
        if at < range.end() { Err(WatchError::NotMapped { range }) } else { Ok((range, method)) }
    }

    /// The userfaultfd that tracks writes in `range`, registered, if the method needs one.
    pub(crate) fn register_shared(&self, range: AddrRange, method: Method) -> Result<Weak<Uffd>, WatchError> {
        let Some((mode, uffd)) = method.mode().and_then(|mode| Some((mode, self.engine.uffd(mode)?))) else {
            return Ok(Weak::new());
        };
        match uffd.register(range, mode) {
            Ok(()) => Ok(Arc::downgrade(uffd)),
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => Err(WatchError::RangeOwned { range }),
            Err(source) => Err(WatchError::Register { range, source }),
        }
    }

    pub(crate) fn add_shared(&mut self, zappable: Zappable, method: Method) -> Result<(), MapsError> {
        self.shared.push(Shared { zappable, method, huge_blocks: BTreeSet::new() });
        self.refresh()
    }

    fn shared_method(&self) -> Result<Method, WatchError> {
        self.check_process().map_err(WatchError::Forked)?;
        self.best(true).ok_or_else(|| WatchError::NoMethod(NothingWorks { tried: self.methods.clone() }))
    }

    /// The best method that works for shared, or for private memory.
    fn best(&self, shared: bool) -> Option<Method> {
        let works = |r: &&super::MethodReport| r.outcome == Outcome::Works && r.method.is_for_shared() == shared;
        self.methods.iter().find(works).map(|r| r.method)
    }

    fn whole_pages(&self, range: AddrRange) -> Result<AddrRange, WatchError> {
        range.aligned_outward(self.engine.page).ok_or(WatchError::NotMapped { range })
    }

    fn refuse_overlap(&self, range: AddrRange) -> Result<(), WatchError> {
        let shared = self.shared.iter().filter(|s| s.zappable.stands()).map(|s| s.zappable.range());
        match shared.chain(self.private.iter().copied()).find(|r| r.intersection(range).is_some()) {
            Some(with) => Err(WatchError::Overlaps { range, with }),
            None => Ok(()),
        }
    }

    /// Reads the mappings again.
    pub(crate) fn refresh(&mut self) -> Result<(), MapsError> {
        self.mappings = read_maps(Path::new(MAPS))?;
        self.shared.retain(|s| s.zappable.stands());
        if std::mem::take(&mut self.suspect) {
            self.registered.clear();
            for s in &self.shared {
                // Where it fails its samples stay unknown, and it is tried again.
                let _ = self.register_shared(s.zappable.range(), s.method);
            }
        }
        self.lay_out();
        Ok(())
    }

    /// Lays out what is watched over the mappings, registering what is not.
    fn lay_out(&mut self) {
        let mut pieces: Vec<Piece> = Vec::new();
        for (i, s) in self.shared.iter().enumerate() {
            pieces.push(Piece { range: s.zappable.range(), sees: s.method.sees(), how: How::Shared(i) });
        }
        let method = self.best(false);
        let mut registered = Vec::new();
        for m in self.mappings.iter().filter(|m| m.is_private_anonymous()) {
            let asked: Vec<AddrRange> = if self.found {
                vec![m.range]
            } else {
                self.private.iter().filter_map(|r| r.intersection(m.range)).collect()
            };
            for range in asked {
                let how = self.private_how(range, method);
                let sees = if let How::Private(method) = how { method.sees() } else { Sees::Nothing };
                if sees != Sees::Nothing {
                    registered.push(range);
                }
                pieces.push(Piece { range, sees, how });
            }
        }
        pieces.sort_by_key(|p| p.range.start());
        // Shared memory that was unmapped against its contract: what is there now is not it.
        pieces.dedup_by(|b, a| a.range.intersection(b.range).is_some());
        self.pieces = pieces;
        self.registered = registered;
        self.tell_actors();
    }

    fn private_how(&self, range: AddrRange, method: Option<Method>) -> How {
        let Some((method, mode)) = method.and_then(|m| Some((m, m.mode()?))) else {
            return How::Blind("no method works");
        };
        let Some(uffd) = self.engine.uffd(mode) else { return How::Blind("no method works") };
        if self
            .registered
            .binary_search_by_key(&range.start(), |r| r.start())
            .is_ok_and(|i| self.registered[i] == range)
        {
            return How::Private(method);
        }
        match uffd.register(range, mode) {
            Ok(()) => How::Private(method),
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => How::Blind("another userfaultfd has it"),
            Err(_) => How::Blind("cannot be registered"),
        }
    }
}
