//! What the tests share: what a machine lacks is said, and the state of pages read by ways of the tests' own.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use damon_core::AddrRange;

pub(crate) const PAGE: u64 = 4096;
pub(crate) const HUGE: u64 = 2 << 20;

/// Says, past the capture of output, that a test could not show what it is for: `.ci/vm` runs it on other kernels.
pub(crate) fn lacks(what: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("not shown here for lack of {what}: {test}\n").as_bytes());
}

/// One test at a time: pageout in one would disturb what another measures.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn is_root() -> bool {
    let is = std::fs::read_to_string("/proc/self/status").unwrap().contains("\nCapEff:\t000001ff");
    if !is {
        lacks("root");
    }
    is
}

pub(crate) fn has_swap() -> bool {
    let has = std::fs::read_to_string("/proc/swaps").unwrap_or_default().lines().count() > 1;
    if !has {
        lacks("swap");
    }
    has
}

pub(crate) fn has_node_1() -> bool {
    let has = std::path::Path::new("/sys/devices/system/node/node1").exists();
    if !has {
        lacks("a second node");
    }
    has
}

pub(crate) fn has_page_idle() -> bool {
    let has = std::path::Path::new("/sys/kernel/mm/page_idle/bitmap").exists();
    if !has {
        lacks("page_idle");
    }
    has
}

pub(crate) fn part(range: AddrRange, from: u64, pages: u64) -> AddrRange {
    AddrRange::from_len(range.start() + from * PAGE, pages * PAGE).unwrap()
}

pub(crate) fn addrs(range: AddrRange) -> impl Iterator<Item = u64> {
    (range.start()..range.end()).step_by(PAGE as usize)
}

/// The words of `pagemap`, not by the code under test.
pub(crate) fn words(pid: u32, range: AddrRange) -> Vec<u64> {
    let file = std::fs::File::open(format!("/proc/{pid}/pagemap")).unwrap();
    let word = |addr: u64| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, addr / PAGE * 8).unwrap();
        u64::from_ne_bytes(bytes)
    };
    addrs(range).map(word).collect()
}

/// How many pages of `range` are in swap.
pub(crate) fn swapped(pid: u32, range: AddrRange) -> u64 {
    words(pid, range).iter().filter(|word| *word >> 62 & 1 == 1).count() as u64
}

/// How many pages of `range` are in memory.
pub(crate) fn resident(pid: u32, range: AddrRange) -> u64 {
    words(pid, range).iter().filter(|word| *word >> 63 & 1 == 1).count() as u64
}

/// How many pages of `range` have all of `bits` in `kpageflags`.
pub(crate) fn flagged(pid: u32, range: AddrRange, bits: u64) -> u64 {
    let file = std::fs::File::open("/proc/kpageflags").unwrap();
    let mut n = 0;
    for word in words(pid, range).into_iter().filter(|word| word >> 63 & 1 == 1) {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, (word & ((1 << 55) - 1)) * 8).unwrap();
        n += u64::from(u64::from_ne_bytes(bytes) & bits == bits);
    }
    n
}

/// A figure in kB of `smaps` about the mapping that holds `addr`, or `None`.
pub(crate) fn smaps_kib(pid: u32, addr: u64, key: &str) -> Option<u64> {
    let mut inside = false;
    for line in std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap().lines() {
        if let Some((start, end)) = line.split(' ').next().and_then(|r| r.split_once('-')) {
            let hex = |s| u64::from_str_radix(s, 16).unwrap_or(0);
            inside = (hex(start)..hex(end)).contains(&addr);
        } else if inside && line.starts_with(key) {
            return line.split_whitespace().nth(1)?.parse().ok();
        }
    }
    None
}

/// A cgroup of the tests' own, gone when it is dropped: whoever is in it ends.
pub(crate) struct Cgroup(std::path::PathBuf);

impl Cgroup {
    const ROOT: &str = "/sys/fs/cgroup";

    pub(crate) fn root() -> Self {
        Self(Self::ROOT.into())
    }

    /// With the memory controller; `None`, and said, where that cannot be had.
    pub(crate) fn new(name: &str) -> Option<Self> {
        Self::with(name, "memory", "memory.min")
    }

    /// The same with another controller, which has this file.
    pub(crate) fn with(name: &str, controller: &str, file: &str) -> Option<Self> {
        let path = std::path::Path::new(Self::ROOT).join(format!("damon-test-{name}"));
        let parent = path.parent().unwrap();
        let control = parent.join("cgroup.subtree_control");
        if !std::fs::read_to_string(&control).unwrap_or_default().contains(controller) {
            let _ = std::fs::write(&control, format!("+{controller}"));
        }
        if std::fs::create_dir_all(&path).is_err() || !path.join(file).exists() {
            let _ = std::fs::remove_dir(&path);
            lacks(&format!("a cgroup of its own with {file}"));
            return None;
        }
        Some(Self(path))
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }

    /// As `/proc/PID/cgroup` has it.
    pub(crate) fn name(&self) -> std::path::PathBuf {
        std::path::Path::new("/").join(self.0.strip_prefix(Self::ROOT).unwrap())
    }

    pub(crate) fn take(&self, pid: u32) {
        self.write("cgroup.procs", &pid.to_string());
    }

    pub(crate) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).unwrap()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.join(file), text).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.0 == std::path::Path::new(Self::ROOT) {
            return;
        }
        for pid in self.read("cgroup.procs").lines() {
            Self::root().take(pid.parse().unwrap());
        }
        let _ = std::fs::remove_dir(&self.0);
    }
}
