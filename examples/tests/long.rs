//! Reports on records of any length take the same memory.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use damos::config::document::Intervals;
use damos::record::{BinaryWriter, Reader, Region, Series, Snapshot, to_damo};

const MB: u64 = 1_000_000;

/// A binary record of about so many bytes: 500 regions of 128 MiB, of which some change from one snapshot to the next.
fn record(bytes: u64) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("long-{}.damonrec", bytes / MB));
    let mut writer = BinaryWriter::new(BufWriter::new(File::create(&path).unwrap())).unwrap();
    let series = writer.series(&Series { intervals: Some(Intervals::default()), ..Series::default() }).unwrap();
    let (mut i, mut written) = (0_u64, 0);
    while written < bytes {
        let region = |n: u64| {
            let (start, end) = (n << 18, (n + 1) << 18);
            Region { nr_accesses: ((n * 7 + i) % 21) as u32, age: (i % (n + 1)) as u32, ..Region::new(start, end) }
        };
        let (start_ns, end_ns) = (i * 100_000_000, (i + 1) * 100_000_000);
        let snapshot = Snapshot { start_ns, end_ns, regions: (0..500).map(region).collect(), ..Snapshot::default() };
        writer.snapshot(series, &snapshot).unwrap();
        i += 1;
        if i % 1_000 == 0 {
            written = std::fs::metadata(&path).unwrap().len();
        }
    }
    writer.into_inner().flush().unwrap();
    path
}

/// The same in damo's format.
fn theirs(path: &Path) -> PathBuf {
    let to = path.with_extension("damon");
    to_damo(|| Reader::open(path), BufWriter::new(File::create(&to).unwrap())).unwrap().flush().unwrap();
    to
}

/// The most memory that a program had resident, in KiB, by its own high-water mark: looked at until it is gone.
fn peak(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak = peak.max(mark.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success(), "{command:?}");
    peak
}

fn report(args: &[&str], file: &Path) -> u64 {
    peak(Command::new(env!("CARGO_BIN_EXE_report")).args(args).arg(file))
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow unless optimised: cargo test --release -p examples --test long")]
fn ten_times_the_record_takes_no_more_memory() {
    // What is kept of a long record has a bound, and a short one is not there yet.
    const BOUND_KIB: u64 = 8_192;
    let (short, long) = (record(20 * MB), record(200 * MB));
    // damo's text of the same is some twenty times as long.
    let shorter = record(2 * MB);
    let (their_short, their_long) = (theirs(&shorter), theirs(&short));
    let picture = short.with_extension("png");
    let heatmap = ["heatmap", "--output", picture.to_str().unwrap()];
    for (short, long) in [(&their_short, &their_long), (&short, &long)] {
        for args in [&["wss"][..], &heatmap, &["access"]] {
            let [small, large] = [short, long].map(|file| report(args, file));
            println!("{args:?} {}: {small} KiB, ten times as long {large} KiB", short.display());
            assert!(small > 0 && large < small + BOUND_KIB, "{args:?} {long:?}: {small} KiB, then {large} KiB");
            assert!(small < 65_536, "{args:?} {short:?}: {small} KiB");
        }
    }
    for file in [&shorter, &short, &long, &their_short, &their_long] {
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_program_that_keeps_all_it_reads_is_found_out() {
    let keeps = "x=$(head -c 40000000 /dev/zero | tr '\\0' a); sleep 0.5";
    assert!(peak(Command::new("sh").args(["-c", keeps])) > 39_000);
    assert!(peak(Command::new("sleep").arg("0.2")) < 10_000);
}
