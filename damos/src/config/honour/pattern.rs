//! Access patterns, from documents and back.

use core::ops::RangeInclusive;

use super::refusal::{At, Judge, Why};
use crate::config::document::{self, MinMax};
use crate::config::quantity::{AgeBound, FreqBound, Percent, Size};
use crate::scheme::{AccessPattern, Age, Counts, Freq};

pub(super) fn read(pattern: &document::AccessPattern, at: &At, judge: &mut Judge<'_>) -> AccessPattern {
    AccessPattern {
        size: range(pattern.sz_bytes.min.0, pattern.sz_bytes.max.0, &at.key("sz_bytes"), judge),
        freq: freq(pattern.nr_accesses, &at.key("nr_accesses"), judge),
        age: age(pattern.age, &at.key("age"), judge),
        // The kernel knows no other counts.
        counts: Counts::Raw,
    }
}

fn freq(bounds: MinMax<FreqBound>, at: &At, judge: &mut Judge<'_>) -> Freq {
    match (bounds.min, bounds.max) {
        (FreqBound::Percent(min), FreqBound::Percent(max)) => {
            let (min, max) = (percent(min, &at.key("min"), judge), percent(max, &at.key("max"), judge));
            Freq::Percent(range(min, max, at, judge))
        }
        (FreqBound::Samples(min), FreqBound::Samples(max)) => Freq::Samples(range_u32(min, max, at, judge)),
        (_, max) => {
            judge.refuse(&at.key("max"), Why::value(max, "in the same unit as min"));
            Freq::ANY
        }
    }
}

fn percent(percent: Percent, at: &At, judge: &mut Judge<'_>) -> u32 {
    match percent.whole() {
        Some(n) => bound(n, at, judge),
        None => {
            judge.refuse(at, Why::value(percent, "a whole number of percent"));
            0
        }
    }
}

fn age(bounds: MinMax<AgeBound>, at: &At, judge: &mut Judge<'_>) -> Age {
    match (bounds.min, bounds.max) {
        (AgeBound::Time(min), AgeBound::Time(max)) => Age::Time(range(min.duration(), max.duration(), at, judge)),
        (AgeBound::Aggregations(min), AgeBound::Aggregations(max)) => Age::Aggregations(range_u32(min, max, at, judge)),
        (_, max) => {
            judge.refuse(&at.key("max"), Why::value(max, "in the same unit as min"));
            Age::ANY
        }
    }
}

fn range<T: PartialOrd + core::fmt::Debug>(min: T, max: T, at: &At, judge: &mut Judge<'_>) -> RangeInclusive<T> {
    if min > max {
        judge.refuse(&at.key("min"), Why::value(format!("{min:?}"), format!("at most max, {max:?}")));
    }
    min..=max
}

fn range_u32(min: u64, max: u64, at: &At, judge: &mut Judge<'_>) -> RangeInclusive<u32> {
    let (min, max) = (bound(min, &at.key("min"), judge), bound(max, &at.key("max"), judge));
    range(min, max, at, judge)
}

/// What has no bound in a document has none here.
fn bound(n: u64, at: &At, judge: &mut Judge<'_>) -> u32 {
    if n == u64::MAX { u32::MAX } else { judge.fit(at, n, "below 2^32, or max") }
}

const fn unbound(n: u32) -> u64 {
    if n == u32::MAX { u64::MAX } else { n as u64 }
}

pub(super) fn write(pattern: &AccessPattern, at: &At, judge: &mut Judge<'_>) -> document::AccessPattern {
    document::AccessPattern {
        sz_bytes: min_max(&pattern.size, |n| Size(*n)),
        nr_accesses: match &pattern.freq {
            Freq::Samples(range) => min_max(range, |n| FreqBound::Samples(unbound(*n))),
            Freq::Percent(range) => min_max(range, |n| FreqBound::Percent(Percent::new(unbound(*n)))),
            Freq::Rate(range) => {
                judge.refuse(&at.key("nr_accesses"), Why::NotSupported("documents have counts and whole percents"));
                min_max(range, |bp| FreqBound::Percent(Percent::new(u64::from(bp.0 / 100))))
            }
        },
        age: match &pattern.age {
            Age::Aggregations(range) => min_max(range, |n| AgeBound::Aggregations(unbound(*n))),
            Age::Time(range) => MinMax {
                min: AgeBound::Time(judge.micros(&at.key("age").key("min"), *range.start())),
                max: AgeBound::Time(judge.micros(&at.key("age").key("max"), *range.end())),
            },
        },
    }
}

fn min_max<T, U>(range: &RangeInclusive<T>, to: impl Fn(&T) -> U) -> MinMax<U> {
    MinMax { min: to(range.start()), max: to(range.end()) }
}
