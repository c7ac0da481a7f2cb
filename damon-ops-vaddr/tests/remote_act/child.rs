//! A process that has memory of known content and does with it what it is told: the test binary itself, run again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child as Running, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use damon_core::AddrRange;
use damon_ops_vaddr::{PrivateMap, SharedMap};

use crate::raw;
use crate::support::PAGE;

const VARIABLE: &str = "DAMON_TEST_CHILD";

/// Not a test: what the child does. Each page holds its own address.
#[test]
fn child() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<u64>().unwrap();
        let pages = || (number(1)..number(2)).step_by(PAGE as usize);
        let answer = match words[0] {
            "anon" => {
                let map = Box::leak(Box::new(PrivateMap::new(number(1) as usize).unwrap()));
                let _ = map.advise_huge(words[2] == "huge");
                fill(map.range())
            }
            "shared" => {
                let map = Box::leak(Box::new(Arc::new(SharedMap::new("child", number(1) as usize).unwrap())));
                fill(map.range())
            }
            "file" => {
                let path = words[2];
                let mut file =
                    std::fs::File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
                file.write_all(&vec![0; number(1) as usize]).unwrap();
                fill(raw::map(None, number(1), raw::SHARED, Some(&file)).unwrap())
            }
            "untouched" => Box::leak(Box::new(PrivateMap::new(number(1) as usize).unwrap())).range().start(),
            "read" => pages().map(raw::read).fold(0, |sum, word| sum ^ word),
            "write" => pages().map(|addr| raw::write(addr, addr)).count() as u64,
            "sweep" => {
                let (start, end) = (number(1), number(2));
                std::thread::spawn(move || {
                    loop {
                        for addr in (start..end).step_by(PAGE as usize) {
                            std::hint::black_box(raw::read(addr));
                        }
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                });
                0
            }
            "wrong" => pages().filter(|&addr| raw::read(addr) != addr).count() as u64,
            "lock" => raw::lock_in_memory(AddrRange::new(number(1), number(2)).unwrap()).map_or(1, |()| 0),
            "unmap" => {
                raw::unmap(AddrRange::new(number(1), number(2)).unwrap());
                0
            }
            "fork" => raw::fork_sleeper(),
            "hugepage" => raw::advise_huge(AddrRange::new(number(1), number(2)).unwrap()).map_or(1, |()| 0),
            "mbind" => {
                let range = AddrRange::new(number(1), number(2)).unwrap();
                raw::mbind(range, number(3) as i32, number(4)).map_or(1, |()| 0)
            }
            other => panic!("the child knows no {other:?}"),
        };
        println!("={answer}");
    }
}

fn fill(range: AddrRange) -> u64 {
    (range.start()..range.end()).step_by(PAGE as usize).for_each(|addr| raw::write(addr, addr));
    range.start()
}

/// The child, from the other side. It ends when this is dropped.
pub(crate) struct Child {
    process: Running,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Child {
    pub(crate) fn new() -> Self {
        Self::of(&mut Command::new(std::env::current_exe().unwrap()))
    }

    /// Started by `command`, whose last argument is this binary.
    pub(crate) fn of(command: &mut Command) -> Self {
        let command = command.args(["--exact", "child::child", "--nocapture"]).env(VARIABLE, "1");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, to, from }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn tell(&mut self, command: &str) -> u64 {
        writeln!(self.to, "{command}").unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.from.read_line(&mut line).unwrap(), 0, "the child has ended at {command:?}");
            if let Some((_, answer)) = line.split_once('=') {
                return answer.trim().parse().unwrap();
            }
        }
    }

    fn range(&mut self, command: &str, bytes: u64) -> AddrRange {
        AddrRange::from_len(self.tell(command), bytes).unwrap()
    }

    /// Private memory in small pages, all written.
    pub(crate) fn anon(&mut self, bytes: u64) -> AddrRange {
        self.range(&format!("anon {bytes} small"), bytes)
    }

    /// Private memory in huge pages, where there are any to be had.
    pub(crate) fn huge(&mut self, bytes: u64) -> AddrRange {
        self.range(&format!("anon {bytes} huge"), bytes)
    }

    /// Private memory that nobody ever used.
    pub(crate) fn untouched(&mut self, bytes: u64) -> AddrRange {
        self.range(&format!("untouched {bytes}"), bytes)
    }

    /// A memfd, mapped shared, all written.
    pub(crate) fn shared(&mut self, bytes: u64) -> AddrRange {
        self.range(&format!("shared {bytes}"), bytes)
    }

    /// A file, mapped shared, all written.
    pub(crate) fn file(&mut self, path: &std::path::Path, bytes: u64) -> AddrRange {
        self.range(&format!("file {bytes} {}", path.display()), bytes)
    }

    pub(crate) fn about(&mut self, what: &str, range: AddrRange) -> u64 {
        self.tell(&format!("{what} {} {}", range.start(), range.end()))
    }

    /// Gives memory a policy, on the nodes whose bits are set.
    pub(crate) fn bind(&mut self, range: AddrRange, mode: i32, nodes: u64) {
        let what = format!("mbind {} {} {mode} {nodes}", range.start(), range.end());
        assert_eq!(self.tell(&what), 0, "{what}");
    }

    pub(crate) fn is_intact(&mut self, range: AddrRange) -> bool {
        self.about("wrong", range) == 0
    }

    pub(crate) fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}
