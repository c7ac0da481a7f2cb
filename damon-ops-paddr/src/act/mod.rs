//! Acting on physical memory: through the processes that map it, found by their page tables.
//!
//! Counterpart: `damon_pa_apply_scheme` (`mm/damon/paddr.c`, Linux 7.3). There is no call that takes a frame: a page is
//! acted on at an address of a process that maps it. What no process maps, nobody can act on but by
//! [`approximate`](ActorOptions::approximate).

mod error;
mod pick;
mod reclaim;
mod reverse;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant as Clock};

use damon_core::{Action, AddrRange, Applied, ApplyOps, Instant, NodeId, Request, TargetId, Unsupported};
use damon_ops_vaddr::linux::act::{self, Guard, Guardrails, LeftAlone, ProcessError, Run, Tally};
use damon_ops_vaddr::linux::{FilterError, KPageCgroup, Pfn, page_size};

pub use error::{ActError, ActorError};
pub use reverse::{Candidates, Scanned};

use crate::area::{Area, whole_pages};
use crate::ram::common;
use error::unsupported;
use pick::{Frames, Opened, Picker, Piece};
use reclaim::Reclaimer;
use reverse::{Place, ReverseMap};

/// How a [`PaddrActor`] is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorOptions {
    /// Where `proc` and `sys` are. Default `/`.
    pub root: PathBuf,
    /// The targets that are physical memory: nothing is done to the addresses of others. Default: target 0.
    pub targets: Vec<TargetId>,
    /// Bytes for each address that the monitor sees, as in [`Options::addr_unit`](crate::Options::addr_unit). Default 1.
    pub addr_unit: u64,
    /// Through whom is acted. Default: everybody.
    pub candidates: Candidates,
    /// What is left alone whatever a scheme says. Default: this process.
    pub rails: Guardrails,
    /// So long page tables are read in one application of schemes, at most, give or take half a millisecond; it is charged
    /// to the first region. What is left is read in the next one. Default 20 ms.
    pub scan_time: Duration,
    /// Page tables are read again after so long; after 5 s already, where more than a sixteenth of what was to be acted on is
    /// mapped by nobody known. What was mapped since is not acted on; what was unmapped is found out before it is. Default
    /// 60 s.
    pub scan_age: Duration,
    /// To page out what nobody maps (page cache), has the kernel reclaim as much from the cgroup that it is charged to
    /// (`memory.reclaim`): likely other pages of it, the coldest as the kernel sees it. Default: not.
    pub approximate: bool,
}

impl Default for ActorOptions {
    fn default() -> Self {
        Self {
            root: "/".into(),
            targets: vec![TargetId::new(0)],
            addr_unit: 1,
            candidates: Candidates::All,
            rails: Guardrails::default(),
            scan_time: Duration::from_millis(20),
            scan_age: Duration::from_secs(60),
            approximate: false,
        }
    }
}

/// Bytes that were to be acted on and were not, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotApplied {
    /// On no LRU list: free, of hugetlbfs, the kernel's own.
    pub unlisted: u64,
    /// Of folios that lie across the end of a range, or are mapped in pieces.
    pub cut: u64,
    /// No process maps it: page cache.
    pub unmapped: u64,
    /// Mapped by somebody who is no candidate, or was not scanned yet.
    pub owner_unknown: u64,
    /// Mapped more than once, which only migrations may be.
    pub shared: u64,
    /// Of this process, of a protected cgroup, pinned, below a `memory.min`, or kept on its node by a cpuset or a memory policy:
    /// [`PaddrActor::left_alone`] tells.
    pub left_alone: u64,
    /// The kernel refused: locked or pinned, or the node is full.
    pub refused: u64,
}

