//! A process that knows what it touches, and starts with its hot memory on the wrong node.

use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use damon_core::{AddrRange, Dest, NodeId};
use damon_ops_vaddr::PrivateMap;
use damon_ops_vaddr::linux::Pidfd;
use damon_ops_vaddr::linux::act::{Run, migrate};

use crate::machine::{FAST, SLOW, free, text, write};

const PAGE: u64 = 4_096;
const WORDS: usize = 512;
const LAYOUT: &str = "TIER_SUBJECT";
const CGROUPS: &str = "/sys/fs/cgroup";

/// A part of a subject's memory: a mapping of its own, on a node of its own at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) mib: u64,
    pub(crate) node: u32,
}

/// A cgroup whose processes get their memory from `node` alone.
fn cgroup_of(node: u32) -> String {
    let dir = format!("{CGROUPS}/tier-node{node}");
    write(format!("{CGROUPS}/cgroup.subtree_control"), "+cpuset");
    let _ = std::fs::create_dir(&dir);
    write(format!("{dir}/cpuset.mems"), node);
    dir
}

/// Not a test: what the subject does. What is to be on the slow node is filled first, in a cgroup that has no other; the rest at
/// home, where a page comes from the node of the CPU. From then on there is no policy, and who moves pages may.
#[test]
#[ignore = "the subject of other tests"]
fn subject() {
    let Ok(layout) = std::env::var(LAYOUT) else { return };
    let home = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let home = format!("{CGROUPS}{}", home.trim().rsplit(':').next().unwrap());
    let (mut parts, mut at) = (Vec::new(), FAST);
    for (i, part) in layout.split(' ').enumerate() {
        let (mib, node) = part.split_once('@').unwrap();
        let map = PrivateMap::new(mib.parse::<usize>().unwrap() << 20).unwrap();
        // Mappings side by side stay two if they are told apart, and so each has a line in numa_maps.
        if i % 2 == 0 {
            map.advise_huge(false).unwrap();
        }
        let node: u32 = node.parse().unwrap();
        // To enter a smaller cgroup moves what is elsewhere; to leave it moves nothing.
        if node != at {
            assert!(node == FAST || parts.is_empty(), "slow parts come first");
            write(
                format!("{}/cgroup.procs", if node == FAST { home.clone() } else { cgroup_of(node) }),
                std::process::id(),
            );
            at = node;
        }
        map.atomics().iter().step_by(WORDS).enumerate().for_each(|(n, word)| word.store((i << 32 | n) as u64, Relaxed));
        println!("subject: {:x}", map.range().start());
        parts.push(map);
    }
    write(format!("{home}/cgroup.procs"), std::process::id());
    println!("subject: 0");
    let (hot, rounds, over) = (AtomicUsize::new(usize::MAX), AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                if let Some(map) = parts.get(hot.load(Relaxed)) {
                    // The second word: the first tells the page.
                    map.atomics().iter().skip(1).step_by(WORDS).for_each(|word| _ = word.fetch_add(1, Relaxed));
                    rounds.fetch_add(1, Relaxed);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let answer = match line.split_once(' ') {
                Some(("hot", part)) => {
                    hot.store(part.parse().unwrap(), Relaxed);
                    0
                }
                Some(("bind", part)) => {
                    let part: usize = part.parse().unwrap();
                    let node = layout.split(' ').nth(part).and_then(|part| part.split_once('@')).unwrap().1;
                    let nodes = 1 << node.parse::<u32>().unwrap();
                    crate::raw::mbind(parts[part].range(), crate::raw::BIND, nodes).unwrap();
                    0
                }
                None if line == "rounds" => rounds.load(Relaxed),
                None if line == "damaged" => {
                    let wrong = |(i, map): (usize, &PrivateMap)| {
                        let words = map.atomics().iter().step_by(WORDS).enumerate();
                        words.filter(|(n, word)| word.load(Relaxed) != (i << 32 | n) as u64).count()
                    };
                    parts.iter().enumerate().map(wrong).sum()
                }
                _ => break,
            };
            println!("subject: {answer:x}");
        }
        over.store(true, Relaxed);
    });
}

/// The parent's side. It ends the process when it is dropped.
#[derive(Debug)]
pub(crate) struct Subject {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// Where each part begins, and how many pages it has.
    parts: Vec<(u64, u64)>,
}

impl Subject {
    /// Of `parts`, none of them hot yet.
    pub(crate) fn start(parts: &[Part]) -> Self {
        Self::start_in(None, parts)
    }

