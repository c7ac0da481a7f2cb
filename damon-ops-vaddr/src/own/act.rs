//! Acting on one's own memory: advice to the kernel that changes where memory is kept and never what is in it.
//!
//! Counterpart: `damos_madvise`, `damon_va_apply_scheme` (`mm/damon/vaddr.c`, Linux 7.3).

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use damon_core::{
    Action, AddrRange, Applied, ApplyOps, Extent, Filter, PageFilter, Request, TargetId, Unsupported, passes,
};

use super::error::Forked;
use super::{How, Own};
use crate::linux::Page;
use crate::sys::{Advice, Mode, Pagemap, ScanRegion, Uffd, advise, in_memory};

/// What is watched, told by who watches to who acts.
pub(crate) type Known = Arc<Mutex<Vec<Place>>>;

/// A watched range, and what acting on it has to know.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    range: AddrRange,
    shared: bool,
    /// What it is registered with.
    uffd: Option<(Mode, Weak<Uffd>)>,
}

/// Why something was not done, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// This is another process than the one that made it.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Another target than the process.
    #[error("target {} is not this process, which is target {}: give each target an actor of its own", .target.get(), .own.get())]
    UnknownTarget {
        /// What was asked for.
        target: TargetId,
        /// What the process is called.
        own: TargetId,
    },
    /// Memory that is not watched.
    #[error("{range} is not watched: add it with watch_shared, watch_raw, watch_private or watch_found first")]
    UnknownRange {
        /// Which.
        range: AddrRange,
    },
    /// What [`OwnActor::supports`](ApplyOps::supports) would have said.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The kernel would not.
    #[error("cannot apply {action:?} to {range}: {source}; {}", way_out(.source))]
    Advise {
        /// What was to be done.
        action: Action,
        /// The first part where it failed; the others were tried too.
        range: AddrRange,
        /// Why not.
        source: io::Error,
    },
    /// The page table cannot be opened.
    #[error("cannot open /proc/self/pagemap: {0}; it takes /proc mounted, and CONFIG_PROC_PAGE_MONITOR")]
    Open(#[source] io::Error),
    /// The state of the pages cannot be read.
    #[error("cannot look at the pages of {range}: {source}; it takes /proc mounted, and all of the range mapped")]
    Look {
        /// Where.
        range: AddrRange,
        /// Why not.
        source: io::Error,
    },
}

/// What helps against what `madvise` answered.
fn way_out(e: &io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(12) => {
            "some of it is no longer mapped, or there is no memory for it: it is left out after the next update"
        }
        Some(11 | 16) => "its pages are in use or locked right now: try again",
        Some(22) => "locked memory (mlock) and memory of devices cannot be advised: leave it out with a filter",
        Some(1 | 13) => "a sandbox, or the file's permissions, forbid it",
        _ => "leave it out with a filter",
    }
}

impl Own {
    /// Who acts on the memory that is watched here, now and after later updates: to be given to what applies schemes.
    ///
    /// # Errors
    /// When `/proc/self/pagemap` cannot be opened again, and in a child process.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    /// use damon_core::{Action, ApplyOps, Request, TargetId};
    /// use damon_ops_vaddr::{Own, SharedMap};
    ///
    /// let cache = Arc::new(SharedMap::new("cache", 1 << 20)?);
    /// let mut own = Own::new(TargetId::new(0))?;
    /// own.watch_shared(&cache)?;
    /// let mut actor = own.actor()?;
    /// let done = actor.apply(TargetId::new(0), cache.range(), &Request::new(Action::Cold, &[], &[]));
    /// assert_eq!((done.size, done.error.is_none()), (1 << 20, true));
    /// # Ok(()) }
    /// # #[cfg(not(target_os = "linux"))] fn main() {}
    /// ```
    pub fn actor(&self) -> Result<OwnActor, ActError> {
        self.check_process()?;
        let pagemap = Pagemap::open(self.engine.page).map_err(ActError::Open)?;
        let somewhere = AddrRange::from_len(self.engine.page, self.engine.page);
        let scan = |at| pagemap.scan(at, Page::PRESENT, &mut [ScanRegion::default()]);
        let scans = somewhere.is_some_and(|at| scan(at).is_ok());
        Ok(OwnActor {
            target: self.target,
            pid: self.pid,
            page: self.engine.page,
            huge: self.engine.huge,
            pagemap,
            scans,
            known: Arc::clone(&self.known),
        })
    }

