//! Page faults of another process, a child that touches known pages.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant as Wall};

use damon_core::{AddrRange, Attrs, Instant, Monitor, SourceSpec, TargetId, TargetSpec};
use damon_ops_vaddr::PrivateMap;
use damon_ops_vaddr::source::perf::{HardwareEvent, PerfError, PerfEvent, PerfSession, PerfSource, PerfSpec, Whom};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

const PAGE: u64 = 4096;
const PAGES: u64 = 256;

/// Which pages it touches when it is told to: some from the thread that it begins with, some from one that exists when the
/// watcher comes, some from one that is made afterwards.
const MAIN: [u64; 3] = [3, 4, 100];
const OLD_THREAD: [u64; 3] = [7, 50, 255];
const NEW_THREAD: [u64; 3] = [0, 12, 13];

/// The child: this test binary, asked for this one test.
#[test]
fn child() {
    if std::env::var_os("DAMON_CHILD").is_none() {
        return;
    }
    let map = PrivateMap::new((PAGES * PAGE) as usize).unwrap();
    let touch =
        |pages: [u64; 3]| pages.into_iter().for_each(|p| map.atomics()[(p * PAGE / 8) as usize].store(1, Relaxed));
    let (go, told) = mpsc::channel::<()>();
    thread::scope(|s| {
        let old = s.spawn(move || {
            told.recv().unwrap();
            touch(OLD_THREAD);
        });
        println!("\n{}", map.range().start());
        let mut lines = std::io::stdin().lines();
        lines.next();
        touch(MAIN);
        s.spawn(move || touch(NEW_THREAD)).join().unwrap();
        go.send(()).unwrap();
        old.join().unwrap();
        println!("done");
        // Until the other end is closed.
        lines.next();
    });
}

struct Watched {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    range: AddrRange,
}

impl Watched {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "perf::child", "--nocapture"])
            .env("DAMON_CHILD", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut from = BufReader::new(child.stdout.take().unwrap());
        let start = lines(&mut from).find_map(|line| line.parse().ok()).unwrap();
        Self { to: child.stdin.take(), child, from, range: AddrRange::from_len(start, PAGES * PAGE).unwrap() }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// It touches its pages.
    fn go(&mut self) {
        writeln!(self.to.as_ref().unwrap()).unwrap();
        assert!(lines(&mut self.from).any(|line| line == "done"));
    }

    fn end(&mut self) {
        self.to = None;
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.to = None;
        let _ = self.child.wait();
    }
}

fn lines(from: &mut BufReader<ChildStdout>) -> impl Iterator<Item = String> {
    from.lines().map_while(Result::ok)
}

