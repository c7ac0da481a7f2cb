//! Reports of the window under way, and what they come to when it ends.

use alloc::vec::Vec;

use super::coverage::{Coverage, Interval, Walk, covered};
use super::source::{Source, SourceCounts, SourceId, SourceSpec};
use super::{Access, AccessKind, Reporter};
use crate::addr::align_down;
use crate::attrs::AttrsSpec;
use crate::ops::{Ops, Sample};
use crate::region::Region;
use crate::sight::{Seen, Sees};
use crate::target::{Space, Target, TargetId};
use crate::time::Instant;
use crate::units::NodeId;

/// At most so many nodes are told apart.
pub const MAX_NODES: usize = 8;

/// Sources, what they reported in this window, and the sets of addresses that it covers.
#[derive(Debug)]
pub(crate) struct Intake {
    /// The first is the owner of the monitor.
    sources: Vec<Source>,
    next_id: u32,
    /// Of this window, after a drain by target and address.
    staged: Vec<Report>,
    /// Nodes that reported, in the order in which they did first.
    nodes: Vec<NodeId>,
    accessed: Coverage,
    read: Coverage,
    written: Coverage,
    idle: Coverage,
}

/// A report in a target's terms.
#[derive(Clone, Copy, Debug)]
struct Report {
    target: TargetId,
    kind: AccessKind,
    /// An index of `nodes`; none where it is too large.
    node: u8,
    /// An index of `sources`.
    source: u16,
    start: u64,
    end: u64,
    events: u64,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            sources: Vec::from([Source::owner()]),
            next_id: 1,
            staged: Vec::new(),
            nodes: Vec::new(),
            accessed: Coverage::default(),
            read: Coverage::default(),
            written: Coverage::default(),
            idle: Coverage::default(),
        }
    }
}

impl Intake {
    /// The owner of the monitor reports.
    pub(crate) fn push(&mut self, access: Access) {
        self.sources[0].push(access);
    }

    pub(crate) fn add(&mut self, spec: SourceSpec) -> Reporter {
        let (source, reporter) = Source::new(SourceId(self.next_id), spec);
        self.next_id = self.next_id.wrapping_add(1);
        self.sources.push(source);
        reporter
    }

    /// The owner stays.
    pub(crate) fn remove(&mut self, id: SourceId) -> bool {
        let at = self.sources.iter().skip(1).position(|s| s.id() == id);
        // What is staged knows its source by index.
        self.clear();
        at.map(|at| self.sources.remove(at + 1)).is_some()
    }

    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub(crate) fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// Empties the sources into the sets. The targets are sorted by id; the window began at `since`.
    pub(crate) fn drain<O: Ops + ?Sized>(
        &mut self,
        since: Instant,
        attrs: &AttrsSpec,
        targets: &[Target],
        ops: &mut O,
    ) {
        let Self { sources, staged, nodes, .. } = self;
        for (index, source) in sources.iter_mut().enumerate() {
            let period = u64::from(source.period());
            source.drain(|access, counts| {
                counts.received = counts.received.saturating_add(1);
                if !attrs.report_filter.passes(&access) {
                    counts.filtered = counts.filtered.saturating_add(1);
                    return;
                }
                let Some(Interval { target, start, end }) = watched(&access, targets, ops) else {
                    counts.outside = counts.outside.saturating_add(1);
                    return;
                };
                let idle = access.kind == AccessKind::Idle;
                let events = if idle { 0 } else { u64::from(access.weight) * period };
                counts.events = counts.events.saturating_add(events);
                let stale = idle && access.time.is_some_and(|time| time < since);
                let (start, end) = granules(start, end, attrs.granule, idle);
                if !stale && start < end {
                    let (kind, source, node) = (access.kind, index as u16, column(nodes, access.node));
                    staged.push(Report { target, kind, node, source, start, end, events });
                }
            });
        }
        if sources.iter().any(|s| s.window().lost > 0) {
            // What was lost may have been an access to what is said to be idle.
            let trusted = |r: &Report| sources.get(usize::from(r.source)).is_some_and(|s| s.window().lost == 0);
            staged.retain(|r| r.kind != AccessKind::Idle || trusted(r));
        }
        staged.sort_unstable_by_key(|r| (r.target, r.start));
        self.cover();
    }

    fn cover(&mut self) {
        let Self { staged, accessed, read, written, idle, .. } = self;
        [&mut *accessed, &mut *read, &mut *written, &mut *idle].into_iter().for_each(Coverage::clear);
        for r in staged {
            let interval = Interval { target: r.target, start: r.start, end: r.end };
            match r.kind {
                AccessKind::Idle => {
                    idle.push(interval);
                    continue;
                }
                AccessKind::Read => read.push(interval),
                AccessKind::Write => written.push(interval),
                AccessKind::Access => {}
            }
            accessed.push(interval);
        }
    }

    /// The window is counted: what its reports came to.
    pub(crate) fn finish(&mut self) -> SourceCounts {
        let total = self.sources.iter_mut().fold(SourceCounts::default(), |sum, s| sum.plus(&s.close_window()));
        self.clear();
        total
    }

