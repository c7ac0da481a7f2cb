//! Any record, and the ways through the formats.

use std::time::Duration;

use damon_core::{Bp, Sees};
use damos::config::document::Intervals;
use damos::record::{BinaryWriter, DamoWriter, Item, Reader, Region, SchemeStats, Series, Snapshot, TargetName};
use proptest::prelude::*;

pub(crate) type Record = Vec<(Series, Vec<Snapshot>)>;

fn region() -> impl Strategy<Value = (u64, u64, Region)> {
    let sees = prop::sample::select(vec![None, Some(Sees::Nothing), Some(Sees::Writes), Some(Sees::ReadsAndWrites)]);
    let maybe = || prop::option::weighted(0.3, any::<u32>());
    let counts =
        (any::<u32>(), any::<u32>(), prop::option::weighted(0.2, 0..1_u64 << 40), prop_oneof![Just(0), any::<u64>()]);
    let rest = (
        maybe(),
        maybe(),
        prop::option::weighted(0.3, 0..=10_000_u32),
        sees,
        prop::collection::vec(any::<u32>(), 0..6),
    );
    (0..1_u64 << 20, 1..1_u64 << 30, counts, rest).prop_map(|(gap, size, counts, rest)| {
        let (nr_accesses, age, age_us, sz_filter_passed) = counts;
        let (nr_samples, nr_writes, rate, sees, probe_hits) = rest;
        let region = Region {
            nr_accesses,
            age,
            age_us,
            sz_filter_passed,
            nr_samples,
            nr_writes,
            rate: rate.map(Bp),
            sees,
            probe_hits: probe_hits.into(),
            ..Region::new(0, 0)
        };
        (gap, size, region)
    })
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let stats = prop::option::of(prop::array::uniform6(any::<u64>()));
    let us = prop::option::of(1..1_u64 << 40);
    let regions = prop::collection::vec(region(), 0..8);
    (any::<u64>(), any::<u64>(), us, prop::option::of(any::<u64>()), stats, regions, 0..13_u32).prop_map(
        |(start_ns, end_ns, us, total_bytes, stats, parts, shift)| {
            let mut end = 0;
            let regions = parts.into_iter().map(|(gap, size, region)| {
                // Now and then another target's begin.
                let start = if gap % 5 == 0 { gap << shift } else { end + (gap << shift) };
                end = start + (size << shift);
                Region { start, end, ..region }
            });
            let stats = stats.map(|[nr_tried, sz_tried, nr_applied, sz_applied, sz_ops_filter_passed, qt_exceeds]| {
                SchemeStats { nr_tried, sz_tried, nr_applied, sz_applied, sz_ops_filter_passed, qt_exceeds }
            });
            let sampling = us.map(Duration::from_micros);
            Snapshot { start_ns, end_ns, sampling, total_bytes, stats, regions: regions.collect() }
        },
    )
}

fn series() -> impl Strategy<Value = Series> {
    let name =
        prop_oneof![any::<i32>().prop_map(|n| TargetName::Number(n.into())), ".{0,12}".prop_map(TargetName::Text)];
    (prop::option::of(name), any::<bool>(), prop::option::of(0..4_u32)).prop_map(|(target_id, with, scheme_idx)| {
        Series {
            target_id,
            scheme_idx,
            kdamond_idx: Some(0),
            intervals: with.then(Intervals::default),
            scheme_filters: if with {
                vec![serde_json::json!({"filter_type": "anon", "matching": true})]
            } else {
                vec![]
            },
            ..Series::default()
        }
    })
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    prop::collection::vec((series(), prop::collection::vec(snapshot(), 0..4)), 0..4)
}

pub(crate) fn binary(record: &Record) -> Vec<u8> {
    let mut writer = BinaryWriter::new(Vec::new()).unwrap();
    for (series, snapshots) in record {
        let n = writer.series(series).unwrap();
        snapshots.iter().for_each(|s| writer.snapshot(n, s).unwrap());
    }
    writer.into_inner()
}

pub(crate) fn damo(record: &Record) -> Vec<u8> {
    let mut writer = DamoWriter::new(Vec::new());
    for (series, snapshots) in record {
        writer.series(series).unwrap();
        snapshots.iter().for_each(|s| writer.snapshot(s).unwrap());
    }
    writer.finish().unwrap()
}

/// All that can be read, and the error that ended it.
pub(crate) fn read(bytes: &[u8]) -> (Record, Option<String>) {
    let mut record = Record::new();
    let reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(e) => return (record, Some(e.to_string())),
    };
    for item in reader {
        match item {
            Ok(Item::Series(n, series)) if n < record.len() => record[n].0 = series,
            Ok(Item::Series(_, series)) => record.push((series, Vec::new())),
            Ok(Item::Snapshot(n, snapshot)) => record[n].1.push(snapshot),
            Ok(_) => {}
            Err(e) => return (record, Some(e.to_string())),
        }
    }
    (record, None)
}

/// Is `part` what `whole` begins with?
pub(crate) fn begins(whole: &Record, part: &Record) -> bool {
    part.len() <= whole.len() && part.iter().zip(whole).all(|((s, snaps), (t, all))| s == t && all.starts_with(snaps))
}
