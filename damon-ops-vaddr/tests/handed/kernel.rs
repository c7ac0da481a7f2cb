//! The kernel's own DAMON, in a machine that is ours alone.

use std::fs;
use std::path::{Path, PathBuf};

use damon_core::AddrRange;

/// Is this a machine of `.ci/vm`, where nobody minds?
pub(crate) fn in_vm() -> bool {
    fs::read_to_string("/proc/cmdline").is_ok_and(|line| line.split_whitespace().any(|word| word == "damon-vm"))
}

/// One kdamond that watches a range of a process; it ends with this.
#[derive(Debug)]
pub(crate) struct KernelDamon(PathBuf);

impl KernelDamon {
    /// With the intervals 20 ms, 400 ms and 1 s and 10 to `max` regions. `None` anywhere else than in the machine that
    /// `.ci/vm` boots: elsewhere it may be somebody's.
    pub(crate) fn start(pid: i32, range: AddrRange, max: usize) -> Option<Self> {
        let kdamonds = Path::new("/sys/kernel/mm/damon/admin/kdamonds");
        if !in_vm() || !kdamonds.exists() {
            return None;
        }
        let put = |path: PathBuf, value: &str| fs::write(&path, value).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        put(kdamonds.join("nr_kdamonds"), "1");
        let context = kdamonds.join("0/contexts/0");
        put(kdamonds.join("0/contexts/nr_contexts"), "1");
        put(context.join("operations"), "fvaddr");
        for (name, us) in [("sample_us", "20000"), ("aggr_us", "400000"), ("update_us", "1000000")] {
            put(context.join("monitoring_attrs/intervals").join(name), us);
        }
        put(context.join("monitoring_attrs/nr_regions/max"), &max.to_string());
        put(context.join("monitoring_attrs/nr_regions/min"), "10");
        put(context.join("targets/nr_targets"), "1");
        put(context.join("targets/0/pid_target"), &pid.to_string());
        put(context.join("targets/0/regions/nr_regions"), "1");
        put(context.join("targets/0/regions/0/start"), &range.start().to_string());
        put(context.join("targets/0/regions/0/end"), &range.end().to_string());
        put(context.join("schemes/nr_schemes"), "1");
        put(context.join("schemes/0/action"), "stat");
        for name in ["sz", "nr_accesses", "age"] {
            put(context.join("schemes/0/access_pattern").join(name).join("max"), "4294967295");
        }
        let this = Self(kdamonds.join("0"));
        put(this.0.join("state"), "on");
        Some(this)
    }

    /// Its regions with the rate of each, ascending, as of an aggregation that ends now.
    pub(crate) fn regions(&self) -> Vec<(AddrRange, f64)> {
        fs::write(self.0.join("state"), "update_schemes_tried_regions").unwrap();
        let tried = self.0.join("contexts/0/schemes/0/tried_regions");
        let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let region = |dir: &Path| {
            let range = AddrRange::new(number(dir.join("start"))?, number(dir.join("end"))?)?;
            Some((range, number(dir.join("nr_accesses"))? as f64 / 20.0))
        };
        let mut regions: Vec<_> = fs::read_dir(tried).unwrap().flatten().filter_map(|d| region(&d.path())).collect();
        regions.sort_by_key(|(range, _)| range.start());
        regions
    }
}

impl Drop for KernelDamon {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("state"), "off");
        let _ = fs::write("/sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds", "0");
    }
}
