//! A snapshot as the payload of a frame, and back.

use core::time::Duration;

use damon_core::{Bp, Sees};

use super::varint::{put, take};
use crate::record::limits;
use crate::record::model::{Region, SchemeStats, Snapshot};
use crate::record::{WriteError, Wrong};

/// Which of the things that may be left out are there.
mod field {
    pub(super) const SAMPLING: u64 = 1;
    pub(super) const TOTAL: u64 = 1 << 1;
    pub(super) const STATS: u64 = 1 << 2;
    pub(super) const AGE_US: u64 = 1 << 3;
    pub(super) const FILTER_PASSED: u64 = 1 << 4;
    pub(super) const SAMPLES: u64 = 1 << 5;
    pub(super) const WRITES: u64 = 1 << 6;
    pub(super) const RATE: u64 = 1 << 7;
    pub(super) const SEES: u64 = 1 << 8;
    pub(super) const PROBES: u64 = 1 << 9;
    pub(super) const ALL: u64 = (1 << 10) - 1;
}

/// The least that a region takes.
const MIN_REGION: usize = 4;

const SEES: [Sees; 5] = [Sees::Nothing, Sees::Reports, Sees::Writes, Sees::Accesses, Sees::ReadsAndWrites];

/// Appends the payload.
pub(super) fn encode(out: &mut Vec<u8>, series: usize, s: &Snapshot) -> Result<(), WriteError> {
    let fields = fields(s);
    let shift = s.regions.iter().fold(u64::MAX, |bits, r| bits.min((r.start | r.end).trailing_zeros().into())).min(63);
    for n in [series as u64, fields, s.start_ns, s.end_ns.wrapping_sub(s.start_ns)] {
        put(out, n);
    }
    if let Some(sampling) = s.sampling {
        put(out, u64::try_from(sampling.as_nanos()).unwrap_or(u64::MAX));
    }
    s.total_bytes.iter().for_each(|&n| put(out, n));
    if let Some(t) = &s.stats {
        for n in [t.nr_tried, t.sz_tried, t.nr_applied, t.sz_applied, t.sz_ops_filter_passed, t.qt_exceeds] {
            put(out, n);
        }
    }
    put(out, shift);
    put(out, s.regions.len() as u64);
    let mut end = 0;
    for r in &s.regions {
        if r.end <= r.start {
            return Err(WriteError::Empty { start: r.start, end: r.end });
        }
        for n in [
            zigzag((r.start >> shift).wrapping_sub(end >> shift)),
            r.size() >> shift,
            r.nr_accesses.into(),
            r.age.into(),
        ] {
            put(out, n);
        }
        end = r.end;
        let maybe = |n: Option<u64>| n.map_or(0, |n| n.saturating_add(1));
        let columns = [
            (field::AGE_US, maybe(r.age_us)),
            (field::FILTER_PASSED, r.sz_filter_passed),
            (field::SAMPLES, maybe(r.nr_samples.map(u64::from))),
            (field::WRITES, maybe(r.nr_writes.map(u64::from))),
            (field::RATE, maybe(r.rate.map(|bp| bp.0.into()))),
            (field::SEES, maybe(r.sees.and_then(|sees| SEES.iter().position(|&s| s == sees)).map(|i| i as u64))),
        ];
        columns.iter().filter(|(field, _)| fields & field != 0).for_each(|&(_, n)| put(out, n));
        if fields & field::PROBES != 0 {
            put(out, r.probe_hits.len() as u64);
            r.probe_hits.iter().for_each(|&hits| put(out, hits.into()));
        }
    }
    Ok(())
}

fn fields(s: &Snapshot) -> u64 {
    let any = |field, has: &dyn Fn(&Region) -> bool| if s.regions.iter().any(has) { field } else { 0 };
    let one = |field, has| if has { field } else { 0 };
    one(field::SAMPLING, s.sampling.is_some())
        | one(field::TOTAL, s.total_bytes.is_some())
        | one(field::STATS, s.stats.is_some())
        | any(field::AGE_US, &|r| r.age_us.is_some())
        | any(field::FILTER_PASSED, &|r| r.sz_filter_passed > 0)
        | any(field::SAMPLES, &|r| r.nr_samples.is_some())
        | any(field::WRITES, &|r| r.nr_writes.is_some())
        | any(field::RATE, &|r| r.rate.is_some())
        | any(field::SEES, &|r| r.sees.is_some())
        | any(field::PROBES, &|r| !r.probe_hits.is_empty())
}

