//! Another process's memory, watched by a userfaultfd that it hands over.
//!
//! The process opens everything itself (userfaultfd, `/proc/self/pagemap`, `/proc/self/maps`) and sends it over a Unix
//! socket; the kernel asks for rights at open and never again. So the monitor needs none: neither root nor the process's
//! user, no `CAP_SYS_PTRACE`. The descriptors speak of the memory that they were opened for: a pid that is used again, or
//! an `exec`, can never put other memory in its place.
//!
//! ```no_run
//! # #[cfg(target_os = "linux")] fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use std::{os::unix::net::UnixListener, time::Duration};
//! use damon_core::TargetId;
//! use damon_ops_vaddr::handed::{Handed, Link};
//! # let mut monitor: damon_core::Monitor = unreachable!();
//! let (stream, _) = UnixListener::bind("/run/monitor.sock")?.accept()?;
//! let mut ops = Handed::accept(stream, TargetId::new(0), Duration::from_secs(1))?;
//! loop {
//!     match ops.attend() {
//!         Link::Watching => monitor.resume(),
//!         Link::Released => monitor.pause(), // a migration, a snapshot: ages are frozen
//!         Link::Ended => break,
//!     }
//!     // monitor.begin(now, &mut ops)?; ... monitor.end(now, &mut ops)?;
//! }
//! # Ok(()) }
//! # #[cfg(not(target_os = "linux"))] fn main() {}
//! ```
//!
//! What a process can do with what it handed over harms nobody but itself: unmapped memory, a registration taken away or
//! a dead process show as [`Seen::Unknown`](damon_core::Seen::Unknown); nothing here waits for it. A process that wants
//! write protection for purposes of its own, the dirty pages of a migration say, asks for a release first
//! ([`Lent::release`]): a page has one mark for it, whoever asks.

mod accept;
mod error;
mod offer;
mod pieces;
mod wire;

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use damon_core::{AddrRange, Fault, Ops, Sample, Space, Span, TargetEvent, TargetId, Want};

use accept::{Handover, Offered};
pub use error::{AcceptError, HandedError, OfferError, Refusal};
pub use offer::{Lent, Offer, Registered};
use pieces::{Piece, State};
pub use wire::LinkError;
use wire::{Deadline, Frame, Inbox, RELEASE, TAKE_BACK, send_all, send_now};

use crate::linux::{Mapping, MapsError, huge_page_size};
use crate::own::engine::Engine;
use crate::own::error::IoAt;
use crate::own::method::Armed;
use crate::own::window::Window;
use crate::own::{HugePages, Stats, Watched, push_span};
use crate::sys::{Mode, Pagemap, Pidfd, Zapper, page_size};

/// Requests that are answered at most in one go.
const REQUESTS: usize = 16;

/// How it stands with the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Its memory is watched.
    Watching,
    /// Some of it is released for a while: pause the monitor, so that ages stay as they are.
    Released,
    /// It has exited, executed another program, or ended the watch.
    Ended,
}

/// Watches the memory that a process handed over, as one target.
///
/// By [`RwpAsync`](crate::Method::RwpAsync) where its userfaultfd and its memory allow it, else by
/// [`WpAsync`](crate::Method::WpAsync): nothing is ever taken out of its page table. Dropping it gives everything back.
#[derive(Debug)]
pub struct Handed {
    target: TargetId,
    process: Pidfd,
    maps: File,
    features: u64,
    engine: Engine,
    /// None: all private anonymous memory.
    offered: Vec<Offered>,
    released: Vec<AddrRange>,
    mappings: Vec<Mapping>,
    pieces: Vec<Piece>,
    window: Window,
    recalled: Vec<Armed>,
    /// `None` when it is over.
    stream: Option<UnixStream>,
    inbox: Inbox,
    broke: Option<LinkError>,
    /// The monitor knows that it is over.
    told: bool,
}

// It moves to the thread that monitors.
const _: () = {
    const fn moves<T: Send + Sync>() {}
    moves::<Handed>();
    moves::<Offer>();
    moves::<Lent>();
};

