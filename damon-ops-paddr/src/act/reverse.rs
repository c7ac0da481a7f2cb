//! Who maps a frame, and where: the page tables of processes, read backwards.
//!
//! Counterpart: `rmap_walk` (`mm/rmap.c`, Linux 7.3), which the kernel does not show to user space.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use damon_core::AddrRange;
use damon_ops_vaddr::linux::{PagemapEntry, Pfn, Process, ProcessPagemap, Resident};

use crate::files::{ReadError, numbered};

/// Whose memory may be acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Candidates {
    /// Every process there is.
    #[default]
    All,
    /// These. What others map too is then not acted on: not all its owners are known.
    Processes(Vec<u32>),
}

/// Frames side by side that a process maps side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    pfn: u64,
    addr: u64,
    pid: u32,
    pages: u32,
}

/// The longest run: a look-up begins so far below what it looks for.
const MAX_RUN: u32 = 512;
/// Pages that are read between two looks at the clock: about half a millisecond.
const CHUNK: u64 = 8_192;

/// A place where a frame is mapped. It was, when its process was scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) pid: u32,
    pub(super) addr: u64,
    pub(super) pfn: Pfn,
}

/// What scanning cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scanned {
    /// Page tables that were read to their end.
    pub processes: u64,
    /// Pages in memory that they had.
    pub pages: u64,
    /// How long it took.
    pub took: Duration,
}

/// Where so many pages were mapped by nobody known, processes are looked at again after this time already.
const SOON: Duration = Duration::from_secs(5);
/// Runs that were learnt one by one, before they are put among the others.
const RECENT: usize = 1 << 14;

/// Frames and where they are mapped, kept from application to application and brought up to date bit by bit.
///
/// What it says may be out of date, and is looked at again before anything is done: a page that is elsewhere now costs a
/// look, and a page that is new is missed. What is cold was there for long, so most of what is asked is known.
#[derive(Debug)]
pub(super) struct ReverseMap {
    root: PathBuf,
    page: u64,
    who: Candidates,
    /// A process is looked at again when it was last so long ago.
    age: Duration,
    /// By frame.
    runs: Vec<Run>,
    /// By frame too: what was learnt since.
    recent: Vec<Run>,
    /// Much was asked that is not known.
    lacks: bool,
    /// When each process was scanned last; who cannot be, too.
    scanned: BTreeMap<u32, Instant>,
    listed: Option<Instant>,
    /// Whose turn it is; the last is the next.
    queue: Vec<u32>,
    current: Option<Scan>,
    entries: Vec<Option<PagemapEntry>>,
    pub(super) stats: Scanned,
}

/// A process that is being scanned.
#[derive(Debug)]
struct Scan {
    pid: u32,
    table: ProcessPagemap,
    /// What of it is in memory and was not read yet; the last is the next.
    rest: Vec<AddrRange>,
    runs: Vec<Run>,
}

impl ReverseMap {
    pub(super) fn new(root: &Path, page: u64, who: Candidates, age: Duration) -> Self {
        Self {
            root: root.into(),
            page,
            who,
            age,
            runs: Vec::new(),
            recent: Vec::new(),
            lacks: false,
            scanned: BTreeMap::new(),
            listed: None,
            queue: Vec::new(),
            current: None,
            entries: Vec::new(),
            stats: Scanned::default(),
        }
    }

    /// Reads page tables that were not read for long, for `time` at most. What is left is gone on with the next time.
    pub(super) fn refresh(&mut self, time: Duration) -> Result<(), ReadError> {
        let started = Instant::now();
        let mut done: Vec<Scan> = Vec::new();
        let result = loop {
            let Some(mut scan) = self.current.take() else {
                match self.next(started) {
                    Ok(Some(pid)) => {
                        // Who has ended, is a kernel thread or may not be read maps nothing that could be acted on.
                        self.scanned.insert(pid, started);
                        self.current = self.begin(pid);
                    }
                    Ok(None) => break Ok(()),
                    Err(e) => break Err(e),
                }
                if started.elapsed() >= time {
                    break Ok(());
                }
                continue;
            };
            match self.advance(&mut scan) {
                true => self.current = Some(scan),
                false => done.push(scan),
            }
            if started.elapsed() >= time {
                break Ok(());
            }
        };
        self.merge(done);
        self.stats.took += started.elapsed();
        result
    }

