//! damo renders the records that are written here, and its numbers are the library's.
//!
//! Needs damo 3.4.3, its path in `DAMO`: `.ci/jobs/damo` installs it. `damo report .. -i FILE` reads that file and nothing else;
//! it asks to be root all the same.
#![cfg(feature = "record")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use damos::config::document::{Intervals, IntervalsGoal};
use damos::config::quantity::{BasisPoints, Count, Micros};
use damos::record::figures::{Axis, HeatGrid, HeatUnit, Survey, Timing, at_percentile, idle_time_us};
use damos::record::{DamoWriter, Item, Reader, Region, Series, Snapshot, TargetName};

fn damo(args: &[&str], file: &Path) -> String {
    let damo = std::env::var_os("DAMO").expect("DAMO is damo's path; `.ci/jobs/damo` sets it");
    let output = Command::new(damo).args(args).arg("-i").arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{args:?} {file:?}: {}{text}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Memory with two mappings, a hot part that moves, and intervals that are tuned or not.
fn record(tuned: bool) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{tuned}.damon"));
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut intervals = Intervals::default();
    if tuned {
        let (min_sample_us, max_sample_us) = (Micros(5_000), Micros(10_000_000));
        intervals.intervals_goal =
            IntervalsGoal { access_bp: BasisPoints(400), aggrs: Count(3), min_sample_us, max_sample_us };
    }
    let mut writer = DamoWriter::new(std::fs::File::create(&path).unwrap());
    let target_id = Some(TargetName::Number(0));
    writer
        .series(&Series {
            intervals: Some(intervals),
            target_id,
            kdamond_idx: Some(0),
            context_idx: Some(0),
            ..Series::default()
        })
        .unwrap();
    let mut start_ns = 5_000_000_000;
    for i in 0..60 {
        let sampling_us = if tuned { 5_000 + 100 * i } else { 5_000 };
        let mut regions = Vec::new();
        for base in [0x5555_0000_0000_u64, 0x7f00_0000_0000] {
            let mut start = base;
            while start < base + (64 << 20) {
                let end = (start + ((1 + next(3_000)) << 12)).min(base + (64 << 20));
                let hot = (start >> 20) % 64 / 16 == i / 15;
                let nr_accesses = if hot { 10 + next(11) as u32 } else { next(3) as u32 / 2 };
                regions.push(Region { nr_accesses, age: next(20) as u32, ..Region::new(start, end) });
                start = end;
            }
        }
        let end_ns = start_ns + sampling_us * 20 * 1_000;
        let sampling = Some(Duration::from_micros(sampling_us));
        writer.snapshot(&Snapshot { start_ns, end_ns, sampling, regions, ..Snapshot::default() }).unwrap();
        start_ns = end_ns;
    }
    writer.finish().unwrap();
    path
}

/// What is recorded here, and what was published, where that is beside the checkout.
fn records() -> Vec<PathBuf> {
    let mut all = vec![record(false), record(true)];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/records");
    match std::fs::read_dir(&root) {
        Ok(folders) => {
            let files = folders.flatten().filter_map(|f| std::fs::read_dir(f.path()).ok()).flatten().flatten();
            all.extend(files.map(|f| f.path()).filter(|path| path.extension().is_none_or(|e| e != "kdamonds")));
        }
        Err(_) => eprintln!("NOT TESTED: no published records in {}", root.display()),
    }
    all
}

fn items(path: &Path) -> Vec<Item> {
    Reader::open(path).unwrap().collect::<Result<_, _>>().unwrap()
}

fn snapshots(items: &[Item]) -> impl Iterator<Item = &Snapshot> {
    items.iter().filter_map(|item| match item {
        Item::Snapshot(_, snapshot) => Some(snapshot),
        _ => None,
    })
}

fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