    pub(super) fn tell_actors(&self) {
        let places = self.pieces.iter().map(|piece| {
            let method = self.method(piece.how);
            let uffd = method.and_then(|m| m.mode()).and_then(|mode| Some((mode, self.engine.uffd(mode)?)));
            Place {
                range: piece.range,
                shared: matches!(piece.how, How::Shared(_)),
                uffd: uffd.map(|(mode, uffd)| (mode, Arc::downgrade(uffd))),
            }
        });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = places.collect();
    }
}

/// Acts on the memory that an [`Own`] watches, by `madvise`, without privileges. Whatever it does, the content of memory
/// stays.
///
/// | action | what is done | verified by |
/// |---|---|---|
/// | cold | `MADV_COLD` | nobody can tell |
/// | pageout | `MADV_PAGEOUT`; anonymous and shared memory stays where there is no swap | private: the page table; shared: `mincore` |
/// | willneed | `MADV_WILLNEED`: reads it from swap or file, to be mapped by the first access | `mincore` |
/// | hugepage, nohugepage | `MADV_HUGEPAGE`, `MADV_NOHUGEPAGE`, for what comes | nobody can tell |
/// | collapse | `MADV_COLLAPSE` of each whole block | the page table, where it can be scanned |
/// | stat | nothing | nobody can tell |
///
/// A protected page keeps the kernel from collapsing its block, so the block's registration with userfaultfd is taken
/// back meanwhile: what was armed there shows as accessed or unknown in that window. Act between windows, as schemes do.
/// With [`HugePages::Keep`](crate::HugePages::Keep) private memory that became huge is not watched for writes any more.
#[derive(Debug)]
pub struct OwnActor {
    target: TargetId,
    pid: u32,
    page: u64,
    huge: u64,
    pagemap: Pagemap,
    /// `PAGEMAP_SCAN` works.
    scans: bool,
    known: Known,
}

/// What came of a request so far.
#[derive(Debug, Default)]
struct Done {
    size: u64,
    passed: u64,
    error: Option<ActError>,
}

impl OwnActor {
    fn advice(action: Action) -> Result<Option<Advice>, Unsupported> {
        let (advice, lacks) = match action {
            Action::Stat => return Ok(None),
            Action::Cold => (Advice::Cold, "the kernel has no MADV_COLD: Linux 5.4 has"),
            Action::Pageout => (Advice::Pageout, "the kernel has no MADV_PAGEOUT: Linux 5.4 has"),
            Action::Willneed => (Advice::Willneed, "the sandbox forbids madvise"),
            Action::Hugepage => (Advice::Hugepage, "the kernel has no CONFIG_TRANSPARENT_HUGEPAGE"),
            Action::Nohugepage => (Advice::Nohugepage, "the kernel has no CONFIG_TRANSPARENT_HUGEPAGE"),
            Action::Collapse => (
                Advice::Collapse,
                "the kernel has no MADV_COLLAPSE: Linux 6.1 with CONFIG_TRANSPARENT_HUGEPAGE has, hugepage works before",
            ),
            Action::LruPrio => return Err(Unsupported::new(action, "no system call does it: use willneed")),
            Action::LruDeprio => return Err(Unsupported::new(action, "no system call does it: use cold")),
            Action::MigrateHot | Action::MigrateCold => {
                return Err(Unsupported::new(action, "one's own memory is advised only: use a backend that migrates"));
            }
            _ => return Err(Unsupported::new(action, "the kernel knows no such action: use an actor of your own")),
        };
        if advice.is_known() { Ok(Some(advice)) } else { Err(Unsupported::new(action, lacks)) }
    }

