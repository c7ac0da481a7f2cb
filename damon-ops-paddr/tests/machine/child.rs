//! A process of known accesses, which this binary starts of itself, and where its pages are.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use damon_core::AddrRange;
use damon_ops_vaddr::PrivateMap;
use damon_ops_vaddr::linux::{Pfn, ProcessPagemap};

pub(crate) const PAGE: u64 = 4096;
const WORDS: usize = 512;
const PAGES: &str = "PADDR_CHILD_PAGES";

/// One test at a time: they measure the machine.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is this the machine that `.ci/vm` boots?
pub(crate) fn in_vm() -> bool {
    std::fs::read_to_string("/proc/cmdline").is_ok_and(|line| line.contains("damon-vm"))
}

/// Has the CPUs give back the freed memory on their lists, which does not count as free: all but a MiB each. By themselves they keep
/// as much as a low watermark, and give back the rest slowly.
pub(crate) fn drain() {
    let write = |file, value| std::fs::write(format!("/proc/sys/vm/{file}"), value).unwrap();
    write("percpu_pagelist_high_fraction", "1000000");
    // Each time an eighth.
    (0..64).for_each(|_| write("stat_refresh", "1"));
    write("percpu_pagelist_high_fraction", "0");
}

/// Has the kernel bring free memory together, so that a process's frames are not scattered by what ran before.
pub(crate) fn compact() {
    if in_vm() {
        std::fs::write("/proc/sys/vm/compact_memory", "1").unwrap();
    }
}

/// Says what a test lacks; in the machine made for it nothing may.
#[track_caller]
pub(crate) fn lacks(what: impl std::fmt::Display) {
    assert!(!in_vm(), "the machine of .ci/vm lacks {what}");
    println!("skipped: {what}");
}

/// Not a test: what the child does.
#[test]
#[ignore = "the child process of other tests"]
fn child() {
    let Some(pages) = std::env::var(PAGES).ok().and_then(|n| n.parse::<usize>().ok()) else { return };
    let map = PrivateMap::new(pages * PAGE as usize).unwrap();
    let _ = map.advise_huge(false);
    let words = map.atomics();
    (0..pages).for_each(|n| words[n * WORDS].store(n as u64, Relaxed));
    println!("child: {:x}", map.range().start());
    let (hot, over) = ([AtomicUsize::new(0), AtomicUsize::new(0)], AtomicBool::new(false));
    let rounds = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                // The second word: the first tells the page.
                (hot[0].load(Relaxed)..hot[1].load(Relaxed))
                    .for_each(|n| _ = words[n * WORDS + 1].fetch_add(1, Relaxed));
                rounds.fetch_add(1, Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let mut line = line.split(' ');
            match line.next() {
                Some("hot") => hot.iter().zip(line).for_each(|(hot, n)| hot.store(n.parse().unwrap(), Relaxed)),
                Some("lap") => {
                    // A round that has begun may have passed a page already.
                    let next = rounds.load(Relaxed) + 2;
                    while rounds.load(Relaxed) < next {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                Some("bind") => {
                    let n: Vec<u64> = line.map(|n| n.parse().unwrap()).collect();
                    let start = map.range().start() + n[0] * PAGE;
                    let range = AddrRange::from_len(start, (n[1] - n[0]) * PAGE).unwrap();
                    crate::raw::mbind(range, crate::raw::BIND, 1 << n[2]).unwrap();
                }
                Some("intact") => {
                    let wrong = (0..pages).filter(|n| words[n * WORDS].load(Relaxed) != *n as u64).count();
                    println!("child: {wrong:x}");
                    continue;
                }
                _ => break,
            }
            println!("child: 0");
        }
        over.store(true, Relaxed);
    });
}

/// The parent's side. It ends the child when it is dropped.
pub(crate) struct Workload {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    pub(crate) range: AddrRange,
}

impl Workload {
    pub(crate) fn start(pages: u64) -> Self {
        compact();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::child", "--ignored", "--nocapture"])
            .env(PAGES, pages.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut child = Self { process, to, from, range: AddrRange::new(0, 1).unwrap() };
        child.range = AddrRange::from_len(child.answer(), pages * PAGE).unwrap();
        child
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    fn answer(&mut self) -> u64 {
        let mut line = String::new();
        while self.from.read_line(&mut line).unwrap() > 0 {
            if let Some(answer) = line.trim().strip_prefix("child: ") {
                return u64::from_str_radix(answer, 16).unwrap();
            }
            line.clear();
        }
        panic!("the child has ended");
    }

    fn ask(&mut self, what: &str) -> u64 {
        writeln!(self.to, "{what}").unwrap();
        self.answer()
    }

    /// Touches these pages again and again, a millisecond apart, and no others.
    pub(crate) fn heat(&mut self, pages: std::ops::Range<u64>) {
        self.ask(&format!("hot {} {}", pages.start, pages.end));
        self.lap();
    }

    /// Binds these pages to a node (`mbind`); they stay where they are.
    pub(crate) fn bind(&mut self, pages: std::ops::Range<u64>, node: u16) {
        self.ask(&format!("bind {} {} {node}", pages.start, pages.end));
    }

    /// Waits until all that is hot has been touched once more, however slow the machine is.
    pub(crate) fn lap(&mut self) {
        self.ask("lap");
    }

    /// How many pages lost what was in them. It reads them all.
    pub(crate) fn damaged(&mut self) -> u64 {
        self.ask("intact")
    }

    /// The frame of each page, as far as it has one.
    pub(crate) fn frames(&self) -> Vec<Option<Pfn>> {
        let mut table = ProcessPagemap::open(format!("/proc/{}/pagemap", self.pid()).into(), PAGE).unwrap();
        let mut entries = Vec::new();
        table.entries((self.range.start()..self.range.end()).step_by(PAGE as usize), &mut entries).unwrap();
        entries.iter().map(|e| e.and_then(|e| e.pfn())).collect()
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The physical ranges that these frames make up.
pub(crate) fn ranges(frames: impl IntoIterator<Item = Pfn>) -> Vec<AddrRange> {
    let mut frames: Vec<u64> = frames.into_iter().map(|pfn| pfn.0).collect();
    frames.sort_unstable();
    let runs = frames.chunk_by(|a, b| a + 1 == *b);
    runs.filter_map(|run| AddrRange::new(run[0] * PAGE, (run[run.len() - 1] + 1) * PAGE)).collect()
}
