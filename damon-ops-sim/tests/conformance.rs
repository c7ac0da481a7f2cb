//! The suite for backends passes the simulator, and rejects broken backends by the name of what they break.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::convert::Infallible;

use damon_core::{AddrRange, Ops, Sample, Seen, Sees, Span, TargetId, Want};
use damon_ops_sim::conformance::{self, Fixture, Touch};
use damon_ops_sim::memory::Mapping;
use damon_ops_sim::workload::Blocks;
use damon_ops_sim::{Clock, SimMemory, SimTarget};

const ID: TargetId = TargetId::new(5);
const PAGE: u64 = 4096;

type Break = fn(&mut Broken, &mut [Sample]);

/// Simulated memory, broken after each check, or in what it says of its ranges.
struct Broken {
    memory: SimMemory,
    ranges: fn(&mut Vec<Span>),
    before_check: Break,
    after_check: Break,
    armed: fn(&[Sample]) -> bool,
}

impl Broken {
    fn not() -> Self {
        let mapping = |start: u64, end: u64| Mapping::new(AddrRange::new(start, end).unwrap());
        let mappings = vec![
            mapping(0x10_0000, 0x18_0000),
            Mapping { sees: Sees::ReadsAndWrites, ..mapping(0x18_0000, 0x1a_0000) },
            Mapping { sees: Sees::Writes, ..mapping(0x20_0000, 0x22_0000) },
            Mapping { sees: Sees::Nothing, ..mapping(0x22_0000, 0x24_0000) },
            Mapping { block: 2 << 20, ..mapping(0x40_0000, 0x180_0000) },
        ];
        let mut memory = SimMemory::new(1, &Clock::new());
        memory.insert(ID, SimTarget::new(mappings, Blocks::default()).unwrap());
        Self { memory, ranges: |_| {}, before_check: |_, _| {}, after_check: |_, _| {}, armed: |_| true }
    }

    fn failed(mut self) -> Vec<&'static str> {
        conformance::run(&mut self).failed().collect()
    }
}

impl Ops for Broken {
    type Error = Infallible;
    fn ranges(&mut self, t: TargetId, out: &mut Vec<Span>) -> Result<(), Infallible> {
        self.memory.ranges(t, out)?;
        (self.ranges)(out);
        Ok(())
    }
    fn arm(&mut self, samples: &[Sample]) -> Result<(), Infallible> {
        if (self.armed)(samples) { self.memory.arm(samples) } else { Ok(()) }
    }
    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), Infallible> {
        (self.before_check)(self, samples);
        self.memory.check(samples, want)?;
        (self.after_check)(self, samples);
        Ok(())
    }
}

impl Fixture for Broken {
    type Ops = Self;
    fn ops(&mut self) -> &mut Self {
        self
    }
    fn target(&self) -> TargetId {
        ID
    }
    fn touch(&mut self, addr: u64, touch: Touch) {
        self.memory.touch(ID, addr, touch == Touch::Write);
    }
}

fn known(samples: &mut [Sample]) -> impl Iterator<Item = &mut Sample> {
    samples.iter_mut().filter(|s| s.seen != Seen::Unknown)
}

#[test]
fn simulated_memory_conforms() {
    conformance::run(&mut Broken::not()).assert();
}

#[test]
fn a_backend_that_always_hits_is_rejected() {
    let broken = Broken { after_check: |_, s| known(s).for_each(|s| s.seen = Seen::Accessed), ..Broken::not() };
    let failed = broken.failed();
    assert!(failed.contains(&"untouched_pages_are_idle"), "{failed:?}");
    assert!(!failed.contains(&"touched_pages_are_seen"), "{failed:?}");
}

#[test]
fn a_backend_that_never_hits_is_rejected() {
    let broken = Broken { after_check: |_, s| known(s).for_each(|s| s.seen = Seen::Idle), ..Broken::not() };
    let failed = broken.failed();
    assert!(failed.contains(&"touched_pages_are_seen"), "{failed:?}");
    assert!(!failed.contains(&"untouched_pages_are_idle"), "{failed:?}");
}

