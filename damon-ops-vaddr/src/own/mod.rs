//! The memory of the process itself, watched without privileges.
//!
//! Counterpart: `mm/damon/vaddr.c`, Linux 7.3, which reads accessed bits instead.

mod act;
mod capabilities;
pub(crate) mod engine;
pub(crate) mod error;
pub(crate) mod method;
mod probe;
mod stats;
mod watch;
pub(crate) mod window;

use std::path::Path;

use damon_core::{AddrRange, Fault, Ops, Sample, Sees, Space, Span, TargetId, Want};

use act::Known;
pub use act::OwnActor;
pub use capabilities::{Capabilities, MethodReport, Outcome, Watched};
use engine::{Engine, Ground, Shared};
use error::IoAt;
pub use error::{ActError, Forked, NothingWorks, OpenError, OwnError, WatchError};
use method::Armed;
pub use method::{HugePages, Method};
pub use stats::Stats;
use window::Window;

use crate::linux::{Mapping, MapsError, huge_page_size};
use crate::sys::{Pagemap, Zapper, page_size};

/// What an [`Own`] may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The methods to try, in any order: of those that work the one that sees most is used. Default: all.
    pub methods: Vec<Method>,
    /// What to do where watching would split a transparent huge page. Default: it is not watched.
    pub huge_pages: HugePages,
}

impl Default for Options {
    fn default() -> Self {
        Self { methods: Method::ALL.to_vec(), huge_pages: HugePages::Keep }
    }
}

/// Watches memory of the process that it lives in, as one target.
///
/// It never loses or changes data: what it takes out of the page table is memory that the library owns or that somebody
/// vouched for ([`watch_raw`](Self::watch_raw)); everything else it only protects, and the kernel lifts that protection
/// by itself at the next access. A child process must make its own.
#[derive(Debug)]
pub struct Own {
    target: TargetId,
    pid: u32,
    engine: Engine,
    methods: Vec<MethodReport>,
    shared: Vec<Shared>,
    private: Vec<AddrRange>,
    found: bool,
    mappings: Vec<Mapping>,
    pieces: Vec<Piece>,
    /// Private ranges that were registered when the pieces were laid out, ascending.
    registered: Vec<AddrRange>,
    /// The same pieces, for who acts on them.
    known: Known,
    /// Something was not what it was when it was armed: registrations are renewed at the next update.
    suspect: bool,
    window: Window,
    recalled: Vec<Armed>,
}

/// A range that is watched in one way.
#[derive(Clone, Copy, Debug)]
struct Piece {
    range: AddrRange,
    sees: Sees,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// As `Own::shared[i]` says.
    Shared(usize),
    Private(Method),
    /// Not at all, for this reason.
    Blind(&'static str),
}

// It moves to the thread that monitors.
const _: () = {
    const fn moves<T: Send + Sync>() {}
    moves::<Own>();
    moves::<OwnActor>();
    moves::<crate::Guard>();
    moves::<crate::SharedMap>();
    moves::<crate::PrivateMap>();
};

impl Own {
    /// A backend that calls the process `target`, watches nothing yet, and may use whatever works.
    ///
    /// # Errors
    /// When no method works; the error lists what was tried, why each failed, and what would make it work.
    pub fn new(target: TargetId) -> Result<Self, OpenError> {
        Self::with_options(target, Options::default())
    }

    /// The same with a choice of methods.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_options(target: TargetId, options: Options) -> Result<Self, OpenError> {
        if !cfg!(target_os = "linux") {
            return Err(OpenError::Unsupported);
        }
        let page = page_size();
        let pagemap = match Pagemap::open(page) {
            Ok(pagemap) => pagemap,
            Err(e) => return Err(OpenError::NothingWorks(probe::without_pagemap(&e))),
        };
        let mut engine = Engine::new(pagemap, Zapper::best(), page, huge_page_size(Path::new("/sys")));
        let methods = probe::try_all(&mut engine, &options.methods);
        if methods.iter().all(|r| r.outcome != Outcome::Works) {
            return Err(OpenError::NothingWorks(NothingWorks { tried: methods }));
        }
        engine.huge_pages = options.huge_pages;
        engine.stats = Stats::default();
        Ok(Self {
            target,
            pid: std::process::id(),
            engine,
            methods,
            shared: Vec::new(),
            private: Vec::new(),
            found: false,
            mappings: Vec::new(),
            pieces: Vec::new(),
            registered: Vec::new(),
            known: Known::default(),
            suspect: false,
            window: Window::default(),
            recalled: Vec::new(),
        })
    }