impl Handed {
    /// Takes what the process at the other end of `stream` offers, within `limit`, and calls it `target`. That process
    /// has connected the stream itself; who it is the kernel says.
    ///
    /// # Errors
    /// When it says nothing in time, or nothing of this protocol; when a descriptor is not what it should be, or would make
    /// its owner wait for answers; when none of the memory can be watched. The process is told.
    pub fn accept(stream: UnixStream, target: TargetId, limit: Duration) -> Result<Self, AcceptError> {
        let deadline = Deadline::within(limit);
        let taken = Handover::receive(&stream, deadline).and_then(|handover| {
            let mut handed = Self::of(handover, target)?;
            handed.start()?;
            Ok(handed)
        });
        let status = taken.as_ref().map_or_else(|e| e.refusal().status(), |_| 0);
        let told = send_all(&stream, &[Frame::answer(status)], &[], deadline);
        let mut handed = taken?;
        told?;
        handed.stream = Some(stream);
        Ok(handed)
    }

    fn of(handover: Handover, target: TargetId) -> Result<Self, AcceptError> {
        let Handover { uffd, features, pagemap, maps, process, offered, inbox } = handover;
        let page = page_size();
        // Nothing is ever zapped here.
        let zapper = Zapper::best().one_by_one();
        let mut engine = Engine::new(Pagemap::of(pagemap, page), zapper, page, huge_page_size(Path::new("/sys")));
        let uffd = Arc::new(uffd);
        engine.wp = Mode::Wp.is_async_in(features).then(|| Arc::clone(&uffd));
        engine.rwp = Mode::Rwp.is_async_in(features).then_some(uffd);
        Ok(Self {
            target,
            process,
            maps,
            features,
            engine,
            offered,
            released: Vec::new(),
            mappings: Vec::new(),
            pieces: Vec::new(),
            window: Window::default(),
            recalled: Vec::new(),
            stream: None,
            inbox,
            broke: None,
            told: false,
        })
    }

    fn start(&mut self) -> Result<(), AcceptError> {
        self.look_at_mappings()?;
        self.prove()?;
        self.lay_out();
        let owned = self.pieces.iter().find(|p| p.state == State::Owned).filter(|_| !self.offered.is_empty());
        if let Some(range) = owned.map(Piece::range) {
            return Err(AcceptError::RangeOwned { range });
        }
        if self.pieces.iter().all(|p| p.state != State::Watched) {
            let why = self.pieces.first().and_then(Piece::why).unwrap_or("nothing is mapped there");
            return Err(AcceptError::NothingWatched(why.to_owned()));
        }
        Ok(())
    }

    /// What to do with transparent huge pages that only write protection can watch. Default: they are not watched.
    pub const fn set_huge_pages(&mut self, huge_pages: HugePages) {
        self.engine.huge_pages = huge_pages;
    }

    /// What the process is called.
    pub(crate) const fn target(&self) -> TargetId {
        self.target
    }

