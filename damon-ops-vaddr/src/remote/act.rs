//! Acting on the memory of other processes.
//!
//! Counterpart: `damon_va_apply_scheme` (`mm/damon/vaddr.c`, Linux 7.3), which needs no permission; here the kernel asks
//! for some.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use damon_core::{Action, AddrRange, Applied, ApplyOps, Request, TargetId, Unsupported};

use super::roster::Roster;
use crate::linux::act::{self, Done, Guard, Guardrails, LeftAlone, ProcessError, Selector, Tally, whole_pages};
use crate::linux::{
    FilterError, Mapping, MapsError, Process, ProcessOpenError, ProcessPagemap, Resident, huge_page_size,
};
use crate::sys::page_size;

/// Pages without anything in memory that are looked at all the same, to save calls.
const HOLE_PAGES: u64 = 128;

/// Why something was not done to another process's memory, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteActError {
    /// Nobody watches it, or not any more.
    #[error("target {} is no process that is watched here: give it to the backend first", .target.get())]
    UnknownTarget {
        /// Which.
        target: TargetId,
    },
    /// The kernel would not.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The page filters cannot be answered.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The process cannot be looked at.
    #[error(transparent)]
    Open(#[from] ProcessOpenError),
    /// Its mappings cannot be read.
    #[error(transparent)]
    Maps(#[from] MapsError),
}

impl From<Unsupported> for RemoteActError {
    fn from(e: Unsupported) -> Self {
        Self::Process(e.into())
    }
}

/// Acts on other processes' memory, by `process_madvise` and `move_pages`: see [`act`] for what each action
/// does and takes. What is in memory stays.
///
/// | action | verified by |
/// |---|---|
/// | pageout | the page table (`swapped`) where memory is private; the page cache (`cachestat`, `mincore`) where it is shared |
/// | willneed | the page cache, where memory is shared |
/// | collapse | the page table |
/// | migrate_hot, migrate_cold | `move_pages`' query: on one of the destinations |
/// | others | nobody can tell |
///
/// Filters are answered from `kpageflags` and its kin: as root; on which node a page lies, by `move_pages`. The mappings of a process are read once per application.
/// An unmapped hole in a range is passed over: it counts neither as passed nor as an error. With filters so is what is not
/// in memory, except for willneed.
///
/// What may not go to every destination of a migration is left alone and counts as not passed: a process's cpuset may lack the node, or a
/// mapping's memory policy ([`Policy`](crate::linux::Policy)) name others. What the process allows after it was read shows in the next
/// reading. A stat with destinations counts what could go there.
#[derive(Debug)]
pub struct RemoteActor {
    known: Roster,
    shared_pages: bool,
    pub(super) page: u64,
    huge: u64,
    selector: Selector,
    guard: Guard,
    /// What was looked up since [`open`](ApplyOps::open).
    looked: BTreeMap<TargetId, Looked>,
}

/// A process as it was when it was first acted on in this application.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) process: Arc<Process>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) pagemap: ProcessPagemap,
    resident: Option<Resident>,
}

/// What came of a request so far.
#[derive(Debug, Default)]
struct Outcome {
    passed: u64,
    done: Done,
}

impl RemoteActor {
    /// Who acts on `processes`, each a target and its pid: for what somebody else watches (a trace, reports).
    ///
    /// # Errors
    /// When one of them cannot be held: see [`Process::open`].
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use damon_core::{Action, ApplyOps, Request, TargetId};
    /// use damon_ops_vaddr::RemoteActor;
    /// use damon_ops_vaddr::linux::act::Guardrails;
    ///
    /// // This process, which is left alone unless the guardrails say otherwise.
    /// let this = [(TargetId::new(0), std::process::id())];
    /// let actor = RemoteActor::new(this, Guardrails::default()).unwrap();
    /// assert!(actor.supports(None, &Request::new(Action::Hugepage, &[], &[])).is_err());
    /// # }
    /// ```
    pub fn new(
        processes: impl IntoIterator<Item = (TargetId, u32)>,
        guardrails: Guardrails,
    ) -> Result<Self, ProcessOpenError> {
        let (root, known) = (PathBuf::from("/"), Roster::default());
        for (target, pid) in processes {
            known.insert(target, Arc::new(Process::open(&root, pid)?));
        }
        Ok(Self::of(known, guardrails))
    }

    /// Who acts on what somebody watches, now and later.
    pub(crate) fn of(known: Roster, guardrails: Guardrails) -> Self {
        let (root, page) = (PathBuf::from("/"), page_size());
        Self {
            known,
            shared_pages: false,
            page,
            huge: huge_page_size(&root.join("sys")),
            selector: Selector::new(&root, page),
            guard: Guard::new(guardrails, &root),
            looked: BTreeMap::new(),
        }
    }

