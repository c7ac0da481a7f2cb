//! What the tests share: a backend where there can be one, turns, and waiting for an emulated CPU.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use damon_core::{Fault, Ops, Sample, Space, Span, TargetEvent, TargetId, Want};
use damon_ops_vaddr::Remote;
use damon_ops_vaddr::remote::RemoteError;

pub(crate) const PAGE: u64 = 4096;

/// Says, past the capture of output, that a test could not show what it is for: `.ci/vm` runs it on other kernels.
pub(crate) fn lacks(what: &str) {
    say(&format!("not shown here for lack of {what}: {}", test()));
}

/// Prints a figure past the capture of output.
pub(crate) fn say(line: &str) {
    // In one piece: other tests write too.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn test() -> String {
    std::thread::current().name().unwrap_or("a test").to_owned()
}

/// Is this a machine of `.ci/vm`, where nobody minds what is switched on and off?
pub(crate) fn in_vm() -> bool {
    std::fs::read_to_string("/proc/cmdline").is_ok_and(|line| line.split_whitespace().any(|word| word == "damon-vm"))
}

pub(crate) fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

thread_local! {
    /// Held by the thread of a test until it ends: monitors of one machine see each other.
    static TURN: MutexGuard<'static, ()> = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
}

pub(crate) fn turn() {
    TURN.with(|_| ());
}

/// A backend; `None`, and said, where page_idle does not work.
pub(crate) fn remote() -> Option<Remote> {
    turn();
    match Remote::new() {
        Ok(remote) => Some(remote),
        Err(e) => {
            assert!(!in_vm(), "page_idle works there: {e}");
            lacks("page_idle");
            None
        }
    }
}

/// How long until an emulated CPU has noticed that accessed bits were cleared, or shows them: `.ci/vm` has it switch each
/// millisecond.
pub(crate) const NOTICE: Duration = Duration::from_millis(10);

/// A backend whose callers need not think of [`NOTICE`].
pub(crate) struct Noticed(pub(crate) Remote);

impl Ops for Noticed {
    type Error = RemoteError;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), RemoteError> {
        self.0.targets(events)
    }

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), RemoteError> {
        self.0.ranges(target, out)
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), RemoteError> {
        let result = self.0.arm(samples);
        std::thread::sleep(NOTICE);
        result
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), RemoteError> {
        std::thread::sleep(NOTICE);
        self.0.check(samples, want)
    }

    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        self.0.resolve(space, addr)
    }

    fn fault(&self, error: &RemoteError) -> Fault {
        self.0.fault(error)
    }
}

/// The events since the last call.
pub(crate) fn events(remote: &mut impl Ops) -> Vec<TargetEvent> {
    let mut events = Vec::new();
    if let Err(e) = remote.targets(&mut events) {
        panic!("{e}");
    }
    events
}

/// The targets that joined since the last call.
pub(crate) fn joined(remote: &mut impl Ops) -> Vec<TargetId> {
    let id = |event| if let TargetEvent::Joined(spec) = event { Some(spec.id) } else { None };
    events(remote).into_iter().filter_map(id).collect()
}