    /// What works here, what is used for each watched range, and who is invisible.
    pub fn capabilities(&self) -> Capabilities {
        let watched = self.pieces.iter().map(|piece| {
            let (method, why) = match piece.how {
                How::Shared(i) => (self.shared.get(i).map(|s| s.method), None),
                How::Private(method) => (Some(method), None),
                How::Blind(why) => (None, Some(why.to_owned())),
            };
            let name = self.name_of(piece.range.start()).unwrap_or_default().to_owned();
            Watched { range: piece.range, name, method, sees: piece.sees, why }
        });
        Capabilities {
            methods: self.methods.clone(),
            watched: watched.collect(),
            batched_zap: self.engine.zapper.is_batched(),
        }
    }

    /// What watching has cost so far.
    pub const fn stats(&self) -> Stats {
        self.engine.stats
    }

    /// What the process is called.
    pub(crate) const fn target(&self) -> TargetId {
        self.target
    }

    fn check_process(&self) -> Result<(), Forked> {
        match std::process::id() {
            pid if pid == self.pid => Ok(()),
            pid => Err(Forked { owner: self.pid, pid }),
        }
    }

    /// By which method a piece is watched; `None` where it is not, or no longer.
    fn method(&self, how: How) -> Option<Method> {
        match how {
            How::Shared(i) => self.shared.get(i).filter(|s| s.zappable.stands()).map(|s| s.method),
            How::Private(method) => Some(method),
            How::Blind(_) => None,
        }
    }

    fn arm_all(&mut self, samples: &[Sample], armed: &mut Vec<Armed>) -> Result<(), OwnError> {
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, n) = self.run(rest);
            let (run, tail) = rest.split_at(n);
            rest = tail;
            match piece.and_then(|p| Some((p, self.method(p.how)?))) {
                Some((piece, method)) => {
                    let shared = if let How::Shared(i) = piece.how { self.shared.get_mut(i) } else { None };
                    self.suspect |= self.engine.arm(Ground::own(method, piece.range), shared, run, armed)?;
                }
                None => armed.resize(armed.len() + n, Armed::No),
            }
        }
        Ok(())
    }

    /// How the first of `samples` is watched, and how many after it are in the same piece.
    fn run(&self, samples: &[Sample]) -> (Option<Piece>, usize) {
        let Some(first) = samples.first() else { return (None, 0) };
        let i = self.pieces.partition_point(|p| p.range.end() <= first.addr);
        let ours = |s: &&Sample| s.target == self.target;
        match self.pieces.get(i).filter(|p| p.range.contains(first.addr) && ours(&first)) {
            Some(p) => (Some(*p), samples.iter().take_while(|s| p.range.contains(s.addr) && ours(s)).count()),
            None => (None, 1),
        }
    }
}

/// Appends `span`, joined with the last one where they touch and are seen alike.
pub(crate) fn push_span(out: &mut Vec<Span>, span: Span) {
    let touches = |last: &&mut Span| last.range.end() == span.range.start() && last.sees == span.sees;
    match out.last_mut().filter(touches) {
        Some(last) => last.range = AddrRange::new(last.range.start(), span.range.end()).unwrap_or(last.range),
        None => out.push(span),
    }
}

impl Ops for Own {
    type Error = OwnError;

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), OwnError> {
        self.check_process()?;
        if target != self.target {
            return Ok(());
        }
        self.refresh()?;
        self.pieces.iter().for_each(|p| push_span(out, Span { range: p.range, sees: p.sees }));
        Ok(())
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), OwnError> {
        self.check_process()?;
        let mut armed = self.window.open();
        let result = self.arm_all(samples, &mut armed);
        self.window.arm(samples, armed, result.is_ok());
        result
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), OwnError> {
        self.check_process()?;
        let mut rest = samples;
        let mut armed = std::mem::take(&mut self.recalled);
        while !rest.is_empty() {
            let (piece, n) = self.run(rest);
            let (run, tail) = rest.split_at_mut(n);
            rest = tail;
            let Some(piece) = piece else { continue };
            let Some(method) = self.method(piece.how) else { continue };
            let ground = Ground::own(method, piece.range);
            armed.clear();
            self.window.recall(run, &mut armed);
            if want.access {
                self.suspect |= self.engine.check(ground, run, &armed)?;
            }
            if !want.probes.is_empty() {
                self.engine.probe(ground, run, want.probes)?;
            }
        }
        self.recalled = armed;
        Ok(())
    }

    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        match space {
            Space::Process(pid) if pid == self.pid => Some((self.target, addr)),
            Space::Target(target) if target == self.target => Some((target, addr)),
            _ => None,
        }
    }

    fn fault(&self, error: &OwnError) -> Fault {
        match error {
            OwnError::Io { source, .. } | OwnError::Maps(MapsError::Read { source, .. })
                if IoAt::is_transient(source) =>
            {
                Fault::Transient
            }
            _ => Fault::Fatal,
        }
    }
}