    fn can_filter(&self, req: &Request<'_>) -> Result<(), Unsupported> {
        let why = |page| match page {
            PageFilter::Anon | PageFilter::Unmapped | PageFilter::HugepageSize { .. } if self.scans => None,
            PageFilter::Anon | PageFilter::Unmapped | PageFilter::HugepageSize { .. } => {
                Some("page filters need PAGEMAP_SCAN: Linux 6.7 has it; filter by address")
            }
            PageFilter::Active => Some("which list a page is on is told to root only (kpageflags): use age"),
            PageFilter::Young => Some("accessed bits are not told: use the pattern's frequency and age"),
            PageFilter::Memcg(_) => Some("who a page is charged to is told to root only (kpagecgroup)"),
            _ => Some("the kernel knows no such property of a page"),
        };
        match req.filters.iter().find_map(|f| why(f.page)) {
            Some(why) => Err(Unsupported::new(req.action, why)),
            None => Ok(()),
        }
    }

    /// The watched places that make up `range`, each cut to it and to whole pages.
    fn places(&self, target: TargetId, range: AddrRange) -> Result<Vec<Place>, ActError> {
        let pid = std::process::id();
        if pid != self.pid {
            return Err(Forked { owner: self.pid, pid }.into());
        }
        if target != self.target {
            return Err(ActError::UnknownTarget { target, own: self.target });
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut at, mut out) = (range.start(), Vec::new());
        for place in &known[known.partition_point(|p| p.range.end() <= range.start())..] {
            let Some(part) = place.range.intersection(range).filter(|part| part.start() == at) else { break };
            at = part.end();
            out.extend(within(part, self.page).map(|range| Place { range, ..place.clone() }));
        }
        match AddrRange::new(at, range.end()) {
            Some(range) => Err(ActError::UnknownRange { range }),
            None => Ok(out),
        }
    }

    /// Calls `each` with runs of pages of `range` that are alike; what is in no mapping is in none.
    fn scan(&self, range: AddrRange, mut each: impl FnMut(AddrRange, Page)) -> Result<(), ActError> {
        let wanted = Page::PRESENT | Page::SWAPPED | Page::HUGE;
        let mut regions = [ScanRegion::default(); 64];
        let mut rest = Some(range);
        while let Some(at) = rest {
            let scan = self.pagemap.scan(at, wanted, &mut regions);
            let (n, walked) = scan.map_err(|source| ActError::Look { range: at, source })?;
            for r in &regions[..n] {
                if let Some(run) = AddrRange::new(r.start, r.end) {
                    each(run, Page::from_scan(r.categories));
                }
            }
            rest = AddrRange::new(walked, range.end()).filter(|_| walked > at.start());
        }
        Ok(())
    }

    /// The parts of a place whose pages pass `filters`.
    fn passing(&self, place: &Place, filters: &[Filter]) -> Result<Vec<AddrRange>, ActError> {
        if filters.is_empty() {
            return Ok(vec![place.range]);
        }
        let mut out: Vec<AddrRange> = Vec::new();
        self.scan(place.range, |run, page| {
            let size = if page.any(Page::HUGE) { self.huge } else { self.page };
            let pass = passes(filters, |filter| match filter {
                PageFilter::Anon => !place.shared,
                // Others may map shared memory: by this process.
                PageFilter::Unmapped => !page.any(Page::PRESENT),
                PageFilter::HugepageSize { min, max } => page.any(Page::PRESENT) && (min..=max).contains(&size),
                _ => false,
            });
            if pass {
                match out.last_mut().filter(|last| last.end() == run.start()) {
                    Some(last) => *last = AddrRange::new(last.start(), run.end()).unwrap_or(*last),
                    None => out.push(run),
                }
            }
        })?;
        Ok(out)
    }

