//! What seeing, acting and faulting cost on the simulated machine: every constant, and where it is from.

use std::fmt;
use std::time::Duration;

/// The constants of a machine. They are printed, as a Markdown table, with every result that rests on them.
///
/// ```
/// use core::time::Duration;
/// use damon_ops_sim::machine::Costs;
/// let slower = Costs { fault: Duration::from_micros(20), ..Costs::default() };
/// assert!(slower.to_string().contains("| page fault on swapped memory | 20µs | given |"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// To arm and to check one sample. Charged to who watches.
    pub check: Duration,
    /// To look at a page, whatever is done to it then. Charged to who acts, as are all but the fault.
    pub walk: Duration,
    /// To page out a page.
    pub pageout: Duration,
    /// To read a page in ahead of an access.
    pub willneed: Duration,
    /// To migrate a page.
    pub migrate: Duration,
    /// For an access to a page that is swapped out. Charged to the workload, which waits so long.
    pub fault: Duration,
    /// CPUs, all of them the workload's: time that others use is taken from all of them alike. 0 counts as 1.
    pub cpus: u32,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            check: Duration::from_micros(3),
            walk: Duration::from_nanos(45),
            pageout: Duration::from_micros(17),
            willneed: Duration::from_micros(6),
            migrate: Duration::from_micros(3),
            fault: Duration::from_micros(6),
            cpus: 4,
        }
    }
}

type Of = fn(&Costs) -> Duration;

const CHECK: &str = "measured: page_idle takes 1 to 2 µs to arm a page and as much to check it";
const WALK: &str = "measured: `MADV_COLD` on a range, 45 ns a page";
const PAGEOUT: &str = "measured: `MADV_PAGEOUT` to zram takes 13 to 21 µs a page";
const WILLNEED: &str = "assumption: as a fault, which decompression is most of";
const MIGRATE: &str = "assumption: 3 µs for 4 KiB, between 1 and 10";
const FAULT: &str = "assumption: 6 µs, a fault that decompresses from zswap or zram";
const CPUS: &str = "assumption";

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        let rows: [(_, Of, _); 6] = [
            ("to arm and check a sample", |c| c.check, CHECK),
            ("to look at a page", |c| c.walk, WALK),
            ("to page out a page", |c| c.pageout, PAGEOUT),
            ("to read in a page", |c| c.willneed, WILLNEED),
            ("to migrate a page", |c| c.migrate, MIGRATE),
            ("page fault on swapped memory", |c| c.fault, FAULT),
        ];
        writeln!(f, "| constant | value | source |\n|---|---|---|")?;
        for (name, of, source) in rows {
            let source = if of(self) == of(&default) { source } else { "given" };
            writeln!(f, "| {name} | {:?} | {source} |", of(self))?;
        }
        let source = if self.cpus == default.cpus { CPUS } else { "given" };
        writeln!(f, "| CPUs of the workload | {} | {source} |", self.cpus)
    }
}