/// The series, and the snapshot.
pub(super) fn decode(payload: &[u8]) -> Result<(usize, Snapshot), Wrong> {
    let mut rest = payload;
    let mut next = || take(&mut rest).ok_or(Wrong::Nonsense("a number of the snapshot is cut off or too large"));
    let series = usize::try_from(next()?).map_err(|_| Wrong::Nonsense("the series has no such number"))?;
    let fields = next()?;
    if fields & !field::ALL != 0 {
        return Err(Wrong::Nonsense("the snapshot has fields that this program does not know: it is of a newer one"));
    }
    let start_ns = next()?;
    let mut s = Snapshot { start_ns, end_ns: start_ns.wrapping_add(next()?), ..Snapshot::default() };
    if fields & field::SAMPLING != 0 {
        s.sampling = Some(Duration::from_nanos(next()?));
    }
    if fields & field::TOTAL != 0 {
        s.total_bytes = Some(next()?);
    }
    if fields & field::STATS != 0 {
        let mut n = [0; 6];
        for n in &mut n {
            *n = next()?;
        }
        let [nr_tried, sz_tried, nr_applied, sz_applied, sz_ops_filter_passed, qt_exceeds] = n;
        s.stats = Some(SchemeStats { nr_tried, sz_tried, nr_applied, sz_applied, sz_ops_filter_passed, qt_exceeds });
    }
    let shift =
        u32::try_from(next()?).ok().filter(|&n| n < 64).ok_or(Wrong::Nonsense("addresses are shifted too far"))?;
    let nr_regions = next()?;
    if nr_regions > limits::REGIONS as u64 {
        return Err(Wrong::Nonsense(limits::TOO_MANY_REGIONS));
    }
    if nr_regions > (rest.len() / MIN_REGION) as u64 {
        return Err(Wrong::Nonsense("there are fewer regions than the snapshot says"));
    }
    s.regions.reserve_exact(nr_regions as usize);
    let mut end = 0;
    for _ in 0..nr_regions {
        let r = region(&mut rest, fields, shift, end).ok_or(Wrong::Nonsense("a region makes no sense"))?;
        end = r.end;
        s.regions.push(r);
    }
    if rest.is_empty() { Ok((series, s)) } else { Err(Wrong::Nonsense("the snapshot is longer than what it says")) }
}

/// A difference of either sign, the small ones first.
const fn zigzag(n: u64) -> u64 {
    (n << 1) ^ ((n as i64) >> 63) as u64
}

const fn zagzig(n: u64) -> u64 {
    (n >> 1) ^ (n & 1).wrapping_neg()
}

fn region(rest: &mut &[u8], fields: u64, shift: u32, last_end: u64) -> Option<Region> {
    let mut next = || take(rest);
    let unshift = |n: u64| n.checked_shl(shift).filter(|wide| wide >> shift == n);
    let start = unshift((last_end >> shift).wrapping_add(zagzig(next()?)))?;
    let end = start.checked_add(unshift(next()?)?).filter(|&end| end > start)?;
    let mut r = Region::new(start, end);
    r.nr_accesses = u32::try_from(next()?).ok()?;
    r.age = u32::try_from(next()?).ok()?;
    let mut column = |field| if fields & field == 0 { Some(0) } else { next() };
    let small = |n: u64| n.checked_sub(1).map(u32::try_from).transpose().ok();
    r.age_us = column(field::AGE_US)?.checked_sub(1);
    r.sz_filter_passed = column(field::FILTER_PASSED)?;
    r.nr_samples = small(column(field::SAMPLES)?)?;
    r.nr_writes = small(column(field::WRITES)?)?;
    r.rate = small(column(field::RATE)?)?.map(Bp);
    r.sees = match column(field::SEES)? {
        0 => None,
        n => Some(*SEES.get(usize::try_from(n - 1).ok()?)?),
    };
    let probes = column(field::PROBES)?;
    if probes > limits::PROBES as u64 {
        return None;
    }
    for _ in 0..probes {
        r.probe_hits.push(u32::try_from(next()?).ok()?);
    }
    Some(r)
}
