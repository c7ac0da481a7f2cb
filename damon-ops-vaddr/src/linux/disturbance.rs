//! Who else uses accessed bits and idle flags, so that accesses can be missed.
//!
//! Counterpart: `damon_ptep_mkold` (`mm/damon/ops-common.c`), `walk_pte_range` (`mm/vmscan.c`), Linux 7.3: both clear the
//! accessed bit of a page table, and neither clears the idle flag for it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::PageIdle;

/// Something that makes page_idle miss accesses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disturbance {
    /// Kernel DAMON runs: pages that it samples are marked idle again, accessed or not.
    KernelDamon {
        /// Its kdamonds that run, as sysfs names them, and its modules that are enabled.
        who: Vec<String>,
    },
    /// The multi-generational LRU is on: when it ages, it takes accessed bits.
    MultiGenLru,
    /// Somebody else monitors by page_idle: pages that both sample are marked idle again.
    AnotherMonitor,
    /// Pages of the monitor's own showed other accesses than it made.
    Canary {
        /// Accesses that did not show.
        missed: u32,
        /// Pages that showed accesses that were none.
        invented: u32,
        /// Of so many pages.
        of: u32,
    },
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KernelDamon { who } => write!(
                f,
                "kernel DAMON runs ({}) and takes accessed bits: turn it off, or give each its own memory",
                who.join(", ")
            ),
            Self::MultiGenLru => f.write_str(
                "the multi-generational LRU is on and takes accessed bits when memory is short: \
                 echo n >/sys/kernel/mm/lru_gen/enabled",
            ),
            Self::AnotherMonitor => f.write_str(
                "another monitor uses the idle flags (flock on page_idle/bitmap): let one monitor watch all targets",
            ),
            Self::Canary { missed, invented, of } => write!(
                f,
                "of {of} pages of the monitor's own {missed} did not show an access and {invented} showed one that was \
                 none: something unknown takes accessed bits or idle flags"
            ),
        }
    }
}

/// Finds disturbances of page_idle.
#[derive(Debug)]
pub struct Disturbances {
    root: PathBuf,
}

/// Parts of kernel DAMON that have a switch of their own.
const MODULES: [&str; 3] = ["damon_reclaim", "damon_lru_sort", "damon_stat"];

impl Disturbances {
    /// On the machine whose files are under `root` (normally `/`).
    pub fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// All that are there now, of those that files show. What cannot be read is not there.
    pub fn find(&self, idle: &PageIdle) -> Vec<Disturbance> {
        let mut found = Vec::new();
        let who = self.kernel_damon();
        if !who.is_empty() {
            found.push(Disturbance::KernelDamon { who });
        }
        if self.multi_gen_lru() {
            found.push(Disturbance::MultiGenLru);
        }
        if idle.is_alone().is_ok_and(|alone| !alone) {
            found.push(Disturbance::AnotherMonitor);
        }
        found
    }

    fn kernel_damon(&self) -> Vec<String> {
        let mut who = Vec::new();
        let kdamonds = fs::read_dir(self.root.join("sys/kernel/mm/damon/admin/kdamonds"));
        for entry in kdamonds.into_iter().flatten().flatten() {
            if fs::read_to_string(entry.path().join("state")).is_ok_and(|state| state.trim() == "on") {
                who.push(format!("kdamond {}", entry.file_name().to_string_lossy()));
            }
        }
        for module in MODULES {
            let enabled = self.root.join("sys/module").join(module).join("parameters/enabled");
            if fs::read_to_string(enabled).is_ok_and(|on| on.trim() == "Y") {
                who.push(module.to_owned());
            }
        }
        who.sort_unstable();
        who
    }

    fn multi_gen_lru(&self) -> bool {
        let text = fs::read_to_string(self.root.join("sys/kernel/mm/lru_gen/enabled")).unwrap_or_default();
        // Bit 0 is the switch of the whole.
        u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).is_ok_and(|bits| bits & 1 == 1)
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fake::Root;
    use super::*;

    #[test]
    fn each_user_of_accessed_bits_is_found_by_its_switch() {
        let root = Root::new();
        root.put("sys/kernel/mm/page_idle/bitmap", &[0]);
        let idle = PageIdle::open(root.path()).unwrap();
        let disturbances = Disturbances::new(root.path());
        assert_eq!(disturbances.find(&idle), []);

        root.put_bytes("sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds", b"2\n");
        root.put_bytes("sys/kernel/mm/damon/admin/kdamonds/0/state", b"off\n");
        root.put_bytes("sys/module/damon_stat/parameters/enabled", b"N\n");
        root.put_bytes("sys/kernel/mm/lru_gen/enabled", b"0x0006\n");
        assert_eq!(disturbances.find(&idle), []);

        root.put_bytes("sys/kernel/mm/damon/admin/kdamonds/1/state", b"on\n");
        root.put_bytes("sys/module/damon_stat/parameters/enabled", b"Y\n");
        root.put_bytes("sys/kernel/mm/lru_gen/enabled", b"0x0007\n");
        let other = PageIdle::open(root.path()).unwrap();
        other.is_alone().unwrap();
        let who = vec!["damon_stat".to_owned(), "kdamond 1".to_owned()];
        let all = [Disturbance::KernelDamon { who }, Disturbance::MultiGenLru, Disturbance::AnotherMonitor];
        assert_eq!(disturbances.find(&idle), all);
        assert!(all.iter().all(|d| d.to_string().contains(": ")), "each says the way out");
    }
}
