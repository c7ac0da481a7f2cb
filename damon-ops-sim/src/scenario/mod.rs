//! Memory whose truth is known, as a file says it, and running a monitor on that.
//!
//! `scenarios/README.md` beside this crate has the format.

mod run;
mod timing;

use std::path::{Path, PathBuf};
use std::time::Duration;

use damon_core::{AddrRange, Adjust, Attrs, AttrsSpec, BadAttrs};
use serde::Deserialize;

use crate::workload::{Cycle, Heat, Picture};

pub use run::{RunError, Shown, reported, run, run_seen, run_with};

/// A scenario as its file says it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSpec {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// Bytes of a page: a power of two.
    pub page_bytes: u64,
    /// How many pages there are, from page 0.
    pub pages: u64,
    /// What is monitored: first page and the page after the last. Default: all.
    pub ranges: Option<Vec<(u64, u64)>>,
    /// How it is monitored.
    pub attrs: ScenarioAttrs,
    /// How many aggregations it takes.
    pub aggregations: u64,
    /// So many of them, the first, are not scored.
    pub warmup_aggregations: u64,
    /// Bytes of this access rate or more are hot: above 0, at most 1.
    pub hot_rate: f64,
    /// The truth, phase by phase, again and again.
    pub phases: Vec<PhaseSpec>,
}

/// How a scenario is monitored.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ScenarioAttrs {
    /// The sampling interval in microseconds.
    pub sample_us: u64,
    /// The aggregation interval in microseconds.
    pub aggr_us: u64,
    /// So many regions at least.
    pub min_nr_regions: usize,
    /// So many regions at most.
    pub max_nr_regions: usize,
    /// So many checks at most in a sampling window. Default: one a region.
    pub max_checks: Option<usize>,
}

/// The truth for some aggregations.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PhaseSpec {
    /// For how many aggregations it holds: at least 1.
    pub aggregations: u64,
    /// First page, the page after the last, and mean accesses to each per second. The later span counts.
    pub spans: Vec<(u64, u64, f64)>,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not JSON of this format: line and column are in the source's message.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A value breaks a rule.
    #[error("scenario {scenario}: {field} is {value}, but must be {rule}")]
    Bad {
        /// The scenario's name.
        scenario: String,
        /// The field, with its phase's and its span's index, from 0.
        field: String,
        /// What it was.
        value: String,
        /// What it must be.
        rule: String,
    },
    /// It cannot be monitored so.
    #[error("scenario {scenario}: attrs: {source}")]
    Attrs {
        /// The scenario's name.
        scenario: String,
        /// What is wrong.
        source: BadAttrs,
    },
}

/// A checked scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    spec: ScenarioSpec,
    ranges: Vec<AddrRange>,
    cycle: Cycle,
}

impl Scenario {
    /// The scenario in the file at `path`.
    ///
    /// # Errors
    /// Where the file cannot be read, is not of the format, or breaks a rule.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ScenarioError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| ScenarioError::Read { path: path.into(), source })?;
        Self::parse(path, &text)
    }

    /// The scenario in `text`, which came from `path`.
    ///
    /// # Errors
    /// Where it is not of the format, or breaks a rule.
    pub fn parse(path: impl AsRef<Path>, text: &str) -> Result<Self, ScenarioError> {
        let spec: ScenarioSpec =
            serde_json::from_str(text).map_err(|source| ScenarioError::Parse { path: path.as_ref().into(), source })?;
        Self::try_from(spec)
    }

    /// What it was made from.
    pub const fn spec(&self) -> &ScenarioSpec {
        &self.spec
    }

    /// What is monitored, ascending and apart.
    pub fn ranges(&self) -> &[AddrRange] {
        &self.ranges
    }

    /// The truth.
    pub const fn cycle(&self) -> &Cycle {
        &self.cycle
    }

    /// How it is monitored, by `adjust`, and with at most `max_checks` in a window if that is given.
    ///
    /// # Errors
    /// Where `max_checks` is 0.
    pub fn attrs(&self, adjust: Adjust, max_checks: Option<usize>) -> Result<Attrs, ScenarioError> {
        let a = &self.spec.attrs;
        let spec = AttrsSpec {
            sampling: Duration::from_micros(a.sample_us),
            aggregation: Duration::from_micros(a.aggr_us),
            min_nr_regions: a.min_nr_regions,
            max_nr_regions: a.max_nr_regions,
            max_checks: max_checks.or(a.max_checks),
            granule: self.spec.page_bytes,
            adjust,
            ..AttrsSpec::default()
        };
        Attrs::try_from(spec).map_err(|source| ScenarioError::Attrs { scenario: self.spec.name.clone(), source })
    }
}

