//! What memory, moving it and watching it cost on the tiered machine: every constant, and where it is from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The constants of a tiered machine. They are printed, as a Markdown table, with every result that rests on them.
///
/// Costs are of a page of 4 KiB, in nanoseconds of one CPU.
///
/// ```
/// use damon_ops_sim::tiering::Costs;
/// let far = Costs { cxl_ns: 410.0, ..Costs::default() };
/// assert!(far.to_string().contains("| latency of CXL memory, idle | 410 ns | given |"));
/// ```
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Costs {
    /// Latency of an access to DRAM of the own socket, without load.
    pub dram_ns: f64,
    /// The same of CXL memory.
    pub cxl_ns: f64,
    /// The same of memory behind that: pooled, or on another machine.
    pub far_ns: f64,
    /// What the way to another socket adds.
    pub socket_ns: f64,
    /// Bandwidth of a node of DRAM, in gigabytes a second.
    pub dram_gbps: f64,
    /// The same of CXL memory.
    pub cxl_gbps: f64,
    /// The same of far memory.
    pub far_gbps: f64,
    /// Latency at utilisation u is the idle one, (1 + queueing · u / (1 − u)) times.
    pub queueing: f64,
    /// To migrate a page. Charged to who migrates.
    pub migrate_ns: f64,
    /// To arm and check a sample. Charged to the kernel's CPUs.
    pub check_ns: f64,
    /// To look at a page, whatever is done to it then.
    pub walk_ns: f64,
    /// To look at a page from its LRU list. Charged to the kernel's CPUs.
    pub lru_ns: f64,
    /// To make a page fault at its next access. Charged to the program.
    pub arm_hint_ns: f64,
    /// A fault that was made so. Charged to the program.
    pub hint_fault_ns: f64,
    /// An interrupt that flushes the TLB of a CPU, with what it takes to be answered. Each CPU on which the program has a thread gets
    /// one for each page that is migrated in a fault, for 32 that reclaim demotes, and for 512 that DAMON migrates. Charged to the program.
    pub shootdown_ns: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            dram_ns: 100.0,
            cxl_ns: 250.0,
            far_ns: 700.0,
            socket_ns: 60.0,
            dram_gbps: 200.0,
            cxl_gbps: 25.0,
            far_gbps: 10.0,
            queueing: 0.2,
            migrate_ns: 3_000.0,
            check_ns: 1_500.0,
            walk_ns: 45.0,
            lru_ns: 500.0,
            arm_hint_ns: 50.0,
            hint_fault_ns: 1_500.0,
            shootdown_ns: 500.0,
        }
    }
}

type Row = (&'static str, fn(&Costs) -> f64, &'static str, &'static str);

const ROWS: [Row; 15] = [
    ("latency of DRAM, idle", |c| c.dram_ns, " ns", "published measurements: 80 to 120 ns"),
    ("latency of CXL memory, idle", |c| c.cxl_ns, " ns", "published measurements: 140 to 410 ns"),
    ("latency of far memory, idle", |c| c.far_ns, " ns", "assumption: CXL memory behind a switch and a pool"),
    ("way to another socket", |c| c.socket_ns, " ns", "assumption: 50 to 70 ns on current servers"),
    ("bandwidth of a node of DRAM", |c| c.dram_gbps, " GB/s", "assumption: of 307 GB/s, eight channels of DDR5-4800"),
    ("bandwidth of CXL memory", |c| c.cxl_gbps, " GB/s", "assumption: of 32 GB/s, eight lanes of PCIe 5.0"),
    ("bandwidth of far memory", |c| c.far_gbps, " GB/s", "assumption"),
    ("queueing", |c| c.queueing, "", "assumption: 1.2 times at half of the bandwidth, 2.8 times at 90%"),
    ("to migrate a page", |c| c.migrate_ns, " ns", "assumption: 1 to 10 µs"),
    ("to arm and check a sample", |c| c.check_ns, " ns", "measured: page_idle takes 1 to 2 µs"),
    ("to look at a page", |c| c.walk_ns, " ns", "measured: `MADV_COLD` on a range, 45 ns a page"),
    ("to look at a page from its LRU list", |c| c.lru_ns, " ns", "assumption: a walk of the reverse map, and its list"),
    ("to arm a hint fault", |c| c.arm_hint_ns, " ns", "assumption: as to look at a page, and a part of a TLB flush"),
    ("hint fault", |c| c.hint_fault_ns, " ns", "assumption: 1 to 2 µs"),
    (
        "TLB flush by interrupt, each CPU",
        |c| c.shootdown_ns,
        " ns",
        "assumption: published measurements 300 to 1,500 ns",
    ),
];

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        writeln!(f, "| constant | value | source |\n|---|---|---|")?;
        for (name, of, unit, source) in ROWS {
            let source = if of(self) == of(&default) { source } else { "given" };
            writeln!(f, "| {name} | {}{unit} | {source} |", of(self))?;
        }
        Ok(())
    }
}