/// Who acts on physical memory: pageout, cold, lru_deprio, migrate_hot, migrate_cold. It takes root.
///
/// **The rule about shared pages.** A page is acted on only if every place where it is mapped is known, and every process
/// that maps it may be acted on. If there are several places, it is only ever moved, through the first of them; paging it
/// out or deprioritising it would take all of them at once.
///
/// A page is not moved where the cpuset of a process that maps it, or the memory policy of a mapping of it
/// ([`Policy`](damon_ops_vaddr::linux::Policy)), keeps it from one of the destinations: it counts as not passed.
///
/// Between the look at a page and the call somebody may have mapped another page at the address: then that one of the same
/// process is acted on. No action changes content.
///
/// ```
/// use damon_core::{Action, ApplyOps, Request};
/// use damon_ops_paddr::{ActorOptions, PaddrActor};
///
/// match PaddrActor::new(ActorOptions::default()) {
///     Ok(actor) => assert!(actor.supports(None, &Request::new(Action::Collapse, &[], &[])).is_err()),
///     Err(e) => println!("{e}"),
/// }
/// ```
#[derive(Debug)]
pub struct PaddrActor {
    root: PathBuf,
    targets: Vec<TargetId>,
    page: u64,
    unit: u64,
    scan_time: Duration,
    map: ReverseMap,
    picker: Picker,
    guard: Guard,
    reclaimer: Option<(KPageCgroup, Reclaimer)>,
    opened: Opened,
    /// Between [`open`](ApplyOps::open) and [`close`](ApplyOps::close).
    is_open: bool,
    /// Page tables were brought up to date since it was opened.
    is_fresh: bool,
    /// What was acted on since it was opened.
    acted: Vec<Piece>,
    /// The memory of nodes, as far as somebody asked since it was opened.
    nodes: BTreeMap<NodeId, Vec<AddrRange>>,
    not: NotApplied,
}

/// What an application has come to.
#[derive(Default)]
struct Done {
    size: u64,
    passed: u64,
    error: Option<ActError>,
}

impl PaddrActor {
    /// As `options` say. It reads the page tables of all candidates once, however long it takes: see
    /// [`scanned`](Self::scanned).
    ///
    /// # Errors
    /// When who maps a page cannot be told: not root, or a kernel without `CONFIG_PROC_PAGE_MONITOR`.
    pub fn new(options: ActorOptions) -> Result<Self, ActorError> {
        let ActorOptions { root, targets, addr_unit, candidates, rails, scan_time, scan_age, approximate } = options;
        if !addr_unit.is_power_of_two() {
            return Err(ActorError::Unit(addr_unit));
        }
        let page = page_size();
        let reclaimer = match approximate {
            true => Some((KPageCgroup::open(&root)?, Reclaimer::new(&root, &rails))),
            false => None,
        };
        let picker = Picker::new(&root, page)?;
        let mut map = ReverseMap::new(&root, page, candidates, scan_age);
        map.refresh(Duration::MAX).map_err(ActorError::Processes)?;
        Ok(Self {
            targets,
            page,
            unit: addr_unit,
            scan_time,
            map,
            picker,
            guard: Guard::new(rails, &root),
            reclaimer,
            opened: Opened::default(),
            is_open: false,
            is_fresh: false,
            acted: Vec::new(),
            nodes: BTreeMap::new(),
            not: NotApplied::default(),
            root,
        })
    }

    /// What was not acted on until now, and why.
    pub const fn not_applied(&self) -> NotApplied {
        self.not
    }

    /// What guardrails left alone until now.
    pub fn left_alone(&self) -> LeftAlone {
        self.guard.left_alone()
    }

    /// The same later on, for who gives the actor away.
    pub fn tally(&self) -> Tally {
        self.guard.tally()
    }

    /// What reading page tables cost until now.
    pub const fn scanned(&self) -> Scanned {
        self.map.stats
    }

    /// A range of addresses as bytes of whole pages.
    fn bytes(&self, range: AddrRange) -> Option<AddrRange> {
        let bytes = AddrRange::new(range.start().checked_mul(self.unit)?, range.end().checked_mul(self.unit)?)?;
        whole_pages(bytes, self.page)
    }

    fn try_apply(
        &mut self,
        target: TargetId,
        range: AddrRange,
        req: &Request<'_>,
        done: &mut Done,
    ) -> Result<(), ActError> {
        if !self.targets.contains(&target) {
            return Err(ActError::UnknownTarget(target));
        }
        can(req)?;
        if !std::mem::replace(&mut self.is_fresh, true) && req.action != Action::Stat {
            self.map.refresh(self.scan_time).map_err(ActError::Processes)?;
        }
        let mut parts = Vec::new();
        self.guard.cut(target, range, req.action, &mut parts);
        self.not.left_alone += (range.size() - parts.iter().map(|part| part.size()).sum::<u64>()) * self.unit;
        for part in parts {
            let Some(part) = self.bytes(part) else { continue };
            let frames = Frames { first: part.start() / self.page, end: part.end() / self.page };
            let wanted = self.picker.wanted(frames, req.filters, &mut self.not)?;
            if req.action == Action::Stat {
                done.passed += wanted.iter().map(|folio| folio.pages()).sum::<u64>() * self.page;
                continue;
            }
            let (root, page, opened) = (&self.root, self.page, &mut self.opened);
            let look = |pid, places: &[Place]| {
                let Some((_, table)) = opened.get(root, pid, page) else { return Vec::new() };
                let mut entries = Vec::new();
                match table.entries(places.iter().map(|place| place.addr), &mut entries) {
                    Ok(()) => entries.iter().map(|e| e.and_then(|e| e.pfn())).collect(),
                    Err(_) => Vec::new(),
                }
            };
            let unknown = self.not.owner_unknown;
            let picked = self.picker.pick(&wanted, &self.map, req, &mut self.guard, &mut self.not, look)?;
            done.passed += picked.passed * self.page;
            self.map.missed(self.not.owner_unknown - unknown, picked.passed * self.page);
            for pieces in picked.pieces.chunk_by(|a, b| a.pid == b.pid) {
                self.act(pieces, req, done);
            }
            self.reclaim(&picked.unmapped, req.action, done)?;
        }
        Ok(())
    }