/// A rule of the format that `field` of a scenario breaks.
struct Broken(String, String, String);

fn broken<T>(field: impl Into<String>, value: impl ToString, rule: impl Into<String>) -> Result<T, Broken> {
    Err(Broken(field.into(), value.to_string(), rule.into()))
}

impl ScenarioSpec {
    fn pages(&self, field: impl FnOnce() -> String, first: u64, end: u64) -> Result<AddrRange, Broken> {
        match AddrRange::new(first.saturating_mul(self.page_bytes), end.saturating_mul(self.page_bytes)) {
            Some(range) if end <= self.pages => Ok(range),
            _ => broken(field(), format!("{first}..{end}"), format!("at least a page below page {}", self.pages)),
        }
    }

    fn checked_ranges(&self) -> Result<Vec<AddrRange>, Broken> {
        if !self.page_bytes.is_power_of_two() {
            return broken("page_bytes", self.page_bytes, "a power of two");
        }
        if self.pages == 0 || self.pages.checked_mul(self.page_bytes).is_none() {
            return broken("pages", self.pages, "at least 1, and all of them below 2^64 bytes");
        }
        let all = [(0, self.pages)];
        let list = self.ranges.as_deref().unwrap_or(&all);
        if list.is_empty() {
            return broken("ranges", "[]", "left out, or at least one");
        }
        let mut out: Vec<AddrRange> = Vec::new();
        for (i, &(first, end)) in list.iter().enumerate() {
            let range = self.pages(|| format!("ranges[{i}]"), first, end)?;
            if out.last().is_some_and(|last| last.end() > range.start()) {
                return broken(format!("ranges[{i}]"), format!("{first}..{end}"), "above the one before it");
            }
            out.push(range);
        }
        Ok(out)
    }

    fn checked_cycle(&self) -> Result<Cycle, Broken> {
        if self.warmup_aggregations >= self.aggregations {
            let rule = format!("below aggregations, {}", self.aggregations);
            return broken("warmup_aggregations", self.warmup_aggregations, rule);
        }
        if !(self.hot_rate > 0.0 && self.hot_rate <= 1.0) {
            return broken("hot_rate", self.hot_rate, "above 0, at most 1");
        }
        if self.phases.is_empty() {
            return broken("phases", "[]", "at least one");
        }
        let mut cycle = Cycle::new();
        for (p, phase) in self.phases.iter().enumerate() {
            if phase.aggregations == 0 {
                return broken(format!("phases[{p}].aggregations"), 0, "at least 1");
            }
            let mut heats = Vec::with_capacity(phase.spans.len());
            for (s, &(first, end, hz)) in phase.spans.iter().enumerate() {
                let field = || format!("phases[{p}].spans[{s}]");
                let range = self.pages(field, first, end)?;
                if !(hz.is_finite() && hz >= 0.0) {
                    return broken(format!("{}.hz", field()), hz, "0 or more");
                }
                heats.push(Heat::reads(range, hz));
            }
            cycle.push(phase.aggregations, Picture::new(&heats));
        }
        Ok(cycle)
    }
}

impl TryFrom<ScenarioSpec> for Scenario {
    type Error = ScenarioError;

    fn try_from(spec: ScenarioSpec) -> Result<Self, ScenarioError> {
        match spec.checked_ranges().and_then(|ranges| Ok((ranges, spec.checked_cycle()?))) {
            Ok((ranges, cycle)) => {
                let scenario = Self { spec, ranges, cycle };
                scenario.attrs(Adjust::default(), None)?;
                Ok(scenario)
            }
            Err(Broken(field, value, rule)) => Err(ScenarioError::Bad { scenario: spec.name, field, value, rule }),
        }
    }
}

#[cfg(test)]
mod tests;
