//! Which pages of a physical range are acted on, and through whose address: the rule about pages that several map.
//!
//! Counterpart: `damon_pa_pageout`, `damon_pa_migrate` (`mm/damon/paddr.c`, Linux 7.3), which hold the folio itself.

use std::collections::HashMap;

use damon_core::{Action, Filter, Request};
use damon_ops_vaddr::linux::act::{Guard, Kept};
use damon_ops_vaddr::linux::{
    FileError, Folio, KPageCount, PageFilters, PageFlags, Pfn, Process, ProcessPagemap, Whereabouts,
};

use super::NotApplied;
use super::error::ActError;
use super::reverse::{Place, ReverseMap};

/// Pages that are looked at in one go.
const CHUNK: u64 = 8_192;
/// Processes that are held open at most.
const OPEN: usize = 64;

/// A folio that is acted on, through one place where all of it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    pub(super) pid: u32,
    pub(super) addr: u64,
    pub(super) head: Pfn,
    pub(super) pages: u32,
    /// Others map it too, and all of them may be acted on.
    pub(super) shared: bool,
}

/// What came of a range.
#[derive(Debug, Default)]
pub(super) struct Picked {
    /// Ascending by process and address.
    pub(super) pieces: Vec<Piece>,
    /// Pages that nobody maps.
    pub(super) unmapped: Vec<Pfn>,
    /// Pages that passed the filters.
    pub(super) passed: u64,
}

/// Frames from `first` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    pub(super) first: u64,
    pub(super) end: u64,
}

/// Picks pages.
#[derive(Debug)]
pub(super) struct Picker {
    page: u64,
    filters: PageFilters,
    counts: KPageCount,
    pages: Vec<Whereabouts>,
    folios: Vec<Option<Folio>>,
    pass: Vec<bool>,
}

/// Processes that were opened in this application; `None`: cannot be.
#[derive(Debug, Default)]
pub(super) struct Opened(HashMap<u32, Option<(Process, ProcessPagemap)>>);

