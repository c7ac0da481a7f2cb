//! Acting on one's own memory: advice to the kernel that changes where memory is kept and never what is in it.
//!
//! Counterpart: `damos_madvise`, `damon_va_apply_scheme` (`mm/damon/vaddr.c`, Linux 7.3).

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use damon_core::{
    Action, AddrRange, Applied, ApplyOps, Extent, Filter, PageFilter, Request, TargetId, Unsupported, passes,
};

use super::error::{ActError, Forked};
use super::{How, Own};
use crate::linux::Page;
use crate::linux::act::{self, LeftAlone, Reach, Run, Tally, whole_pages};
use crate::sys::{Advice, Mode, Pagemap, Pidfd, ScanRegion, Uffd, advise, in_memory};

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
            this: Pidfd::open(self.pid).ok(),
            reach: Reach::new(Path::new("/"), true),
            left: Tally::default(),
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

/// Acts on the memory that an [`Own`] watches, by `madvise` and `move_pages`, without privileges. Whatever it does, the content of memory
/// stays.
///
/// | action | what is done | verified by |
/// |---|---|---|
/// | cold, lru_deprio | `MADV_COLD` | nobody can tell |
/// | pageout | `MADV_PAGEOUT`; anonymous and shared memory stays where there is no swap | private: the page table; shared: `mincore` |
/// | willneed | `MADV_WILLNEED`: reads it from swap or file, to be mapped by the first access | `mincore` |
/// | hugepage, nohugepage | `MADV_HUGEPAGE`, `MADV_NOHUGEPAGE`, for what comes | nobody can tell |
/// | collapse | `MADV_COLLAPSE` of each whole block | the page table, where it can be scanned |
/// | migrate_hot, migrate_cold | `move_pages`, of what nobody else maps | its query: on one of the destinations |
/// | stat | nothing | nobody can tell |
///
/// A protected page keeps the kernel from collapsing its block, so the block's registration with userfaultfd is taken
/// back meanwhile: what was armed there shows as accessed or unknown in that window. Act between windows, as schemes do.
/// With [`HugePages::Keep`](crate::HugePages::Keep) private memory that became huge is not watched for writes any more.
///
/// What may not go to every destination of a migration is left alone: the process's cpuset may lack the node, or a mapping's memory policy
/// ([`Policy`](crate::linux::Policy)) name others. To know that, migrations have the kernel go through the process's page tables now
/// and then (`numa_maps`, 20 ns a page), for a hundredth of the time at most; it locks a mapping against changes meanwhile.
#[derive(Debug)]
pub struct OwnActor {
    target: TargetId,
    pid: u32,
    page: u64,
    huge: u64,
    pagemap: Pagemap,
    /// `PAGEMAP_SCAN` works.
    scans: bool,
    this: Option<Pidfd>,
    reach: Reach,
    left: Tally,
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
    /// Migrations heed memory policies, as they do at first, or not. Cpusets hold in any case.
    pub fn ignore_policies(&mut self, wanted: bool) {
        self.reach = Reach::new(Path::new("/"), !wanted);
    }

    /// What cpuset and memory policies kept from being moved until now.
    pub fn left_alone(&self) -> LeftAlone {
        self.left.now()
    }

    /// The same later on, for who gives the actor away.
    pub fn tally(&self) -> Tally {
        self.left.clone()
    }

