//! Who may not, or where something is missing: each is told what, and the way out.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use damon_ops_vaddr::Remote;
use damon_ops_vaddr::linux::ProcessOpenError;
use damon_ops_vaddr::remote::{Options, Watch, WatchError};

use crate::child::{Workload, command};
use crate::support::{in_vm, is_root, lacks, remote, say, turn};

/// Runs `role` in this binary, prepared by `prepare` (shell); what it said.
fn under(prepare: &str, role: &str) -> String {
    let inner = command(role);
    let words: Vec<String> = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{prepare}\nexec {}", words.join(" "))]);
    shell.envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))));
    Workload::of(shell).tell("new")
}

/// This binary as an ordinary user, who may do what the lines say.
fn nobody() -> Workload {
    // Where everybody may read it.
    let copy = std::env::temp_dir().join(format!("damon-remote-{}-nobody", std::process::id()));
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let mut as_nobody = Command::new(&copy);
    let inner = command("workload");
    as_nobody.args(inner.get_args()).envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))));
    as_nobody.uid(65_534).gid(65_534).current_dir("/");
    let workload = Workload::of(as_nobody);
    std::fs::remove_file(&copy).unwrap();
    workload
}

#[test]
fn not_root_is_told_so() {
    turn();
    if !is_root() {
        let e = Remote::new().unwrap_err().to_string();
        assert!(e.contains("page_idle") && (e.contains("root") || e.contains("CONFIG_IDLE_PAGE_TRACKING")), "{e}");
        return;
    }
    let said = nobody().tell("new");
    say(&format!("as nobody: {said}"));
    let way_out = if in_vm() { "it takes root" } else { "it takes" };
    assert!(said.contains("page_idle/bitmap") && said.contains(way_out), "{said}");
}

#[test]
fn a_kernel_without_page_idle_is_named_with_the_option_it_lacks() {
    turn();
    let nowhere = Options { root: PathBuf::from("/nonexistent"), ..Options::default() };
    let e = Remote::with_options(nowhere).unwrap_err().to_string();
    assert!(e.contains("/nonexistent/sys/kernel/mm/page_idle/bitmap"), "{e}");
    assert!(e.contains("CONFIG_IDLE_PAGE_TRACKING") && e.contains("Own"), "what else there is: {e}");
}

#[test]
fn a_read_only_sysfs_is_told_from_a_missing_right() {
    if remote().is_none() {
        return;
    }
    if !in_vm() {
        return lacks("a machine of one's own, to mount things over /sys");
    }
    let said = under("busybox mount -o remount,ro,bind /sys 2>/dev/null || mount -o remount,ro /sys", "workload");
    // One /sys for all here.
    assert!(Command::new("mount").args(["-o", "remount,rw", "/sys"]).status().unwrap().success());
    say(&format!("read-only /sys: {said}"));
    assert!(said.contains("Read-only") && said.contains("mount sysfs read-write"), "{said}");
    assert!(Remote::new().is_ok());
}

#[test]
fn hidepid_is_told_from_a_process_that_does_not_exist() {
    let Some(mut backend) = remote() else { return };
    let e = backend.watch(Watch::process(u32::MAX / 4)).unwrap_err();
    assert!(matches!(e, WatchError::Process(ProcessOpenError::Gone { .. } | ProcessOpenError::Pidfd { .. })), "{e}");
    // A directory without processes, where a hidden one would be.
    let empty = std::env::temp_dir().join(format!("damon-hidden-{}", std::process::id()));
    std::fs::create_dir_all(empty.join("proc")).unwrap();
    let e = damon_ops_vaddr::linux::Process::open(&empty, std::process::id()).unwrap_err();
    std::fs::remove_dir_all(&empty).unwrap();
    assert!(e.to_string().contains("hidepid"), "{e}");
}

#[test]
fn what_hidepid_hides_is_said_to_be_hidden() {
    turn();
    if !in_vm() {
        return lacks("a machine of one's own, to mount /proc otherwise");
    }
    let mount = |options: &str| Command::new("mount").args(["-o", options, "/proc"]).status().unwrap().success();
    let (mut nobody, this) = (nobody(), std::process::id());
    assert!(mount("remount,hidepid=2"));
    let said = nobody.tell(&format!("hold {this}"));
    assert!(mount("remount,hidepid=0"));
    assert!(said.contains(&format!("process {this} exists")) && said.contains("hidepid=0"), "{said}");
    assert_eq!(nobody.tell(&format!("hold {this}")), "works");
}

#[test]
fn a_sandbox_is_named_with_the_call_that_it_forbids() {
    turn();
    let mut workload = Workload::start();
    let answer = workload.tell("sandbox");
    if answer != "ok" {
        return lacks(&format!("seccomp ({answer})"));
    }
    let said = workload.tell(&format!("hold {}", std::process::id()));
    assert!(said.contains("seccomp") && said.contains("pidfd_open"), "{said}");
}

#[test]
fn kernel_threads_missing_cgroups_and_the_dead_are_each_refused_by_name() {
    let Some(mut backend) = remote() else { return };
    // kthreadd
    let e = backend.watch(Watch::process(2)).unwrap_err();
    assert!(matches!(e, WatchError::Process(ProcessOpenError::NoMemory { pid: 2 })), "{e}");
    let e = backend.watch(Watch::cgroup("/sys/fs/cgroup/nobody-made-this")).unwrap_err();
    assert!(e.to_string().contains("nobody-made-this/cgroup.procs"), "{e}");
    let mut workload = Workload::start();
    workload.kill();
    let e = backend.watch(Watch::tree(workload.pid())).unwrap_err();
    assert!(matches!(e, WatchError::Process(ProcessOpenError::Gone { .. })), "{e}");
}
