//! Reports of the window under way, and what they say when it ends.
//!
//! Within one window order means nothing, so this is a bag. It is bounded: what does not fit is lost, and counted.

use alloc::vec::Vec;

use super::coverage::{Coverage, Interval};
use super::{Access, AccessKind};
use crate::ops::{Ops, Sample};
use crate::sight::{Seen, Sees};
use crate::target::{Space, Target, TargetId};

/// At most so many reports are kept for a window.
const CAPACITY: usize = 1 << 16;

/// The bag, and the sets of addresses that its reports cover.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    staged: Vec<Access>,
    tally: Tally,
    accessed: Coverage,
    read: Coverage,
    written: Coverage,
    idle: Coverage,
}

/// What became of the reports of a window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) taken: u64,
    pub(crate) events: u64,
    pub(crate) outside: u64,
    pub(crate) lost: u64,
}

impl Intake {
    pub(crate) fn push(&mut self, access: Access) {
        if self.staged.len() < CAPACITY {
            self.staged.push(access);
        } else {
            self.tally.lost += 1;
        }
    }

    /// Empties the bag into the sets. The targets are sorted by id.
    pub(crate) fn drain<O: Ops + ?Sized>(&mut self, targets: &[Target], ops: &mut O) -> Tally {
        self.sets().for_each(Coverage::clear);
        let mut staged = core::mem::take(&mut self.staged);
        for access in staged.drain(..) {
            match watched(&access, targets, ops) {
                Some(interval) => self.take(&access, interval),
                None => self.tally.outside += 1,
            }
        }
        self.staged = staged;
        self.sets().for_each(Coverage::settle);
        core::mem::take(&mut self.tally)
    }

    fn take(&mut self, access: &Access, interval: Interval) {
        self.tally.taken += 1;
        match access.kind {
            AccessKind::Idle => return self.idle.push(interval),
            AccessKind::Read => self.read.push(interval),
            AccessKind::Write => self.written.push(interval),
            AccessKind::Access => {}
        }
        self.accessed.push(interval);
        self.tally.events = self.tally.events.saturating_add(access.weight.into());
    }

    fn sets(&mut self) -> impl Iterator<Item = &mut Coverage> {
        [&mut self.accessed, &mut self.read, &mut self.written, &mut self.idle].into_iter()
    }

    /// Drained before: decides the samples that reports cover. Accessed beats idle, whoever says so.
    pub(crate) fn decide(&self, samples: &mut [Sample]) {
        if self.accessed.is_empty() && self.idle.is_empty() {
            return;
        }
        for s in samples {
            let covered = |set: &Coverage| set.covers(s.target, s.addr);
            s.seen = if s.seen == Seen::Written || covered(&self.written) {
                Seen::Written
            } else if s.seen == Seen::Read || covered(&self.read) {
                Seen::Read
            } else if s.seen == Seen::Accessed || covered(&self.accessed) {
                Seen::Accessed
            } else if covered(&self.idle) {
                Seen::Idle
            } else {
                s.seen
            };
        }
    }

    /// Drained before: where reports are the only source, the window adds what part of each region they cover.
    pub(crate) fn credit(&self, targets: &mut [Target]) {
        for t in targets {
            let id = t.id();
            if !t.spans.iter().any(|s| s.sees == Sees::Reports) {
                continue;
            }
            let (mut accessed, mut written) = (Parts::of(&self.accessed, id), Parts::of(&self.written, id));
            for r in t.regions.iter_mut().filter(|r| r.sees == Sees::Reports) {
                r.nr_samples = r.nr_samples.saturating_add(1);
                r.reported = r.reported.saturating_add(accessed.covered(r.start, r.end));
                r.reported_writes = r.reported_writes.saturating_add(written.covered(r.start, r.end));
                r.nr_accesses = (r.reported.saturating_add(WHOLE / 2) / WHOLE).min(r.nr_samples);
                r.nr_writes = (r.reported_writes.saturating_add(WHOLE / 2) / WHOLE).min(r.nr_accesses);
            }
        }
    }
}

/// A region covered wholly, in the unit of [`Region::reported`](crate::Region).
const WHOLE: u32 = 1 << 16;

/// A walk along a target's intervals, region by region.
struct Parts<'a> {
    rest: &'a [Interval],
}

impl<'a> Parts<'a> {
    fn of(set: &'a Coverage, target: TargetId) -> Self {
        Self { rest: set.of(target) }
    }

    /// What part of `start..end` is covered. Ranges ascend from call to call.
    fn covered(&mut self, start: u64, end: u64) -> u32 {
        let mut covered = 0;
        while let Some((i, rest)) = self.rest.split_first().filter(|(i, _)| i.start < end) {
            covered += i.end.min(end).saturating_sub(i.start.max(start));
            if i.end > end {
                break;
            }
            self.rest = rest;
        }
        (u128::from(covered) * u128::from(WHOLE) / u128::from(end - start)) as u32
    }
}

/// The report in a target's terms, if it touches what is watched.
fn watched<O: Ops + ?Sized>(access: &Access, targets: &[Target], ops: &mut O) -> Option<Interval> {
    let (target, start) = match access.space {
        Space::Target(id) => (id, access.addr),
        other => ops.resolve(other, access.addr)?,
    };
    let t = targets.get(targets.binary_search_by_key(&target, Target::id).ok()?)?;
    let end = start.saturating_add(access.len.max(1));
    let next = t.spans.partition_point(|s| s.range.end() <= start);
    t.spans.get(next).filter(|s| s.range.start() < end)?;
    Some(Interval { target, start, end })
}
