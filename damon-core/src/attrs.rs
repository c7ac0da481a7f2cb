//! How to monitor: what a person writes ([`AttrsSpec`]) and its checked form ([`Attrs`]).
//!
//! Counterpart: `struct damon_attrs`, `damon_set_attrs` (`mm/damon/core.c`, Linux 7.3).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::control::rescale;
use crate::filter::Probe;
use crate::report::ReportFilter;
use crate::units::Bp;

/// At most so many probes: [`Sample::attrs`](crate::Sample::attrs) has a bit for each.
pub const MAX_PROBES: usize = 8;

/// What to monitor with, as a person writes it. The default is the kernel's: 5 ms, 100 ms, 1 s, 10 to 1,000 regions.
///
/// ```
/// use core::time::Duration;
/// use damon_core::{Attrs, AttrsSpec};
/// let attrs = Attrs::try_from(AttrsSpec { sampling: Duration::from_millis(10), ..Default::default() })?;
/// assert_eq!(attrs.samples_per_aggregation(), 10);
///
/// let e = Attrs::try_from(AttrsSpec { min_nr_regions: 2, ..Default::default() }).unwrap_err();
/// assert_eq!(e.to_string(), "min_nr_regions is 2, but must be at least 3");
/// # Ok::<(), damon_core::BadAttrs>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct AttrsSpec {
    /// Between arming a sample and checking it. A whole number of microseconds, at least 1.
    pub sampling: Duration,
    /// Over which samples are counted; rounded down to whole sampling intervals. At least one.
    pub aggregation: Duration,
    /// Between looks at which targets there are and what they map; takes effect at the end of an aggregation.
    pub update: Duration,
    /// So many regions at least, over all targets, by limiting the size of each. At least 3.
    pub min_nr_regions: usize,
    /// So many regions at most, over all targets. It bounds the checks of a window too, unless `max_checks` does.
    pub max_nr_regions: usize,
    /// So many checks at most in a sampling window, over all targets. `Classic` keeps the regions down to as many, as far as
    /// `min_nr_regions` lets it; `Adaptive` down to three times as many, and uses all the checks. Default: `Classic` makes one a region;
    /// `Adaptive` at most one for each of `max_nr_regions`, and down to a quarter of that while nothing changes.
    pub max_checks: Option<usize>,
    /// The smallest region, and what sampled addresses are multiples of: any power of two. Default 4,096.
    pub granule: u64,
    /// Bytes per address, for spaces whose address is not a byte (slots of a cache, large physical memory in units).
    /// Every address and size of the monitor is in these units; derived figures are in bytes. Default 1.
    pub addr_unit: u64,
    /// No region is larger, unless that would take more than `max_nr_regions` for a target. Default: what `min_nr_regions` asks for.
    pub max_region: Option<u64>,
    /// Tunes `sampling` and `aggregation`, their ratio kept. Default: not tuned.
    pub intervals_goal: Option<IntervalsGoal>,
    /// Attributes of sampled pages to count beside accesses: at most 8. If any has a weight, accesses are not checked
    /// and regions are adjusted by the weighted hits instead.
    pub probes: Vec<Probe>,
    /// Which reports count. Default: all.
    pub report_filter: ReportFilter,
    /// By which algorithm regions are merged and split.
    pub adjust: Adjust,
    /// `Classic` only: neighbours whose counts differ by no more than this part of the highest count are merged, and a
    /// count that changes by more starts a new age. The kernel's constant, and the default, is a tenth: 1,000.
    pub merge_bp: Bp,
}

impl Default for AttrsSpec {
    fn default() -> Self {
        Self {
            sampling: Duration::from_millis(5),
            aggregation: Duration::from_millis(100),
            update: Duration::from_secs(1),
            min_nr_regions: 10,
            max_nr_regions: 1_000,
            max_checks: None,
            granule: 4_096,
            addr_unit: 1,
            max_region: None,
            intervals_goal: None,
            probes: Vec::new(),
            report_filter: ReportFilter::default(),
            adjust: Adjust::default(),
            merge_bp: Bp(1_000),
        }
    }
}

