//! Physical memory as a backend: pages are armed and checked by their idle flags, whoever maps them.
//!
//! Counterpart: `mm/damon/paddr.c` (Linux 7.3), which asks the page tables itself.

mod capabilities;
mod error;

use std::collections::BTreeMap;
use std::path::PathBuf;

use damon_core::{AddrRange, Extent, Fault, Ops, Sample, Seen, Sees, Span, TargetId, Want};
use damon_ops_vaddr::linux::{
    Disturbance, Disturbances, Folio, KPageFlags, PageFilters, PageFlags, PageIdle, Pfn, Whereabouts, page_size,
};

pub use capabilities::{Capabilities, Facility};
pub use error::{OpenError, PaddrError, WatchError};

use crate::area::{Area, whole_pages};

/// How a [`Paddr`] is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where `proc` and `sys` are. Default `/`; elsewhere, nothing is tried before it is used.
    pub root: PathBuf,
    /// Bytes for each address that the monitor sees: a power of two. Default 1. Above a page's size, the first page stands
    /// for all. The same as [`AttrsSpec::addr_unit`](damon_core::AttrsSpec::addr_unit).
    pub addr_unit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { root: "/".into(), addr_unit: 1 }
    }
}

/// Physical memory, watched by page_idle. It takes root.
///
/// A sample of a page that is part of a folio of several observes the whole folio, and says so as its extent. What is on
/// no LRU list (free, hugetlbfs, the kernel's own) has no idle flag: such a sample counts as none.
///
/// ```
/// use damon_core::TargetId;
/// use damon_ops_paddr::{Area, Paddr};
///
/// match Paddr::new() {
///     Ok(mut paddr) => paddr.watch(TargetId::new(0), Area::SystemRam)?,
///     Err(e) => println!("{e}"), // what is missing, and the way out
/// }
/// # Ok::<(), damon_ops_paddr::WatchError>(())
/// ```
#[derive(Debug)]
pub struct Paddr {
    root: PathBuf,
    page: u64,
    unit: u64,
    capabilities: Capabilities,
    areas: BTreeMap<TargetId, Watched>,
    idle: PageIdle,
    flags: KPageFlags,
    filters: PageFilters,
    /// What was armed, by target and address.
    armed: Vec<Armed>,
    pfns: Vec<Pfn>,
    folios: Vec<Folio>,
    heads: Vec<Pfn>,
    still: Vec<bool>,
    pages: Vec<Whereabouts>,
    attrs: Vec<u8>,
}

/// A target: what it is, and the bytes that were memory at the last look.
#[derive(Debug)]
struct Watched {
    area: Area,
    ranges: Vec<AddrRange>,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    target: TargetId,
    addr: u64,
    folio: Folio,
}

impl Paddr {
    /// Of this machine, in bytes.
    ///
    /// # Errors
    /// When something is missing: not root, no page_idle, accesses that do not show. The error is the table of it.
    pub fn new() -> Result<Self, OpenError> {
        Self::with(Options::default())
    }

    /// As `options` say.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and when the unit is no power of two.
    pub fn with(options: Options) -> Result<Self, OpenError> {
        let Options { root, addr_unit: unit } = options;
        if !unit.is_power_of_two() {
            return Err(OpenError::Unit(unit));
        }
        let capabilities = Capabilities::find(&root);
        let lacks = |_| OpenError::Lacks(Box::new(capabilities.clone()));
        if !capabilities.suffices() {
            return Err(lacks(()));
        }
        let page = page_size();
        let idle = PageIdle::open(&root).map_err(|_| lacks(()))?;
        // Whoever asks is seen. That files cannot be locked is no reason not to watch.
        let _ = idle.is_alone();
        Ok(Self {
            idle,
            flags: KPageFlags::open(&root).map_err(|_| lacks(()))?,
            filters: PageFilters::new(&root, page),
            root,
            page,
            unit,
            capabilities,
            areas: BTreeMap::new(),
            armed: Vec::new(),
            pfns: Vec::new(),
            folios: Vec::new(),
            heads: Vec::new(),
            still: Vec::new(),
            pages: Vec::new(),
            attrs: Vec::new(),
        })
    }

    /// What works here, as it was found when this was made.
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Who else uses accessed bits and idle flags now, so that accesses can be missed. Others see this one, too.
    pub fn disturbances(&self) -> Vec<Disturbance> {
        Disturbances::new(&self.root).find(&self.idle)
    }