/// `None`, and says why, where the machine does not let one sample a child.
fn permitted<T>(result: Result<T, PerfError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(PerfError::Forbidden { event, whom, paranoid }) => {
            eprintln!("SKIPPED: sampling {event} of {whom} is not permitted, paranoid is {paranoid}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

fn expected(range: AddrRange) -> BTreeSet<u64> {
    [MAIN, OLD_THREAD, NEW_THREAD].concat().into_iter().map(|page| range.start() + page * PAGE).collect()
}

#[test]
fn exactly_the_touched_pages_of_all_threads_are_seen() {
    let mut child = Watched::start();
    let whom = Whom::Process(child.pid());
    let Some(mut session) = permitted(PerfSession::open(whom, &PerfEvent::page_faults(), 64 << 10)) else { return };
    child.go();
    let (mut pages, mut threads) = (BTreeSet::new(), BTreeSet::new());
    let range = child.range;
    let drained = session.drain(|s| {
        let addr = s.addr.unwrap();
        if range.contains(addr) {
            pages.insert(addr & !(PAGE - 1));
            threads.insert(s.tid.unwrap());
        }
        assert_eq!((s.pid, s.period), (Some(child.pid()), Some(1)));
    });
    assert_eq!(pages, expected(range));
    assert_eq!(threads.len(), 3, "one that was, one that came, and the first");
    assert_eq!((drained.lost, drained.bad, drained.others), (0, 0, 0));
    assert!(session.is_alive());
    child.end();
    assert!(!session.is_alive());
}

#[test]
fn a_monitor_is_told_and_the_source_ends_with_the_process() {
    let mut child = Watched::start();
    let id = TargetId::new(5);
    let mut monitor = Monitor::new(Attrs::default(), 1);
    monitor.add_target(TargetSpec { ranges: vec![child.range], ..TargetSpec::new(id) });
    let reporter = monitor.add_source(SourceSpec::new("page faults"));
    let spec = PerfSpec { whom: Whom::Process(child.pid()), target: Some(id), ..PerfSpec::default() };
    let Some(source) = permitted(PerfSource::start(&spec, reporter)) else { return };

    let _ = monitor.begin(Instant::ZERO, &mut ());
    child.go();
    child.end();
    let deadline = Wall::now() + Duration::from_secs(10);
    while !source.stats().over {
        assert!(Wall::now() < deadline, "{:?}", source.stats());
        thread::sleep(Duration::from_millis(1));
    }
    let _ = monitor.end(Instant::ZERO + Duration::from_millis(5), &mut ());
    let counts = monitor.sources()[1].counts();
    assert_eq!(counts.taken(), expected(child.range).len() as u64, "{counts:?} {:?}", source.stats());
    assert_eq!(source.stats().reported, counts.received);
    assert_eq!(source.stats().refused + source.stats().bad + source.stats().lost, 0);
}

#[test]
fn what_the_kernel_has_no_room_for_is_counted() {
    // A page of ring holds 85 samples, on each CPU.
    let whom = Whom::Process(std::process::id());
    let Some(mut session) = permitted(PerfSession::open(whom, &PerfEvent::page_faults(), 1)) else { return };
    let first_thousand = touched(1_000);
    let first = session.drain(|_| ());
    assert!(first.samples >= 50 && first.samples < 1_000, "{first:?}");
    // The record of what was lost comes with the next sample of that CPU that fits.
    let me = Pid::from_raw(0);
    let cpus = sched_getaffinity(me).unwrap();
    let mut next = Vec::new();
    for cpu in (0..CpuSet::count()).filter(|&cpu| cpus.is_set(cpu).unwrap()) {
        let mut one = CpuSet::new();
        one.set(cpu).unwrap();
        sched_setaffinity(me, &one).unwrap();
        next.push(touched(10));
    }
    sched_setaffinity(me, &cpus).unwrap();
    let second = session.drain(|_| ());
    assert!(first.lost + second.lost >= 1_000 - first.samples, "{first:?} {second:?}");
    assert_eq!(first.bad + second.bad, 0);
    drop((first_thousand, next));
}

#[test]
fn samples_lost_in_the_kernel_are_lost_reports_of_the_source() {
    let mut monitor = Monitor::new(Attrs::default(), 1);
    let id = TargetId::new(0);
    let ranges = vec![AddrRange::new(PAGE, 1 << 47).unwrap()];
    monitor.add_target(TargetSpec { ranges, ..TargetSpec::new(id) });
    let reporter = monitor.add_source(SourceSpec::new("page faults"));
    let spec =
        PerfSpec { ring_bytes: 1, interval: Duration::from_millis(200), target: Some(id), ..PerfSpec::default() };
    let Some(source) = permitted(PerfSource::start(&spec, reporter)) else { return };
    let _ = monitor.begin(Instant::ZERO, &mut ());
    let deadline = Wall::now() + Duration::from_secs(10);
    while source.stats().lost < 500 {
        assert!(Wall::now() < deadline, "{:?}", source.stats());
        drop(touched(1_000));
        thread::sleep(Duration::from_millis(10));
    }
    let _ = monitor.end(Instant::ZERO + Duration::from_millis(5), &mut ());
    assert!(monitor.sources()[1].counts().lost >= 500, "{:?}", monitor.sources()[1].counts());
}

/// New memory, so many pages of which were touched once.
fn touched(pages: u64) -> PrivateMap {
    let map = PrivateMap::new((pages * PAGE) as usize).unwrap();
    // Kernels without huge pages have nothing to turn off.
    let _ = map.advise_huge(false);
    (0..pages).for_each(|page| map.atomics()[(page * PAGE / 8) as usize].store(1, Relaxed));
    map
}

#[test]
fn a_source_that_is_dropped_or_has_no_monitor_ends() {
    let mut monitor = Monitor::new(Attrs::default(), 1);
    let spec = PerfSpec { target: Some(TargetId::new(0)), ..PerfSpec::default() };
    let Some(dropped) = permitted(PerfSource::start(&spec, monitor.add_source(SourceSpec::new("a")))) else { return };
    drop(dropped);
    let orphan = PerfSource::start(&spec, monitor.add_source(SourceSpec::new("b"))).unwrap();
    drop(monitor);
    let deadline = Wall::now() + Duration::from_secs(10);
    while !orphan.stats().over {
        assert!(Wall::now() < deadline);
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_cannot_be_sampled_is_said_with_the_way_out() {
    let open = |whom, event: &PerfEvent| PerfSession::open(whom, event, 4096).unwrap_err();
    let gone = {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    };
    let e = open(Whom::Process(gone), &PerfEvent::page_faults());
    assert!(matches!(e, PerfError::NoProcess { pid, .. } if pid == gone), "{e}");

    let own = Whom::Process(std::process::id());
    let e = open(own, &PerfEvent::Hardware(HardwareEvent::new("no_such_unit", 1)));
    assert!(e.to_string().contains("no performance monitoring unit \"no_such_unit\", but has: "), "{e}");
    // A unit that is there, and samples no addresses by such a configuration.
    let e = open(own, &PerfEvent::Hardware(HardwareEvent { config: u64::MAX, ..HardwareEvent::new("software", 1) }));
    assert!(matches!(e, PerfError::Refused { .. } | PerfError::Other { .. } | PerfError::Forbidden { .. }), "{e}");
}
