//! The machine that is tiered: which it is, how full, and what the kernel counts.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The node with CPUs, and the one without.
pub(crate) const FAST: u32 = 0;
pub(crate) const SLOW: u32 = 1;

/// One test at a time: they measure the machine.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is this the machine that `.ci/vm` boots? Elsewhere nothing is moved about, and it is said.
pub(crate) fn in_vm() -> bool {
    let it_is = std::fs::read_to_string("/proc/cmdline").is_ok_and(|line| line.contains("damon-vm"));
    if !it_is {
        println!("NOT TESTED: this is not the machine of .ci/vm, which has a node without CPUs");
    }
    it_is
}

pub(crate) fn write(path: impl AsRef<Path>, value: impl ToString) {
    let path = path.as_ref();
    std::fs::write(path, value.to_string()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

pub(crate) fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Free bytes of a node.
pub(crate) fn free(node: u32) -> u64 {
    let meminfo = text(format!("/sys/devices/system/node/node{node}/meminfo"));
    let line = meminfo.lines().find(|line| line.contains("MemFree:")).unwrap();
    line.split_ascii_whitespace().rev().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Leaves about so many bytes of the fast node free, as other programs would: the rest is set aside for huge pages, which
/// nobody uses. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Pressure(u64);

fn huge_pages() -> String {
    format!("/sys/devices/system/node/node{FAST}/hugepages/hugepages-2048kB/nr_hugepages")
}

impl Pressure {
    pub(crate) fn leave(bytes: u64) -> Self {
        // What the kernel keeps in reserve is set for huge pages, and 4% of a machine as small as this: 0.1%, as of a large one.
        write("/proc/sys/vm/min_free_kbytes", 1_400);
        // Where blocks are mixed up the kernel reclaims more than anybody lacks, for a while: that is for nobody's moves.
        write("/proc/sys/vm/watermark_boost_factor", 0);
        let before = text(huge_pages()).trim().parse().unwrap();
        write("/proc/sys/vm/drop_caches", 3);
        write(huge_pages(), before + free(FAST).saturating_sub(bytes) / (2 << 20));
        // Whole blocks are hard to come by, and the kernel goes on to reclaim for them.
        while {
            let before = swapped();
            std::thread::sleep(Duration::from_secs(1));
            swapped() > before
        } {}
        Self(before)
    }
}

impl Drop for Pressure {
    fn drop(&mut self) {
        write(huge_pages(), self.0);
    }
}

/// Pages that the kernel counted since it booted, in bytes; `None` where it counts nothing (CONFIG_VM_EVENT_COUNTERS).
fn counted(event: &str) -> Option<u64> {
    let vmstat = text("/proc/vmstat");
    let count = vmstat.lines().find_map(|line| line.strip_prefix(event)?.strip_prefix(' '))?;
    Some(count.parse::<u64>().unwrap() * 4_096)
}

/// Bytes that were moved from node to node since the kernel booted, whoever asked; 0 where nobody counts.
pub(crate) fn moved() -> u64 {
    counted("pgmigrate_success").unwrap_or(0)
}

/// Does the kernel count such events?
pub(crate) fn counts(event: &str) -> bool {
    let counts = counted(event).is_some();
    if !counts {
        println!("NOT TESTED: this kernel counts no {event} (CONFIG_VM_EVENT_COUNTERS)");
    }
    counts
}

/// Bytes that went to swap since the kernel booted; 0 where nobody counts.
pub(crate) fn swapped() -> u64 {
    counted("pswpout").unwrap_or(0)
}

/// CPU time that a process or a kernel thread has used.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    // User and system time, in hundredths of a second.
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
