//! Arms and checks runs of sorted samples: looks at their pages in as few calls as there are far neighbours, then zaps
//! and protects only what was accessed since the last time.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use damon_core::{AddrRange, Extent, PageFilter, Probe, Sample, Seen, passes};

use super::error::IoAt;
use super::method::{Armed, HugePages, Method, plan, seen};
use super::stats::Stats;
use crate::linux::Page;
use crate::sys::{Mode, Pagemap, ScanRegion, Uffd, Zappable, Zapper};

/// Samples at most so many pages apart are looked at in one call: a page in between costs 8 ns, a call 600 ns.
const GAP: u64 = 32;
/// A read fault may map up to so many bytes around it (`fault_around_bytes`, its default).
const FAULT_AROUND: u64 = 64 << 10;
/// Words of `pagemap` that are read at once.
const WORDS: usize = 64;
/// So many samples are zapped with one flush and then protected, so that little happens in between.
const BATCH: usize = 64;

/// What arming and checking need, whatever is watched.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) pagemap: Pagemap,
    pub(crate) zapper: Zapper,
    pub(crate) wp: Option<Arc<Uffd>>,
    pub(crate) rwp: Option<Arc<Uffd>>,
    pub(crate) page: u64,
    pub(crate) huge: u64,
    pub(crate) huge_pages: HugePages,
    pub(crate) stats: Stats,
    pages: Vec<Page>,
    /// Beside the pages, where zapping alone looks: a neighbour is missing, whose reads would bring the page back too.
    lonely: Vec<bool>,
    zaps: Vec<AddrRange>,
    protects: Vec<AddrRange>,
    failed: Vec<AddrRange>,
    regions: [ScanRegion; 64],
}

/// What samples lie in: a range of one kind of memory, watched in one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    pub(crate) method: Method,
    pub(crate) range: AddrRange,
    /// The memory belongs to a file, a memfd or shmem: reading a page that is not in the page table maps it as it is.
    pub(crate) file: bool,
}

impl Ground {
    /// The own process's memory, which is shared where the method zaps and private anonymous elsewhere.
    pub(crate) const fn own(method: Method, range: AddrRange) -> Self {
        Self { method, range, file: method.is_for_shared() }
    }
}

/// Memory that may be zapped, and which of its blocks were huge pages when they were last seen.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) zappable: Zappable,
    pub(crate) method: Method,
    pub(crate) huge_blocks: BTreeSet<u64>,
}

impl Engine {
    pub(crate) fn new(pagemap: Pagemap, zapper: Zapper, page: u64, huge: u64) -> Self {
        Self {
            pagemap,
            zapper,
            wp: None,
            rwp: None,
            page,
            huge,
            huge_pages: HugePages::Keep,
            stats: Stats::default(),
            pages: Vec::new(),
            lonely: Vec::new(),
            zaps: Vec::new(),
            protects: Vec::new(),
            failed: Vec::new(),
            regions: [ScanRegion::default(); 64],
        }
    }

    pub(crate) fn uffd(&self, mode: Mode) -> Option<&Arc<Uffd>> {
        match mode {
            Mode::Wp => self.wp.as_ref(),
            Mode::Rwp => self.rwp.as_ref(),
        }
    }

