//! What a finished aggregation says, to look at ([`View`]) and to send elsewhere ([`Snapshot`]).

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::addr::AddrRange;
use crate::attrs::Attrs;
use crate::control::moving_sum;
use crate::region::Region;
use crate::report::{Events, Intake, Source, SourceCounts};
use crate::sight::Sees;
use crate::target::{Target, TargetId};
use crate::time::Instant;
use crate::units::{Bp, NodeId};

/// A monitor's targets and regions, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) attrs: &'a Attrs,
    pub(crate) targets: &'a [Target],
    pub(crate) intake: &'a Intake,
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    pub(crate) windows: u32,
}

/// One region of a [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RegionSnapshot {
    /// Its addresses.
    pub range: AddrRange,
    /// In how many samples an access was found.
    pub nr_accesses: u32,
    /// In how many samples a write was found.
    pub nr_writes: u32,
    /// How many samples were taken.
    pub nr_samples: u32,
    /// For how many aggregations the access frequency has not changed significantly.
    pub age: u32,
    /// The same as time.
    pub age_time: Duration,
    /// The access rate that the adjuster believes in: with `Classic`, accesses by samples, of the last aggregation that
    /// had any; 0 if none had.
    pub rate: Bp,
    /// On how many checks that rests: those of this aggregation with `Classic`, also earlier ones that agree with them with
    /// `Adaptive`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub evidence: u32,
    /// What could be seen here.
    pub sees: Sees,
}

/// A source of reports, in a [`Snapshot`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SourceSnapshot {
    /// How it was called.
    pub name: String,
    /// What became of its reports since it was added.
    pub counts: SourceCounts,
}

/// One target of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct TargetSnapshot {
    /// Its name.
    pub id: TargetId,
    /// Its group.
    pub group: u32,
    /// Its regions, ascending.
    pub regions: Vec<RegionSnapshot>,
    /// What was reported of each region; empty where nothing has ever been reported of the target.
    #[cfg_attr(feature = "serde", serde(default))]
    pub events: Vec<Events>,
}

/// All that a finished aggregation says: the owned form of a [`View`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// When the aggregation ended.
    pub at: Instant,
    /// How long it really took.
    pub took: Duration,
    /// The sampling interval it was made with.
    pub sampling: Duration,
    /// The aggregation interval it was made with.
    pub aggregation: Duration,
    /// Windows in an aggregation.
    pub samples_per_aggregation: u32,
    /// Bytes per address.
    pub addr_unit: u64,
    /// The targets, by id.
    pub targets: Vec<TargetSnapshot>,
    /// The sources of reports: first the owner's.
    #[cfg_attr(feature = "serde", serde(default))]
    pub sources: Vec<SourceSnapshot>,
    /// The nodes that reports came from: see [`View::nodes`].
    #[cfg_attr(feature = "serde", serde(default))]
    pub nodes: Vec<NodeId>,
}

impl<'a> View<'a> {
    /// When the last aggregation ended.
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// How long it really took.
    pub const fn took(&self) -> Duration {
        self.took
    }

