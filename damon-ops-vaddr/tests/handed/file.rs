//! A file as one target: seen through any of its mappings, counted once.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use damon_core::{AddrRange, Ops, Sample, Seen, Sees, Space, Span, TargetId, Want};
use damon_ops_sim::conformance::{self, Fixture, Touch};
use damon_ops_vaddr::file::{FileId, Files, Mapped};
use damon_ops_vaddr::remote::Watch;
use damon_ops_vaddr::{Guard, Method, Options, Own, Remote};

use crate::raw;
use crate::support::{PAGE, in_vm, lacks, listener};

const FILE: TargetId = TargetId::new(9);
const PAGES: u64 = 256;

/// A memfd of populated pages.
fn memfd() -> File {
    let file = raw::memfd(PAGES * PAGE);
    let range = raw::map(None, PAGES * PAGE, raw::SHARED, Some(&file)).unwrap();
    (0..PAGES).for_each(|n| raw::write(range.start() + n * PAGE, n));
    raw::unmap(range);
    file
}

/// This process maps it twice, and watches both mappings.
struct Twice {
    files: Files<Own>,
    ranges: [AddrRange; 2],
    file: File,
    /// Touches go through the one and the other in turn.
    turn: usize,
    _guards: Vec<Guard>,
}

impl Twice {
    fn new(method: Method) -> Option<Self> {
        // Two at once would be in each other's way.
        let _turn = listener();
        let options = Options { methods: vec![method], ..Options::default() };
        let Ok(mut own) = Own::with_options(TargetId::new(0), options) else {
            lacks(&method.to_string());
            return None;
        };
        let file = memfd();
        let ranges = [0; 2].map(|_| raw::map(None, PAGES * PAGE, raw::SHARED, Some(&file)).unwrap());
        for range in ranges {
            (0..PAGES).for_each(|n| _ = raw::read(range.start() + n * PAGE));
        }
        let guards = ranges.map(|range| raw::watch(&mut own, range).unwrap());
        let mut files = Files::new(own);
        files.watch(FILE, FileId::of(file.as_fd()).unwrap());
        files.targets(&mut Vec::new()).unwrap();
        Some(Self { files, ranges, file, turn: 0, _guards: guards.into() })
    }
}

impl Fixture for Twice {
    type Ops = Files<Own>;

    fn ops(&mut self) -> &mut Files<Own> {
        &mut self.files
    }

    fn target(&self) -> TargetId {
        FILE
    }

    fn touch(&mut self, offset: u64, touch: Touch) {
        self.turn ^= 1;
        let addr = self.ranges[self.turn].start() + offset / PAGE * PAGE;
        match touch {
            Touch::Read => _ = raw::read(addr),
            Touch::Write => raw::write(addr, offset),
        }
    }
}

fn spans<B: Mapped>(files: &mut Files<B>) -> Vec<Span> {
    let mut out = Vec::new();
    files.ranges(FILE, &mut out).unwrap();
    out
}

#[test]
fn a_file_that_is_mapped_twice_conforms_as_one_target() {
    if let Some(mut twice) = Twice::new(Method::ZapTracked) {
        conformance::run(&mut twice).assert();
    }
}

#[test]
fn its_addresses_are_offsets_and_every_mapping_resolves_there() {
    let Some(mut twice) = Twice::new(Method::ZapTracked) else { return };
    let whole = Span { range: AddrRange::new(0, PAGES * PAGE).unwrap(), sees: Sees::ReadsAndWrites };
    assert_eq!(spans(&mut twice.files), [whole]);
    let id = FileId::of(twice.file.as_fd()).unwrap();
    let space = twice.files.space(id).unwrap();
    let pid = Space::Process(std::process::id());
    for range in twice.ranges {
        assert_eq!(twice.files.resolve(pid, range.start() + 5 * PAGE), Some((FILE, 5 * PAGE)));
        assert_eq!(twice.files.resolve(pid, range.end()).filter(|(_, o)| *o == PAGES * PAGE), None);
    }
    assert_eq!(twice.files.resolve(space, 77), Some((FILE, 77)));
    assert_eq!(twice.files.resolve(Space::Target(FILE), 77), Some((FILE, 77)));
    assert_eq!(twice.files.resolve(Space::Process(1), twice.ranges[0].start()), None);
    assert_eq!(twice.files.resolve(Space::Custom(1), 77), None);
    assert!(twice.files.unwatch(FILE) && !twice.files.unwatch(FILE));
    assert!(spans(&mut twice.files).is_empty() && twice.files.space(id).is_none());
}

#[test]
fn a_read_here_and_a_write_there_are_one_written_page() {
    let Some(mut twice) = Twice::new(Method::ZapTracked) else { return };
    let mut samples = [3, 20, 40].map(|n| Sample::new(FILE, n * PAGE));
    twice.files.arm(&samples).unwrap();
    let [a, b] = twice.ranges.map(AddrRange::start);
    _ = raw::read(a + 3 * PAGE);
    raw::write(b + 3 * PAGE, 1);
    _ = raw::read(b + 20 * PAGE);
    twice.files.check(&mut samples, &Want::new(true, &[])).unwrap();
    assert_eq!(samples.map(|s| s.seen), [Seen::Written, Seen::Read, Seen::Idle]);
}