    /// Arms `samples`, which lie in `ground`, and appends to `out` what was armed for each. True if any page is no longer
    /// registered.
    pub(crate) fn arm(
        &mut self,
        ground: Ground,
        mut shared: Option<&mut Shared>,
        samples: &[Sample],
        out: &mut Vec<Armed>,
    ) -> Result<bool, IoAt> {
        let Ground { method, range, file } = ground;
        let looks_as_it_arms = method == Method::WpAsync && self.huge_pages == HugePages::Keep;
        let (mut lost, mut done) = (false, 0);
        while let Some(rest) = samples.get(done..).filter(|rest| !rest.is_empty()) {
            let alone = if looks_as_it_arms { self.alone(rest) } else { 0 };
            if alone > 0 {
                lost |= self.arm_unseen(ground, &rest[..alone], out)?;
                done += alone;
                continue;
            }
            let batch = &rest[..if looks_as_it_arms { self.together(rest) } else { rest.len().min(BATCH) }];
            let first = out.len();
            match method {
                Method::Zap => self.look_around(batch)?,
                _ => self.look(ground, batch)?,
            }
            self.zaps.clear();
            self.protects.clear();
            for (i, sample) in batch.iter().enumerate() {
                let page = self.pages[i];
                let block = Extent::of(self.huge).start(sample.addr);
                let was_huge = shared.as_ref().is_some_and(|s| s.huge_blocks.contains(&block));
                lost |= method.mode() == Some(Mode::Wp) && !page.any(Page::WP_ALLOWED);
                let mut step = plan(method, page, file, was_huge, self.huge_pages);
                if let Some(shared) = shared.as_mut().filter(|_| page.any(Page::PRESENT)) {
                    if page.any(Page::HUGE) {
                        shared.huge_blocks.insert(block);
                    } else if was_huge {
                        shared.huge_blocks.remove(&block);
                    }
                }
                if method == Method::Zap {
                    let before = (done + i).checked_sub(1).map(|b| samples[b].addr).zip(out.last().copied());
                    step.armed = self.exactness(range, sample.addr, before, self.lonely[i]);
                }
                let size = if step.armed == Armed::Block { self.huge } else { self.page };
                let what = AddrRange::from_len(Extent::of(size).start(sample.addr), size);
                match what.filter(|w| step.armed != Armed::No && range.intersection(*w) == Some(*w)) {
                    Some(what) => {
                        if step.zap {
                            join(&mut self.zaps, what);
                        }
                        if step.protect {
                            join(&mut self.protects, what);
                        }
                    }
                    // Part of a huge page: arming it would split it.
                    None => step.armed = Armed::No,
                }
                match step.armed {
                    Armed::No => self.stats.refused += 1,
                    _ if step.zap || step.protect => self.stats.armed += 1,
                    _ => self.stats.already_armed += 1,
                }
                out.push(step.armed);
            }
            if let Some(shared) = shared.as_ref().filter(|_| !self.zaps.is_empty()) {
                let calls = shared.zappable.zap(&self.zapper, &self.zaps);
                self.stats.syscalls += u64::from(calls.map_err(IoAt::of("zap", self.zaps.first()))?);
            }
            lost |= self.protect(method, batch, &mut out[first..])?;
            done += batch.len();
        }
        Ok(lost)
    }

    /// How many of `samples`, from the first on, are so far from the next that they share no call.
    fn alone(&self, samples: &[Sample]) -> usize {
        let far = |pair: &&[Sample]| pair[1].addr - pair[0].addr > GAP * self.page;
        let n = samples.windows(2).take_while(far).count();
        if n + 1 == samples.len() { samples.len() } else { n }
    }

    /// How many are near the next, and that one.
    fn together(&self, samples: &[Sample]) -> usize {
        let near = |pair: &&[Sample]| pair[1].addr - pair[0].addr <= GAP * self.page;
        (samples.windows(2).take_while(near).count() + 1).min(BATCH)
    }

