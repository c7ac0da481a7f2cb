//! Where reports come from, and what became of them.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::bag::{Bag, Consumer};
use super::packed::{WORDS, unpack};
use super::{Access, Reporter};

/// A source of reports within its monitor. 0 is [`Monitor::report_access`](crate::Monitor::report_access).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SourceId(pub(super) u32);

impl SourceId {
    /// Its number: sources are numbered in the order in which they were added.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A source of reports, as a person writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// By which name its counters are shown.
    pub name: String,
    /// At least so many reports are kept for the end of a window, over all clones of the reporter; what comes on top is lost. Rounded
    /// up to a power of two from 64 to 2²⁶. Each takes 64 bytes, allocated at once. Default 262,144: two million
    /// a second in a window of 100 ms, in 16 MiB.
    pub capacity: usize,
    /// The source reports one of so many events, as a hardware sampler does: in the event rate each report counts so
    /// often. Coverage is what was reported, and no guess at what was not. Default 1; 0 counts as 1.
    pub period: u32,
}

impl SourceSpec {
    /// A source that reports every event, with the default capacity.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), capacity: 1 << 18, period: 1 }
    }
}

/// What became of a source's reports since it was added. What was reported is `received` and `lost`, once the
/// window has ended that takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SourceCounts {
    /// Reports that arrived.
    pub received: u64,
    /// Of these: about nothing that is watched.
    pub outside: u64,
    /// Of these: refused by [`AttrsSpec::report_filter`](crate::AttrsSpec::report_filter).
    pub filtered: u64,
    /// Reports that did not arrive: there was no room.
    pub lost: u64,
    /// Accesses that the reports taken stand for: the sum of their weights times the period.
    pub events: u64,
}

impl SourceCounts {
    /// Both together.
    pub(super) fn plus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    fn zip(&self, other: &Self, of: fn(u64, u64) -> u64) -> Self {
        Self {
            received: of(self.received, other.received),
            outside: of(self.outside, other.outside),
            filtered: of(self.filtered, other.filtered),
            lost: of(self.lost, other.lost),
            events: of(self.events, other.events),
        }
    }

    /// Reports that were taken into account: those that arrived, without those outside and those filtered.
    pub const fn taken(&self) -> u64 {
        self.received - self.outside - self.filtered
    }
}

/// A source of reports in its monitor.
#[derive(Debug)]
pub struct Source {
    id: SourceId,
    name: String,
    period: u32,
    counts: SourceCounts,
    /// As they were when the last window was counted.
    before: SourceCounts,
    from: Waiting,
}

/// Where a source's reports wait for the end of a window.
#[derive(Debug)]
enum Waiting {
    /// The owner of the monitor reports: at most so many.
    Owner(Vec<Access>, usize),
    Reporters(Consumer<WORDS>),
    /// Every reporter is gone.
    Nobody,
}

impl Source {
    /// The one of [`Monitor::report_access`](crate::Monitor::report_access).
    pub(super) fn owner() -> Self {
        let SourceSpec { name, capacity, period } = SourceSpec::new("owner");
        Self::from(SourceId(0), name, period, Waiting::Owner(Vec::new(), capacity))
    }

    pub(super) fn new(id: SourceId, spec: SourceSpec) -> (Self, Reporter) {
        let SourceSpec { name, capacity, period } = spec;
        let bag = Arc::new(Bag::new(capacity));
        let reporter = Reporter::new(Arc::clone(&bag), id);
        (Self::from(id, name, period, Waiting::Reporters(Consumer::new(bag))), reporter)
    }

    fn from(id: SourceId, name: String, period: u32, from: Waiting) -> Self {
        Self { id, name, period, counts: SourceCounts::default(), before: SourceCounts::default(), from }
    }

    /// Its number.
    pub const fn id(&self) -> SourceId {
        self.id
    }

    /// How it was called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One of so many events is reported.
    pub const fn period(&self) -> u32 {
        if self.period == 0 { 1 } else { self.period }
    }

    /// What became of its reports.
    pub const fn counts(&self) -> &SourceCounts {
        &self.counts
    }

    /// Is there still somebody who reports?
    pub const fn is_connected(&self) -> bool {
        !matches!(self.from, Waiting::Nobody)
    }

    /// What became of the reports of the window under way.
    pub(super) fn window(&self) -> SourceCounts {
        self.counts.zip(&self.before, u64::saturating_sub)
    }

    /// The same, when the window is counted.
    pub(super) fn close_window(&mut self) -> SourceCounts {
        let window = self.window();
        self.before = self.counts;
        window
    }

    /// The owner of the monitor reports.
    pub(super) fn push(&mut self, access: Access) {
        match &mut self.from {
            Waiting::Owner(waiting, capacity) if waiting.len() < *capacity => waiting.push(access),
            _ => self.counts.lost = self.counts.lost.saturating_add(1),
        }
    }

    /// Takes all that waits. The counts are `take`'s to change, but for losses.
    pub(super) fn drain(&mut self, mut take: impl FnMut(Access, &mut SourceCounts)) {
        let Self { counts, from, .. } = self;
        match from {
            Waiting::Owner(waiting, _) => waiting.drain(..).for_each(|access| take(access, counts)),
            Waiting::Reporters(consumer) => {
                let abandoned = consumer.is_abandoned();
                let lost = consumer.drain(|words| take(unpack(words), counts));
                counts.lost = counts.lost.saturating_add(lost);
                if abandoned {
                    // What nobody can finish any more was interrupted for good.
                    counts.lost = counts.lost.saturating_add(consumer.behind());
                    *from = Waiting::Nobody;
                }
            }
            Waiting::Nobody => {}
        }
    }
}