    /// Acts on pieces of one process.
    fn act(&mut self, pieces: &[Piece], req: &Request<'_>, done: &mut Done) {
        let bytes = |pieces: &[Piece]| pieces.iter().map(|piece| u64::from(piece.pages) * self.page).sum::<u64>();
        let (pid, wanted) = (pieces[0].pid, bytes(pieces));
        let may = if req.action == Action::Pageout { self.guard.take(pid, wanted) } else { wanted };
        let mut left = may;
        let within = pieces.iter().take_while(|piece| {
            let fits = u64::from(piece.pages) * self.page <= left;
            left = left.saturating_sub(u64::from(piece.pages) * self.page);
            fits
        });
        let pieces = &pieces[..within.count()];
        let asked = bytes(pieces);
        self.not.left_alone += wanted - asked;
        let Some((process, table)) = self.opened.get(&self.root, pid, self.page) else {
            self.not.owner_unknown += asked;
            return;
        };
        let size = |piece: &Piece| u64::from(piece.pages) * self.page;
        let ranges =
            pieces.iter().filter_map(|piece| Some((AddrRange::from_len(piece.addr, size(piece))?, size(piece))));
        let result = if matches!(req.action, Action::MigrateHot | Action::MigrateCold) {
            let runs: Vec<Run> = ranges.map(|(range, page)| Run { range, page }).collect();
            let result = act::migrate(process.pidfd(), &runs, req.dests, pieces.iter().any(|piece| piece.shared));
            // They are in other frames now.
            let page = self.page;
            let addrs: Vec<u64> =
                runs.iter().flat_map(|run| (run.range.start()..run.range.end()).step_by(page as usize)).collect();
            let mut entries = Vec::new();
            if table.entries(addrs.iter().copied(), &mut entries).is_ok() {
                let now = addrs.iter().zip(&entries).filter_map(|(&addr, e)| Some((addr, (*e)?.pfn()?)));
                self.map.learn(pid, now);
            }
            result
        } else {
            let mut merged: Vec<AddrRange> = Vec::new();
            for (range, _) in ranges {
                match merged.last_mut().filter(|last| last.end() == range.start()) {
                    Some(last) => *last = AddrRange::new(last.start(), range.end()).unwrap_or(*last),
                    None => merged.push(range),
                }
            }
            act::advise(process.pidfd(), req.action, &merged)
        };
        done.size += result.size;
        self.not.refused += asked.saturating_sub(result.size);
        self.acted.extend(pieces);
        match result.error {
            // Processes end, and pages are locked, pinned and in use: it is counted.
            None | Some(ProcessError::Gone { .. } | ProcessError::Range { .. } | ProcessError::Pages { .. }) => {}
            Some(e) => drop(done.error.get_or_insert(e.into())),
        }
    }

    /// Has as much reclaimed of the cgroups that unmapped pages are charged to, where that is allowed.
    fn reclaim(&mut self, unmapped: &[Pfn], action: Action, done: &mut Done) -> Result<(), ActError> {
        let bytes = unmapped.len() as u64 * self.page;
        let Some((cgroups, reclaimer)) = self.reclaimer.as_mut().filter(|_| action == Action::Pageout && bytes > 0)
        else {
            self.not.unmapped += bytes;
            return Ok(());
        };
        let (mut inodes, mut by_cgroup) = (Vec::new(), HashMap::<u64, u64>::new());
        cgroups.read(unmapped, &mut inodes)?;
        inodes.iter().filter(|inode| **inode != 0).for_each(|inode| *by_cgroup.entry(*inode).or_default() += self.page);
        let mut reclaimed = 0;
        for (inode, bytes) in by_cgroup {
            match reclaimer.reclaim(inode, bytes) {
                Ok(bytes) => reclaimed += bytes,
                Err(e) => drop(done.error.get_or_insert(e)),
            }
        }
        done.size += reclaimed;
        self.not.unmapped += bytes - reclaimed;
        Ok(())
    }

