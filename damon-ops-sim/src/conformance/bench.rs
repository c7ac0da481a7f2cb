//! What the checks share: places to look at, and a window from arming to checking.

use std::collections::BTreeSet;

use damon_core::{AddrRange, Extent, Ops, Sample, Seen, Sees, Span, Want};

use super::{Fixture, Touch};

/// Pages of a span that are looked at: enough for eight huge pages.
const PAGES: u64 = 4_096;

/// A checkable address: the first page of a block that one check observes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) addr: u64,
    pub(super) span: Span,
    pub(super) extent: Extent,
}

impl Place {
    /// A touch that can be seen there.
    pub(super) fn visibly(self) -> (u64, Touch) {
        (self.addr, if self.span.sees == Sees::Writes { Touch::Write } else { Touch::Read })
    }
}

pub(super) struct Bench<'a, F: ?Sized> {
    pub(super) fixture: &'a mut F,
}

impl<'a, F: Fixture + ?Sized> Bench<'a, F> {
    pub(super) fn new(fixture: &'a mut F) -> Self {
        Self { fixture }
    }

    pub(super) fn sample(&self, addr: u64) -> Sample {
        Sample::new(self.fixture.target(), addr)
    }

    pub(super) fn spans(&mut self) -> Result<Vec<Span>, String> {
        let (target, mut out) = (self.fixture.target(), Vec::new());
        self.fixture.ops().ranges(target, &mut out).map_err(|e| format!("ranges gave an error: {e}"))?;
        Ok(out)
    }

    pub(super) fn arm(&mut self, addrs: &[u64]) -> Result<(), String> {
        let samples: Vec<Sample> = addrs.iter().map(|&a| self.sample(a)).collect();
        self.fixture.ops().arm(&samples).map_err(|e| format!("arming {} samples gave an error: {e}", samples.len()))
    }

    pub(super) fn check(&mut self, addrs: &[u64]) -> Result<Vec<Sample>, String> {
        let mut samples: Vec<Sample> = addrs.iter().map(|&a| self.sample(a)).collect();
        self.check_into(&mut samples)?;
        Ok(samples)
    }

    pub(super) fn check_into(&mut self, samples: &mut [Sample]) -> Result<(), String> {
        let n = samples.len();
        let checked = self.fixture.ops().check(samples, &Want::new(true, &[]));
        checked.map_err(|e| format!("checking {n} samples gave an error: {e}"))
    }

    pub(super) fn touch(&mut self, touches: &[(u64, Touch)]) {
        touches.iter().for_each(|&(addr, touch)| self.fixture.touch(addr, touch));
    }

    /// A whole window.
    pub(super) fn window(&mut self, addrs: &[u64], touches: &[(u64, Touch)]) -> Result<Vec<Sample>, String> {
        self.arm(addrs)?;
        self.touch(touches);
        self.check(addrs)
    }

    /// One place in each block of the checkable spans, ascending. At least four in one of them.
    pub(super) fn places(&mut self) -> Result<Vec<Place>, String> {
        let page = self.fixture.page_bytes();
        let mut places = Vec::new();
        let mut most = 0;
        let mut spans = self.spans()?;
        spans.sort_by_key(|s| s.range.start());
        for span in spans.into_iter().filter(|s| s.sees.checkable()) {
            let end = span.range.end().min(span.range.start().saturating_add(PAGES * page));
            let addrs: Vec<u64> = (span.range.start()..end).step_by(page as usize).collect();
            let mut blocks = BTreeSet::new();
            let before = places.len();
            for s in self.window(&addrs, &[])? {
                // A block that sticks out below the span is left to the check of extents.
                let known = s.seen != Seen::Unknown && s.extent.start(s.addr) >= span.range.start();
                if known && blocks.insert(s.extent.start(s.addr)) {
                    places.push(Place { addr: s.addr, span, extent: s.extent });
                }
            }
            most = most.max(places.len() - before);
        }
        if most < 4 {
            return Err(format!("needs a span with four blocks that can be checked, found at most {most}"));
        }
        Ok(places)
    }

    /// Places that are touched one window long must be seen, and no others.
    pub(super) fn expect_exactly(
        &mut self,
        places: &[Place],
        touched: impl Fn(usize) -> bool,
    ) -> Result<Vec<Sample>, String> {
        let addrs: Vec<u64> = places.iter().map(|p| p.addr).collect();
        let touches: Vec<_> =
            places.iter().enumerate().filter(|(i, _)| touched(*i)).map(|(_, p)| p.visibly()).collect();
        let samples = self.window(&addrs, &touches)?;
        for (i, s) in samples.iter().enumerate() {
            let as_it_should = if touched(i) { s.seen.is_access() } else { s.seen == Seen::Idle };
            if !as_it_should {
                let what = if touched(i) { "was touched" } else { "was not touched" };
                return Err(format!("{:#x} {what}, but is {:?}", s.addr, s.seen));
            }
        }
        Ok(samples)
    }
}

/// The bytes of the block that `s` observed.
pub(super) fn block(s: &Sample) -> Option<AddrRange> {
    AddrRange::from_len(s.extent.start(s.addr), s.extent.bytes())
}
