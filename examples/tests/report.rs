//! What `report` prints of a record, byte for byte, and what it says of one that is none.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use damon_core::Sees;
use damos::config::document::Intervals;
use damos::record::{BinaryWriter, Mapping, Region, SchemeStats, Series, Snapshot};

/// Two mappings with a gap, 4 aggregations: a hot half of the first moves.
fn record(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut writer = BinaryWriter::new(std::fs::File::create(&path).unwrap()).unwrap();
    let series = Series { intervals: Some(Intervals::default()), scheme_idx: Some(1), ..Series::default() };
    let series = writer.series(&series).unwrap();
    writer.mappings(series, &[Mapping { start: 0, end: 8 << 20, name: "/usr/lib/heap.so".into() }]).unwrap();
    for i in 0..4_u64 {
        let (low, high) = if i < 2 { (20, 0) } else { (0, 20) };
        let region =
            |start: u64, end: u64, nr_accesses, age| Region { nr_accesses, age, ..Region::new(start << 20, end << 20) };
        let age = (i % 2) as u32;
        let regions = vec![region(0, 4, low, age), region(4, 8, high, age), region(64, 65, 5, i as u32)];
        let stats = Some(SchemeStats { nr_tried: i, sz_tried: i << 20, ..SchemeStats::default() });
        let (start_ns, end_ns) = (i * 100_000_000, (i + 1) * 100_000_000);
        writer.snapshot(series, &Snapshot { start_ns, end_ns, regions, stats, ..Snapshot::default() }).unwrap();
    }
    path
}

fn report(args: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_report")).args(args).arg(file).env("TERM", "dumb").output().unwrap()
}