/// How many access events are wanted, to tune the intervals by: "of all that a window can see, see this part".
///
/// The default is that of the kernel's `DAMON_STAT`: 4% in 3 aggregations, between 5 ms and 10 s.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct IntervalsGoal {
    /// Observed access events of all that could be observed, in basis points: 1 to 10,000.
    pub access_bp: Bp,
    /// Tune once in so many aggregations: at least 1.
    pub aggregations: u32,
    /// The shortest sampling interval.
    pub min_sampling: Duration,
    /// The longest sampling interval.
    pub max_sampling: Duration,
}

impl Default for IntervalsGoal {
    fn default() -> Self {
        Self {
            access_bp: Bp(400),
            aggregations: 3,
            min_sampling: Duration::from_millis(5),
            max_sampling: Duration::from_secs(10),
        }
    }
}

/// Which algorithm adjusts the regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Adjust {
    /// The kernel's: one random check a region, neighbours of like counts merged, regions split at random. For who wants the
    /// kernel's decisions.
    Classic,
    /// A better picture for the same checks: regions are cut where their hits change, evidence is kept while nothing does, and checks
    /// go where something is to be learned. The default: on 24 memories of known truth its error is a tenth of `Classic`'s, and about
    /// a fifth with no more checks (`docs/adaptive-results.md`).
    #[default]
    Adaptive,
}

/// What is wrong with an [`AttrsSpec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}, but must be {rule}")]
#[non_exhaustive]
pub struct BadAttrs {
    /// The field.
    pub field: &'static str,
    /// What it was.
    pub value: String,
    /// What it must be.
    pub rule: String,
}

/// Checked attributes: every rule of [`AttrsSpec`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attrs {
    spec: AttrsSpec,
    sampling_us: u64,
    aggr_samples: u32,
}

impl Default for Attrs {
    fn default() -> Self {
        Self { sampling_us: 5_000, aggr_samples: 20, spec: AttrsSpec::default() }
    }
}

impl Attrs {
    /// What they were made from, with `sampling` and `aggregation` as tuned since.
    pub const fn spec(&self) -> &AttrsSpec {
        &self.spec
    }

    /// The sampling interval.
    pub const fn sampling(&self) -> Duration {
        self.spec.sampling
    }

    /// The aggregation interval: a whole number of sampling intervals.
    pub const fn aggregation(&self) -> Duration {
        self.spec.aggregation
    }

    /// Windows in an aggregation: at least 1.
    pub const fn samples_per_aggregation(&self) -> u32 {
        self.aggr_samples
    }

    /// The sum of the probes' weights is not zero: only attributes are sampled, not accesses.
    pub fn attributes_only(&self) -> bool {
        self.spec.probes.iter().any(|p| p.weight > 0)
    }

    pub(crate) const fn sampling_us(&self) -> u64 {
        self.sampling_us
    }

    /// The length of an aggregation.
    pub(crate) const fn window(&self) -> rescale::Aggregation {
        let us = self.sampling_us.saturating_mul(self.aggr_samples as u64);
        rescale::Aggregation { samples: self.aggr_samples, us }
    }

    /// The same with another sampling interval, the number of windows in an aggregation kept.
    ///
    /// # Errors
    /// When the intervals break a rule: no whole number of microseconds, outside the goal's limits.
    pub fn with_sampling(&self, sampling: Duration) -> Result<Self, BadAttrs> {
        let aggregation = sampling
            .checked_mul(self.aggr_samples)
            .ok_or_else(|| bad("sampling", format!("{sampling:?}"), "short enough that an aggregation ends"))?;
        Self::try_from(AttrsSpec { sampling, aggregation, ..self.spec.clone() })
    }

    /// For the tuner, which stays within limits that were checked.
    pub(crate) fn with_sampling_us(&self, us: u64) -> Self {
        let mut new = self.clone();
        new.sampling_us = us;
        new.spec.sampling = Duration::from_micros(us);
        new.spec.aggregation = Duration::from_micros(us.saturating_mul(self.aggr_samples.into()));
        new
    }
}