    /// Of how many bytes of `range` that were acted on it is in effect.
    fn in_effect(&mut self, range: AddrRange, req: &Request<'_>) -> Result<u64, ActError> {
        let inside = |piece: &&Piece| range.contains(piece.head.0 * self.page);
        let mut pieces: Vec<Piece> = self.acted.iter().filter(inside).copied().collect();
        pieces.sort_unstable();
        let mut bytes = 0;
        for own in pieces.chunk_by(|a, b| a.pid == b.pid) {
            // What an ended process had is not paged out: it is gone.
            let Some((process, table)) = self.opened.get(&self.root, own[0].pid, self.page) else { continue };
            let page = self.page;
            let addrs: Vec<u64> =
                own.iter().flat_map(|p| (0..u64::from(p.pages)).map(move |n| p.addr + n * page)).collect();
            let n = if req.action == Action::Pageout {
                let mut entries = Vec::new();
                table.entries(addrs, &mut entries)?;
                entries.iter().flatten().filter(|entry| !entry.present()).count()
            } else {
                let there = |node: &Option<NodeId>| node.is_some_and(|n| req.dests.iter().any(|dest| dest.node == n));
                match act::nodes_of(process.pidfd(), &addrs) {
                    Ok(nodes) => nodes.iter().filter(|node| there(node)).count(),
                    Err(ProcessError::Gone { .. }) => 0,
                    Err(e) => return Err(e.into()),
                }
            };
            bytes += n as u64 * page;
        }
        Ok(bytes)
    }

    /// How many bytes of `range` are memory of the destinations.
    fn on_nodes(&mut self, range: AddrRange, req: &Request<'_>) -> Result<u64, ActError> {
        let mut bytes = 0;
        for dest in req.dests {
            if !self.nodes.contains_key(&dest.node) {
                let ranges = Area::Node(dest.node).ranges(&self.root, self.page)?;
                self.nodes.insert(dest.node, ranges);
            }
            let of_node = self.nodes.get(&dest.node).map_or(&[][..], Vec::as_slice);
            bytes += common(of_node, &[range]).iter().map(|part| part.size()).sum::<u64>();
        }
        Ok(bytes)
    }
}

impl ApplyOps for PaddrActor {
    type Error = ActError;

    fn supports(&self, target: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        if target.is_some_and(|target| !self.targets.contains(&target)) {
            return Err(Unsupported::new(req.action, "the target is not physical memory: use an actor of its own"));
        }
        can(req)?;
        act::supports(req.action, None)?;
        if req.filters.is_empty() {
            return Ok(());
        }
        self.picker.filters().supports(req.filters).map_err(|e| {
            let why = match e {
                FilterError::Unknown(_) => "the kernel knows no such property of a page: use an actor of your own",
                _ => "page filters read /proc/kpageflags, /proc/kpagecgroup (memcg) and page_idle (young): it takes root, \
                      and a kernel that has them",
            };
            Unsupported::new(req.action, why)
        })
    }

    /// Page tables are read when the first region is acted on, at its cost.
    fn open(&mut self, _: Instant) -> Result<(), ActError> {
        (self.is_open, self.is_fresh) = (true, false);
        self.guard.renew();
        self.opened.clear();
        self.acted.clear();
        self.nodes.clear();
        if let Some((_, reclaimer)) = &mut self.reclaimer {
            reclaimer.renew();
        }
        Ok(())
    }