    /// Watches `area` as `target` from the monitor's next look at ranges on; it looks again at each update interval, so
    /// memory that is plugged or goes offline is followed. A target that is watched already becomes this.
    ///
    /// # Errors
    /// When none of it is memory now, or that cannot be found out.
    pub fn watch(&mut self, target: TargetId, area: Area) -> Result<(), WatchError> {
        let ranges = area.ranges(&self.root, self.page)?;
        if ranges.is_empty() {
            return Err(WatchError::Empty { target, area });
        }
        self.areas.insert(target, Watched { area, ranges });
        Ok(())
    }

    /// Watches it no more.
    pub fn unwatch(&mut self, target: TargetId) {
        self.areas.remove(&target);
        self.armed.retain(|armed| armed.target != target);
    }

    /// The page that is sampled at `addr`, if it is watched memory.
    fn pfn(&self, target: TargetId, addr: u64) -> Option<Pfn> {
        let byte = addr.checked_mul(self.unit)?;
        let ranges = &self.areas.get(&target)?.ranges;
        let at = ranges.partition_point(|range| range.end() <= byte);
        ranges.get(at).filter(|range| range.contains(byte)).map(|_| Pfn(byte / self.page))
    }

    /// The block that a check of a folio observes, in addresses.
    fn extent(&self, folio: Folio) -> Extent {
        Extent::of((folio.pages() * self.page / self.unit).max(1))
    }

    fn see(&mut self, samples: &mut [Sample]) -> Result<(), PaddrError> {
        self.pfns.clear();
        self.heads.clear();
        let mut found = Vec::with_capacity(samples.len());
        for (i, sample) in samples.iter_mut().enumerate() {
            (sample.seen, sample.extent) = (Seen::Unknown, Extent::GRANULE);
            let key = (sample.target, sample.addr);
            let armed = self.armed.binary_search_by_key(&key, |a| (a.target, a.addr)).ok().map(|k| self.armed[k]);
            if let Some((armed, pfn)) = armed.zip(self.pfn(sample.target, sample.addr)) {
                found.push((i, armed.folio));
                self.heads.push(armed.folio.head);
                self.pfns.push(pfn);
            }
        }
        // In this order: reading idle flags brings them up to date, in the page flags too.
        self.idle.read(&self.heads, &mut self.still)?;
        self.flags.folios(&self.pfns, &mut self.folios)?;
        for (k, (i, before)) in found.into_iter().enumerate() {
            let (now, still) = (self.folios[k], self.still[k]);
            samples[i].extent = self.extent(now);
            samples[i].seen = match (still, now.flags.any(PageFlags::IDLE)) {
                // Another page by now, or on no list: its flag was not brought up to date.
                _ if now.head != before.head || now.order != before.order => Seen::Unknown,
                _ if !now.flags.any(PageFlags::LRU) => Seen::Unknown,
                (true, _) => Seen::Idle,
                (false, false) => Seen::Accessed,
                // On no list when the idle flag was read, and back now.
                (false, true) => Seen::Unknown,
            };
        }
        Ok(())
    }

    fn probe(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), PaddrError> {
        let mut pages = std::mem::take(&mut self.pages);
        pages.clear();
        let at = |s: &Sample| self.pfn(s.target, s.addr).map_or(Whereabouts::Nowhere, Whereabouts::Memory);
        pages.extend(samples.iter().map(at));
        let mut attrs = std::mem::take(&mut self.attrs);
        let result = self.filters.attrs(&pages, want.probes, &mut attrs);
        samples.iter_mut().zip(&attrs).for_each(|(sample, &bits)| sample.attrs = bits);
        (self.pages, self.attrs) = (pages, attrs);
        Ok(result?)
    }
}