    /// Applies `advice` to `range` of `place` in the largest parts that can succeed by themselves.
    fn act(&self, action: Action, advice: Advice, place: &Place, range: AddrRange, done: &mut Done) {
        let parts = match advice {
            // A flag of the mapping: in parts it would be cut into pieces on the way.
            Advice::Hugepage | Advice::Nohugepage => range.size(),
            _ => self.huge,
        };
        let mut start = range.start();
        while let Some(part) = AddrRange::new(start, range.end()) {
            let next = if parts == range.size() { range.end() } else { Extent::of(self.huge).start(start) + self.huge };
            let part = AddrRange::new(start, next.min(range.end())).unwrap_or(part);
            start = part.end();
            let result = match advice {
                Advice::Collapse if part.size() < self.huge => continue,
                Advice::Collapse => collapse(place, part),
                _ => advise(part, advice),
            };
            match result {
                Ok(()) => done.size += part.size(),
                // The other parts are gone on with: nobody else tries them.
                Err(source) => {
                    done.error.get_or_insert(ActError::Advise { action, range: part, source });
                }
            }
        }
    }

    fn try_apply(
        &self,
        target: TargetId,
        range: AddrRange,
        req: &Request<'_>,
        done: &mut Done,
    ) -> Result<(), ActError> {
        let places = self.places(target, range)?;
        let advice = Self::advice(req.action)?;
        self.can_filter(req)?;
        for place in &places {
            for part in self.passing(place, req.filters)? {
                done.passed += part.size();
                if let Some(advice) = advice {
                    self.act(req.action, advice, place, part, done);
                }
            }
        }
        Ok(())
    }

    /// Bytes of `range` that are in memory.
    fn resident(&self, range: AddrRange) -> Result<u64, ActError> {
        let mut pages = Vec::new();
        in_memory(range, self.page, &mut pages).map_err(|source| ActError::Look { range, source })?;
        Ok(pages.iter().map(|page| u64::from(page & 1)).sum::<u64>() * self.page)
    }

    /// Bytes of `range` that are in swap.
    fn swapped(&self, range: AddrRange) -> Result<u64, ActError> {
        let mut pages = vec![Page::UNMAPPED; (range.size() / self.page) as usize];
        self.pagemap.read(range.start(), &mut pages).map_err(|source| ActError::Look { range, source })?;
        Ok(pages.iter().filter(|page| page.any(Page::SWAPPED)).count() as u64 * self.page)
    }
}

impl ApplyOps for OwnActor {
    type Error = ActError;

    fn supports(&self, target: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        if target.is_some_and(|target| target != self.target) {
            return Err(Unsupported::new(req.action, "the target is not this process: use an actor of its own"));
        }
        Self::advice(req.action)?;
        self.can_filter(req)
    }

    fn apply(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<ActError> {
        let (started, mut done) = (Instant::now(), Done::default());
        if let Err(error) = self.try_apply(target, range, req, &mut done) {
            done.error.get_or_insert(error);
        }
        Applied { size: done.size, filter_passed: done.passed, took: started.elapsed(), error: done.error }
    }

    fn verify(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Result<Option<u64>, ActError> {
        let mut size = 0;
        for place in self.places(target, range)? {
            size += match req.action {
                Action::Pageout if place.shared => place.range.size() - self.resident(place.range)?,
                Action::Pageout => self.swapped(place.range)?,
                Action::Willneed => self.resident(place.range)?,
                Action::Collapse if self.scans => {
                    let mut huge = 0;
                    self.scan(place.range, |run, page| huge += if page.any(Page::HUGE) { run.size() } else { 0 })?;
                    huge
                }
                _ => return Ok(None),
            };
        }
        Ok(Some(size))
    }
}

/// Collapses one block, which is not registered meanwhile. If it cannot be registered again, who watches finds out at
/// its next look, and tries itself.
fn collapse(place: &Place, block: AddrRange) -> io::Result<()> {
    let uffd = place.uffd.as_ref().and_then(|(mode, uffd)| Some((*mode, uffd.upgrade()?)));
    if let Some((_, uffd)) = &uffd {
        uffd.unregister(block)?;
    }
    let result = advise(block, Advice::Collapse);
    if let Some((mode, uffd)) = &uffd {
        let _ = uffd.register(block, *mode);
    }
    result
}

/// The whole pages in `range`.
fn within(range: AddrRange, page: u64) -> Option<AddrRange> {
    let start = range.start().checked_next_multiple_of(page)?;
    AddrRange::new(start, Extent::of(page).start(range.end()))
}