    /// Migrations move pages that other processes map too, or leave them where they are, as they do at first. Moving
    /// them takes `CAP_SYS_NICE`.
    pub const fn migrate_shared_pages(&mut self, wanted: bool) {
        self.shared_pages = wanted;
    }

    /// What the guardrails kept from being acted on until now.
    pub fn left_alone(&self) -> LeftAlone {
        self.guard.left_alone()
    }

    /// The same later on, for who gives the actor away.
    pub fn tally(&self) -> Tally {
        self.guard.tally()
    }

    /// The process of `target` and what is known of it.
    fn look(&mut self, target: TargetId) -> Result<(), RemoteActError> {
        let process = self.known.process(target).ok_or(RemoteActError::UnknownTarget { target })?;
        if !process.is_alive() {
            return Err(ProcessError::Gone { pid: process.pid() }.into());
        }
        let known = self.looked.get(&target).is_some_and(|looked| Arc::ptr_eq(&looked.process, &process));
        if !known {
            let (mappings, pagemap) = (process.maps()?, process.pagemap(self.page)?);
            let resident = Resident::open(&process.path("pagemap")).ok();
            self.looked.insert(target, Looked { process, mappings, pagemap, resident });
        }
        Ok(())
    }

    fn try_apply(
        &mut self,
        target: TargetId,
        range: AddrRange,
        req: &Request<'_>,
        out: &mut Outcome,
    ) -> Result<(), RemoteActError> {
        self.look(target)?;
        let Self { guard, selector, looked, page, huge, shared_pages, .. } = self;
        let Some(Looked { process, mappings, pagemap, resident }) = looked.get_mut(&target) else { return Ok(()) };
        let (pid, action) = (process.pid(), req.action);
        if !guard.admits(pid, action, range.size()) {
            return Ok(());
        }
        let mut parts = Vec::new();
        for (_, mapped) in mapped(mappings, range, *page) {
            guard.cut(target, mapped, action, &mut parts);
        }
        let migrates = matches!(action, Action::MigrateHot | Action::MigrateCold);
        // What is in swap is looked at only where it may come back.
        if migrates || !(req.filters.is_empty() || action == Action::Willneed) {
            parts = resident.as_ref().map_or_else(|| parts.clone(), |resident| inhabited(resident, &parts, *page));
        }
        let Some((by_node, filters)) = act::by_node(req.filters) else { return Err(node_lines(action).into()) };
        if !by_node.is_empty() {
            parts = act::on_nodes(process.pidfd(), &parts, by_node, *page)?;
        }
        if migrates || action == Action::Stat {
            guard.confine(pid, &mut parts, req.dests, action);
        }
        if migrates {
            let mut runs = Vec::new();
            for &part in &parts {
                out.passed += selector.movable(pagemap, part, filters, &mut runs)?;
            }
            out.done = act::migrate(process.pidfd(), &runs, req.dests, *shared_pages);
            return Ok(());
        }
        let mut passing = Vec::new();
        for &part in &parts {
            selector.passing(pagemap, part, filters, &mut passing)?;
        }
        out.passed = size(&passing);
        match action {
            Action::Stat => return Ok(()),
            Action::Pageout => shorten(&mut passing, guard.take(pid, out.passed)),
            Action::Collapse => passing = blocks(&passing, *huge),
            _ => {}
        }
        out.done = act::advise(process.pidfd(), action, &passing);
        Ok(())
    }

    pub(super) fn looked_at(&mut self, target: TargetId) -> Result<Option<&mut Looked>, RemoteActError> {
        self.look(target)?;
        Ok(self.looked.get_mut(&target))
    }
}

impl ApplyOps for RemoteActor {
    type Error = RemoteActError;

    fn supports(&self, target: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        let refused = |why| Err(Unsupported::new(req.action, why));
        match target.map(|target| self.known.process(target)) {
            Some(None) => {
                return refused("the target is no process that is watched here: give it to the backend first");
            }
            Some(Some(process)) => act::supports(req.action, Some(process.pidfd()))?,
            None => {
                act::supports(req.action, None)?;
                for (_, process) in self.known.all() {
                    let answer = act::supports(req.action, Some(process.pidfd()));
                    // One that has ended leaves with the next update.
                    answer.or_else(|e| if process.is_alive() { Err(e) } else { Ok(()) })?;
                }
            }
        }
        let migrates = matches!(req.action, Action::MigrateHot | Action::MigrateCold);
        if migrates && req.dests.iter().all(|dest| dest.weight == 0) {
            return refused("a migration takes a destination with a weight above 0");
        }
        let Some((_, filters)) = act::by_node(req.filters) else { return Err(node_lines(req.action)) };
        self.selector.supports(filters).or_else(|e| refused(e.way_out()))
    }