    /// Pages of a process are in these frames now: addresses and frames.
    pub(super) fn learn(&mut self, pid: u32, pages: impl IntoIterator<Item = (u64, Pfn)>) {
        for (addr, pfn) in pages {
            append(&mut self.recent, Run { pfn: pfn.0, addr, pid, pages: 1 }, self.page);
        }
        if self.recent.len() > RECENT {
            self.runs.append(&mut self.recent);
            self.runs.sort_by_key(|run| run.pfn);
        }
        self.recent.sort_by_key(|run| run.pfn);
    }

    /// How many of the bytes that were asked for are mapped by nobody known: if they are many, processes are looked at
    /// again soon.
    pub(super) fn missed(&mut self, unknown: u64, asked: u64) {
        self.lacks |= unknown > asked / 16;
    }

    /// Who is to be scanned now, if anybody is.
    fn next(&mut self, now: Instant) -> Result<Option<u32>, ReadError> {
        let age = if self.lacks { self.age.min(SOON) } else { self.age };
        let old = |at: Instant| now.saturating_duration_since(at) >= age;
        if self.queue.is_empty() && self.listed.is_none_or(old) {
            (self.listed, self.lacks) = (Some(now), false);
            let all = numbered(&self.root.join("proc"), "")?;
            let is = |pid: &u32| match &self.who {
                Candidates::All => true,
                Candidates::Processes(pids) => pids.contains(pid),
            };
            let alive: Vec<u32> = all.into_iter().filter(is).collect();
            self.scanned.retain(|pid, _| alive.binary_search(pid).is_ok());
            self.runs.retain(|run| alive.binary_search(&run.pid).is_ok());
            self.recent.retain(|run| alive.binary_search(&run.pid).is_ok());
            self.queue = alive.into_iter().filter(|pid| self.scanned.get(pid).copied().is_none_or(old)).collect();
            // The new ones first, then who waits longest.
            self.queue.sort_by_key(|pid| std::cmp::Reverse(self.scanned.get(pid).copied()));
        }
        Ok(self.queue.pop())
    }

    fn begin(&self, pid: u32) -> Option<Scan> {
        let process = Process::open(&self.root, pid).ok()?;
        let maps = process.maps().ok()?;
        let table = process.pagemap(self.page).ok()?;
        let resident = Resident::open(&process.path("pagemap")).ok();
        let mut rest = Vec::new();
        for mapping in maps {
            let known = resident.as_ref().map(|r| r.runs(mapping.range, &mut rest));
            if !matches!(known, Some(Ok(()))) {
                // A kernel before 6.7 does not tell: all of it is read.
                rest.push(mapping.range);
            }
        }
        rest.reverse();
        Some(Scan { pid, table, rest, runs: Vec::new() })
    }

    /// Reads some more of a process. False: that was all.
    fn advance(&mut self, scan: &mut Scan) -> bool {
        let mut left = CHUNK;
        while let Some(range) = scan.rest.pop() {
            if left == 0 {
                scan.rest.push(range);
                return true;
            }
            let pages = (range.size() / self.page).min(left);
            let Some(part) = AddrRange::from_len(range.start(), pages * self.page) else { continue };
            scan.rest.extend(AddrRange::new(part.end(), range.end()));
            let addrs = (0..pages).map(|n| part.start() + n * self.page);
            if scan.table.entries(addrs.clone(), &mut self.entries).is_err() {
                scan.rest.clear();
                return false;
            }
            for (addr, pfn) in addrs.zip(&self.entries).filter_map(|(addr, e)| Some((addr, (*e)?.pfn()?))) {
                self.stats.pages += 1;
                append(&mut scan.runs, Run { pfn: pfn.0, addr, pid: scan.pid, pages: 1 }, self.page);
            }
            left -= pages;
        }
        self.stats.processes += 1;
        false
    }

    /// Puts what was found of processes in the place of what was known of them.
    fn merge(&mut self, done: Vec<Scan>) {
        if done.is_empty() {
            return;
        }
        let mut pids: Vec<u32> = done.iter().map(|scan| scan.pid).collect();
        pids.sort_unstable();
        self.runs.retain(|run| pids.binary_search(&run.pid).is_err());
        self.recent.retain(|run| pids.binary_search(&run.pid).is_err());
        self.runs.extend(done.into_iter().flat_map(|scan| scan.runs));
        // Stable: most of it is in order already.
        self.runs.sort_by_key(|run| run.pfn);
    }