impl TryFrom<AttrsSpec> for Attrs {
    type Error = BadAttrs;

    fn try_from(mut s: AttrsSpec) -> Result<Self, BadAttrs> {
        let sampling_us = micros("sampling", s.sampling)?;
        let aggregation_us = micros("aggregation", s.aggregation)?;
        micros("update", s.update)?;
        let samples = aggregation_us / sampling_us;
        if samples == 0 {
            return Err(bad(
                "aggregation",
                format!("{:?}", s.aggregation),
                format!("at least sampling, {:?}", s.sampling),
            ));
        }
        let aggr_samples = u32::try_from(samples)
            .map_err(|_| bad("aggregation", format!("{:?}", s.aggregation), "less than 2^32 sampling intervals"))?;
        s.aggregation = Duration::from_micros(samples * sampling_us);

        at_least("min_nr_regions", s.min_nr_regions as u64, 3)?;
        if s.max_nr_regions < s.min_nr_regions {
            let rule = format!("at least min_nr_regions, {}", s.min_nr_regions);
            return Err(bad("max_nr_regions", s.max_nr_regions, rule));
        }
        if let Some(n) = s.max_checks {
            at_least("max_checks", n as u64, 1)?;
        }
        if !s.granule.is_power_of_two() {
            return Err(bad("granule", s.granule, "a power of two"));
        }
        at_least("addr_unit", s.addr_unit, 1)?;
        if let Some(n) = s.max_region {
            if n < s.granule {
                return Err(bad("max_region", n, format!("at least granule, {}", s.granule)));
            }
        }
        if let Some(goal) = &s.intervals_goal {
            check_goal(goal, s.sampling, samples)?;
        }
        if s.merge_bp > Bp::WHOLE {
            return Err(bad("merge_bp", s.merge_bp.0, "at most 10,000 basis points"));
        }
        if s.probes.len() > MAX_PROBES {
            return Err(bad("probes", format!("a list of {}", s.probes.len()), format!("at most {MAX_PROBES}")));
        }
        let weights: u64 = s.probes.iter().map(|p| u64::from(p.weight)).sum();
        if weights > u32::MAX.into() {
            return Err(bad("probes", format!("of weight {weights} in sum"), "below 2^32 in sum"));
        }
        Ok(Self { spec: s, sampling_us, aggr_samples })
    }
}

fn check_goal(goal: &IntervalsGoal, sampling: Duration, samples: u64) -> Result<(), BadAttrs> {
    if !(1..=10_000).contains(&goal.access_bp.0) {
        return Err(bad("intervals_goal.access_bp", goal.access_bp.0, "1 to 10,000 basis points"));
    }
    at_least("intervals_goal.aggregations", goal.aggregations.into(), 1)?;
    micros("intervals_goal.min_sampling", goal.min_sampling)?;
    let max_us = micros("intervals_goal.max_sampling", goal.max_sampling)?;
    if max_us.checked_mul(samples).is_none() {
        let rule = "short enough that an aggregation ends";
        return Err(bad("intervals_goal.max_sampling", format!("{:?}", goal.max_sampling), rule));
    }
    if goal.min_sampling > goal.max_sampling {
        let rule = format!("at most max_sampling, {:?}", goal.max_sampling);
        return Err(bad("intervals_goal.min_sampling", format!("{:?}", goal.min_sampling), rule));
    }
    if !(goal.min_sampling..=goal.max_sampling).contains(&sampling) {
        let rule = format!("within intervals_goal, {:?} to {:?}", goal.min_sampling, goal.max_sampling);
        return Err(bad("sampling", format!("{sampling:?}"), rule));
    }
    Ok(())
}

fn bad(field: &'static str, value: impl alloc::string::ToString, rule: impl Into<String>) -> BadAttrs {
    BadAttrs { field, value: value.to_string(), rule: rule.into() }
}