    fn clear(&mut self) {
        self.staged.clear();
        self.cover();
    }

    /// Drained before: moves to `known` the samples that no check could change, because they are known to be written or idle.
    pub(crate) fn settle(&self, samples: &mut Vec<Sample>, known: &mut Vec<Sample>) {
        if self.written.is_empty() && self.idle.is_empty() {
            return;
        }
        let (mut accessed, mut written, mut idle) = (self.accessed.walk(), self.written.walk(), self.idle.walk());
        samples.retain(|s| {
            let seen = if written.covers(s.target, s.addr) {
                Seen::Written
            } else if idle.covers(s.target, s.addr) && !accessed.covers(s.target, s.addr) {
                Seen::Idle
            } else {
                return true;
            };
            known.push(Sample { seen, ..*s });
            false
        });
    }

    /// Drained before: decides the samples that reports cover. Accessed beats idle, whoever says so.
    pub(crate) fn decide(&self, samples: &mut [Sample]) {
        if self.accessed.is_empty() && self.idle.is_empty() {
            return;
        }
        let [mut accessed, mut read, mut written, mut idle] =
            [&self.accessed, &self.read, &self.written, &self.idle].map(Coverage::walk);
        for s in samples {
            let covered = |set: &mut Walk<'_>| set.covers(s.target, s.addr);
            s.seen = if s.seen == Seen::Written || covered(&mut written) {
                Seen::Written
            } else if s.seen == Seen::Read || covered(&mut read) {
                Seen::Read
            } else if s.seen == Seen::Accessed || covered(&mut accessed) {
                Seen::Accessed
            } else if covered(&mut idle) {
                Seen::Idle
            } else {
                s.seen
            };
        }
    }

    /// Drained before: brings events to the regions that they happened in and, where reports are the only source, adds what
    /// part of each region they cover. `hint` is told what was reported in each region.
    pub(crate) fn credit(&self, targets: &mut [Target], mut hint: impl FnMut(TargetId, usize, &Region, &[Interval])) {
        let mut staged = self.staged.as_slice();
        for t in targets {
            let id = t.id();
            staged = &staged[staged.partition_point(|r| r.target < id)..];
            let own;
            (own, staged) = staged.split_at(staged.partition_point(|r| r.target == id));
            t.fit_events();
            if !own.is_empty() {
                let events = own.iter().filter(|r| r.kind != AccessKind::Idle);
                t.count_events(events.map(|r| (r.start, r.events, usize::from(r.node))));
            }
            let reports_only = t.spans.iter().any(|s| s.sees == Sees::Reports);
            if own.is_empty() && !reports_only {
                continue;
            }
            let (mut accessed, mut written) = (Walk::along(self.accessed.of(id)), Walk::along(self.written.of(id)));
            for (index, r) in t.regions.iter_mut().enumerate() {
                let reported = accessed.touching(r.start, r.end);
                if r.sees == Sees::Reports {
                    r.nr_samples = r.nr_samples.saturating_add(1);
                    r.reported = r.reported.saturating_add(part(reported, r));
                    r.reported_writes = r.reported_writes.saturating_add(part(written.touching(r.start, r.end), r));
                    r.nr_accesses = (r.reported.saturating_add(WHOLE / 2) / WHOLE).min(r.nr_samples);
                    r.nr_writes = (r.reported_writes.saturating_add(WHOLE / 2) / WHOLE).min(r.nr_accesses);
                }
                if !reported.is_empty() {
                    hint(id, index, r, reported);
                }
            }
        }
    }
}

/// A region covered wholly, in the unit of [`Region::reported`](crate::Region).
const WHOLE: u32 = 1 << 16;

/// What part of the region is covered.
fn part(reported: &[Interval], r: &Region) -> u32 {
    let covered = covered(reported, r.start, r.end);
    match covered.checked_mul(WHOLE.into()) {
        Some(n) => (n / r.size()) as u32,
        None => (u128::from(covered) * u128::from(WHOLE) / u128::from(r.size())) as u32,
    }
}

/// The granules that an access touches, or that lie within what is idle: nothing smaller is told apart.
#[inline]
fn granules(start: u64, end: u64, granule: u64, idle: bool) -> (u64, u64) {
    let up = |addr: u64| addr.checked_next_multiple_of(granule).unwrap_or(u64::MAX);
    if idle { (up(start), align_down(end, granule)) } else { (align_down(start, granule), up(end)) }
}

/// The node's place among those that reported, if it has one or there is one left.
fn column(nodes: &mut Vec<NodeId>, node: Option<NodeId>) -> u8 {
    let Some(node) = node else { return u8::MAX };
    let at = nodes.iter().position(|n| *n == node).unwrap_or_else(|| {
        if nodes.len() < MAX_NODES {
            nodes.push(node);
            nodes.len() - 1
        } else {
            usize::MAX
        }
    });
    u8::try_from(at).unwrap_or(u8::MAX)
}

/// The report in a target's terms, if it touches what is watched.
#[inline]
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
