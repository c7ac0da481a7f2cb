//! Parts of a whole, in the two units that documents count them in.

use core::fmt;
use core::str::FromStr;

use super::decimal::Decimal;
use super::text::{self, BadQuantity, text_quantity};

/// Basis points: `"4 %"` or `400`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BasisPoints(pub u64);

/// Thousandths: `"50 %"` or `500`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permil(pub u64);

macro_rules! ratio {
    ($name:ident, $decimals:literal, $expected:literal) => {
        text_quantity!($name, $expected);

        impl FromStr for $name {
            type Err = BadQuantity;

            fn from_str(s: &str) -> Result<Self, BadQuantity> {
                let read = || {
                    let (number, unit) = text::split_unit(s);
                    let number = Decimal::read(number)?;
                    match unit {
                        "" => number.whole_u64(1),
                        "%" => number.whole_u64(10_u128.pow($decimals)),
                        _ => None,
                    }
                };
                text::limit(s).or_else(read).map(Self).ok_or_else(|| Self::bad(s))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} %", Decimal::of(self.0, $decimals))
            }
        }
    };
}

ratio!(BasisPoints, 2, "a part such as \"4 %\", or a number of basis points (whole ones)");
ratio!(Permil, 1, "a part such as \"50 %\", or a number of thousandths (whole ones)");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_in_percent_or_their_unit_and_written_in_percent() {
        for (text, n, canonical) in [
            ("4 %", 400, "4 %"),
            ("4.05%", 405, "4.05 %"),
            ("400", 400, "4 %"),
            ("1,000 %", 100_000, "1,000 %"),
            ("0", 0, "0 %"),
        ] {
            let bp: BasisPoints = text.parse().unwrap();
            assert_eq!((bp.0, bp.to_string().as_str()), (n, canonical), "{text}");
        }
        assert_eq!("5 %".parse::<Permil>().unwrap(), Permil(50));
        assert_eq!(Permil(5).to_string(), "0.5 %");
    }

    #[test]
    fn finer_parts_are_refused() {
        for text in ["4.005 %", "0.5", "%", "4 ms", "4 % %"] {
            assert!(text.parse::<BasisPoints>().is_err(), "{text}");
        }
    }
}