impl Opened {
    pub(super) fn get(
        &mut self,
        root: &std::path::Path,
        pid: u32,
        page: u64,
    ) -> Option<&mut (Process, ProcessPagemap)> {
        if self.0.len() >= OPEN && !self.0.contains_key(&pid) {
            self.0.clear();
        }
        let open = || {
            let process = Process::open(root, pid).ok()?;
            let table = process.pagemap(page).ok()?;
            Some((process, table))
        };
        self.0.entry(pid).or_insert_with(open).as_mut()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Picker {
    pub(super) fn new(root: &std::path::Path, page: u64) -> Result<Self, FileError> {
        Ok(Self {
            page,
            filters: PageFilters::new(root, page),
            counts: KPageCount::open(root)?,
            pages: Vec::new(),
            folios: Vec::new(),
            pass: Vec::new(),
        })
    }

    pub(super) const fn filters(&self) -> &PageFilters {
        &self.filters
    }

    /// The folios of `frames` that are on LRU lists, lie in them as a whole and pass `filters`.
    pub(super) fn wanted(
        &mut self,
        frames: Frames,
        filters: &[Filter],
        not: &mut NotApplied,
    ) -> Result<Vec<Folio>, ActError> {
        let (mut wanted, mut at) = (Vec::new(), frames.first);
        while at < frames.end {
            let end = (at / CHUNK + 1).saturating_mul(CHUNK).min(frames.end);
            self.pages.clear();
            self.pages.extend((at..end).map(|pfn| Whereabouts::Memory(Pfn(pfn))));
            at = end;
            self.filters.folios(&self.pages, &mut self.folios)?;
            // One page for each folio, asked for the filters: its head.
            let mut found: Vec<Folio> = self.folios.iter().flatten().copied().collect();
            not.unlisted += found.iter().filter(|f| !f.flags.any(PageFlags::LRU)).count() as u64 * self.page;
            found.retain(|f| f.flags.any(PageFlags::LRU));
            let whole = |f: &Folio| frames.first <= f.head.0 && f.head.0 + f.pages() <= frames.end;
            not.cut += found.iter().filter(|f| !whole(f)).count() as u64 * self.page;
            found.retain(whole);
            found.dedup_by_key(|f| f.head);
            self.pages.clear();
            self.pages.extend(found.iter().map(|f| Whereabouts::Memory(f.head)));
            self.filters.pass(&self.pages, filters, &mut self.pass)?;
            wanted.extend(found.into_iter().zip(&self.pass).filter_map(|(folio, pass)| pass.then_some(folio)));
        }
        wanted.dedup_by_key(|f| f.head);
        Ok(wanted)
    }

    /// Through whom each of `wanted` is acted on: see [`judge`]. `look` tells what is at places of one process now.
    pub(super) fn pick(
        &mut self,
        wanted: &[Folio],
        map: &ReverseMap,
        req: &Request<'_>,
        guard: &mut Guard,
        not: &mut NotApplied,
        look: impl FnMut(u32, &[Place]) -> Vec<Option<Pfn>>,
    ) -> Result<Picked, FileError> {
        let mut places = Vec::new();
        for run in wanted.chunk_by(|a, b| a.head.0 + a.pages() == b.head.0) {
            map.places(run[0].head, run.iter().map(|f| f.pages()).sum(), &mut places);
        }
        still_there(&mut places, look);
        places.sort_unstable_by_key(|place| (place.pfn, place.pid, place.addr));

        let pfns: Vec<Pfn> = wanted.iter().flat_map(|f| (f.head.0..f.head.0 + f.pages()).map(Pfn)).collect();
        let mut counts = Vec::new();
        self.counts.read(&pfns, &mut counts)?;

        let mut picked = Picked { passed: pfns.len() as u64, ..Picked::default() };
        let action = req.action;
        let moves = matches!(action, Action::MigrateHot | Action::MigrateCold);
        let mut admitted: HashMap<u32, bool> = HashMap::new();
        let (mut places, mut counts) = (places.as_slice(), counts.as_slice());
        for folio in wanted {
            let end = folio.head.0 + folio.pages();
            let (own, later) = places.split_at(places.partition_point(|place| place.pfn.0 < end));
            let (mapped, rest) = counts.split_at(counts.len().min(folio.pages() as usize));
            (places, counts) = (later, rest);
            let admits = |place: &Place| {
                let pid = place.pid;
                if !*admitted.entry(pid).or_insert_with(|| guard.admits(pid, action, 0)) {
                    return Err(Why::LeftAlone(pid));
                }
                let kept = if moves { guard.keeps(pid, place.addr, req.dests) } else { None };
                kept.map_or(Ok(()), |why| Err(Why::Kept(why)))
            };
            match judge(*folio, own, mapped, moves, self.page, admits) {
                Ok(piece) => picked.pieces.push(piece),
                Err(Why::Unmapped) => picked.unmapped.extend((folio.head.0..end).map(Pfn)),
                Err(why) => {
                    let bytes = folio.pages() * self.page;
                    match why {
                        Why::LeftAlone(pid) => _ = guard.admits(pid, action, bytes),
                        Why::Kept(why) => {
                            guard.kept(why, bytes);
                            picked.passed -= folio.pages();
                        }
                        _ => {}
                    }
                    *why.of(not) += bytes;
                }
            }
        }
        picked.pieces.sort_unstable();
        Ok(picked)
    }
}

/// Why a folio is not acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Unmapped,
    OwnerUnknown,
    Shared,
    LeftAlone(u32),
    Kept(Kept),
    Cut,
}

impl Why {
    fn of(self, not: &mut NotApplied) -> &mut u64 {
        match self {
            Self::Unmapped => &mut not.unmapped,
            Self::OwnerUnknown => &mut not.owner_unknown,
            Self::Shared => &mut not.shared,
            Self::LeftAlone(_) | Self::Kept(_) => &mut not.left_alone,
            Self::Cut => &mut not.cut,
        }
    }
}

/// The rule about pages that several map. A folio is acted on, if of each of its pages all places are known (`counts` says
/// how many there are), and all of them admitted; if a page has several places, only to move it. It is done
/// through the first place, where all of the folio must be mapped in one piece.
fn judge(
    folio: Folio,
    places: &[Place],
    counts: &[u64],
    moves: bool,
    page: u64,
    admits: impl FnMut(&Place) -> Result<(), Why>,
) -> Result<Piece, Why> {
    let Some(first) = places.first() else {
        return Err(if counts.iter().all(|&count| count == 0) { Why::Unmapped } else { Why::OwnerUnknown });
    };
    places.iter().try_for_each(admits)?;
    let (mut rest, mut shared, mut in_one_piece) = (places, false, true);
    for (n, count) in (0..folio.pages()).zip(counts.iter().chain(std::iter::repeat(&0))) {
        let pfn = Pfn(folio.head.0 + n);
        let (here, later) = rest.split_at(rest.partition_point(|place| place.pfn <= pfn));
        rest = later;
        if (here.len() as u64) < *count {
            return Err(Why::OwnerUnknown);
        }
        shared |= here.len() > 1;
        in_one_piece &= here.iter().any(|place| (place.pid, place.addr) == (first.pid, first.addr + n * page));
    }
    match (shared && !moves, in_one_piece && (!moves || first.addr % (folio.pages() * page) == 0)) {
        (true, _) => Err(Why::Shared),
        (_, false) => Err(Why::Cut),
        _ => {
            let pages = u32::try_from(folio.pages()).map_err(|_| Why::Cut)?;
            Ok(Piece { pid: first.pid, addr: first.addr, head: folio.head, pages, shared })
        }
    }
}

/// Leaves those of `places` where the frame is still mapped, as `look` says for places of one process.
fn still_there(places: &mut Vec<Place>, mut look: impl FnMut(u32, &[Place]) -> Vec<Option<Pfn>>) {
    places.sort_unstable();
    places.dedup();
    let mut kept = Vec::with_capacity(places.len());
    for own in places.chunk_by(|a, b| a.pid == b.pid) {
        let now = look(own[0].pid, own);
        kept.extend(own.iter().zip(now).filter(|(place, now)| *now == Some(place.pfn)).map(|(place, _)| *place));
    }
    *places = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    fn folio(order: u8) -> Folio {
        Folio { head: Pfn(8), order, flags: PageFlags::new(PageFlags::LRU) }
    }

    /// Places of pages from frame 8 on: process, page number of the address, frame.
    fn places(list: &[(u32, u64, u64)]) -> Vec<Place> {
        list.iter().map(|&(pid, n, pfn)| Place { pid, addr: n * PAGE, pfn: Pfn(pfn) }).collect()
    }

    fn judged(order: u8, list: &[(u32, u64, u64)], counts: &[u64], moves: bool) -> Result<(u32, u64, bool), Why> {
        let admits = |place: &Place| match place.pid {
            66 => Err(Why::LeftAlone(66)),
            77 => Err(Why::Kept(Kept::Policy)),
            _ => Ok(()),
        };
        let piece = judge(folio(order), &places(list), counts, moves, PAGE, admits)?;
        Ok((piece.pid, piece.addr / PAGE, piece.shared))
    }

    #[test]
    fn a_page_that_one_process_maps_is_acted_on_through_it() {
        assert_eq!(judged(0, &[(1, 5, 8)], &[1], false), Ok((1, 5, false)));
        assert_eq!(judged(0, &[], &[0], false), Err(Why::Unmapped));
        assert_eq!(judged(0, &[], &[1], false), Err(Why::OwnerUnknown));
    }

    #[test]
    fn a_shared_page_is_only_moved_and_only_if_all_its_owners_are_known_and_admitted() {
        let two = [(1, 5, 8), (2, 9, 8)];
        assert_eq!(judged(0, &two, &[2], true), Ok((1, 5, true)));
        assert_eq!(judged(0, &two, &[2], false), Err(Why::Shared));
        assert_eq!(judged(0, &two, &[3], true), Err(Why::OwnerUnknown));
        assert_eq!(judged(0, &two[..1], &[2], false), Err(Why::OwnerUnknown));
        assert_eq!(judged(0, &[(1, 5, 8), (66, 9, 8)], &[2], true), Err(Why::LeftAlone(66)));
        assert_eq!(judged(0, &[(1, 5, 8), (77, 9, 8)], &[2], true), Err(Why::Kept(Kept::Policy)), "of any of them");
        // Twice in one process is twice.
        assert_eq!(judged(0, &[(1, 5, 8), (1, 7, 8)], &[2], false), Err(Why::Shared));
    }

    #[test]
    fn a_large_folio_is_acted_on_as_a_whole_or_not_at_all() {
        let whole = [(1, 4, 8), (1, 5, 9), (1, 6, 10), (1, 7, 11)];
        assert_eq!(judged(2, &whole, &[1; 4], true), Ok((1, 4, false)));
        assert_eq!(judged(2, &whole[..3], &[1, 1, 1, 0], false), Err(Why::Cut), "one page is not mapped");
        let elsewhere = [(1, 4, 8), (1, 5, 9), (1, 96, 10), (1, 97, 11)];
        assert_eq!(judged(2, &elsewhere, &[1; 4], false), Err(Why::Cut));
        let unaligned = [(1, 5, 8), (1, 6, 9), (1, 7, 10), (1, 8, 11)];
        assert_eq!(judged(2, &unaligned, &[1; 4], false), Ok((1, 5, false)));
        assert_eq!(judged(2, &unaligned, &[1; 4], true), Err(Why::Cut), "it could not be named by its address");
    }

    #[test]
    fn a_place_that_holds_another_page_by_now_is_none() {
        let mut found = places(&[(1, 5, 8), (2, 9, 8), (1, 6, 9)]);
        still_there(&mut found, |pid, own| match pid {
            1 => own.iter().map(|p| Some(if p.pfn == Pfn(9) { Pfn(77) } else { p.pfn })).collect(),
            _ => Vec::new(),
        });
        assert_eq!(found, places(&[(1, 5, 8)]));
    }
}