    /// The same in `cgroup`, which comes to be.
    pub(crate) fn start_in(cgroup: Option<&str>, parts: &[Part]) -> Self {
        if let Some(cgroup) = cgroup {
            std::fs::create_dir_all(format!("{CGROUPS}/{cgroup}")).unwrap();
        }
        let layout: Vec<String> = parts.iter().map(|part| format!("{}@{}", part.mib, part.node)).collect();
        let mut process = Command::new("/proc/self/exe")
            .args(["--exact", "subject::subject", "--ignored", "--nocapture"])
            .env(LAYOUT, layout.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut subject = Self { process, to, from, parts: Vec::new() };
        for part in parts {
            let start = subject.answer();
            subject.parts.push((start, (part.mib << 20) / PAGE));
        }
        subject.answer();
        if let Some(cgroup) = cgroup {
            write(format!("{CGROUPS}/{cgroup}/cgroup.procs"), subject.pid());
        }
        for (i, part) in parts.iter().enumerate() {
            let there = subject.on(part.node, i);
            if there <= 0.99 {
                let maps = ["maps", "numa_maps"].map(|file| text(format!("/proc/{}/{file}", subject.pid())));
                println!(
                    "part {i} at {:#x}: {there:.3} on node {}:\n{}",
                    subject.parts[i].0,
                    part.node,
                    maps.join("\n")
                );
                subject.place(i, part.node);
                let there = subject.on(part.node, i);
                assert!(there > 0.99, "part {i} starts on node {}: {there:.3} of it", part.node);
            }
        }
        subject
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    fn answer(&mut self) -> u64 {
        let mut line = String::new();
        while self.from.read_line(&mut line).unwrap() > 0 {
            if let Some(answer) = line.trim().strip_prefix("subject: ") {
                return u64::from_str_radix(answer, 16).unwrap();
            }
            line.clear();
        }
        panic!("the subject has ended");
    }

    fn ask(&mut self, what: &str) -> u64 {
        writeln!(self.to, "{what}").unwrap();
        self.answer()
    }

    /// From now on touches this part, all of it again and again, and no other.
    pub(crate) fn heat(&mut self, part: usize) {
        self.ask(&format!("hot {part}"));
    }

    /// Binds a part to the node on which it began.
    pub(crate) fn bind(&mut self, part: usize) {
        self.ask(&format!("bind {part}"));
    }

    /// How often all that was hot has been touched.
    pub(crate) fn rounds(&mut self) -> u64 {
        self.ask("rounds")
    }

    /// How many pages lost what was in them. It reads them all.
    pub(crate) fn damaged(&mut self) -> u64 {
        self.ask("damaged")
    }

    /// Moves a part to a node, but for one page in twenty at most. Pages that somebody else has in hand stay, for a moment.
    pub(crate) fn place(&self, part: usize, node: u32) {
        let (start, pages) = self.parts[part];
        let range = AddrRange::from_len(start, pages * PAGE).unwrap();
        let dest = Dest { node: NodeId(u16::try_from(node).unwrap()), weight: 1 };
        let process = Pidfd::open(self.pid()).unwrap();
        for _ in 0..50 {
            let done = migrate(&process, &[Run { range, page: PAGE }], &[dest], true);
            assert!(done.size > 0, "{:?}", done.error);
            if self.on(node, part) > 0.95 {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{:.3} of part {part} is on node {node}, which has {} bytes free", self.on(node, part), free(node));
    }

    /// How much of a part is on a node, as the kernel tells (`/proc/PID/numa_maps`); what is in swap is on none.
    pub(crate) fn on(&self, node: u32, part: usize) -> f64 {
        let (start, pages) = self.parts[part];
        let maps = text(format!("/proc/{}/numa_maps", self.pid()));
        pages_on(&maps, start..start + pages * PAGE, node) as f64 / pages as f64
    }
}

/// The pages on `node` of the mappings that begin in `range`.
fn pages_on(numa_maps: &str, range: Range<u64>, node: u32) -> u64 {
    let key = format!("N{node}=");
    let inside = |line: &&str| {
        let start = line.split(' ').next().and_then(|start| u64::from_str_radix(start, 16).ok());
        start.is_some_and(|start| range.contains(&start))
    };
    let on = |line: &str| line.split(' ').find_map(|field| field.strip_prefix(&key)?.parse::<u64>().ok());
    numa_maps.lines().filter(inside).filter_map(on).sum()
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_part_is_where_numa_maps_says_that_it_is() {
    let maps = "1000 default anon=5 dirty=5 N0=3 N1=2 kernelpagesize_kB=4\n3000 default stack anon=1 N1=1 kernelpagesize_kB=4\n\
                f000 default file=/x mapped=9 N0=9\n";
    let on = |node| pages_on(maps, 0x1000..0x4000, node);
    assert_eq!((on(FAST), on(SLOW), on(2)), (3, 3, 0));
}