#[test]
fn a_backend_that_is_off_by_one_page_is_rejected() {
    // It looks at the page above, and answers for the one that was asked for.
    let broken = Broken {
        before_check: |_, samples| samples.iter_mut().for_each(|s| s.addr += PAGE),
        after_check: |_, samples| samples.iter_mut().for_each(|s| s.addr -= PAGE),
        ..Broken::not()
    };
    let failed = broken.failed();
    assert!(failed.contains(&"neighbours_are_not_disturbed"), "{failed:?}");
    assert!(!failed.contains(&"untouched_pages_are_idle"), "{failed:?}");
}

#[test]
fn a_backend_that_consumes_on_check_is_rejected_for_that_alone() {
    let broken = Broken { after_check: |b, s| b.memory.arm(s).unwrap_or_default(), ..Broken::not() };
    assert_eq!(broken.failed(), ["a_check_consumes_nothing"]);
}

#[test]
fn a_backend_that_arms_once_for_all_is_rejected() {
    let broken = Broken { armed: |s| s.len() < 40, ..Broken::not() };
    assert!(broken.failed().contains(&"arming_forgets"));
}

#[test]
fn a_backend_that_hides_how_much_a_check_observes_is_rejected() {
    // It has huge pages and says nothing of their size: its neighbours answer for each other.
    let broken = Broken {
        after_check: |_, samples| samples.iter_mut().for_each(|s| s.extent = damon_core::Extent::GRANULE),
        ..Broken::not()
    };
    assert!(broken.failed().contains(&"neighbours_are_not_disturbed"));
}

#[test]
fn a_backend_that_overstates_what_a_check_observes_is_rejected_for_that_alone() {
    let broken = Broken {
        after_check: |_, samples| {
            for s in samples.iter_mut().filter(|s| s.extent.bytes() == PAGE) {
                s.extent = damon_core::Extent::of(4 * PAGE);
            }
        },
        ..Broken::not()
    };
    assert_eq!(broken.failed(), ["an_extent_is_what_a_check_observes"]);
}

#[test]
fn a_backend_that_takes_writes_for_reads_is_rejected_for_that_alone() {
    let broken = Broken {
        after_check: |_, samples| {
            for s in samples.iter_mut().filter(|s| s.seen == Seen::Written) {
                s.seen = Seen::Read;
            }
        },
        ..Broken::not()
    };
    assert_eq!(broken.failed(), ["reads_and_writes_show_as_sees_says"]);
}

#[test]
fn a_backend_that_knows_of_what_is_not_mapped_is_rejected_for_that_alone() {
    let broken = Broken {
        after_check: |_, samples| {
            for s in samples.iter_mut().filter(|s| s.addr == 0x1a_0000) {
                s.seen = Seen::Idle;
            }
        },
        ..Broken::not()
    };
    assert_eq!(broken.failed(), ["addresses_outside_the_ranges_are_unknown"]);
}

#[test]
fn ranges_that_descend_or_are_cut_through_pages_are_rejected_for_that_alone() {
    let turned = Broken { ranges: |spans| spans.reverse(), ..Broken::not() };
    assert_eq!(turned.failed(), ["ranges_ascend_apart_and_aligned"]);
    fn crooked(spans: &mut Vec<Span>) {
        let sees = Sees::Nothing;
        spans.push(Span { range: AddrRange::new(0x1000_0001, 0x1000_1000).unwrap(), sees });
    }
    assert_eq!(Broken { ranges: crooked, ..Broken::not() }.failed(), ["ranges_ascend_apart_and_aligned"]);
}

#[test]
fn memory_that_cannot_be_checked_passes_nothing_for_free() {
    let broken = Broken { ranges: |spans| spans.retain(|s| !s.sees.checkable()), ..Broken::not() };
    assert!(broken.failed().contains(&"touched_pages_are_seen"));
}

#[test]
#[should_panic(expected = "FAILED   untouched_pages_are_idle: 0x100000 was not touched, but is Accessed")]
fn a_report_that_is_asserted_panics_with_what_failed() {
    let all = |_: &mut Broken, s: &mut [Sample]| known(s).for_each(|s| s.seen = Seen::Accessed);
    conformance::run(&mut Broken { after_check: all, ..Broken::not() }).assert();
}
