//! What is missing is named, with the way out: as an ordinary user, and in a sandbox.

use std::os::unix::process::CommandExt;
use std::process::Command;

use damon_core::{Action, ApplyOps, Filter, PageFilter, Request, TargetId};
use damon_ops_vaddr::linux::Pidfd;
use damon_ops_vaddr::linux::act::{self, Guardrails, ProcessError};
use damon_ops_vaddr::{RemoteActError, RemoteActor};

use crate::actor::{TARGET, actor_of, plain};
use crate::child::Child;
use crate::support::{PAGE, is_root, lacks};

const NOBODY: u32 = 65_534;
const VARIABLE: &str = "DAMON_TEST_DENIED";

/// Runs a test of this binary, which sees `value` in the environment, in a process of its own; its output.
fn run(test: &str, value: &str, as_nobody: bool) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(VARIABLE, value);
    if as_nobody {
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    }
    match command.output() {
        Ok(out) => {
            let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success() && text.contains("1 passed"), "{text}");
            text
        }
        Err(e) => {
            lacks(&format!("a binary that nobody may execute too: {e}"));
            String::new()
        }
    }
}

fn not_allowed(error: Option<RemoteActError>, words: &[&str]) {
    let error = error.unwrap();
    assert!(matches!(error, RemoteActError::Process(ProcessError::NotAllowed { .. })), "{error}");
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn an_ordinary_user_is_told_which_capability_lacks() {
    if !is_root() {
        return as_a_user(1);
    }
    run("denied::a_user", &std::process::id().to_string(), true);
}

/// Not a test by itself: what the ordinary user does.
#[test]
fn a_user() {
    if let Some(pid) = std::env::var(VARIABLE).ok().and_then(|pid| pid.parse().ok()) {
        as_a_user(pid);
    }
}

fn as_a_user(of_root: u32) {
    let mut child = Child::new();
    let range = child.anon(16 * PAGE);
    let mut actor = actor_of(&child, Guardrails::default());
    // It is asked before anything is done, and told then already.
    let why = actor.supports(Some(TARGET), &plain(Action::Pageout)).unwrap_err().to_string();
    assert!(why.contains("CAP_SYS_NICE") && why.contains("setcap"), "{why}");
    assert!(actor.supports(None, &plain(Action::Cold)).is_err());
    not_allowed(actor.apply(TARGET, range, &plain(Action::Pageout)).error, &["process_madvise", "CAP_SYS_NICE"]);
    // Which pages are anonymous is told to root.
    let filters = [Filter { page: PageFilter::Anon, matching: true, allow: true }];
    let filtered = Request::new(Action::Stat, &filters, &[]);
    let why = actor.supports(Some(TARGET), &filtered).unwrap_err().to_string();
    assert!(why.contains("root") || why.contains("CAP_SYS_ADMIN"), "{why}");
    let done = actor.apply(TARGET, range, &filtered);
    assert!(done.error.is_some() && done.filter_passed == 0);
    // Its own processes' pages may be asked for, and moved.
    let child_fd = Pidfd::open(child.pid()).unwrap();
    match act::nodes_of(&child_fd, &[range.start()]) {
        Ok(nodes) => assert!(nodes[0].is_some()),
        Err(e) => lacks(&e.to_string()),
    }
    // Another user's process.
    let root_fd = Pidfd::open(of_root).unwrap();
    let error = act::advise(&root_fd, Action::Cold, &[range]).error.unwrap().to_string();
    assert!(error.contains("the right to trace"), "{error}");
    let error = act::nodes_of(&root_fd, &[range.start()]).unwrap_err().to_string();
    assert!(error.contains("the right to trace") || error.contains("CONFIG_NUMA"), "{error}");
    let error = RemoteActor::new([(TargetId::new(1), of_root)], Guardrails::default());
    let _ = error.map(|mut actor| {
        let done = actor.apply(TargetId::new(1), range, &plain(Action::Cold));
        assert!(done.error.is_some() && done.size == 0);
    });
}

#[test]
fn a_sandbox_that_forbids_the_calls_is_suspected() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let said = run("denied::sandboxed", &errno.to_string(), false);
        if said.contains("no seccomp") {
            lacks("seccomp");
        }
    }
}

/// Not a test by itself: what the process in the sandbox does.
#[test]
fn sandboxed() {
    let Some(errno) = std::env::var(VARIABLE).ok().and_then(|errno| errno.parse().ok()) else { return };
    let mut child = Child::new();
    let range = child.anon(16 * PAGE);
    let mut actor = actor_of(&child, Guardrails::default());
    if crate::raw::forbid(&[libc::SYS_process_madvise, libc::SYS_move_pages], errno).is_err() {
        println!("no seccomp");
        return;
    }
    for target in [Some(TARGET), None] {
        let why = actor.supports(target, &plain(Action::Cold)).unwrap_err().to_string();
        assert!(why.contains("seccomp"), "{why}");
    }
    not_allowed(actor.apply(TARGET, range, &plain(Action::Cold)).error, &["seccomp"]);
    assert!(act::nodes_of(&Pidfd::open(child.pid()).unwrap(), &[range.start()]).is_err());
    assert!(child.is_intact(range));
}
