//! Numbers with units, as people write them in damo's documents: read in any form that damo reads, written in its own.
//!
//! What damo would round, these keep: a size that three decimals cannot say is written in bytes, a time in all its units.

mod access;
mod decimal;
mod ratio;
mod size;
mod text;
mod time;

use core::fmt;
use core::str::FromStr;

use decimal::Decimal;
use text::text_quantity;
pub(crate) use text::{flag, path_or_none};

pub use access::{AgeBound, FreqBound, GoalValue, Percent};
pub use ratio::{BasisPoints, Permil};
pub use size::{Address, Size};
pub use text::BadQuantity;
pub use time::{Micros, Millis};

/// A plain number: `"1,000"`, `1000`, `"max"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(pub u64);

text_quantity!(Count, "a whole number such as \"1,000\"");

impl FromStr for Count {
    type Err = BadQuantity;

    fn from_str(s: &str) -> Result<Self, BadQuantity> {
        text::limit(s).or_else(|| Decimal::read(s)?.whole_u64(1)).map(Self).ok_or_else(|| Self::bad(s))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::with_commas(self.0))
    }
}

/// A whole number that damo writes as a number of JSON: an id, a weight, a pid. Read from text as well; -1 stands for
/// none where the kernel's files say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub i64);

text::read_quantity!(Number, "a whole number");

impl FromStr for Number {
    type Err = BadQuantity;

    fn from_str(s: &str) -> Result<Self, BadQuantity> {
        let (negative, digits) = s.trim().strip_prefix('-').map_or((false, s), |digits| (true, digits));
        let n = Decimal::read(digits).and_then(|d| d.whole_u64(1)).and_then(|n| i64::try_from(n).ok());
        n.map(|n| Self(if negative { -n } else { n })).ok_or_else(|| Self::bad(s))
    }
}

impl serde::Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_with_commas_and_written_so() {
        for (text, n, canonical) in [
            ("1,000", 1_000, "1,000"),
            ("7", 7, "7"),
            ("0", 0, "0"),
            ("10.0", 10, "10"),
            ("1234567", 1_234_567, "1,234,567"),
        ] {
            let count: Count = text.parse().unwrap();
            assert_eq!((count.0, count.to_string().as_str()), (n, canonical), "{text}");
        }
        assert_eq!("max".parse::<Count>().unwrap().0, u64::MAX);
    }

    #[test]
    fn what_is_no_count_is_refused_with_the_way_out() {
        for text in ["", "-1", "1.5", "5 ms", "1e3", "99999999999999999999"] {
            let error = text.parse::<Count>().unwrap_err().to_string();
            assert_eq!(error, format!("{text:?} is not a whole number such as \"1,000\""));
        }
    }

    #[test]
    fn ids_may_be_minus_one() {
        assert_eq!(["-1", "1,234", "0"].map(|s| s.parse::<Number>().unwrap().0), [-1, 1_234, 0]);
        assert!("9223372036854775808".parse::<Number>().is_err());
    }
}
