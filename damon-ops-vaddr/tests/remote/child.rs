//! The workload: this binary again, told by an environment variable what to be, and line by line what to do.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use damon_core::AddrRange;
use damon_ops_vaddr::{PrivateMap, SharedMap};

use crate::support::PAGE;

const ROLE: &str = "DAMON_TEST_CHILD";

/// Is no test: what the tests run as their workload.
#[test]
fn workload() {
    if let Ok(role) = std::env::var(ROLE) {
        serve(&role);
        // Not through the harness, whose end would print.
        std::process::exit(0);
    }
}

/// A way to run this binary as a workload.
pub(crate) fn command(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child::workload", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command
}

/// Memory of a workload.
enum Memory {
    Private(PrivateMap),
    Shared(Arc<SharedMap>),
}

impl Memory {
    fn words(&self) -> &[AtomicU64] {
        match self {
            Self::Private(map) => map.atomics(),
            Self::Shared(map) => map.atomics(),
        }
    }

    fn range(&self) -> AddrRange {
        match self {
            Self::Private(map) => map.range(),
            Self::Shared(map) => map.range(),
        }
    }

    fn read(&self, page: u64) {
        std::hint::black_box(self.words()[(page * PAGE / 8) as usize].load(Relaxed));
    }

    fn write(&self, page: u64) {
        self.words()[(page * PAGE / 8) as usize].fetch_add(1, Relaxed);
    }
}

/// Does what the lines of standard input say, and says "ok" after each.
fn serve(role: &str) {
    let say = |line: &str| {
        let mut out = std::io::stdout();
        writeln!(out, "\n@{line}").and_then(|()| out.flush()).unwrap();
    };
    let mut memory: Option<Arc<Memory>> = None;
    let mut sweep: Option<(Arc<AtomicBool>, std::thread::JoinHandle<u64>)> = None;
    let mut children: Vec<Child> = Vec::new();
    say(role);
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<u64>().unwrap();
        let stop = |sweep: &mut Option<(Arc<AtomicBool>, std::thread::JoinHandle<u64>)>| {
            sweep.take().map_or(0, |(stop, thread)| {
                stop.store(true, Relaxed);
                thread.join().unwrap()
            })
        };
        match words[0] {
            // map KIND PAGES [POPULATED]
            "map" => {
                let bytes = (number(2) * PAGE) as usize;
                let map = match words[1] {
                    "shared" => Memory::Shared(Arc::new(SharedMap::new("workload", bytes).unwrap())),
                    kind => {
                        let map = PrivateMap::new(bytes).unwrap();
                        map.advise_huge(kind == "huge").unwrap();
                        Memory::Private(map)
                    }
                };
                let populated = if words.len() > 3 { number(3) } else { number(2) };
                (0..populated).for_each(|page| map.write(page));
                // What each CPU holds back from the LRU lists goes to them when it has enough: so there is more.
                let more = PrivateMap::new(256 * PAGE as usize).unwrap();
                more.advise_huge(false).unwrap();
                more.atomics().iter().step_by(512).for_each(|word| word.store(1, Relaxed));
                let range = map.range();
                memory = Some(Arc::new(map));
                std::mem::forget(more);
                say(&format!("{} {}", range.start(), range.end()));
            }
            // touch FIRST PAGES
            "touch" => {
                (number(1)..number(1) + number(2)).for_each(|page| memory.as_ref().unwrap().write(page));
                say("ok");
            }
            // What making a backend says here.
            "new" => say(&match damon_ops_vaddr::Remote::new() {
                Ok(_) => "works".into(),
                Err(e) => e.to_string().replace('\n', " "),
            }),
            // What holding a process says here.
            "hold" => {
                let held = damon_ops_vaddr::linux::Process::open("/".as_ref(), number(1) as u32);
                say(&held.map_or_else(|e| e.to_string(), |_| "works".into()));
            }
            "sandbox" => say(&crate::raw::forbid(&[libc::SYS_pidfd_open], libc::EPERM)
                .map_or_else(|e| e.to_string(), |()| "ok".into())),
            "unmap" => {
                stop(&mut sweep);
                memory = None;
                say("ok");
            }
            "read" => {
                memory.as_ref().unwrap().read(number(1));
                say("ok");
            }
            "write" => {
                memory.as_ref().unwrap().write(number(1));
                say("ok");
            }
            // sweep FIRST PAGES PAUSE_US KIND: again and again until "stop", in a thread
            "sweep" => {
                stop(&mut sweep);
                let flag = Arc::new(AtomicBool::new(false));
                let (map, stopped) = (memory.clone().unwrap(), flag.clone());
                let (first, pages, pause, reads) = (number(1), number(2), number(3), words[4] == "reads");
                let thread = std::thread::spawn(move || {
                    let mut rounds = 0;
                    while !stopped.load(Relaxed) {
                        let touch = |page| if reads { map.read(page) } else { map.write(page) };
                        (first..first + pages).for_each(touch);
                        rounds += 1;
                        if pause > 0 {
                            std::thread::sleep(Duration::from_micros(pause));
                        }
                    }
                    rounds
                });
                sweep = Some((flag, thread));
                say("ok");
            }
            "stop" => say(&stop(&mut sweep).to_string()),
            "exec" => {
                stop(&mut sweep);
                panic!("{}", command(words[1]).exec());
            }
            "fork" => {
                let child = command(words[1]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
                say(&child.id().to_string());
                children.push(child);
            }
            // kill INDEX: ends a child
            "kill" => {
                let child = &mut children[number(1) as usize];
                child.kill().unwrap();
                child.wait().unwrap();
                say("ok");
            }
            other => panic!("unknown: {other}"),
        }
    }
    for child in &mut children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A workload that runs; ended when it is dropped.
pub(crate) struct Workload {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Workload {
    pub(crate) fn start() -> Self {
        Self::of(command("workload"))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut this = Self { child, input, output };
        this.answer();
        this
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the workload ended");
            if let Some(answer) = line.trim_end().strip_prefix('@') {
                return answer.to_owned();
            }
        }
    }

    pub(crate) fn tell(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").unwrap();
        self.answer()
    }

    /// Memory of `pages` pages, populated.
    pub(crate) fn map(&mut self, kind: &str, pages: u64) -> AddrRange {
        let answer = self.tell(&format!("map {kind} {pages}"));
        let (start, end) = answer.split_once(' ').unwrap();
        AddrRange::new(start.parse().unwrap(), end.parse().unwrap()).unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