fn at_least(field: &'static str, value: u64, least: u64) -> Result<(), BadAttrs> {
    if value < least { Err(bad(field, value, format!("at least {least}"))) } else { Ok(()) }
}

fn micros(field: &'static str, d: Duration) -> Result<u64, BadAttrs> {
    let us = u64::try_from(d.as_micros()).ok().filter(|&us| us > 0 && Duration::from_micros(us) == d);
    us.ok_or_else(|| bad(field, format!("{d:?}"), "a whole number of microseconds, at least 1, below 2^64"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn error(change: impl FnOnce(&mut AttrsSpec)) -> String {
        let mut spec = AttrsSpec::default();
        change(&mut spec);
        Attrs::try_from(spec).unwrap_err().to_string()
    }

    #[test]
    fn the_default_is_right() {
        assert_eq!(Attrs::try_from(AttrsSpec::default()).unwrap(), Attrs::default());
    }

    #[test]
    fn each_error_names_field_value_and_rule() {
        let ms = Duration::from_millis;
        for (message, expected) in [
            (
                error(|s| s.sampling = Duration::ZERO),
                "sampling is 0ns, but must be a whole number of microseconds, at least 1, below 2^64",
            ),
            (
                error(|s| s.update = Duration::from_nanos(1_500)),
                "update is 1.5µs, but must be a whole number of microseconds, at least 1, below 2^64",
            ),
            (error(|s| s.aggregation = ms(4)), "aggregation is 4ms, but must be at least sampling, 5ms"),
            (error(|s| s.min_nr_regions = 2), "min_nr_regions is 2, but must be at least 3"),
            (error(|s| s.max_nr_regions = 9), "max_nr_regions is 9, but must be at least min_nr_regions, 10"),
            (error(|s| s.max_checks = Some(0)), "max_checks is 0, but must be at least 1"),
            (error(|s| s.granule = 3), "granule is 3, but must be a power of two"),
            (error(|s| s.addr_unit = 0), "addr_unit is 0, but must be at least 1"),
            (error(|s| s.merge_bp = Bp(10_001)), "merge_bp is 10001, but must be at most 10,000 basis points"),
            (error(|s| s.max_region = Some(1)), "max_region is 1, but must be at least granule, 4096"),
            (error(|s| s.probes = vec![Probe::default(); 9]), "probes is a list of 9, but must be at most 8"),
            (
                error(|s| s.probes = vec![Probe { weight: u32::MAX, ..Default::default() }; 2]),
                "probes is of weight 8589934590 in sum, but must be below 2^32 in sum",
            ),
            (
                error(|s| s.intervals_goal = Some(IntervalsGoal { access_bp: Bp(0), ..Default::default() })),
                "intervals_goal.access_bp is 0, but must be 1 to 10,000 basis points",
            ),
            (
                error(|s| s.intervals_goal = Some(IntervalsGoal { min_sampling: ms(6), ..Default::default() })),
                "sampling is 5ms, but must be within intervals_goal, 6ms to 10s",
            ),
            (
                error(|s| s.intervals_goal = Some(IntervalsGoal { max_sampling: ms(4), ..Default::default() })),
                "intervals_goal.min_sampling is 5ms, but must be at most max_sampling, 4ms",
            ),
        ] {
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn an_aggregation_is_whole_windows() {
        let spec = AttrsSpec { sampling: Duration::from_millis(30), ..Default::default() };
        let attrs = Attrs::try_from(spec).unwrap();
        assert_eq!((attrs.samples_per_aggregation(), attrs.aggregation()), (3, Duration::from_millis(90)));
    }

    #[test]
    fn another_sampling_interval_keeps_the_number_of_windows() {
        let attrs = Attrs::default().with_sampling(Duration::from_millis(7)).unwrap();
        assert_eq!((attrs.samples_per_aggregation(), attrs.aggregation()), (20, Duration::from_millis(140)));
        assert!(attrs.with_sampling(Duration::MAX).is_err());
    }
}
