//! The parts of damo's records, as JSON has them.

use core::fmt;
use core::time::Duration;

use damon_core::{Bp, Sees};
use serde::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::number::Num;
use crate::config::quantity::{Address, Count, Micros, Size};
use crate::record::limits;
use crate::record::model::{Region, SchemeStats, Snapshot};

/// A snapshot. Fields that are not known are ignored, as damo does.
#[derive(Deserialize)]
pub(super) struct SnapshotPart {
    start_time: Num<Count>,
    end_time: Num<Count>,
    #[serde(deserialize_with = "regions")]
    regions: Vec<Region>,
    total_bytes: Option<Num<Size>>,
    sample_interval_us: Option<Num<Micros>>,
    damos_stats: Option<StatsPart>,
}

#[derive(Deserialize)]
struct StatsPart {
    nr_tried: Num<Count>,
    sz_tried: Num<Size>,
    nr_applied: Num<Count>,
    sz_applied: Num<Size>,
    sz_ops_filter_passed: Num<Size>,
    qt_exceeds: Num<Count>,
}

#[derive(Deserialize)]
struct RegionPart {
    start: Num<Address>,
    end: Num<Address>,
    nr_accesses: NrAccesses,
    age: Age,
    sz_filter_passed: Option<Num<Size>>,
    #[serde(default)]
    probe_hits: Vec<u32>,
    nr_samples: Option<u32>,
    nr_writes: Option<u32>,
    rate_bp: Option<u32>,
    sees: Option<Sees>,
}

#[derive(Deserialize)]
struct NrAccesses {
    samples: Num<Count>,
    #[serde(rename = "percent")]
    _percent: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Age {
    usec: Option<Num<Micros>>,
    aggr_intervals: Num<Count>,
}

impl SnapshotPart {
    pub(super) fn snapshot(self) -> Snapshot {
        Snapshot {
            start_ns: self.start_time.0,
            end_ns: self.end_time.0,
            sampling: self.sample_interval_us.map(|n| Duration::from_nanos(n.0.saturating_mul(1_000))),
            total_bytes: self.total_bytes.map(|n| n.0),
            stats: self.damos_stats.map(StatsPart::stats),
            regions: self.regions,
        }
    }
}

/// Region by region, so that text that is none of them takes no more memory than they do.
fn regions<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Region>, D::Error> {
    struct Regions;

    impl<'de> Visitor<'de> for Regions {
        type Value = Vec<Region>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the array of regions")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Vec<Region>, A::Error> {
            let mut regions = Vec::new();
            while let Some(part) = parts.next_element::<RegionPart>()? {
                if regions.len() == limits::REGIONS {
                    return Err(A::Error::custom(limits::TOO_MANY_REGIONS));
                }
                let region = part.region().filter(|r| r.start < r.end && r.probe_hits.len() <= limits::PROBES);
                regions.push(region.ok_or_else(|| A::Error::custom("a region that is empty, or counts beyond 2^32"))?);
            }
            Ok(regions)
        }
    }
    d.deserialize_seq(Regions)
}

impl StatsPart {
    fn stats(self) -> SchemeStats {
        SchemeStats {
            nr_tried: self.nr_tried.0,
            sz_tried: self.sz_tried.0,
            nr_applied: self.nr_applied.0,
            sz_applied: self.sz_applied.0,
            sz_ops_filter_passed: self.sz_ops_filter_passed.0,
            qt_exceeds: self.qt_exceeds.0,
        }
    }
}

impl RegionPart {
    fn region(self) -> Option<Region> {
        Some(Region {
            nr_accesses: u32::try_from(self.nr_accesses.samples.0).ok()?,
            age: u32::try_from(self.age.aggr_intervals.0).ok()?,
            age_us: self.age.usec.map(|n| n.0),
            sz_filter_passed: self.sz_filter_passed.map_or(0, |n| n.0),
            nr_samples: self.nr_samples,
            nr_writes: self.nr_writes,
            rate: self.rate_bp.map(Bp),
            sees: self.sees,
            probe_hits: self.probe_hits.into(),
            ..Region::new(self.start.0, self.end.0)
        })
    }
}