    /// Arms `samples` with a call each that looks and protects in one. Of a page that needed nothing it does not say why:
    /// it is protected, or not there, or huge.
    fn arm_unseen(&mut self, ground: Ground, samples: &[Sample], out: &mut Vec<Armed>) -> Result<bool, IoAt> {
        let mut lost = false;
        for sample in samples {
            let Some(page) = AddrRange::from_len(self.page_of(sample.addr), self.page) else { continue };
            self.stats.syscalls += 1;
            let (armed, count) = match self.pagemap.protect_written(page, ground.file) {
                Ok(true) => (Armed::Page, &mut self.stats.armed),
                Ok(false) => (Armed::Unseen, &mut self.stats.already_armed),
                // Not registered, not any more.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                    lost = true;
                    (Armed::No, &mut self.stats.refused)
                }
                Err(e) => return Err(IoAt::of("protect", Some(&page))(e)),
            };
            *count += 1;
            out.push(armed);
        }
        Ok(lost)
    }

    /// Protects what was collected. Where a registration is gone the samples are not armed, and true is returned.
    fn protect(&mut self, method: Method, batch: &[Sample], out: &mut [Armed]) -> Result<bool, IoAt> {
        let Some(mode) = method.mode() else { return Ok(false) };
        let Some(uffd) = self.uffd(mode).cloned() else { return Ok(false) };
        self.failed.clear();
        for &range in &self.protects {
            self.stats.syscalls += 1;
            match uffd.protect(range, mode) {
                Ok(()) => {}
                Err(e) if IoAt::is_transient(&e) => return Err(IoAt::of("protect", Some(&range))(e)),
                Err(_) => self.failed.push(range),
            }
        }
        if !self.failed.is_empty() {
            for (sample, armed) in batch.iter().zip(out) {
                if self.failed.iter().any(|r| r.contains(sample.addr)) && *armed != Armed::No {
                    *armed = Armed::No;
                    self.stats.refused += 1;
                }
            }
        }
        Ok(!self.failed.is_empty())
    }

    /// Fills in what was seen of `samples`, which lie in `ground` and of which `armed` was armed. True if any page is
    /// not what it was when it was armed.
    pub(crate) fn check(&mut self, ground: Ground, samples: &mut [Sample], armed: &[Armed]) -> Result<bool, IoAt> {
        let method = ground.method;
        self.look(ground, samples)?;
        let mut lost = false;
        for ((sample, &armed), &page) in samples.iter_mut().zip(armed).zip(&self.pages) {
            sample.seen = seen(method, armed, page);
            sample.extent = Extent::of(match armed {
                Armed::Blurred if sample.seen.is_access() => FAULT_AROUND,
                _ if page.any(Page::HUGE) => self.huge,
                _ => self.page,
            });
            lost |= sample.seen == Seen::Unknown && armed != Armed::No;
            self.stats.unknown += u64::from(sample.seen == Seen::Unknown);
        }
        self.stats.checks += samples.len() as u64;
        Ok(lost)
    }

    /// Fills in which probes the pages of `samples`, looked at before or not, pass.
    pub(crate) fn probe(&mut self, ground: Ground, samples: &mut [Sample], probes: &[Probe]) -> Result<(), IoAt> {
        self.look(ground, samples)?;
        for (sample, &page) in samples.iter_mut().zip(&self.pages) {
            let size = if page.any(Page::HUGE) { self.huge } else { self.page };
            for (i, probe) in probes.iter().enumerate() {
                // What cannot be known here is true of no page, whichever way it is asked.
                let known = |p| matches!(p, PageFilter::Anon | PageFilter::HugepageSize { .. });
                let has = |p| match p {
                    PageFilter::Anon => !ground.file,
                    PageFilter::HugepageSize { min, max } => (min..=max).contains(&size),
                    _ => false,
                };
                let pass = page.is_mapped() && probe.filters.iter().all(|f| known(f.page));
                sample.attrs |= u8::from(pass && passes(&probe.filters, has)) << (i & 7);
            }
        }
        Ok(())
    }

    /// Finds out about the page of each sample.
    fn look(&mut self, ground: Ground, samples: &[Sample]) -> Result<(), IoAt> {
        let Ground { method, range, .. } = ground;
        self.pages.clear();
        self.pages.resize(samples.len(), Page::UNMAPPED);
        let mut from = 0;
        while from < samples.len() {
            let mut to = from + 1;
            while to < samples.len() && samples[to].addr - samples[to - 1].addr <= GAP * self.page {
                to += 1;
            }
            let start = self.page_of(samples[from].addr);
            let end = self.page_of(samples[to - 1].addr) + self.page;
            if let Some(run) = AddrRange::new(start, end).and_then(|run| run.intersection(range)) {
                let error = IoAt::of("look at", Some(&run));
                match method {
                    Method::Zap => self.look_by_word(run, samples, from..to).map_err(error)?,
                    _ => self.look_by_scan(method, run, samples, from..to).map_err(error)?,
                }
            }
            from = to;
        }
        Ok(())
    }

    fn look_by_scan(
        &mut self,
        method: Method,
        run: AddrRange,
        samples: &[Sample],
        which: std::ops::Range<usize>,
    ) -> io::Result<()> {
        let base = Page::WP_ALLOWED | Page::WRITTEN | Page::PRESENT | Page::SWAPPED | Page::ZERO | Page::HUGE;
        let wanted = if method == Method::RwpAsync { base | Page::ACCESSED } else { base };
        let (mut next, mut at) = (which.start, run);
        loop {
            self.stats.syscalls += 1;
            let (n, walked) = self.pagemap.scan(at, wanted, &mut self.regions)?;
            for region in &self.regions[..n] {
                while next < which.end && samples[next].addr < region.end {
                    if samples[next].addr >= region.start {
                        self.pages[next] = Page::from_scan(region.categories);
                    }
                    next += 1;
                }
            }
            match AddrRange::new(walked, run.end()) {
                Some(rest) if walked > at.start() => at = rest,
                _ => return Ok(()),
            }
        }
    }

    fn look_by_word(&mut self, run: AddrRange, samples: &[Sample], which: std::ops::Range<usize>) -> io::Result<()> {
        let mut words = [Page::UNMAPPED; WORDS];
        let span = words.len() as u64 * self.page;
        let mut next = which.start;
        while next < which.end {
            let start = self.page_of(samples[next].addr);
            let n = ((run.end() - start).min(span) / self.page) as usize;
            self.stats.syscalls += 1;
            self.pagemap.read(start, &mut words[..n])?;
            while next < which.end && samples[next].addr - start < span {
                self.pages[next] = words[((samples[next].addr - start) / self.page) as usize];
                next += 1;
            }
        }
        Ok(())
    }

    /// Finds out about the page of each sample and about those that a read fault would map with it.
    fn look_around(&mut self, samples: &[Sample]) -> Result<(), IoAt> {
        self.pages.clear();
        self.lonely.clear();
        let block = Extent::of(FAULT_AROUND);
        let in_block = ((FAULT_AROUND / self.page) as usize).clamp(1, 16);
        let mut words = [Page::UNMAPPED; WORDS];
        let mut next = 0;
        while let Some(first) = samples.get(next) {
            let start = block.start(first.addr);
            let index = |s: &Sample| ((s.addr - start) / self.page) as usize;
            let run = samples[next..].iter().map(index).take_while(|&i| i < WORDS);
            let last = run.clone().last().unwrap_or(0);
            let words = &mut words[..(last / in_block + 1) * in_block];
            self.stats.syscalls += 1;
            let at = AddrRange::from_len(start, FAULT_AROUND);
            self.pagemap.read(start, words).map_err(IoAt::of("look at", at.as_ref()))?;
            for i in run {
                next += 1;
                let from = i / in_block * in_block;
                let others = words[from..from + in_block].iter().zip(from..).filter(|(_, n)| *n != i);
                self.lonely.push(others.into_iter().any(|(page, _)| !page.any(Page::PRESENT)));
                self.pages.push(words[i]);
            }
        }
        Ok(())
    }

    /// How exactly zapping alone sees the page at `addr`: not at all if the sample `before` shares its block; in a blur
    /// if it is `lonely`.
    fn exactness(&self, range: AddrRange, addr: u64, before: Option<(u64, Armed)>, lonely: bool) -> Armed {
        let block = Extent::of(FAULT_AROUND);
        if let Some((before, armed)) = before.filter(|b| block.start(b.0) == block.start(addr)) {
            return if self.page_of(before) == self.page_of(addr) { armed } else { Armed::No };
        }
        // Below an unaligned start the blocks of the kernel are not aligned either.
        let unaligned = range.start() != block.start(range.start());
        match () {
            () if unaligned && addr - range.start() < FAULT_AROUND => Armed::No,
            () if lonely => Armed::Blurred,
            () => Armed::Page,
        }
    }

    fn page_of(&self, addr: u64) -> u64 {
        Extent::of(self.page).start(addr)
    }
}

/// Appends `range`, joined with the last one where they touch or are the same.
fn join(ranges: &mut Vec<AddrRange>, range: AddrRange) {
    if let Some(last) = ranges.last_mut().filter(|last| range.start() <= last.end()) {
        if let Some(both) = AddrRange::new(last.start(), last.end().max(range.end())) {
            *last = both;
        }
    } else {
        ranges.push(range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined() {
        let r = |a, b| AddrRange::new(a, b).unwrap();
        let mut out = Vec::new();
        for range in [r(0, 4), r(4, 8), r(4, 8), r(12, 16)] {
            join(&mut out, range);
        }
        assert_eq!(out, [r(0, 8), r(12, 16)]);
    }
}
