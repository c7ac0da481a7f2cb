//! Which regions a scheme is about: by size, access frequency and age, each in a unit that cannot be mistaken.

use core::ops::RangeInclusive;
use core::time::Duration;

use damon_core::{Attrs, Bp, Editor, Region, View};

/// Regions whose size, access frequency and age are all within these bounds. The default is all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessPattern {
    /// In addresses.
    pub size: RangeInclusive<u64>,
    /// How often accessed.
    pub freq: Freq,
    /// By which figure that is judged.
    pub counts: Counts,
    /// For how long so.
    pub age: Age,
}

impl Default for AccessPattern {
    fn default() -> Self {
        Self { size: 0..=u64::MAX, freq: Freq::ANY, counts: Counts::Believed, age: Age::ANY }
    }
}

/// Bounds of the access frequency.
#[derive(Clone, Debug, PartialEq)]
pub enum Freq {
    /// In samples of an aggregation with an access.
    Samples(RangeInclusive<u32>),
    /// The same in percent of all samples.
    Percent(RangeInclusive<u32>),
    /// By the rate itself, which may rest on more samples than those of one aggregation and is finer then.
    Rate(RangeInclusive<Bp>),
}

impl Freq {
    /// Accessed or not.
    pub const ANY: Self = Self::Samples(0..=u32::MAX);
    /// Not accessed.
    pub const NONE: Self = Self::Samples(0..=0);
}

/// What says how often a region is accessed. With [`Adjust::Classic`](damon_core::Adjust::Classic) it is one and the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counts {
    /// The rate that the adjuster believes, as samples of an aggregation: it rests on more than the last one.
    #[default]
    Believed,
    /// What was counted in the last aggregation, be it ever so little: for who wants the last 100 ms and nothing else.
    Raw,
}

/// Bounds of the age.
#[derive(Clone, Debug, PartialEq)]
pub enum Age {
    /// In aggregations.
    Aggregations(RangeInclusive<u32>),
    /// As time.
    Time(RangeInclusive<Duration>),
}

impl Age {
    /// However old.
    pub const ANY: Self = Self::Aggregations(0..=u32::MAX);
}

/// A pattern in the units of regions, under certain intervals.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) size: RangeInclusive<u64>,
    pub(crate) nr_accesses: RangeInclusive<u32>,
    /// Holds instead of the count.
    pub(crate) rate: Option<RangeInclusive<Bp>>,
    pub(crate) counts: Counts,
    pub(crate) age: RangeInclusive<u32>,
}

impl Bounds {
    /// The count that the pattern is about.
    pub(crate) fn count(&self, editor: &Editor<'_>, r: &Region) -> u32 {
        match self.counts {
            Counts::Believed => editor.believed_count(r),
            Counts::Raw => editor.moving_sum(r),
        }
    }

    /// The same, of a view.
    pub(crate) fn count_in(&self, view: &View<'_>, r: &Region) -> u32 {
        match self.counts {
            Counts::Believed => view.believed_count(r),
            Counts::Raw => view.moving_sum(r),
        }
    }

    /// Is a region with the count `n` accessed as often as they say?
    pub(crate) fn hold_often(&self, r: &Region, n: u32) -> bool {
        match &self.rate {
            Some(range) => r.rate().is_some_and(|rate| range.contains(&rate)),
            None => self.nr_accesses.contains(&n),
        }
    }

    /// Is a region with the count `n` within them?
    pub(crate) fn hold(&self, r: &Region, n: u32) -> bool {
        self.hold_often(r, n) && self.age.contains(&r.age()) && self.size.contains(&r.size())
    }
}

impl AccessPattern {
    /// Is memory that was not accessed part of it? Then it matters whether accesses can be seen at all.
    pub(crate) fn includes_idle(&self) -> bool {
        match &self.freq {
            Freq::Samples(range) | Freq::Percent(range) => range.contains(&0),
            Freq::Rate(range) => range.contains(&Bp(0)),
        }
    }

    /// Percent are rounded so that a region is within them that is at the bound; time is rounded down to aggregations.
    pub(crate) fn bounds(&self, attrs: &Attrs) -> Bounds {
        let samples = u64::from(attrs.samples_per_aggregation());
        let nr_accesses = match &self.freq {
            Freq::Samples(range) => range.clone(),
            Freq::Percent(range) => {
                let at_least = (u64::from(*range.start()) * samples).div_ceil(100);
                let at_most = u64::from(*range.end()) * samples / 100;
                saturating(at_least.into())..=saturating(at_most.into())
            }
            Freq::Rate(_) => 0..=u32::MAX,
        };
        let rate = match &self.freq {
            Freq::Rate(range) => Some(range.clone()),
            _ => None,
        };
        let aggregation = attrs.aggregation().as_micros().max(1);
        let age = match &self.age {
            Age::Aggregations(range) => range.clone(),
            Age::Time(range) => {
                saturating(range.start().as_micros() / aggregation)..=saturating(range.end().as_micros() / aggregation)
            }
        };
        Bounds { size: self.size.clone(), nr_accesses, rate, counts: self.counts, age }
    }
}

fn saturating(n: u128) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_a_person_can_read_become_those_of_regions() {
        let pattern = AccessPattern {
            freq: Freq::Percent(26..=99),
            age: Age::Time(Duration::from_millis(950)..=Duration::MAX),
            ..AccessPattern::default()
        };
        let bounds = pattern.bounds(&Attrs::default());
        assert_eq!((bounds.nr_accesses, bounds.age), (6..=19, 9..=u32::MAX));
        assert!(!pattern.includes_idle() && AccessPattern::default().includes_idle());
    }
}