#[test]
#[ignore = "needs damo: .ci/jobs/damo"]
fn a_heat_map_agrees_in_every_cell() {
    for path in records() {
        let items = items(&path);
        let mut survey = Survey::default();
        items.iter().for_each(|item| survey.add(item));
        let series = &survey.series()[0];
        let hottest = series.hottest().unwrap();
        let time = Axis::new(series.start_ns, series.end_ns, 16).unwrap();
        let mut grid = HeatGrid::new(time, Axis::new(hottest.start, hottest.end, 24).unwrap(), HeatUnit::Hz);
        snapshots(&items).for_each(|s| grid.add(&series.series, s));

        let text =
            damo(&["report", "heatmap", "--output", "raw", "--abs_time", "--abs_addr", "--resol", "16", "24"], &path);
        let mut cells = 0;
        for (i, line) in text.lines().enumerate() {
            let (t, a) = (i / 24, i % 24);
            let cell = numbers(line);
            assert_eq!(
                (cell[0], cell[1]),
                (grid.time().at(t) as f64, grid.addresses().at(a) as f64),
                "{path:?} {line}"
            );
            let heat = grid.heat(t, a).unwrap_or(f64::NAN);
            assert!(equal(heat, cell[2]) || (heat.is_nan() && cell[2].is_nan()), "{path:?} {line}: here {heat}");
            cells += 1;
        }
        assert_eq!(cells, 16 * 24, "{path:?}");
    }
}

#[test]
#[ignore = "needs damo: .ci/jobs/damo"]
fn working_sets_agree_in_every_percentile() {
    for path in records() {
        let items = items(&path);
        let mut bytes: Vec<u64> = snapshots(&items).map(|s| s.working_set_bytes(1)).collect();
        bytes.sort_unstable();
        let args = [
            "report",
            "wss",
            "--exclude_samples",
            "0",
            "--range",
            "0",
            "101",
            "5",
            "--raw_number",
            "--nr_cols_bar",
            "0",
        ];
        let text = damo(&args, &path);
        let mean = bytes.iter().sum::<u64>() as f64 / bytes.len() as f64;
        assert!(text.contains(&format!("# avr:\t{}", mean as u64)), "{path:?}: here {mean}\n{text}");
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(numbers).collect();
        assert_eq!(lines.len(), 21, "{text}");
        for line in lines {
            assert_eq!(at_percentile(&bytes, line[0]).unwrap() as f64, line[1], "{path:?} {line:?}");
        }
    }
}

#[test]
#[ignore = "needs damo: .ci/jobs/damo"]
fn the_regions_bandwidth_and_idle_times_of_a_snapshot_agree() {
    for path in records() {
        let items = items(&path);
        let Item::Series(_, series) = &items[0] else { panic!("{path:?} does not begin with a series") };
        let text = damo(&["report", "access", "--raw_number"], &path);
        let mut lines = text.lines();
        let mut regions = 0;
        for s in snapshots(&items) {
            let timing = Timing::of(series, s).unwrap();
            let mut by_address: Vec<_> = s.regions.iter().collect();
            by_address.sort_by_key(|r| r.start);
            for r in by_address {
                // Number, "addr", address, "size", size, "access", Hz, "age", microseconds.
                let line = lines.by_ref().find(|line| line.contains(" addr ")).unwrap();
                let n = numbers(line);
                let age_us = timing.age_us(r);
                assert_eq!((n[1], n[2]), (r.start as f64, r.size() as f64), "{path:?} {line}");
                assert!(
                    (n[3] - timing.hz(r.nr_accesses)).abs() < 1e-6,
                    "{path:?} {line}: {}",
                    timing.hz(r.nr_accesses)
                );
                assert!((n[4] - age_us).abs() <= 1.0, "{path:?} {line}: {age_us}");
                regions += 1;
            }
            let line = lines.by_ref().find(|line| line.contains("memory bw estimate")).unwrap();
            let bandwidth = s.bandwidth(&timing);
            assert!((numbers(line)[0] - bandwidth).abs() <= 1.0, "{path:?} {line}: here {bandwidth}");
            assert_eq!(numbers(lines.next().unwrap())[0], s.regions_bytes() as f64, "{path:?}");
        }
        assert!(regions > 0, "{path:?}");

        if !series.scheme_filters.is_empty() {
            continue; // damo shows what passed them, and fails where that is nothing.
        }
        let text = damo(&["report", "access", "--style", "idle-time-percentiles", "--raw_number"], &path);
        let s = snapshots(&items).last().unwrap();
        let idle = idle_time_us(s, &Timing::of(series, s).unwrap(), &[0.0, 1.0, 25.0, 50.0, 75.0, 99.0, 100.0]);
        let shown: Vec<_> = text.lines().filter(|line| line.contains('|')).map(numbers).collect();
        let shown = &shown[shown.len() - idle.len()..];
        for ((percentile, us), line) in idle.iter().zip(shown) {
            assert_eq!(*percentile, line[0], "{path:?}");
            assert!((us - line[1]).abs() <= 1.0, "{path:?} {line:?}: here {us}");
        }
    }
}
