//! Bounds of access patterns and values of goals: each may be in more than one unit, and says in which.

use core::fmt;
use core::str::FromStr;

use super::decimal::Decimal;
use super::text::{self, BadQuantity, text_quantity};
use super::{BasisPoints, Count, Micros};

/// A bound of the access frequency: `"5 %"`, `5` (percent too) or `"3 samples"`; `"max"` is in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FreqBound {
    /// Of all samples.
    Percent(Percent),
    /// Samples of an aggregation; [`u64::MAX`] is no bound.
    Samples(u64),
}

/// Percent with as many decimals as were written. 2^64 − 1 or more is no bound: damo lets it drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Percent(Decimal);

impl Percent {
    /// So many whole percent; [`u64::MAX`] is no bound.
    pub fn new(percent: u64) -> Self {
        Self(Decimal::of(percent, 0))
    }

    /// The percent, if they are whole; [`u64::MAX`] is no bound.
    pub fn whole(self) -> Option<u64> {
        self.0.whole_u64(1)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

text_quantity!(FreqBound, "an access frequency such as \"5 %\" or \"3 samples\"");

impl FromStr for FreqBound {
    type Err = BadQuantity;

    fn from_str(s: &str) -> Result<Self, BadQuantity> {
        let read = || {
            if let Some(n) = text::limit(s) {
                return Some(Self::Percent(Percent::new(n)));
            }
            if let Some(n) = number_of(s, "samples") {
                return Some(Self::Samples(n));
            }
            let (number, unit) = text::split_unit(s);
            let percent = Decimal::read(number)?;
            match unit {
                "" | "%" if percent.times(1)?.0 >= u64::MAX.into() => Some(Self::Percent(Percent::new(u64::MAX))),
                "" | "%" => Some(Self::Percent(Percent(percent))),
                _ => None,
            }
        };
        read().ok_or_else(|| Self::bad(s))
    }
}

impl fmt::Display for FreqBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => percent.fmt(f),
            Self::Samples(n) => write!(f, "{} samples", Count(*n)),
        }
    }
}

/// A bound of the age: `"1 s"`, `1000000` (microseconds) or `"10 aggr_intervals"`; `"max"` is a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgeBound {
    /// As time.
    Time(Micros),
    /// In aggregations; [`u64::MAX`] is no bound.
    Aggregations(u64),
}

text_quantity!(AgeBound, "an age such as \"1 s\" or \"10 aggr_intervals\" (whole microseconds)");

impl FromStr for AgeBound {
    type Err = BadQuantity;

    fn from_str(s: &str) -> Result<Self, BadQuantity> {
        match number_of(s, "aggr_intervals") {
            Some(n) => Ok(Self::Aggregations(n)),
            None => s.parse().map(Self::Time).map_err(|_| Self::bad(s)),
        }
    }
}

impl fmt::Display for AgeBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => time.fmt(f),
            Self::Aggregations(n) => write!(f, "{} aggr_intervals", Count(*n)),
        }
    }
}

/// What a goal's metric shall be: in its own unit, or for people in time or percent where the metric is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GoalValue {
    /// `"9,970"`: in the metric's own unit.
    Number(u64),
    /// `"10 ms"`: for metrics in microseconds.
    Time(Micros),
    /// `"99.7 %"`: for metrics in basis points.
    Part(BasisPoints),
}

text_quantity!(GoalValue, "a goal's value such as \"9,970\", \"99.7 %\" or \"10 ms\"");

impl FromStr for GoalValue {
    type Err = BadQuantity;

    fn from_str(s: &str) -> Result<Self, BadQuantity> {
        let read = || match text::split_unit(s).1 {
            "" | "max" | "min" => s.parse::<Count>().ok().map(|n| Self::Number(n.0)),
            "%" => s.parse().ok().map(Self::Part),
            _ => s.parse().ok().map(Self::Time),
        };
        read().ok_or_else(|| Self::bad(s))
    }
}

impl fmt::Display for GoalValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => Count(*n).fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::Part(part) => part.fmt(f),
        }
    }
}

/// The number before `unit`, if that is what `s` ends in.
fn number_of(s: &str, unit: &str) -> Option<u64> {
    let number = s.trim().strip_suffix(unit)?;
    text::limit(number).or_else(|| Decimal::read(number)?.whole_u64(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_says_its_unit() {
        for (text, canonical) in [
            ("5 %", "5 %"),
            ("5", "5 %"),
            ("0.5%", "0.5 %"),
            ("max", "18,446,744,073,709,551,615 %"),
            ("18,446,744,073,709,551,616 %", "18,446,744,073,709,551,615 %"),
            ("3 samples", "3 samples"),
            ("max samples", "18,446,744,073,709,551,615 samples"),
        ] {
            assert_eq!(text.parse::<FreqBound>().unwrap().to_string(), canonical, "{text}");
        }
        for (text, canonical) in
            [("1 s", "1 s"), ("60000000", "1 m"), ("max", "max"), ("1,000 aggr_intervals", "1,000 aggr_intervals")]
        {
            assert_eq!(text.parse::<AgeBound>().unwrap().to_string(), canonical, "{text}");
        }
        assert!("3 ms".parse::<FreqBound>().is_err() && "3 samples".parse::<AgeBound>().is_err());
    }

    #[test]
    fn a_goals_value_keeps_its_unit() {
        for text in ["9,970", "99.7 %", "10 ms"] {
            assert_eq!(text.parse::<GoalValue>().unwrap().to_string(), text);
        }
        assert_eq!("99.7 %".parse(), Ok(GoalValue::Part(BasisPoints(9_970))));
        assert!("9 KiB".parse::<GoalValue>().is_err());
    }
}
