//! The agents' files: TOML, each field with a default, quantities with units.

use std::time::Duration;

use damon_core::control::watermarks::Marks;
use damon_core::{AttrsSpec, Bp, Metric};
use damos::config::quantity::{Millis, Permil, Size};
use damos::preset;
use damos::scheme::Watermarks;
use serde::Deserialize;

/// How an agent watches: the table `[monitoring]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Monitoring {
    sampling: Option<Millis>,
    aggregation: Option<Millis>,
    min_nr_regions: Option<usize>,
    max_nr_regions: Option<usize>,
    autotune: Option<bool>,
}

/// Within which amounts of free memory an agent works at all: the table `[watermarks]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreeMemory {
    off: bool,
    interval: Option<Millis>,
    high: Option<Permil>,
    mid: Option<Permil>,
    low: Option<Permil>,
}

/// The file of `reclaim`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reclaim {
    min_age: Option<Millis>,
    quota_time: Option<Millis>,
    quota_size: Option<Size>,
    quota_reset_interval: Option<Millis>,
    mem_pressure: Option<Millis>,
    skip_anon: Option<bool>,
    thrash_guard: Option<Millis>,
    watermarks: FreeMemory,
    monitoring: Monitoring,
}

/// The file of `lru_sort`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LruSort {
    hot_access: Option<Permil>,
    cold_min_age: Option<Millis>,
    quota_time: Option<Millis>,
    quota_reset_interval: Option<Millis>,
    active_mem_bp: Option<u32>,
    filter_young: Option<bool>,
    thrash_guard: Option<Millis>,
    watermarks: FreeMemory,
    monitoring: Monitoring,
}

/// Takes what the file says, and leaves the rest.
pub(crate) fn set<T>(field: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *field = said;
    }
}

impl Monitoring {
    fn apply(self, to: &mut preset::Monitoring) {
        set(&mut to.sampling, self.sampling.map(Millis::duration));
        set(&mut to.aggregation, self.aggregation.map(Millis::duration));
        set(&mut to.min_nr_regions, self.min_nr_regions);
        set(&mut to.max_nr_regions, self.max_nr_regions);
        set(&mut to.autotune, self.autotune);
    }

    /// The same where intervals are tuned by default, towards a goal of their own.
    pub(crate) fn change(self, to: &mut AttrsSpec) {
        set(&mut to.sampling, self.sampling.map(Millis::duration));
        set(&mut to.aggregation, self.aggregation.map(Millis::duration));
        set(&mut to.min_nr_regions, self.min_nr_regions);
        set(&mut to.max_nr_regions, self.max_nr_regions);
        if self.autotune == Some(false) {
            to.intervals_goal = None;
        }
    }
}

impl FreeMemory {
    fn apply(self, to: &mut Option<Watermarks>) {
        if self.off {
            *to = None;
        }
        let Some(watermarks) = to else { return };
        set(&mut watermarks.interval, self.interval.map(Millis::duration));
        let Marks { high, mid, low } = &mut watermarks.marks;
        for (field, said) in [(high, self.high), (mid, self.mid), (low, self.low)] {
            set(field, said.map(|permil| permil.0));
        }
        watermarks.metric = Metric::FreeMemRatePermille;
    }
}

impl Reclaim {
    /// Memory that comes back so soon after it was paged out is left alone for that time, then twice as long; not said, none is.
    pub fn thrash_guard(&self) -> Option<Duration> {
        self.thrash_guard.map(Millis::duration)
    }
}

impl LruSort {
    /// Memory that leaves its list's pattern so soon after it was sorted is left alone for that time, then twice as long.
    pub fn thrash_guard(&self) -> Option<Duration> {
        self.thrash_guard.map(Millis::duration)
    }
}

impl From<Reclaim> for preset::Reclaim {
    fn from(file: Reclaim) -> Self {
        let mut to = Self::default();
        set(&mut to.min_age, file.min_age.map(Millis::duration));
        set(&mut to.time, file.quota_time.map(Millis::duration));
        set(&mut to.size, file.quota_size.map(|size| size.0));
        set(&mut to.reset_interval, file.quota_reset_interval.map(Millis::duration));
        to.mem_pressure = file.mem_pressure.map(Millis::duration);
        set(&mut to.skip_anon, file.skip_anon);
        file.watermarks.apply(&mut to.watermarks);
        file.monitoring.apply(&mut to.monitoring);
        to
    }
}

impl From<LruSort> for preset::LruSort {
    fn from(file: LruSort) -> Self {
        let mut to = Self::default();
        set(&mut to.hot_access_permille, file.hot_access.map(|p| u32::try_from(p.0).unwrap_or(u32::MAX)));
        set(&mut to.cold_min_age, file.cold_min_age.map(Millis::duration));
        set(&mut to.time, file.quota_time.map(Millis::duration));
        set(&mut to.reset_interval, file.quota_reset_interval.map(Millis::duration));
        to.active_mem = file.active_mem_bp.map(Bp);
        set(&mut to.filter_young, file.filter_young);
        file.watermarks.apply(&mut to.watermarks);
        file.monitoring.apply(&mut to.monitoring);
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_counts_and_the_rest_is_the_default() {
        let text = "min_age = \"30s\"\nquota_size = \"1 GiB\"\nthrash_guard = \"1m\"\n[watermarks]\nhigh = \"80 %\"\n[monitoring]\nautotune = true\n";
        let file: Reclaim = toml::from_str(text).unwrap();
        assert_eq!(file.thrash_guard(), Some(Duration::from_secs(60)));
        let (reclaim, default) = (preset::Reclaim::from(file), preset::Reclaim::default());
        assert_eq!((reclaim.min_age, reclaim.size, reclaim.time), (Duration::from_secs(30), 1 << 30, default.time));
        assert_eq!(reclaim.watermarks.unwrap().marks, Marks { high: 800, mid: 400, low: 200 });
        assert!(reclaim.monitoring.autotune);
        let off: LruSort = toml::from_str("[watermarks]\noff = true\n").unwrap();
        assert_eq!(preset::LruSort::from(off).watermarks, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("min_agee = 3", "unknown field `min_agee`"),
            ("min_age = \"3 parsecs\"", "is not a time such as"),
            ("[monitoring]\nmax_nr_regions = -1", "invalid value: integer `-1`"),
        ] {
            let error = toml::from_str::<Reclaim>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