    /// `Ok(None)`: it is no advice.
    fn advice(action: Action) -> Result<Option<Advice>, Unsupported> {
        let advice = match (action, act::advice(action)) {
            (_, Some(advice)) => advice,
            (Action::Stat | Action::MigrateHot | Action::MigrateCold, _) => return Ok(None),
            (Action::LruPrio, _) => return Err(Unsupported::new(action, "no system call does it: use willneed")),
            _ => return Err(Unsupported::new(action, "the kernel knows no such action: use an actor of your own")),
        };
        let lacks = match advice {
            Advice::Cold => "the kernel has no MADV_COLD: Linux 5.4 has",
            Advice::Pageout => "the kernel has no MADV_PAGEOUT: Linux 5.4 has",
            Advice::Willneed => "the sandbox forbids madvise",
            Advice::Hugepage | Advice::Nohugepage => "the kernel has no CONFIG_TRANSPARENT_HUGEPAGE",
            Advice::Collapse => {
                "the kernel has no MADV_COLLAPSE: Linux 6.1 with CONFIG_TRANSPARENT_HUGEPAGE has, hugepage works before"
            }
        };
        if advice.is_known() { Ok(Some(advice)) } else { Err(Unsupported::new(action, lacks)) }
    }

    /// This process, to move its pages; they go to a destination.
    fn can_migrate(&self, req: &Request<'_>) -> Result<&Pidfd, Unsupported> {
        let refused = |why| Err(Unsupported::new(req.action, why));
        let Some(this) = &self.this else {
            return refused(
                "this process cannot be held (pidfd_open): Linux 5.3 can, and a sandbox that lets it through",
            );
        };
        if !self.scans {
            return refused("which pages are huge is told by PAGEMAP_SCAN: Linux 6.7 has it");
        }
        if req.dests.iter().all(|dest| dest.weight == 0) {
            return refused("use a destination with a weight above 0");
        }
        act::supports(req.action, Some(this)).map(|()| this)
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
            out.extend(whole_pages(part, self.page).map(|range| Place { range, ..place.clone() }));
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
        &mut self,
        target: TargetId,
        range: AddrRange,
        req: &Request<'_>,
        done: &mut Done,
    ) -> Result<(), ActError> {
        let places = self.places(target, range)?;
        let advice = Self::advice(req.action)?;
        self.can_filter(req)?;
        if migrates(req.action) {
            self.can_migrate(req)?;
            self.reach.renew();
        }
        for place in &places {
            let mut passing = self.passing(place, req.filters)?;
            if migrates(req.action) {
                let kept = self.reach.cut(self.pid, &mut passing, req.dests, false);
                kept.into_iter().for_each(|(why, bytes)| self.left.kept(why, bytes));
            }
            for part in passing {
                done.passed += part.size();
                if let Some(this) = self.this.as_ref().filter(|_| migrates(req.action)) {
                    let act::Done { size, error, .. } = act::migrate(this, &self.movable(part)?, req.dests, false);
                    done.size += size;
                    done.error = done.error.take().or(error.map(Into::into));
                }
                if let Some(advice) = advice {
                    self.act(req.action, advice, place, part, done);
                }
            }
        }
        Ok(())
    }

    /// The pages of `part` that are in memory: huge ones only whole.
    fn movable(&self, part: AddrRange) -> Result<Vec<Run>, ActError> {
        let mut out = Vec::new();
        self.scan(part, |run, page| {
            let size = if page.any(Page::HUGE) { self.huge } else { self.page };
            let whole = whole_pages(run, size).filter(|_| page.any(Page::PRESENT));
            out.extend(whole.map(|range| Run { range, page: size }));
        })?;
        Ok(out)
    }

    /// Bytes of `range` that are on one of the destinations.
    fn migrated(&self, range: AddrRange, req: &Request<'_>) -> Result<u64, ActError> {
        let addrs: Vec<u64> = (range.start()..range.end()).step_by(self.page as usize).collect();
        let nodes = act::nodes_of(self.can_migrate(req)?, &addrs)?;
        let there = |node| req.dests.iter().any(|dest| dest.weight > 0 && dest.node == node);
        Ok(nodes.into_iter().flatten().filter(|&node| there(node)).count() as u64 * self.page)
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
        if migrates(req.action) {
            self.can_migrate(req)?;
        }
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
                Action::MigrateHot | Action::MigrateCold => self.migrated(place.range, req)?,
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

const fn migrates(action: Action) -> bool {
    matches!(action, Action::MigrateHot | Action::MigrateCold)
}