#[test]
fn a_mapping_that_goes_leaves_the_others() {
    let Some(mut twice) = Twice::new(Method::ZapTracked) else { return };
    let [first, second] = twice.ranges;
    twice._guards.truncate(1);
    raw::unmap(second);
    twice.files.targets(&mut Vec::new()).unwrap();
    let mut samples = [Sample::new(FILE, 7 * PAGE)];
    twice.files.arm(&samples).unwrap();
    raw::write(first.start() + 7 * PAGE, 1);
    twice.files.check(&mut samples, &Want::new(true, &[])).unwrap();
    assert_eq!((samples[0].seen, spans(&mut twice.files).len()), (Seen::Written, 1));
}

/// A process that maps a file and touches what it is told.
struct Mapper {
    pid: i32,
    orders: UnixStream,
}

impl Mapper {
    fn start(file: &File) -> Self {
        let (orders, mut theirs) = UnixStream::pair().unwrap();
        let pid = raw::fork(|| {
            let Ok(range) = raw::map(None, PAGES * PAGE, raw::SHARED, Some(file)) else { return };
            (0..PAGES).for_each(|n| _ = raw::read(range.start() + n * PAGE));
            let mut order = [0; 8];
            while theirs.write_all(&range.start().to_ne_bytes()).is_ok() && theirs.read_exact(&mut order).is_ok() {
                raw::write(range.start() + u64::from_ne_bytes(order) * PAGE, 1);
            }
        });
        Self { pid, orders }
    }

    /// Writes a page; where it has the file mapped.
    fn done(&mut self) -> u64 {
        let mut start = [0; 8];
        self.orders.read_exact(&mut start).unwrap();
        u64::from_ne_bytes(start)
    }

    fn write(&mut self, page: u64) {
        self.orders.write_all(&page.to_ne_bytes()).unwrap();
        self.done();
    }
}

impl Drop for Mapper {
    fn drop(&mut self) {
        raw::kill_and_wait(self.pid);
    }
}

#[test]
fn two_processes_that_map_it_are_counted_once() {
    let _turn = listener();
    let mut remote = match Remote::new() {
        Ok(remote) => remote,
        Err(e) => {
            assert!(!in_vm(), "page_idle works there: {e}");
            return lacks("page_idle");
        }
    };
    let file = memfd();
    let mut mappers = [0; 2].map(|_| Mapper::start(&file));
    let starts: Vec<u64> = mappers.iter_mut().map(Mapper::done).collect();
    for m in &mappers {
        remote.watch(Watch::process(m.pid as u32)).unwrap();
    }
    let mut files = Files::new(remote);
    files.watch(FILE, FileId::of(file.as_fd()).unwrap());
    let mut events = Vec::new();
    files.targets(&mut events).unwrap();
    assert!(events.is_empty(), "processes are not the monitor's targets: {events:?}");
    assert_eq!(spans(&mut files), [Span { range: AddrRange::new(0, PAGES * PAGE).unwrap(), sees: Sees::Accesses }]);
    for (m, start) in mappers.iter().zip(&starts) {
        assert_eq!(files.resolve(Space::Process(m.pid as u32), start + 9 * PAGE + 5), Some((FILE, 9 * PAGE + 5)));
    }
    // An emulated CPU notices after a moment that accessed bits were cleared.
    let notice = || std::thread::sleep(Duration::from_millis(5));
    let mut wrong = 0;
    for round in 0..4 {
        let mut samples: Vec<Sample> = (0..PAGES).step_by(4).map(|n| Sample::new(FILE, n * PAGE)).collect();
        files.arm(&samples).unwrap();
        notice();
        let touched = |i: u64| (i + round) % 4 < 2;
        for s in &samples {
            let n = s.addr / PAGE;
            if touched(n / 4) {
                mappers[usize::from(n / 4 % 2 == 0)].write(n);
            }
        }
        notice();
        files.check(&mut samples, &Want::new(true, &[])).unwrap();
        assert_eq!(samples.len() as u64, PAGES / 4);
        let is_wrong = |s: &&Sample| s.seen.is_access() != touched(s.addr / PAGE / 4);
        wrong += samples.iter().filter(is_wrong).count();
    }
    assert!(wrong <= 2, "{wrong} of {} are wrong", PAGES);
    // One of them goes: the other's accesses still count.
    let [gone, mut stays] = mappers;
    drop(gone);
    files.targets(&mut Vec::new()).unwrap();
    let mut samples = [Sample::new(FILE, 0), Sample::new(FILE, 100 * PAGE)];
    files.arm(&samples).unwrap();
    notice();
    stays.write(100);
    notice();
    files.check(&mut samples, &Want::new(true, &[])).unwrap();
    assert_eq!(samples.map(|s| s.seen), [Seen::Idle, Seen::Accessed]);
}
