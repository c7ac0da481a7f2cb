//! Bytes, and addresses that are counted in them.

use core::fmt;
use core::str::FromStr;

use super::decimal::Decimal;
use super::text::{self, BadQuantity, text_quantity};

const UNITS: &str = "KMGTPE";

/// Bytes: `"4 GiB"`, `"4G"`, `"2.5 MiB"`, `4096`, `"max"`. Units are powers of 1,024, and parts of a byte are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

text_quantity!(Size, "a size such as \"4 MiB\", or a number of bytes");

impl FromStr for Size {
    type Err = BadQuantity;

    fn from_str(s: &str) -> Result<Self, BadQuantity> {
        text::limit(s).or_else(|| bytes(s)).map(Self).ok_or_else(|| Self::bad(s))
    }
}

fn bytes(s: &str) -> Option<u64> {
    let (number, unit) = text::split_unit(s);
    let shift = match unit {
        "" | "B" => 0,
        _ => {
            let (prefix, rest) = unit.split_at_checked(1)?;
            if !["", "B", "iB"].contains(&rest) {
                return None;
            }
            10 * (UNITS.find(prefix)? + 1)
        }
    };
    // Three decimals are all that damo writes, so what they leave of a byte is none of its intention.
    u64::try_from(Decimal::read(number)?.times(1 << shift)?.0).ok()
}

/// As damo writes it, in three decimals of the largest unit that it is more than one of, if they say all of it.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == u64::MAX {
            return f.write_str("max");
        }
        let units = (10..).step_by(10).zip(UNITS.chars());
        if let Some((shift, unit)) = units.take_while(|(shift, _)| self.0 > 1 << shift).last() {
            let thousandths = u128::from(self.0) * 1_000;
            if thousandths % (1 << shift) == 0 {
                let n = thousandths >> shift;
                return write!(f, "{}.{:03} {unit}iB", n / 1_000, n % 1_000);
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// An address, or an end of a range of them; read like a [`Size`], written as a number with commas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub u64);

text_quantity!(Address, "an address such as \"4,096\" or \"4 GiB\"");

impl FromStr for Address {
    type Err = BadQuantity;

    fn from_str(s: &str) -> Result<Self, BadQuantity> {
        text::limit(s).or_else(|| bytes(s)).map(Self).ok_or_else(|| Self::bad(s))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::with_commas(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_all_units_and_written_in_damos() {
        for (text, n, canonical) in [
            ("4096", 4_096, "4.000 KiB"),
            ("4.000 KiB", 4_096, "4.000 KiB"),
            ("4K", 4_096, "4.000 KiB"),
            ("2 MB", 2 << 20, "2.000 MiB"),
            ("1 GiB", 1 << 30, "1024.000 MiB"),
            ("2.5 GiB", 5 << 29, "2.500 GiB"),
            ("1,024 B", 1_024, "1024 B"),
            ("0", 0, "0 B"),
            ("max", u64::MAX, "max"),
            // What damo makes of 4,097 bytes, and what is written here.
            ("4.001 KiB", 4_097, "4097 B"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (n, canonical), "{text}");
        }
        for text in ["", "KiB", "4 XiB", "4 KiBs", "-4 K", "16 EiB", "4 ms"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_written_in_full() {
        assert_eq!("4 GiB".parse::<Address>().unwrap().to_string(), "4,294,967,296");
    }
}
