//! The file of `tier`.

use damon_core::Bp;
use damos::config::quantity::{BasisPoints, Millis, Size};
use damos::preset::tier::Tiering;
use serde::Deserialize;

use crate::agent::config::{Monitoring, set};

/// TOML; each field has a default: that of [`Tiering`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    free: Option<BasisPoints>,
    used: Option<BasisPoints>,
    bytes_per_s: Option<Size>,
    reset_interval: Option<Millis>,
    filter_young: Option<bool>,
    rest: Option<Millis>,
    limits: Limits,
    monitoring: Monitoring,
}

/// The load above which nothing moves: the table `[limits]`. 100% is no limit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    cpu: Option<BasisPoints>,
    bandwidth: Option<BasisPoints>,
    latency: Option<BasisPoints>,
}

fn bp(said: BasisPoints) -> Bp {
    Bp(u32::try_from(said.0).unwrap_or(u32::MAX))
}

impl From<File> for Tiering {
    fn from(file: File) -> Self {
        let mut to = Self::default();
        set(&mut to.free, file.free.map(bp));
        set(&mut to.used, file.used.map(bp));
        set(&mut to.bytes_per_s, file.bytes_per_s.map(|size| size.0));
        set(&mut to.reset_interval, file.reset_interval.map(Millis::duration));
        to.filter_young = file.filter_young.or(to.filter_young);
        set(&mut to.rest, file.rest.map(Millis::duration));
        let limit = |said: BasisPoints| Some(bp(said)).filter(|&limit| limit < Bp::WHOLE);
        set(&mut to.limits.cpu, file.limits.cpu.map(limit));
        set(&mut to.limits.bandwidth, file.limits.bandwidth.map(limit));
        let above = |said: BasisPoints| Some(bp(said)).filter(|&limit| limit != Bp::WHOLE);
        set(&mut to.limits.latency, file.limits.latency.map(above));
        file.monitoring.change(&mut to.monitoring);
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_a_file_says_counts_and_the_rest_is_the_default() {
        let text = "used = \"95 %\"\nfree = \"5.5 %\"\nbytes_per_s = \"8 MiB\"\n[limits]\ncpu = \"100 %\"\n\
                    latency = \"300 %\"\n\
                    [monitoring]\nsampling = \"20ms\"\naggregation = \"1s\"\nautotune = false\n";
        let tiering = Tiering::from(toml::from_str::<File>(text).unwrap());
        let default = Tiering::default();
        assert_eq!((tiering.used, tiering.free, tiering.bytes_per_s), (Bp(9_500), Bp(550), 8 << 20));
        assert_eq!((tiering.limits.cpu, tiering.limits.bandwidth), (None, default.limits.bandwidth));
        assert_eq!(tiering.limits.latency, Some(Bp(30_000)));
        assert_eq!((tiering.rest, tiering.filter_young), (default.rest, default.filter_young));
        let monitoring = tiering.monitoring;
        assert_eq!((monitoring.sampling, monitoring.intervals_goal), (Duration::from_millis(20), None));
        assert_eq!(Tiering::from(toml::from_str::<File>("").unwrap()), default);
    }
}
