//! The guest's own kernel DAMON, driven by sysfs: to compare with, and to be disturbed by.
//!
//! Counterpart: `Documentation/admin-guide/mm/damon/usage.rst`, Linux 7.3.

use std::io;
use std::path::{Path, PathBuf};

use damon_core::{AddrRange, AttrsSpec};

use crate::accuracy::Picture;
use crate::support::in_vm;

const ROOT: &str = "/sys/kernel/mm/damon/admin/kdamonds";

/// A kdamond that runs; off when it is dropped.
pub(crate) struct Kdamond {
    dir: PathBuf,
    samples: f64,
}

fn write(path: &Path, value: impl ToString) -> io::Result<()> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    std::fs::write(path, value.to_string()).map_err(named)
}

fn number(path: &Path) -> u64 {
    std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

impl Kdamond {
    /// Watches a process as `attrs` say.
    pub(crate) fn vaddr(pid: u32, attrs: &AttrsSpec) -> io::Result<Self> {
        assert!(in_vm(), "elsewhere somebody else may use it");
        let dir = PathBuf::from(ROOT).join("0");
        write(&Path::new(ROOT).join("nr_kdamonds"), 1)?;
        let context = dir.join("contexts/0");
        write(&dir.join("contexts/nr_contexts"), 1)?;
        write(&context.join("operations"), "vaddr")?;
        let intervals = context.join("monitoring_attrs/intervals");
        for (file, time) in [("sample_us", attrs.sampling), ("aggr_us", attrs.aggregation), ("update_us", attrs.update)]
        {
            write(&intervals.join(file), time.as_micros())?;
        }
        write(&context.join("monitoring_attrs/nr_regions/max"), attrs.max_nr_regions)?;
        write(&context.join("monitoring_attrs/nr_regions/min"), attrs.min_nr_regions)?;
        write(&context.join("targets/nr_targets"), 1)?;
        write(&context.join("targets/0/pid_target"), pid)?;
        // Does nothing, and shows the regions.
        let scheme = context.join("schemes/0");
        write(&context.join("schemes/nr_schemes"), 1)?;
        write(&scheme.join("action"), "stat")?;
        for (file, max) in [("sz", u64::MAX), ("nr_accesses", u32::MAX.into()), ("age", u32::MAX.into())] {
            write(&scheme.join("access_pattern").join(file).join("max"), max)?;
        }
        write(&dir.join("state"), "on")?;
        let samples = attrs.aggregation.as_micros() as f64 / attrs.sampling.as_micros() as f64;
        Ok(Self { dir, samples })
    }

    pub(crate) fn pid(&self) -> u64 {
        number(&self.dir.join("pid"))
    }

    /// The regions at the end of the aggregation under way.
    pub(crate) fn picture(&mut self) -> Picture {
        write(&self.dir.join("state"), "update_schemes_tried_regions").unwrap();
        let tried = self.dir.join("contexts/0/schemes/0/tried_regions");
        let mut picture = Picture::new();
        for entry in std::fs::read_dir(tried).unwrap() {
            let region = entry.unwrap().path();
            if region.is_dir() {
                let range = AddrRange::new(number(&region.join("start")), number(&region.join("end")));
                let rate = number(&region.join("nr_accesses")) as f64 / self.samples;
                picture.extend(range.map(|range| (range, rate)));
            }
        }
        picture
    }
}

impl Drop for Kdamond {
    fn drop(&mut self) {
        let _ = write(&self.dir.join("state"), "off");
        let _ = write(&Path::new(ROOT).join("nr_kdamonds"), 0);
    }
}
