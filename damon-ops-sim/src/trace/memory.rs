//! Accessed bits of pages, simulated: what checks would have seen of a program that a trace tells of.

use std::collections::HashSet;
use std::convert::Infallible;

use damon_core::{AddrRange, Ops, Sample, Seen, Sees, Span, TargetId, Want};

use super::{Event, Kind, footprint};

/// A backend whose pages are touched by the events of a trace.
///
/// Who replays a trace tells it of each event between `arm` and `check`; an armed page that was touched since is accessed.
#[derive(Clone, Debug)]
pub struct TraceMemory {
    target: TargetId,
    page: u64,
    ranges: Vec<AddrRange>,
    read: HashSet<u64>,
    written: HashSet<u64>,
}

impl TraceMemory {
    /// Pages of `page` bytes, rounded up to a power of two, of `ranges`, which ascend and are a target's; none was touched.
    pub fn new(target: TargetId, page: u64, ranges: Vec<AddrRange>) -> Self {
        let page = page.max(1).checked_next_power_of_two().unwrap_or(1 << 63);
        Self { target, page, ranges, read: HashSet::new(), written: HashSet::new() }
    }

    /// The event happens now.
    pub fn touch(&mut self, event: &Event) {
        for page in footprint::pages(event, self.page) {
            self.touch_page(page, event.kind);
        }
    }

    pub(super) fn touch_page(&mut self, page: u64, kind: Kind) {
        match kind {
            Kind::Fetch | Kind::Read => self.read.insert(page),
            Kind::Write | Kind::Modify => self.written.insert(page),
        };
    }
}

impl Ops for TraceMemory {
    type Error = Infallible;

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), Infallible> {
        if target == self.target {
            out.extend(self.ranges.iter().map(|&range| Span { range, sees: Sees::ReadsAndWrites }));
        }
        Ok(())
    }

    fn arm(&mut self, _: &[Sample]) -> Result<(), Infallible> {
        self.read.clear();
        self.written.clear();
        Ok(())
    }

    fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), Infallible> {
        for s in samples {
            let page = s.addr & !(self.page - 1);
            let after = self.ranges.partition_point(|r| r.end() <= s.addr);
            let known = s.target == self.target && self.ranges.get(after).is_some_and(|r| r.contains(s.addr));
            s.seen = match () {
                () if !known => Seen::Unknown,
                () if self.written.contains(&page) => Seen::Written,
                () if self.read.contains(&page) => Seen::Read,
                () => Seen::Idle,
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Fixture, Touch};

    struct Traced(TraceMemory);

    impl Fixture for Traced {
        type Ops = TraceMemory;
        fn ops(&mut self) -> &mut TraceMemory {
            &mut self.0
        }
        fn target(&self) -> TargetId {
            TargetId::new(3)
        }
        fn touch(&mut self, addr: u64, touch: Touch) {
            let kind = if touch == Touch::Write { Kind::Write } else { Kind::Read };
            self.0.touch(&Event { at: 0, kind, addr, len: 1 });
        }
    }

    #[test]
    fn it_keeps_the_promises_of_a_backend() {
        let ranges = vec![AddrRange::new(0x1000, 0x9000).unwrap(), AddrRange::new(0x2_0000, 0x4_0000).unwrap()];
        conformance::run(&mut Traced(TraceMemory::new(TargetId::new(3), 4096, ranges))).assert();
    }
}
