//! All of this works as an ordinary user.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::lacks;

const NOBODY: u32 = 65_534;

#[test]
fn every_test_passes_without_privileges() {
    // SAFETY-free way to ask who we are: the owner of our own process's directory.
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    if uid != 0 {
        return;
    }
    let copy = std::env::temp_dir().join(format!("damon-own-{}-nobody", std::process::id()));
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = Command::new(&copy)
        .args(["--skip", "unprivileged"])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .env("PROPTEST_CASES", "2")
        .output();
    std::fs::remove_file(&copy).unwrap();
    match run {
        Ok(run) => {
            let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
            assert!(run.status.success(), "as user {NOBODY}:\n{out}\n{err}");
        }
        Err(e) => lacks(&format!("leave to become another user ({e})")),
    }
}
