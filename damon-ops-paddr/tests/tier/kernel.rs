//! The guest's own kernel DAMON as it is published for tiering: a kdamond for each node, one promotes and one demotes.
//!
//! Counterpart: `samples/damon/mtier.c` (Linux 7.3), damo's `scripts/mem_tier.sh`. Two things are not as published, for with them
//! nothing moves here at all:
//!
//! - The schemes are applied at each aggregation, not each second. Whenever the intervals are tuned, the time of the next
//!   application is set anew (`damon_set_attrs`): where a second is longer than three aggregations, it never comes. Intervals
//!   stay that short where 4% of a node is accessed in 5 ms.
//! - The tuner is `temporal`, not `consist`: that one begins at a byte and grows by the part of the goal that is missing, here 2%, in
//!   each second. After half a minute it allowed 2 bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use damon_core::NodeId;
use damon_ops_paddr::Area;

use crate::machine::{FAST, SLOW, cpu, in_vm, text, write};

const ROOT: &str = "/sys/kernel/mm/damon/admin/kdamonds";

/// Has kernel DAMON goals on nodes and a choice of tuners? Linux 6.12 has not.
pub(crate) fn has_goals() -> bool {
    let release = text("/proc/sys/kernel/osrelease");
    let major: Option<u32> = release.split('.').next().and_then(|major| major.parse().ok());
    let has = major.is_some_and(|major| major >= 7);
    if !has {
        println!("NOT TESTED: kernel DAMON of Linux {} has no goals on nodes", release.trim());
    }
    has
}

/// The kdamonds, at work until it is dropped.
#[derive(Debug)]
pub(crate) struct MemTier {
    pids: Vec<u32>,
}

/// The scheme of one kdamond.
#[derive(Clone, Copy)]
struct Half {
    /// The node that is watched, and the one where memory goes.
    from: u32,
    to: u32,
    action: &'static str,
    min_nr_accesses: u32,
    max_nr_accesses: u32,
    /// Of the fast node.
    goal: Option<(&'static str, u32)>,
    /// What the filter lets pass: young pages, or others.
    young: bool,
}

const PROMOTE: Half = Half {
    from: SLOW,
    to: FAST,
    action: "migrate_hot",
    min_nr_accesses: 1,
    max_nr_accesses: u32::MAX,
    goal: Some(("node_mem_used_bp", 9_970)),
    young: true,
};
const DEMOTE: Half = Half {
    from: FAST,
    to: SLOW,
    action: "migrate_cold",
    min_nr_accesses: 0,
    max_nr_accesses: 0,
    goal: Some(("node_mem_free_bp", 50)),
    young: false,
};
/// What nobody wants: all that is hot goes to the slow node.
const WRONG: Half = Half { from: FAST, to: SLOW, goal: None, ..PROMOTE };

impl MemTier {
    pub(crate) fn start() -> Self {
        Self::with(&[PROMOTE, DEMOTE])
    }

    /// The other way round.
    pub(crate) fn wrong() -> Self {
        Self::with(&[WRONG])
    }

    fn with(halves: &[Half]) -> Self {
        assert!(in_vm(), "elsewhere somebody else may use it");
        write(Path::new(ROOT).join("nr_kdamonds"), halves.len());
        let started = |(i, half): (usize, &Half)| {
            half.set(&kdamond(i));
            write(kdamond(i).join("state"), "on");
            text(kdamond(i).join("pid")).trim().parse().unwrap()
        };
        Self { pids: halves.iter().enumerate().map(started).collect() }
    }

    pub(crate) fn cpu(&self) -> Duration {
        self.pids.iter().map(|pid| cpu(*pid)).sum()
    }

    /// Bytes that each scheme moved, by its own count.
    pub(crate) fn applied(&self) -> Vec<u64> {
        let applied = |i: usize| {
            write(kdamond(i).join("state"), "update_schemes_stats");
            text(kdamond(i).join("contexts/0/schemes/0/stats/sz_applied")).trim().parse().unwrap()
        };
        (0..self.pids.len()).map(applied).collect()
    }
}

impl Drop for MemTier {
    fn drop(&mut self) {
        for i in 0..self.pids.len() {
            let _ = std::fs::write(kdamond(i).join("state"), "off");
        }
        let _ = std::fs::write(Path::new(ROOT).join("nr_kdamonds"), "0");
    }
}

fn kdamond(i: usize) -> PathBuf {
    Path::new(ROOT).join(i.to_string())
}

impl Half {
    fn set(&self, dir: &Path) {
        write(dir.join("contexts/nr_contexts"), 1);
        let context = dir.join("contexts/0");
        write(context.join("operations"), "paddr");
        let intervals = context.join("monitoring_attrs/intervals");
        for (file, value) in [("sample_us", 5_000), ("aggr_us", 100_000), ("update_us", 60_000_000)] {
            write(intervals.join(file), value);
        }
        let goal = [("access_bp", 400), ("aggrs", 3), ("min_sample_us", 5_000), ("max_sample_us", 10_000_000)];
        for (file, value) in goal {
            write(intervals.join("intervals_goal").join(file), value);
        }
        write(context.join("targets/nr_targets"), 1);
        let regions = context.join("targets/0/regions");
        let node = NodeId(u16::try_from(self.from).unwrap());
        let ranges = Area::Node(node).ranges("/".as_ref(), 4_096).unwrap();
        write(regions.join("nr_regions"), ranges.len());
        for (i, range) in ranges.iter().enumerate() {
            write(regions.join(format!("{i}/start")), range.start());
            write(regions.join(format!("{i}/end")), range.end());
        }
        write(context.join("schemes/nr_schemes"), 1);
        self.scheme(&context.join("schemes/0"));
    }

    fn scheme(&self, scheme: &Path) {
        write(scheme.join("action"), self.action);
        write(scheme.join("target_nid"), self.to);
        write(scheme.join("apply_interval_us"), 0);
        let pattern = scheme.join("access_pattern");
        for (file, min, max) in [
            ("sz", 4_096, u64::MAX),
            ("nr_accesses", self.min_nr_accesses, self.max_nr_accesses.into()),
            ("age", 0_u32, u64::from(u32::MAX)),
        ] {
            write(pattern.join(file).join("max"), max);
            write(pattern.join(file).join("min"), min);
        }
        let quotas = scheme.join("quotas");
        write(quotas.join("bytes"), 200 << 20);
        write(quotas.join("reset_interval_ms"), 1_000);
        for (file, weight) in [("sz", 0), ("nr_accesses", 100), ("age", 100)] {
            write(quotas.join(format!("weights/{file}_permil")), weight);
        }
        if let Some((metric, value)) = self.goal {
            write(quotas.join("goal_tuner"), "temporal");
            write(quotas.join("goals/nr_goals"), 1);
            write(quotas.join("goals/0/target_metric"), metric);
            write(quotas.join("goals/0/target_value"), value);
            write(quotas.join("goals/0/nid"), FAST);
        }
        write(scheme.join("filters/nr_filters"), 1);
        let filter = scheme.join("filters/0");
        write(filter.join("type"), "young");
        write(filter.join("matching"), "Y");
        write(filter.join("allow"), if self.young { "Y" } else { "N" });
    }
}
