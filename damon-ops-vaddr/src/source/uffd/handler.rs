//! The thread that answers.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use damon_core::{Access, AccessKind, AddrRange, Reporter};

use super::{UffdError, UffdSpec, UffdStats};
use crate::SharedMap;
use crate::sys::{MinorFault, MinorUffd, Zappable, Zapper, page_size, poll};

/// Reports minor faults of a [`SharedMap`] from a thread of its own, until it is dropped.
///
/// Pages that are in the page table do not fault: [`rearm`](Self::rearm) takes them out. Pages that the file does not have yet
/// come into being at their first touch, unreported. Threads that fault wait for this source's thread, whatever becomes of the
/// monitor; when the source is dropped they go on, and all is as it was before.
///
/// Its thread allocates nothing from the memory that it watches; neither may whoever runs in it: there is no such hook.
#[derive(Debug)]
pub struct UffdSource {
    memory: Zappable,
    name: String,
    zapper: Zapper,
    counters: Arc<Counters>,
    /// Closing it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    pid: u32,
}

#[derive(Debug, Default)]
struct Counters {
    faults: AtomicU64,
    writes: AtomicU64,
    refused: AtomicU64,
    retried: AtomicU64,
}

impl UffdSource {
    /// Starts to report. What is in the page table already stays there until [`rearm`](Self::rearm).
    ///
    /// # Errors
    /// When userfaultfd is not permitted or not there, when another one has the memory, or when there can be no further
    /// thread.
    pub fn start(map: &Arc<SharedMap>, spec: &UffdSpec, reporter: Reporter) -> Result<Self, UffdError> {
        let uffd = MinorUffd::open(spec.user_mode_only).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => UffdError::Forbidden { source },
            _ => UffdError::Unsupported { source },
        })?;
        let other = |what| move |source| UffdError::Other { what, source };
        uffd.register(map).map_err(|source| match source.kind() {
            io::ErrorKind::ResourceBusy => UffdError::Taken { name: map.name().to_owned(), source },
            _ => UffdError::Other { what: "register the memory with userfaultfd", source },
        })?;
        let (stop, stopped) = UnixStream::pair().map_err(other("make a pair of sockets"))?;
        let counters = Arc::new(Counters::default());
        let handler = Handler { uffd, reporter, spec: *spec, counters: Arc::clone(&counters), page: page_size() };
        let thread = thread::Builder::new().name("damon-uffd".to_owned()).spawn(move || handler.run(&stopped));
        Ok(Self {
            memory: Zappable::of(map),
            name: map.name().to_owned(),
            zapper: Zapper::best(),
            counters,
            stop: Some(stop),
            thread: Some(thread.map_err(other("start a thread"))?),
            pid: std::process::id(),
        })
    }

    /// Takes the pages of `range` out of the page table: the next touch of each is reported. Partial pages at its ends are taken
    /// out whole. Their content stays, in the file.
    ///
    /// # Errors
    /// When the range is not within the mapping, and when the kernel refuses: memory that is locked, before Linux 5.18.
    pub fn rearm(&self, range: AddrRange) -> Result<(), UffdError> {
        let all = self.memory.range();
        let outside = || UffdError::Outside { start: range.start(), end: range.end(), name: self.name.clone() };
        if range.start() < all.start() || all.end() < range.end() {
            return Err(outside());
        }
        let pages = range.aligned_outward(page_size()).ok_or_else(outside)?;
        let zapped = self.memory.zap(&self.zapper, &[pages]);
        zapped.map_err(|source| UffdError::Other { what: "take pages out of the page table", source })?;
        Ok(())
    }

    /// What it did so far.
    pub fn stats(&self) -> UffdStats {
        let Counters { faults, writes, refused, retried } = &*self.counters;
        let [faults, writes, refused, retried] = [faults, writes, refused, retried].map(|n| n.load(Ordering::Relaxed));
        UffdStats { faults, writes, refused, retried }
    }
}

impl Drop for UffdSource {
    /// Ends the thread; who waits for it goes on.
    fn drop(&mut self) {
        drop(self.stop.take());
        // A child process has the value, but not the thread.
        if let Some(thread) = self.thread.take().filter(|_| self.pid == std::process::id()) {
            // If it panicked, its descriptor is closed all the same.
            let _ = thread.join();
        }
    }
}

struct Handler {
    uffd: MinorUffd,
    reporter: Reporter,
    spec: UffdSpec,
    counters: Arc<Counters>,
    page: u64,
}

impl Handler {
    /// Answers until the other end of `stopped` is closed. Returning closes the descriptor, which lets everybody go on.
    fn run(self, stopped: &UnixStream) {
        let mut faults = Vec::new();
        loop {
            faults.clear();
            if self.uffd.take(&mut faults).is_err() {
                return;
            }
            if faults.is_empty() {
                match poll([self.uffd.as_fd(), stopped.as_fd()], None) {
                    Ok([uffd, stop]) if !uffd.over && !stop.over => continue,
                    _ => return,
                }
            }
            for fault in &faults {
                self.answer(fault);
            }
        }
    }

    /// First who waits, then who watches.
    fn answer(&self, fault: &MinorFault) {
        let start = fault.addr & !(self.page - 1);
        let Some(page) = AddrRange::from_len(start, self.page) else { return };
        if self.uffd.answer(page).is_err() {
            self.counters.retried.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let access = Access {
            kind: if fault.write { AccessKind::Write } else { AccessKind::Read },
            thread: Some(fault.thread),
            ..Access::new(self.spec.target, start, self.page)
        };
        let taken = self.reporter.report_access(access);
        self.counters.faults.fetch_add(1, Ordering::Relaxed);
        self.counters.writes.fetch_add(u64::from(fault.write), Ordering::Relaxed);
        self.counters.refused.fetch_add(u64::from(!taken), Ordering::Relaxed);
    }
}