    fn open(&mut self, _: damon_core::Instant) -> Result<(), RemoteActError> {
        self.looked.clear();
        self.guard.renew();
        Ok(())
    }

    fn apply(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<RemoteActError> {
        let (started, mut out) = (Instant::now(), Outcome::default());
        let failed = self.try_apply(target, range, req, &mut out).err();
        let Outcome { passed, done } = out;
        let error = done.error.map(RemoteActError::from).or(failed);
        Applied { size: done.size, filter_passed: passed, took: started.elapsed(), error }
    }

    fn close(&mut self) -> Result<(), RemoteActError> {
        Ok(())
    }

    fn verify(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Result<Option<u64>, RemoteActError> {
        self.in_effect(target, range, req)
    }
}

fn node_lines(action: Action) -> Unsupported {
    Unsupported::new(action, "lines about nodes come first in a list of filters, and keep pages out: put them so")
}

/// The whole pages of `range` that the process can access, each with its mapping.
pub(super) fn mapped(mappings: &[Mapping], range: AddrRange, page: u64) -> impl Iterator<Item = (&Mapping, AddrRange)> {
    let from = mappings.partition_point(|mapping| mapping.range.end() <= range.start());
    let overlapping = mappings[from..].iter().map_while(move |m| Some((m, m.range.intersection(range)?)));
    overlapping.filter(|(m, _)| m.is_accessible()).filter_map(move |(m, part)| Some((m, whole_pages(part, page)?)))
}

/// `parts` without large holes that no page is in.
fn inhabited(resident: &Resident, parts: &[AddrRange], page: u64) -> Vec<AddrRange> {
    let (mut out, mut runs): (Vec<AddrRange>, _) = (Vec::new(), Vec::new());
    for &part in parts {
        runs.clear();
        if resident.runs(part, &mut runs).is_err() {
            // Before Linux 6.7: all of it.
            out.push(part);
            continue;
        }
        let first = out.len();
        for &run in &runs {
            match out[first..].last_mut().filter(|last| run.start() - last.end() <= HOLE_PAGES * page) {
                Some(last) => *last = AddrRange::new(last.start(), run.end()).unwrap_or(*last),
                None => out.push(run),
            }
        }
    }
    out
}

fn size(ranges: &[AddrRange]) -> u64 {
    ranges.iter().map(|range| range.size()).sum()
}

/// Leaves the first `bytes` of `ranges`.
fn shorten(ranges: &mut Vec<AddrRange>, mut bytes: u64) {
    ranges.retain_mut(|range| {
        let kept = AddrRange::from_len(range.start(), bytes.min(range.size()));
        bytes = bytes.saturating_sub(range.size());
        *range = kept.unwrap_or(*range);
        kept.is_some()
    });
}

/// The whole blocks of `size` bytes in `ranges`.
fn blocks(ranges: &[AddrRange], size: u64) -> Vec<AddrRange> {
    let of = |whole: AddrRange| {
        (0..whole.size() / size).filter_map(move |i| AddrRange::from_len(whole.start() + i * size, size))
    };
    ranges.iter().filter_map(|&range| whole_pages(range, size)).flat_map(of).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::linux::parse_maps;

    fn r(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start, end).unwrap()
    }

    #[test]
    fn holes_and_what_nobody_can_access_are_passed_over() {
        let text = b"1000-3000 rw-p 0 0:0 0\n4000-5000 ---p 0 0:0 0\n5000-8000 rw-s 0 0:5 9 /f\n9000-a000 r--p 0 0:0 0 [vvar]\n";
        let maps = parse_maps(text).unwrap();
        let parts = |range| mapped(&maps, range, 0x1000).map(|(_, part)| part).collect::<Vec<_>>();
        assert_eq!(parts(r(0, 0xf000)), [r(0x1000, 0x3000), r(0x5000, 0x8000)]);
        assert_eq!(parts(r(0x2800, 0x6800)), [r(0x5000, 0x6000)]);
    }

    #[test]
    fn what_may_be_paged_out_is_cut_off_the_front() {
        let mut ranges = vec![r(0, 10), r(20, 30), r(40, 50)];
        shorten(&mut ranges, 15);
        assert_eq!(ranges, [r(0, 10), r(20, 25)]);
        shorten(&mut ranges, 0);
        assert!(ranges.is_empty());
    }

    #[test]
    fn only_whole_blocks_are_collapsed() {
        assert_eq!(blocks(&[r(3, 33), r(40, 49)], 10), [r(10, 20), r(20, 30)]);
        assert!(blocks(&[r(u64::MAX - 5, u64::MAX)], 16).is_empty());
    }
}