    fn apply(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<ActError> {
        let (started, mut done) = (Clock::now(), Done::default());
        if let Err(error) = self.try_apply(target, range, req, &mut done) {
            done.error.get_or_insert(error);
        }
        let Done { size, passed, error } = done;
        Applied { size: size / self.unit, filter_passed: passed / self.unit, took: started.elapsed(), error }
    }

    fn close(&mut self) -> Result<(), ActError> {
        self.is_open = false;
        Ok(())
    }

    /// After [`close`](ApplyOps::close): of what was acted on, how much is paged out, or moved, now. Before: how much of
    /// the range is memory of the destinations, as a goal on eligible memory asks.
    fn verify(&mut self, _: TargetId, range: AddrRange, req: &Request<'_>) -> Result<Option<u64>, ActError> {
        let Some(bytes) = self.bytes(range) else { return Ok(Some(0)) };
        let size = match (req.action, self.is_open) {
            (Action::MigrateHot | Action::MigrateCold, true) => self.on_nodes(bytes, req)?,
            (Action::MigrateHot | Action::MigrateCold | Action::Pageout, false) => self.in_effect(bytes, req)?,
            _ => return Ok(None),
        };
        Ok(Some(size / self.unit))
    }
}

/// Is there a way to do it?
fn can(req: &Request<'_>) -> Result<(), Unsupported> {
    let migrates = matches!(req.action, Action::MigrateHot | Action::MigrateCold);
    let nowhere = migrates && req.dests.iter().all(|dest| dest.weight == 0);
    match unsupported(req.action).or(nowhere.then_some("it has no destination: name a node, with a weight above 0")) {
        Some(why) => Err(Unsupported::new(req.action, why)),
        None => Ok(()),
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;
    use damon_core::Dest;

    const TARGET: TargetId = TargetId::new(0);
    const DESTS: [Dest; 1] = [Dest { node: NodeId(1), weight: 1 }];

    fn actor(tree: &Tree) -> PaddrActor {
        let options = ActorOptions { root: tree.path().into(), addr_unit: 4096, ..ActorOptions::default() };
        PaddrActor::new(options).unwrap()
    }

    fn machine() -> Tree {
        let tree = Tree::new(&[("proc/kpagecount", ""), ("proc/kpageflags", "")]);
        let listed: Vec<u8> = (0..64).flat_map(|_| (1_u64 << 5).to_ne_bytes()).collect();
        std::fs::write(tree.path().join("proc/kpageflags"), listed).unwrap();
        tree
    }

    fn pages(n: u64) -> AddrRange {
        AddrRange::new(0, n).unwrap()
    }

    #[test]
    fn what_is_refused_when_asked_is_refused_when_told() {
        let tree = machine();
        let mut actor = actor(&tree);
        for action in [Action::Willneed, Action::Hugepage, Action::Collapse, Action::LruPrio, Action::MigrateCold] {
            let req = Request::new(action, &[], &[]);
            let why = actor.supports(None, &req).unwrap_err().why;
            assert!(why.contains(": "), "{why}");
            let applied = actor.apply(TARGET, pages(4), &req);
            assert!(matches!(applied.error, Some(ActError::Unsupported(_))) && applied.size == 0, "{action:?}");
        }
    }

    #[test]
    fn addresses_of_another_target_are_not_taken_for_physical_ones() {
        let tree = machine();
        let (mut actor, other) = (actor(&tree), TargetId::new(7));
        let req = Request::new(Action::Stat, &[], &[]);
        assert!(actor.supports(Some(other), &req).is_err());
        let applied = actor.apply(other, pages(4), &req);
        assert!(matches!(applied.error, Some(ActError::UnknownTarget(t)) if t == other), "{:?}", applied.error);
    }

    #[test]
    fn pages_that_nobody_maps_are_counted_as_not_applied_in_units_of_the_monitor() {
        let tree = machine();
        let mut actor = actor(&tree);
        let stat = actor.apply(TARGET, pages(80), &Request::new(Action::Stat, &[], &[]));
        assert_eq!((stat.size, stat.filter_passed), (0, 64), "64 pages are on lists");
        let moved = actor.apply(TARGET, pages(64), &Request::new(Action::MigrateHot, &[], &DESTS));
        assert_eq!((moved.size, moved.filter_passed), (0, 64));
        assert_eq!((actor.not_applied().unmapped, actor.not_applied().unlisted), (64 << 12, 16 << 12));
    }

    #[test]
    fn while_it_is_open_it_tells_where_memory_lies() {
        let tree = machine();
        tree.write("proc/iomem", "00000000-0003ffff : System RAM\n");
        tree.write("proc/zoneinfo", "Node 1, zone DMA\n  spanned 16\n  start_pfn: 48\n");
        let mut actor = actor(&tree);
        let req = Request::new(Action::MigrateHot, &[], &DESTS);
        actor.open(Instant::ZERO).unwrap();
        assert_eq!(actor.verify(TARGET, pages(64), &req).unwrap(), Some(16));
        assert_eq!(actor.verify(TARGET, pages(50), &req).unwrap(), Some(2));
        actor.close().unwrap();
        assert_eq!(actor.verify(TARGET, pages(64), &req).unwrap(), Some(0), "nothing was moved");
    }

    #[test]
    fn without_counts_of_mappings_there_is_no_actor() {
        let e = PaddrActor::new(ActorOptions { root: "/nowhere".into(), ..ActorOptions::default() }).unwrap_err();
        assert!(e.to_string().contains("/nowhere/proc/kpagecount"), "{e}");
    }
}
