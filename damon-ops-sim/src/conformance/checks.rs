//! The promises, one check each.

use damon_core::{Ops, Sample, Seen, Sees, Want};

use super::bench::{Bench, block};
use super::{Fixture, KEPT, Kept, Outcome, Touch, outcome};

/// So many places of each span are touched alone.
const FEW: usize = 4;

macro_rules! suite {
    ($bench:expr; $($name:ident)*) => { vec![$(outcome(stringify!($name), $name($bench))),*] };
}

/// Runs all checks. Each is named as it is reported.
pub(super) fn all<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Vec<Outcome> {
    suite![b;
        ranges_ascend_apart_and_aligned
        untouched_pages_are_idle
        touched_pages_are_seen
        neighbours_are_not_disturbed
        many_samples_are_told_apart
        reads_and_writes_show_as_sees_says
        a_check_consumes_nothing
        arming_forgets
        arming_again_without_a_check_works
        addresses_outside_the_ranges_are_unknown
        no_samples_are_no_error
        an_extent_is_what_a_check_observes
        attributes_alone_need_no_arming
    ]
}

fn ranges_ascend_apart_and_aligned<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let page = b.fixture.page_bytes();
    let spans = b.spans()?;
    if let Some(p) = spans.windows(2).find(|p| p[0].range.end() > p[1].range.start()) {
        return Err(format!("{} comes before {}", p[0].range, p[1].range));
    }
    match spans.iter().find(|s| (s.range.start() | s.range.end()) % page != 0) {
        Some(s) => Err(format!("{} does not start and end at multiples of {page}", s.range)),
        None => KEPT,
    }
}

fn untouched_pages_are_idle<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let places = b.places()?;
    b.expect_exactly(&places, |_| false)?;
    KEPT
}

fn touched_pages_are_seen<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let places = b.places()?;
    b.expect_exactly(&places, |_| true)?;
    KEPT
}

fn neighbours_are_not_disturbed<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let places = b.places()?;
    // Each span's first few in turn, so that it does not matter on which side the disturbed neighbour is.
    for i in 0..places.len() {
        if i < FEW || places[i - FEW].span != places[i].span {
            b.expect_exactly(&places, |j| i == j)
                .map_err(|how| format!("only {:#x} touched: {how}", places[i].addr))?;
        }
    }
    KEPT
}

fn many_samples_are_told_apart<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let places = b.places()?;
    // No period that a backend's batches could have.
    let touched = |i: usize| (i * i + i / 7) % 3 == 0;
    b.expect_exactly(&places, touched)?;
    b.expect_exactly(&places, |i| !touched(i))?;
    KEPT
}

fn reads_and_writes_show_as_sees_says<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let places = b.places()?;
    let addrs: Vec<u64> = places.iter().map(|p| p.addr).collect();
    for touch in [Touch::Read, Touch::Write] {
        let touches: Vec<_> = addrs.iter().map(|&a| (a, touch)).collect();
        for (place, s) in places.iter().zip(b.window(&addrs, &touches)?) {
            let right = match (place.span.sees, touch) {
                (Sees::ReadsAndWrites, Touch::Read) => s.seen == Seen::Read,
                (Sees::ReadsAndWrites, Touch::Write) => s.seen == Seen::Written,
                (Sees::Writes, Touch::Read) => s.seen == Seen::Idle,
                _ => s.seen.is_access(),
            };
            if !right {
                let sees = place.span.sees;
                return Err(format!("a {touch:?} of {:#x} shows as {:?}, but its range sees {sees:?}", s.addr, s.seen));
            }
        }
    }
    KEPT
}

fn a_check_consumes_nothing<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let places = b.places()?;
    let addrs: Vec<u64> = places.iter().map(|p| p.addr).collect();
    let mut first = b.expect_exactly(&places, |i| i % 2 == 0)?;
    let again = b.check(&addrs)?;
    let before = first.clone();
    b.check_into(&mut first)?;
    for ((s, fresh), reused) in before.iter().zip(&again).zip(&first) {
        for later in [fresh, reused] {
            if s.seen != later.seen {
                return Err(format!("{:#x} was {:?}, and {:?} when it was checked again", s.addr, s.seen, later.seen));
            }
        }
    }
    KEPT
}

fn arming_forgets<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let places = b.places()?;
    b.expect_exactly(&places, |_| true)?;
    b.expect_exactly(&places, |_| false)?;
    KEPT
}

fn arming_again_without_a_check_works<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let places = b.places()?;
    let (first, second): (Vec<_>, Vec<_>) = places.iter().partition(|p| (p.addr / b.fixture.page_bytes()) % 2 == 0);
    for armed_before in [&first, &second, &places] {
        let addrs: Vec<u64> = armed_before.iter().map(|p| p.addr).collect();
        let touches: Vec<_> = armed_before.iter().map(|p| p.visibly()).collect();
        b.arm(&addrs)?;
        b.touch(&touches);
        b.expect_exactly(&places, |i| i % 3 == 0)?;
    }
    KEPT
}

fn addresses_outside_the_ranges_are_unknown<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let page = b.fixture.page_bytes();
    let spans = b.spans()?;
    let inside = |a: u64| spans.iter().any(|s| s.range.contains(a));
    let around = |s: &damon_core::Span| [s.range.start().checked_sub(page), Some(s.range.end())];
    let mut outside: Vec<u64> = spans.iter().flat_map(around).flatten().filter(|&a| !inside(a)).collect();
    outside.sort_unstable();
    outside.dedup();
    if outside.is_empty() {
        return Ok(Some("the ranges leave nothing out".into()));
    }
    match b.window(&outside, &[])?.iter().find(|s| s.seen != Seen::Unknown) {
        Some(s) => Err(format!("{:#x} is {:?}", s.addr, s.seen)),
        None => KEPT,
    }
}

fn no_samples_are_no_error<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    b.window(&[], &[])?;
    KEPT
}

fn an_extent_is_what_a_check_observes<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let places = b.places()?;
    let addrs: Vec<u64> = places.iter().map(|p| p.addr).collect();
    let spans = b.spans()?;
    let mapped = |a: u64| spans.iter().any(|s| s.range.contains(a));
    // The last byte of each block, or of the page where a backend says nothing larger.
    let page = b.fixture.page_bytes();
    let last = |p: &super::bench::Place| p.extent.start(p.addr) + p.extent.bytes().max(page) - 1;
    if let Some(p) = places.iter().find(|p| !mapped(last(p))) {
        return Err(format!("a check of {:#x} observes {} bytes, more than is mapped", p.addr, p.extent.bytes()));
    }
    let touches: Vec<_> = places.iter().map(|p| (last(p), p.visibly().1)).collect();
    match b.window(&addrs, &touches)?.iter().find(|s| !s.seen.is_access()) {
        Some(s) => Err(match block(s) {
            Some(range) => format!("the end of {range} was touched, but the check of {:#x} is {:?}", s.addr, s.seen),
            None => format!("the block of {:#x} ends above all addresses", s.addr),
        }),
        None => KEPT,
    }
}

fn attributes_alone_need_no_arming<F: Fixture + ?Sized>(b: &mut Bench<'_, F>) -> Kept {
    let mut samples: Vec<Sample> = b.places()?.iter().map(|p| b.sample(p.addr)).collect();
    let checked = b.fixture.ops().check(&mut samples, &Want::new(false, &[]));
    checked.map_err(|e| format!("a check of attributes gave an error: {e}"))?;
    KEPT
}