fn text(args: &[&str], file: &Path) -> String {
    let output = report(args, file);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn error(args: &[&str], file: &Path) -> String {
    let output = report(args, file);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn regions_are_listed_with_units_that_cannot_be_confused() {
    let path = record("access.damonrec");
    let expected = "           address      size  samples       seen       age  mapped
          0x400000     4 MiB   100.0%     200 Hz  100.0 ms  heap.so
         0x4000000     1 MiB    25.0%      50 Hz  300.0 ms
               0x0     4 MiB     0.0%       0 Hz  100.0 ms  heap.so
samples: part of them that found an access, one each 5.0 ms in 100.0 ms; at most 200 Hz
snapshot of 0.300 s to 0.400 s; 9 MiB in 3 regions; at least 850 MiB accessed a second
";
    assert_eq!(text(&["access"], &path), expected);
    let raw = "# start bytes rate_bp hz age_us\n0 4194304 0 0.000000 100000\n";
    assert!(text(&["access", "--order", "address", "--raw", "--most", "1"], &path).starts_with(raw));
    let json = text(&["access", "--json", "--all"], &path);
    assert_eq!((json.lines().count(), json.matches("\"mapped\":\"heap.so\"").count()), (4, 8));
}

#[test]
fn what_cannot_be_seen_is_not_called_cold() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unseen.damonrec");
    let mut writer = BinaryWriter::new(std::fs::File::create(&path).unwrap()).unwrap();
    let series = writer.series(&Series { intervals: Some(Intervals::default()), ..Series::default() }).unwrap();
    let region = |start: u64, sees, nr_accesses| Region {
        sees: Some(sees),
        nr_accesses,
        ..Region::new(start << 20, (start + 1) << 20)
    };
    let regions = vec![region(0, Sees::Writes, 0), region(1, Sees::Writes, 20), region(2, Sees::ReadsAndWrites, 0)];
    writer.snapshot(series, &Snapshot { end_ns: 100_000_000, regions, ..Snapshot::default() }).unwrap();
    let access = text(&["access", "--order", "address"], &path);
    let part: Vec<_> = access.lines().skip(1).take(3).map(|line| line.split_whitespace().nth(3).unwrap()).collect();
    assert_eq!(part, ["unseen", "100.0%", "0.0%"], "{access}");
    assert!(access.contains("not cold, unknown"));
    assert_eq!(text(&["access", "--raw", "--order", "address"], &path).matches("unseen unseen").count(), 1);
    assert_eq!(text(&["access", "--json"], &path).matches("\"unseen\":true").count(), 1);
    assert!(
        text(&["idle"], &path).contains("idle time of 2 MiB") && text(&["idle"], &path).contains("left out: 1 MiB")
    );
    let map = text(&["heatmap"], &path);
    assert!(map.contains("0 B|///////") && map.contains("|@@@@@"), "{map}");
}

#[test]
fn working_set_idle_time_schemes_and_regions_are_told() {
    let path = record("figures.damonrec");
    assert_eq!(text(&["wss", "--raw", "--skip", "1"], &path).lines().next(), Some("# mean 5242880"));
    assert_eq!(
        text(&["wss", "--raw", "--time", "--min-accesses", "6"], &path),
        "# end_ns bytes\n100000000 4194304\n200000000 4194304\n300000000 4194304\n400000000 4194304\n"
    );
    assert!(text(&["idle", "--raw"], &path).ends_with("50 0\n75 200000\n90 200000\n99 200000\n100 200000\n"));
    assert!(text(&["schemes"], &path).starts_with("scheme 1: tried 3 regions, 3 MiB; applied to 0, 0 B;"));
    let regions = text(&["regions", "--raw"], &path);
    assert_eq!(regions.lines().count(), 13);
    assert!(regions.ends_with("0 300000000 400000000 67108864 68157440 5 3\n"), "{regions}");
}

#[test]
fn a_heat_map_cuts_the_gap_out_and_names_what_is_mapped() {
    let path = record("map.damonrec");
    let map = text(&["heatmap"], &path);
    let cells = |line: &&str| line.split('|').nth(1).map(str::len) == Some(67);
    assert!(map.contains("heap.so: 8 MiB at 0x0") && map.contains("memory: 1 MiB at 0x4000000"), "{map}");
    let rows: Vec<_> = map.lines().filter(cells).collect();
    assert!(rows[0].contains("@@@@@@@@@@") && rows[0].ends_with("          |"), "hot, then cold\n{map}");
    for (name, magic) in [("map.svg", &b"<svg"[..]), ("map.png", b"\x89PNG")] {
        let picture = path.with_file_name(name);
        text(&["heatmap", "--output", picture.to_str().unwrap()], &path);
        assert!(std::fs::read(&picture).unwrap().starts_with(magic), "{name}");
    }
    for (report, words) in [
        ("wss", &["working set", "time since the start (s)", "mean 5 MiB", "4 MiB", "less in 90% of snapshots"][..]),
        ("idle", &["idle memory when it ends", "idle for at least", "5 MiB of 9 MiB in use", "300 ms"]),
    ] {
        let picture = path.with_file_name(format!("{report}.svg"));
        text(&[report, "--output", picture.to_str().unwrap()], &path);
        let drawn = std::fs::read_to_string(&picture).unwrap();
        assert!(words.iter().all(|word| drawn.contains(word)), "{words:?}: {drawn}");
    }
    let cells = text(&["heatmap", "--raw", "--ranges", "1"], &path);
    assert_eq!(cells.lines().next(), Some("# start_ns end_ns start end rate_bp"));
    assert!(cells.lines().nth(1).unwrap().ends_with(" 10000") && cells.lines().last().unwrap().ends_with(" 10000"));
    assert_eq!(text(&["heatmap", "--json", "--ranges", "1"], &path).lines().count(), cells.lines().count() - 1);
    assert!(text(&["heatmap", "--ranges", "1"], &path).contains("fewer accesses that are left out: 1;"));
}

#[test]
fn a_record_changes_its_format_and_back_without_loss() {
    let path = record("convert.damonrec");
    let (theirs, ours) = (path.with_extension("damon"), path.with_extension("again"));
    text(&["convert", "--output", theirs.to_str().unwrap()], &path);
    text(&["convert", "--output", ours.to_str().unwrap()], &theirs);
    let of = |path: &Path| text(&["regions", "--raw"], path);
    assert_eq!((of(&theirs), of(&ours)), (of(&path), of(&path)));
    assert_eq!(text(&["schemes"], &ours), text(&["schemes"], &path));
}

#[test]
fn a_record_may_come_from_standard_input() {
    let path = record("input.damonrec");
    let json = path.with_extension("damon");
    text(&["convert", "--output", json.to_str().unwrap()], &path);
    for file in [&path, &json] {
        for args in [&["heatmap"][..], &["access"], &["wss"], &["idle"], &["schemes"], &["regions"]] {
            let input = std::fs::File::open(file).unwrap();
            let mut report = Command::new(env!("CARGO_BIN_EXE_report"));
            let output = report.args(args).arg("-").env("TERM", "dumb").stdin(input).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text(args, file), "{args:?}");
        }
        let again = path.with_extension("again.damon");
        let input = std::fs::File::open(file).unwrap();
        let mut convert = Command::new(env!("CARGO_BIN_EXE_report"));
        assert!(convert.args(["convert", "-", "-o"]).arg(&again).stdin(input).status().unwrap().success());
        assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&json).unwrap());
    }
    let output = Command::new(env!("CARGO_BIN_EXE_report")).args(["idle", "-"]).stdin(Stdio::null()).output().unwrap();
    assert!(
        String::from_utf8(output.stderr).unwrap().starts_with("report: standard input: at byte 0: this is neither")
    );
}

