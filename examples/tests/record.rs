//! A recorder that is killed: what it wrote is there, and the next one goes on.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use damos::record::{Item, Reader};

fn start(path: &Path, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_record"));
    command.args(["--demo", "--fixed", "--output"]).arg(path).args(more).stderr(Stdio::piped()).spawn().unwrap()
}

/// All that can be read, and whether it ended in the middle of something.
fn snapshots(path: &Path) -> (usize, bool) {
    let Ok(reader) = Reader::open(path) else { return (0, true) };
    let (mut snapshots, mut torn) = (0, false);
    for item in reader {
        match item {
            Ok(item) => snapshots += usize::from(matches!(item, Item::Snapshot(..))),
            Err(e) => {
                assert!(e.to_string().contains("it ends in the middle of"), "{e}");
                torn = true;
            }
        }
    }
    (snapshots, torn)
}

/// Records by its own end until there are so many snapshots; a second is too short for any on a machine without time.
fn go_on_until(path: &Path, snapshots_at_least: usize) {
    for seconds in 1..10 {
        assert!(start(path, &["--duration", &format!("{seconds}s")]).wait().unwrap().success());
        let (found, torn) = snapshots(path);
        assert!(!torn);
        if found >= snapshots_at_least {
            return;
        }
    }
    panic!("nothing is recorded");
}

fn new_record(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn what_a_killed_recorder_wrote_is_read_and_continued() {
    let path = new_record("killed.damonrec");
    let mut seen = 0;
    for _ in 0..3 {
        let (mut child, begun) = (start(&path, &[]), Instant::now());
        // It goes on until there is something new, on a slow machine as well.
        while snapshots(&path).0 < seen + 3 {
            assert!(begun.elapsed() < Duration::from_secs(120), "nothing is recorded");
            std::thread::sleep(Duration::from_millis(20));
        }
        // SIGKILL: it has no say in it.
        child.kill().unwrap();
        child.wait().unwrap();
        let (found, _) = snapshots(&path);
        assert!(found >= seen + 3);
        seen = found;
        let wss =
            Command::new(env!("CARGO_BIN_EXE_report")).args(["wss", "--raw", "--time"]).arg(&path).output().unwrap();
        assert!(wss.status.success());
        assert!(String::from_utf8(wss.stdout).unwrap().lines().count() > 3);
    }
    go_on_until(&path, seen + 1);
}

#[test]
fn a_writer_that_is_killed_in_the_middle_of_a_snapshot_loses_that_one_alone() {
    let path = new_record("torn.damonrec");
    go_on_until(&path, 2);
    let ((whole, _), bytes) = (snapshots(&path), std::fs::read(&path).unwrap());
    // What a power cut leaves of the last write.
    std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    assert_eq!(snapshots(&path), (whole - 1, true));
    go_on_until(&path, whole);
}