impl Ops for Paddr {
    type Error = PaddrError;

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), PaddrError> {
        let Some(watched) = self.areas.get_mut(&target) else { return Ok(()) };
        watched.ranges = watched.area.ranges(&self.root, self.page)?;
        let whole = self.unit.max(self.page);
        let units = watched.ranges.iter().filter_map(|range| whole_pages(*range, whole));
        let units = units.filter_map(|r| AddrRange::new(r.start() / self.unit, r.end() / self.unit));
        out.extend(units.map(|range| Span { range, sees: Sees::Accesses }));
        Ok(())
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), PaddrError> {
        self.armed.clear();
        let found = samples.iter().filter_map(|s| Some((s, self.pfn(s.target, s.addr)?)));
        let (found, pfns): (Vec<&Sample>, Vec<Pfn>) = found.unzip();
        self.flags.folios(&pfns, &mut self.folios)?;
        let listed = found.iter().zip(&self.folios).filter(|(_, folio)| folio.flags.any(PageFlags::LRU));
        self.armed.extend(listed.map(|(s, &folio)| Armed { target: s.target, addr: s.addr, folio }));
        self.armed.sort_unstable_by_key(|a| (a.target, a.addr));
        self.heads.clear();
        self.heads.extend(self.armed.iter().map(|a| a.folio.head));
        self.idle.set(&self.heads).map_err(|e| {
            self.armed.clear();
            e.into()
        })
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), PaddrError> {
        if want.access {
            self.see(samples)?;
        }
        if !want.probes.is_empty() {
            self.probe(samples, want)?;
        }
        Ok(())
    }

    fn fault(&self, error: &PaddrError) -> Fault {
        if error.is_transient() { Fault::Transient } else { Fault::Fatal }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;
    use damon_core::{Filter, PageFilter, Probe};

    const BITMAP: &str = "sys/kernel/mm/page_idle/bitmap";
    const TARGET: TargetId = TargetId::new(3);

    /// Pages 0..1024, all on an LRU list and anonymous, but: 8 is free, and 512.. is one huge page.
    struct Machine {
        tree: Tree,
        flags: Vec<u64>,
    }

    impl Machine {
        fn new() -> Self {
            let mut flags = vec![PageFlags::LRU | PageFlags::ANON | PageFlags::MMAP; 1024];
            flags[8] = PageFlags::BUDDY;
            flags[512] |= PageFlags::COMPOUND_HEAD | PageFlags::THP;
            flags[513..].fill(PageFlags::COMPOUND_TAIL);
            let tree = Tree::new(&[("proc/iomem", "00000000-003fffff : System RAM\n"), (BITMAP, "")]);
            let machine = Self { tree, flags };
            machine.put(BITMAP, &[0; 16]);
            machine.put("proc/kpageflags", &machine.flags);
            machine
        }

        fn put(&self, file: &str, words: &[u64]) {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
            std::fs::write(self.tree.path().join(file), bytes).unwrap();
        }

        fn bits(&self) -> Vec<u64> {
            let bytes = std::fs::read(self.tree.path().join(BITMAP)).unwrap();
            bytes.chunks(8).map(|w| u64::from_ne_bytes(w.try_into().unwrap())).collect()
        }

        /// What a touch does to the flag.
        fn touch(&self, pfn: usize) {
            let mut bits = self.bits();
            bits[pfn / 64] &= !(1 << (pfn % 64));
            self.put(BITMAP, &bits);
        }

        fn paddr(&self, unit: u64) -> Paddr {
            let mut paddr = Paddr::with(Options { root: self.tree.path().into(), addr_unit: unit }).unwrap();
            paddr.page = 4096;
            paddr.watch(TARGET, Area::SystemRam).unwrap();
            paddr
        }
    }

    fn samples(pfns: &[u64]) -> Vec<Sample> {
        pfns.iter().map(|pfn| Sample::new(TARGET, pfn << 12)).collect()
    }

    fn check(paddr: &mut Paddr, samples: &mut [Sample]) -> Vec<Seen> {
        paddr.check(samples, &Want::new(true, &[])).unwrap();
        samples.iter().map(|s| s.seen).collect()
    }

    #[test]
    fn pages_are_armed_by_their_frames_and_free_ones_count_as_no_sample() {
        let machine = Machine::new();
        let mut paddr = machine.paddr(1);
        let mut window = samples(&[3, 8, 70, 2000]);
        paddr.arm(&window).unwrap();
        assert_eq!(machine.bits()[..2], [1 << 3, 1 << 6], "neighbours are left alone");
        machine.touch(70);
        let seen = check(&mut paddr, &mut window);
        assert_eq!(seen, [Seen::Idle, Seen::Unknown, Seen::Accessed, Seen::Unknown]);
        assert_eq!(check(&mut paddr, &mut window), seen, "a check consumes nothing");
    }

    #[test]
    fn a_huge_page_is_watched_by_its_head_and_its_extent_said() {
        let machine = Machine::new();
        let mut paddr = machine.paddr(1);
        let mut window = samples(&[511, 600, 1000]);
        paddr.arm(&window).unwrap();
        assert_eq!(machine.bits()[8], 1, "one flag for all of it");
        machine.touch(512);
        assert_eq!(check(&mut paddr, &mut window), [Seen::Idle, Seen::Accessed, Seen::Accessed]);
        let extents: Vec<u64> = window.iter().map(|s| s.extent.bytes()).collect();
        assert_eq!(extents, [4096, 2 << 20, 2 << 20]);
    }

    #[test]
    fn a_page_that_is_another_by_now_is_unknown() {
        let mut machine = Machine::new();
        let mut paddr = machine.paddr(1);
        let mut window = samples(&[4, 5, 6, 600]);
        paddr.arm(&window).unwrap();
        // Freed; back on its list after the idle flag was read; split.
        machine.flags[4] = PageFlags::BUDDY;
        machine.flags[5] |= PageFlags::IDLE;
        machine.touch(5);
        machine.flags[512..].fill(PageFlags::LRU);
        machine.put("proc/kpageflags", &machine.flags);
        let seen = check(&mut paddr, &mut window);
        assert_eq!(seen, [Seen::Unknown, Seen::Unknown, Seen::Idle, Seen::Unknown]);
    }

    #[test]
    fn addresses_are_in_units_as_asked_for() {
        let machine = Machine::new();
        let (mut paddr, mut spans) = (machine.paddr(16), Vec::new());
        paddr.ranges(TARGET, &mut spans).unwrap();
        assert_eq!(spans[0].range, AddrRange::new(0, (4 << 20) / 16).unwrap());
        let mut window = [Sample::new(TARGET, 600 * 256)];
        paddr.arm(&window).unwrap();
        assert_eq!(machine.bits()[8], 1);
        assert_eq!(check(&mut paddr, &mut window), [Seen::Idle]);
        assert_eq!(window[0].extent.bytes(), (2 << 20) / 16);
        let e = Paddr::with(Options { addr_unit: 3, ..Options::default() }).unwrap_err();
        assert!(e.to_string().contains("addr_unit is 3"), "{e}");
    }

    #[test]
    fn probes_tell_what_a_page_is_without_arming() {
        let machine = Machine::new();
        let mut paddr = machine.paddr(1);
        let probe = |page| Probe { filters: vec![Filter { page, matching: true, allow: true }], weight: 0 };
        let huge = PageFilter::HugepageSize { min: 2 << 20, max: 2 << 20 };
        let probes = [probe(PageFilter::Anon), probe(huge), probe(PageFilter::Unmapped)];
        let mut window = samples(&[3, 8, 700, 5000]);
        paddr.check(&mut window, &Want::new(false, &probes)).unwrap();
        let attrs: Vec<u8> = window.iter().map(|s| s.attrs).collect();
        assert_eq!(attrs, [0b001, 0b100, 0b011, 0]);
        assert_eq!(machine.bits()[0], 0);
    }

    #[test]
    fn memory_that_is_unplugged_is_gone_from_the_ranges_and_never_armed() {
        let machine = Machine::new();
        let (mut paddr, mut spans) = (machine.paddr(1), Vec::new());
        machine.tree.write("proc/iomem", "00000000-001fffff : System RAM\n");
        paddr.ranges(TARGET, &mut spans).unwrap();
        assert_eq!(spans.iter().map(|s| s.range.end()).collect::<Vec<_>>(), [2 << 20]);
        let mut window = samples(&[3, 600]);
        paddr.arm(&window).unwrap();
        assert_eq!(check(&mut paddr, &mut window), [Seen::Idle, Seen::Unknown]);
        paddr.unwatch(TARGET);
        assert_eq!(check(&mut paddr, &mut window), [Seen::Unknown; 2]);
    }

    #[test]
    fn a_second_monitor_is_seen_by_the_first() {
        let machine = Machine::new();
        let first = machine.paddr(1);
        assert_eq!(first.disturbances(), []);
        let _second = machine.paddr(1);
        assert_eq!(first.disturbances(), [Disturbance::AnotherMonitor]);
    }

    #[test]
    fn an_area_without_memory_is_refused_when_it_is_added() {
        let machine = Machine::new();
        let beyond = Area::Ranges(AddrRange::new(1 << 40, 2 << 40).into_iter().collect());
        let e = machine.paddr(1).watch(TARGET, beyond).unwrap_err().to_string();
        assert!(e.contains("there is no memory in") && e.contains("lsmem"), "{e}");
    }
}