    /// Every place where one of the `pages` frames from `first` on is mapped, appended to `out`.
    pub(super) fn places(&self, first: Pfn, pages: u64, out: &mut Vec<Place>) {
        let end = first.0.saturating_add(pages);
        let around = |runs: &'_ [Run]| runs.partition_point(|run| run.pfn + u64::from(MAX_RUN) <= first.0);
        let [known, recent] = [&self.runs, &self.recent].map(|runs| runs[around(runs)..].iter());
        for run in known.take_while(|run| run.pfn < end).chain(recent.take_while(|run| run.pfn < end)) {
            let (start, stop) = (run.pfn.max(first.0), (run.pfn + u64::from(run.pages)).min(end));
            for pfn in start..stop {
                let addr = run.addr + (pfn - run.pfn) * self.page;
                out.push(Place { pid: run.pid, addr, pfn: Pfn(pfn) });
            }
        }
    }
}

/// Appends `next`, or makes the last one longer.
fn append(runs: &mut Vec<Run>, next: Run, page: u64) {
    let goes_on = |last: &&mut Run| {
        let pages = u64::from(last.pages);
        last.pfn + pages == next.pfn && last.addr + pages * page == next.addr && last.pages < MAX_RUN
    };
    match runs.last_mut().filter(goes_on) {
        Some(last) => last.pages += 1,
        None => runs.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    fn map_of(mapped: &[(u32, u64, u64, u64)]) -> ReverseMap {
        let mut map = ReverseMap::new(Path::new("/nowhere"), PAGE, Candidates::All, Duration::ZERO);
        for &(pid, addr, pfn, pages) in mapped {
            for n in 0..pages {
                append(&mut map.runs, Run { pfn: pfn + n, addr: addr + n * PAGE, pid, pages: 1 }, PAGE);
            }
        }
        map.runs.sort_by_key(|run| run.pfn);
        map
    }

    fn places(map: &ReverseMap, first: u64, pages: u64) -> Vec<(u64, u32, u64)> {
        let mut out = Vec::new();
        map.places(Pfn(first), pages, &mut out);
        out.sort_unstable_by_key(|place| (place.pfn, place.pid));
        out.iter().map(|place| (place.pfn.0, place.pid, place.addr)).collect()
    }

    #[test]
    fn a_frame_is_found_wherever_it_is_mapped() {
        let map = map_of(&[(1, 0x10000, 100, 8), (2, 0x90000, 104, 2), (3, 0x50000, 90, 2)]);
        assert_eq!(places(&map, 103, 2), [(103, 1, 0x13000), (104, 1, 0x14000), (104, 2, 0x90000)]);
        assert_eq!(places(&map, 92, 8), []);
        assert_eq!(places(&map, 0, 1000).len(), 12);
    }

    #[test]
    fn what_was_learnt_since_is_found_too() {
        let mut map = map_of(&[(1, 0x10000, 100, 8)]);
        map.learn(1, [(0x10000, Pfn(500)), (0x11000, Pfn(501)), (0x12000, Pfn(90))]);
        assert_eq!(places(&map, 501, 1), [(501, 1, 0x11000)]);
        assert_eq!(places(&map, 80, 30).len(), 9);
        map.learn(2, (0..2 * RECENT as u64).map(|n| (n * 2 * PAGE, Pfn(10_000 + n * 2))));
        assert!(map.recent.is_empty() && map.runs.is_sorted_by_key(|run| run.pfn));
        assert_eq!(places(&map, 500, 1), [(500, 1, 0x10000)]);
    }

    #[test]
    fn long_runs_are_cut_so_that_a_look_up_begins_near() {
        let map = map_of(&[(1, 0, 0, 5_000), (2, 0, 2_000, 1)]);
        assert!(map.runs.iter().all(|run| run.pages <= MAX_RUN));
        assert_eq!(
            places(&map, 1_999, 3),
            [(1_999, 1, 1_999 * PAGE), (2_000, 1, 2_000 * PAGE), (2_000, 2, 0), (2_001, 1, 2_001 * PAGE)]
        );
        assert_eq!(places(&map, 4_999, 9), [(4_999, 1, 4_999 * PAGE)]);
    }

    proptest::proptest! {
        #[test]
        fn every_mapped_page_is_found_and_no_other(
            mapped in proptest::collection::vec((1u32..5, 0u64..3_000, 1u64..900), 0..12),
            first in 0u64..4_000,
            pages in 1u64..600,
        ) {
            let mapped: Vec<_> = mapped.iter().map(|&(pid, pfn, n)| (pid, pfn * PAGE, pfn, n)).collect();
            let map = map_of(&mapped);
            let found = places(&map, first, pages).len();
            let overlap = |&(_, _, pfn, n): &(u32, u64, u64, u64)| {
                (pfn + n).min(first + pages).saturating_sub(pfn.max(first))
            };
            proptest::prop_assert_eq!(found as u64, mapped.iter().map(overlap).sum::<u64>());
        }
    }
}