#[test]
fn who_has_read_enough_is_told_nothing() {
    let path = record("enough.damonrec");
    let args = ["regions", path.to_str().unwrap()];
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../damon-ops-sim/scenarios/stairs-32.json");
    for (program, args) in [
        (env!("CARGO_BIN_EXE_report"), &args[..]),
        (env!("CARGO_BIN_EXE_simulate"), &["accuracy", "--seeds", "1", "--json", scenario]),
    ] {
        let mut child = Command::new(program).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{program}: {output:?}");
    }
}

#[test]
fn what_is_wrong_is_said_with_the_way_out() {
    let path = record("wrong.damonrec");
    assert!(
        error(&["heatmap", "--output", "map.gif"], &path).contains("map.gif: a picture's name ends in .svg or .png")
    );
    assert!(
        error(&["wss", "--skip", "4"], &path).contains("no snapshot after the first 4 (of 4): skip fewer with --skip")
    );
    assert!(error(&["access", "--series", "3"], &path).contains("the record has no series 3"));
    let before = std::fs::read(&path).unwrap();
    let itself = path.to_str().unwrap();
    assert!(error(&["convert", "-o", itself], &path).contains("this is the record itself: give another file"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let none = path.with_extension("none");
    assert!(error(&["convert", "-o", none.to_str().unwrap()], Path::new("/etc/passwd")).contains("this is neither"));
    assert!(!none.exists(), "no file is left of what is no record");
    assert!(error(&["idle"], Path::new("/nowhere")).contains("/nowhere: at byte 0: cannot read: No such file"));
    assert!(error(&["idle"], Path::new("/etc/passwd")).contains("this is neither a record of damo"));
    let torn = path.with_extension("torn");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&torn, &whole[..whole.len() - 3]).unwrap();
    let output = report(&["wss", "--raw", "--time"], &torn);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 4, "what comes before is reported on");
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("it ends in the middle of a frame; the report is on what comes before")
    );
}

/// Published records of real servers, where they are beside the checkout.
#[test]
fn real_records_open_in_every_report_and_in_a_replay() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/records");
    let Ok(folders) = std::fs::read_dir(&root) else {
        eprintln!("NOT TESTED: no records in {}", root.display());
        return;
    };
    let schemes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stat.json");
    let stat = r#"{"kdamonds": [{"contexts": [{"ops": "paddr", "targets": [{"pid": null, "regions": []}], "schemes": [{"action": "stat"}]}]}]}"#;
    std::fs::write(&schemes, stat).unwrap();
    let (mut opened, mut tried) = (0, 0);
    for file in folders.flatten().filter_map(|f| std::fs::read_dir(f.path()).ok()).flatten().flatten().map(|f| f.path())
    {
        if file.extension().is_none_or(|e| e != "kdamonds") {
            for args in [&["heatmap"][..], &["access"], &["wss"], &["idle"], &["schemes"], &["regions"]] {
                assert!(!text(args, &file).is_empty(), "{args:?} {file:?}");
            }
            let replay =
                Command::new(env!("CARGO_BIN_EXE_replay")).arg("--scheme").arg(&schemes).arg(&file).output().unwrap();
            let said = String::from_utf8(replay.stdout).unwrap();
            assert!(replay.status.success(), "{file:?}: {}", String::from_utf8_lossy(&replay.stderr));
            // A scheme on any memory is tried on every region of every snapshot: as many as `report regions` lists.
            let number = |before: &str| -> usize {
                said.split(before).nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap()
            };
            let listed = text(&["regions"], &file).lines().count() - 1;
            let skipped = if said.contains("left out") { number("left out: ") } else { 0 };
            assert_eq!(number("tried ") + skipped, listed, "{file:?}: {said}");
            tried += number("tried ");
            opened += 1;
        }
    }
    assert_eq!(opened, 32);
    assert!(tried > 0);
}