    /// The attributes, with the intervals as tuned.
    pub const fn attrs(&self) -> &'a Attrs {
        self.attrs
    }

    /// The targets, by id.
    pub const fn targets(&self) -> &'a [Target] {
        self.targets
    }

    /// The sources of reports, with what became of those: see [`Monitor::sources`](crate::Monitor::sources).
    pub fn sources(&self) -> &'a [Source] {
        self.intake.sources()
    }

    /// The nodes that reports came from, in the order of [`Events::by_node`](crate::Events::by_node): the first
    /// [`MAX_NODES`](crate::MAX_NODES) that did.
    pub fn nodes(&self) -> &'a [NodeId] {
        self.intake.nodes()
    }

    /// A region's count as of a full aggregation, at any moment: what this one has so far and the missing part of the
    /// last one. When an aggregation has ended it is its count.
    pub fn moving_sum(&self, r: &Region) -> u32 {
        let len = self.attrs.samples_per_aggregation();
        moving_sum(r.nr_accesses, r.last_nr_accesses, len.saturating_sub(self.windows), len)
    }

    /// The believed rate of a region as a count of a full aggregation; at least 1 where an access was seen in this one. Where the adjuster
    /// believes the counts it is their [`moving_sum`](Self::moving_sum).
    pub fn believed_count(&self, r: &Region) -> u32 {
        r.believed_count(self.attrs.samples_per_aggregation()).unwrap_or_else(|| self.moving_sum(r))
    }

    /// An owned copy.
    pub fn snapshot(&self) -> Snapshot {
        let mut s = Snapshot::default();
        self.copy_into(&mut s);
        s
    }

    /// The same into a snapshot that exists, whose buffers are used again.
    pub fn copy_into(&self, out: &mut Snapshot) {
        out.at = self.at;
        out.took = self.took;
        out.sampling = self.attrs.sampling();
        out.aggregation = self.attrs.aggregation();
        out.samples_per_aggregation = self.attrs.samples_per_aggregation();
        out.addr_unit = self.attrs.spec().addr_unit;
        out.targets.truncate(self.targets.len());
        for (i, t) in self.targets.iter().enumerate() {
            if out.targets.len() == i {
                out.targets.push(TargetSnapshot { id: t.id(), group: 0, regions: Vec::new(), events: Vec::new() });
            }
            let to = &mut out.targets[i];
            (to.id, to.group) = (t.id(), t.spec.group);
            to.regions.clear();
            to.regions.extend(t.regions.iter().map(|r| RegionSnapshot::of(r, out.aggregation)));
            to.events.clear();
            to.events.extend((0..t.regions.len()).map_while(|i| t.events(i)));
        }
        out.nodes.clear();
        out.nodes.extend_from_slice(self.nodes());
        out.sources.resize_with(self.sources().len(), SourceSnapshot::default);
        for (to, source) in out.sources.iter_mut().zip(self.sources()) {
            to.counts = *source.counts();
            to.name.clear();
            to.name.push_str(source.name());
        }
    }
}

impl RegionSnapshot {
    /// For how long it has not been accessed; `None` where it is, where no sample tells, or where reads are invisible.
    pub fn idle_time(&self) -> Option<Duration> {
        (self.is_idle() && self.sees.sees_reads()).then_some(self.age_time)
    }

    /// No access was seen, and none is believed in beyond what a few hits long ago leave: a rate of 0.5%.
    pub(crate) fn is_idle(&self) -> bool {
        self.nr_accesses == 0 && self.evidence > 0 && self.rate <= Bp(50)
    }

    fn of(r: &Region, aggregation: Duration) -> Self {
        Self {
            range: r.range(),
            nr_accesses: r.nr_accesses,
            nr_writes: r.nr_writes,
            nr_samples: r.nr_samples,
            age: r.age,
            age_time: r.age_time(aggregation),
            rate: r.rate().or_else(|| r.last_rate()).unwrap_or_default(),
            evidence: r.evidence(),
            sees: r.sees,
        }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_snapshot_survives_the_journey_and_a_bad_range_does_not() {
        let region = RegionSnapshot {
            range: AddrRange::new(4096, 8192).unwrap(),
            nr_accesses: 3,
            nr_writes: 1,
            nr_samples: 20,
            age: 7,
            age_time: Duration::from_millis(700),
            rate: Bp(1_500),
            evidence: 0,
            sees: Sees::ReadsAndWrites,
        };
        let target =
            TargetSnapshot { id: TargetId::new(4), group: 1, regions: alloc::vec![region], events: Vec::new() };
        let sent = Snapshot { addr_unit: 1, targets: alloc::vec![target], ..Snapshot::default() };
        let json = serde_json::to_string(&sent).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), sent);
        let e = serde_json::from_str::<Snapshot>(&json.replace("8192", "4096")).unwrap_err();
        assert!(e.to_string().starts_with("address range 0x1000..0x1000 is empty"), "{e}");
    }
}
