//! The conformance suite, on frames of memory of this process.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use damon_core::{AddrRange, TargetId};
use damon_ops_paddr::{Area, Paddr};
use damon_ops_sim::conformance::{self, Fixture, Touch};
use damon_ops_vaddr::PrivateMap;
use damon_ops_vaddr::linux::{Folio, KPageFlags, PageFlags, Pfn, ProcessPagemap};

use crate::child::{PAGE, alone, compact, lacks, ranges};
use crate::sees::paddr;

const TARGET: TargetId = TargetId::new(5);
/// An emulated CPU notices that an accessed bit was taken away when it next changes its address space, which the machine's ticks
/// make it do each millisecond.
const NOTICE: Duration = Duration::from_millis(10);

struct Frames {
    paddr: Paddr,
    map: PrivateMap,
    /// Where in the map each frame is.
    places: HashMap<u64, u64>,
}

impl Fixture for Frames {
    type Ops = Paddr;

    fn ops(&mut self) -> &mut Paddr {
        &mut self.paddr
    }

    fn target(&self) -> TargetId {
        TARGET
    }

    fn touch(&mut self, addr: u64, touch: Touch) {
        std::thread::sleep(NOTICE);
        let word = &self.map.atomics()[((self.places[&(addr / PAGE)] * PAGE + addr % PAGE) / 8) as usize];
        match touch {
            Touch::Read => _ = std::hint::black_box(word.load(Relaxed)),
            Touch::Write => _ = word.fetch_add(1, Relaxed),
        }
    }
}

/// Whole folios on LRU lists, of memory of `pages` pages. What a fresh machine gives is not always side by side: more is taken, and
/// kept, until some is.
fn frames(pages: u64, huge: bool) -> Option<Frames> {
    let mut paddr = paddr()?;
    compact();
    let mut elsewhere = Vec::new();
    for _ in 0..8 {
        let map = PrivateMap::new((pages * PAGE) as usize).unwrap();
        map.advise_huge(huge).unwrap();
        map.atomics().iter().step_by(512).for_each(|word| word.store(1, Relaxed));
        let (watched, places) = folios(&map, huge);
        // The suite takes four blocks side by side.
        let four = 4 * if huge { 2 << 20 } else { PAGE };
        if watched.iter().any(|range| range.size() >= four) {
            paddr.watch(TARGET, Area::Ranges(watched)).unwrap();
            return Some(Frames { paddr, map, places });
        }
        println!("not side by side: {watched:?}");
        elsewhere.push(map);
    }
    lacks("four folios side by side");
    None
}

/// The ranges of the map's own whole folios, and where in it each frame is.
fn folios(map: &PrivateMap, huge: bool) -> (Vec<AddrRange>, HashMap<u64, u64>) {
    let mut entries = Vec::new();
    let mut table = ProcessPagemap::open("/proc/self/pagemap".into(), PAGE).unwrap();
    table.entries((map.range().start()..map.range().end()).step_by(PAGE as usize), &mut entries).unwrap();
    let pfns: Vec<Pfn> = entries.iter().map(|e| e.unwrap().pfn().unwrap()).collect();
    let mut folios: Vec<Folio> = Vec::new();
    KPageFlags::open("/".as_ref()).unwrap().folios(&pfns, &mut folios).unwrap();
    let places: HashMap<u64, u64> = pfns.iter().enumerate().map(|(n, pfn)| (pfn.0, n as u64)).collect();
    let own = |folio: &Folio| (folio.head.0..folio.head.0 + folio.pages()).all(|pfn| places.contains_key(&pfn));
    let good = |folio: &Folio| folio.flags.any(PageFlags::LRU) && own(folio) && (folio.order == 9) == huge;
    (ranges(pfns.iter().zip(&folios).filter(|(_, folio)| good(folio)).map(|(&pfn, _)| pfn)), places)
}

#[test]
fn frames_of_small_pages_conform() {
    let _alone = alone();
    if let Some(mut frames) = frames(1_024, false) {
        let report = conformance::run(&mut frames);
        println!("{report}");
        report.assert();
    }
}

#[test]
fn frames_of_huge_pages_conform() {
    let _alone = alone();
    if let Some(mut frames) = frames(16 * 512, true) {
        let report = conformance::run(&mut frames);
        println!("{report}");
        report.assert();
    }
}