    /// Its mappings as of the last update.
    pub(crate) fn mapped(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The process, as the kernel knows it.
    pub const fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The process, for calls about it: never the next one that gets its pid.
    pub const fn pidfd(&self) -> &Pidfd {
        &self.process
    }

    /// What watching has cost so far.
    pub const fn stats(&self) -> Stats {
        self.engine.stats
    }

    /// What is watched, and how, as of the last update.
    pub fn watched(&self) -> impl Iterator<Item = Watched> {
        self.pieces.iter().map(|piece| {
            let i = self.mappings.partition_point(|m| m.range.end() <= piece.range().start());
            let name = self.mappings.get(i).map(|m| m.name.clone()).unwrap_or_default();
            let method = (piece.state == State::Watched).then_some(piece.ground.method);
            Watched { range: piece.range(), name, method, sees: piece.sees(), why: piece.why().map(str::to_owned) }
        })
    }

    /// Answers what the process asked for since the last call: releases ranges, takes them back. It never waits. To be
    /// called before each step, also while the monitor is paused. A process that breaks the protocol is watched no more.
    pub fn attend(&mut self) -> Link {
        if let Err(e) = self.answer_requests() {
            self.broke = Some(e).filter(|e| !matches!(e, LinkError::HungUp));
            self.end();
        }
        match () {
            () if self.has_ended() => Link::Ended,
            () if self.is_released() => Link::Released,
            () => Link::Watching,
        }
    }

    /// What the process did that ended the watch, if it neither exited nor ended it itself.
    pub const fn broke(&self) -> Option<&LinkError> {
        self.broke.as_ref()
    }

    fn answer_requests(&mut self) -> Result<(), LinkError> {
        for _ in 0..REQUESTS {
            let Some(stream) = &self.stream else { return Ok(()) };
            let mut none = Vec::new();
            let Some(frame) = self.inbox.poll(stream, &mut none)? else { return Ok(()) };
            let range = frame.range()?;
            let granted = match frame.kind {
                RELEASE if none.is_empty() => {
                    self.release(range);
                    Ok(())
                }
                TAKE_BACK if none.is_empty() => self.take_back(range).map_err(|_| Refusal::RangeOwned),
                _ => return Err(LinkError::Protocol("not a request")),
            };
            let status = granted.map_or_else(Refusal::status, |()| 0);
            if let Some(stream) = &self.stream {
                send_now(stream, Frame::answer(status))?;
            }
        }
        Ok(())
    }

    /// It is over: gives back everything and hangs up.
    fn end(&mut self) {
        self.let_go_of_all();
        self.stream = None;
    }

    fn has_ended(&mut self) -> bool {
        if !self.process.is_alive() {
            self.end();
        }
        self.stream.is_none()
    }

    /// The piece of the first of `samples`, and how many after it are in the same one.
    fn run(&self, samples: &[Sample]) -> (Option<Piece>, usize) {
        let Some(first) = samples.first() else { return (None, 0) };
        let i = self.pieces.partition_point(|p| p.range().end() <= first.addr);
        let ours = |s: &Sample, p: &Piece| s.target == self.target && p.range().contains(s.addr);
        match self.pieces.get(i).filter(|p| ours(first, p)) {
            Some(p) => (Some(*p), samples.iter().take_while(|s| ours(s, p)).count()),
            None => (None, 1),
        }
    }

    fn arm_all(&mut self, samples: &[Sample], armed: &mut Vec<Armed>) -> Result<(), IoAt> {
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, n) = self.run(rest);
            let (run, tail) = rest.split_at(n);
            rest = tail;
            match piece.filter(|p| p.state == State::Watched) {
                Some(piece) => {
                    // Registrations that are gone are renewed at the next update.
                    self.engine.arm(piece.ground, None, run, armed)?;
                }
                None => armed.resize(armed.len() + n, Armed::No),
            }
        }
        Ok(())
    }

    fn check_all(&mut self, samples: &mut [Sample], want: &Want<'_>, armed: &mut Vec<Armed>) -> Result<(), IoAt> {
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, n) = self.run(rest);
            let (run, tail) = rest.split_at_mut(n);
            rest = tail;
            let Some(piece) = piece.filter(|p| p.state == State::Watched) else { continue };
            armed.clear();
            self.window.recall(run, armed);
            if want.access {
                self.engine.check(piece.ground, run, armed)?;
            }
            if !want.probes.is_empty() {
                self.engine.probe(piece.ground, run, want.probes)?;
            }
        }
        Ok(())
    }

    /// An error that only says that the memory is gone is none: it is over.
    fn unless_gone(&mut self, result: Result<(), IoAt>) -> Result<(), HandedError> {
        match result {
            Err(e) if gone(&e.source) => {
                self.end();
                Ok(())
            }
            other => other.map_err(HandedError::from),
        }
    }
}

/// Does `e` say that the process has no such memory any more?
fn gone(e: &io::Error) -> bool {
    e.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) || e.kind() == io::ErrorKind::UnexpectedEof
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.let_go_of_all();
    }
}

impl Ops for Handed {
    type Error = HandedError;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), HandedError> {
        if self.attend() == Link::Ended && !std::mem::replace(&mut self.told, true) {
            events.push(TargetEvent::Gone(self.target));
        }
        Ok(())
    }

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), HandedError> {
        if target != self.target || self.has_ended() {
            return Ok(());
        }
        self.refresh()?;
        self.pieces.iter().for_each(|p| push_span(out, Span { range: p.range(), sees: p.sees() }));
        Ok(())
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), HandedError> {
        self.attend();
        let mut armed = self.window.open();
        let result = self.arm_all(samples, &mut armed);
        self.window.arm(samples, armed, result.is_ok());
        self.unless_gone(result)
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), HandedError> {
        let mut armed = std::mem::take(&mut self.recalled);
        let result = self.check_all(samples, want, &mut armed);
        self.recalled = armed;
        self.unless_gone(result)
    }

    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        match space {
            Space::Process(pid) if pid == self.pid() => Some((self.target, addr)),
            Space::Target(target) if target == self.target => Some((target, addr)),
            _ => None,
        }
    }

    fn fault(&self, error: &HandedError) -> Fault {
        match error {
            HandedError::Io { source, .. } | HandedError::Maps(MapsError::Read { source, .. })
                if IoAt::is_transient(source) =>
            {
                Fault::Transient
            }
            // The mappings changed between two reads of the list.
            HandedError::Maps(MapsError::Line { .. }) => Fault::Transient,
            _ => Fault::Fatal,
        }
    }
}
