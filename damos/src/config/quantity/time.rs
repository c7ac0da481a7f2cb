//! Lengths of time, in the two units that documents count them in.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use super::decimal::Decimal;
use super::text::{self, BadQuantity, text_quantity};

/// Microseconds: `"5 ms"`, `"1 m 30 s"`, `5000`; `"max"` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

/// Milliseconds: `"1 s"`, `10`; `"max"` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// In units of so many nanoseconds, if it is a whole number of them. A bare number is in these units already.
fn read(s: &str, unit_ns: u64) -> Option<u64> {
    if let Some(n) = text::limit(s).or_else(|| Decimal::read(s)?.whole_u64(1)) {
        return Some(n);
    }
    let (mut rest, mut sum) = (s.trim(), 0_u128);
    while !rest.is_empty() {
        let (number, behind) = text::split_unit(rest);
        let end = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
        let ns = UNITS.iter().find(|(name, _)| *name == &behind[..end])?.1;
        let (n, rounded) = Decimal::read(number)?.times(ns.into())?;
        if rounded {
            return None;
        }
        (sum, rest) = (sum.checked_add(n)?, behind[end..].trim_start());
    }
    let unit_ns = u128::from(unit_ns);
    if sum % unit_ns != 0 { None } else { u64::try_from(sum / unit_ns).ok() }
}

fn write(f: &mut fmt::Formatter<'_>, n: u64, unit_ns: u64) -> fmt::Result {
    match n {
        0 => return f.write_str("0 ns"),
        u64::MAX => return f.write_str("max"),
        _ => {}
    }
    let (mut left, mut space) = (u128::from(n) * u128::from(unit_ns), "");
    for (name, ns) in UNITS {
        let (count, rest) = (left / u128::from(ns), left % u128::from(ns));
        if count > 0 {
            write!(f, "{space}{} {name}", text::with_commas(count))?;
            space = " ";
        }
        left = rest;
    }
    Ok(())
}

macro_rules! time {
    ($name:ident, $ns:literal, $expected:literal) => {
        text_quantity!($name, $expected);

        impl FromStr for $name {
            type Err = BadQuantity;

            fn from_str(s: &str) -> Result<Self, BadQuantity> {
                read(s, $ns).map(Self).ok_or_else(|| Self::bad(s))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(f, self.0, $ns)
            }
        }

        impl $name {
            /// The same length; for ever is [`Duration::MAX`].
            pub const fn duration(self) -> Duration {
                const PER_SEC: u64 = 1_000_000_000 / $ns;
                match self.0 {
                    u64::MAX => Duration::MAX,
                    n => Duration::new(n / PER_SEC, (n % PER_SEC) as u32 * $ns),
                }
            }

            /// The same length, if it is a whole number of the unit; [`Duration::MAX`] is for ever.
            pub fn of(d: Duration) -> Option<Self> {
                if d == Duration::MAX {
                    return Some(Self(u64::MAX));
                }
                let n = u64::try_from(d.as_nanos() / $ns).ok()?;
                (n < u64::MAX && Self(n).duration() == d).then_some(Self(n))
            }
        }
    };
}

time!(Micros, 1_000, "a time such as \"5 ms\", or a number of microseconds (whole ones)");
time!(Millis, 1_000_000, "a time such as \"1 s\", or a number of milliseconds (whole ones)");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_units_and_written_in_damos() {
        for (text, n, canonical) in [
            ("5 ms", 5_000, "5 ms"),
            ("5ms", 5_000, "5 ms"),
            ("5000", 5_000, "5 ms"),
            ("60 s", 60_000_000, "1 m"),
            ("1 m 30 s", 90_000_000, "1 m 30 s"),
            ("1m30s", 90_000_000, "1 m 30 s"),
            ("0.3 s", 300_000, "300 ms"),
            ("1.5 ms", 1_500, "1 ms 500 us"),
            ("2 d", 172_800_000_000, "2 d"),
            ("1,000 us", 1_000, "1 ms"),
            ("0", 0, "0 ns"),
            ("0 ns", 0, "0 ns"),
            ("max", u64::MAX, "max"),
        ] {
            let time: Micros = text.parse().unwrap();
            assert_eq!((time.0, time.to_string().as_str()), (n, canonical), "{text}");
        }
        assert_eq!("1 s".parse::<Millis>().unwrap(), Millis(1_000));
        assert_eq!("10".parse::<Millis>().unwrap().to_string(), "10 ms");
    }

    #[test]
    fn parts_of_the_unit_are_refused_not_rounded() {
        for text in ["1.5 us", "500 ns", "1.5", "5 parsecs", "ms", "5 ms 3", "-5 ms", "5 KiB", "1 m m"] {
            assert!(text.parse::<Micros>().is_err(), "{text}");
        }
        assert!("1500 us".parse::<Millis>().is_err());
    }

    #[test]
    fn durations_are_the_same_length_or_none() {
        for n in [0, 1, 1_000_001, u64::MAX - 1, u64::MAX] {
            assert_eq!(Micros::of(Micros(n).duration()), Some(Micros(n)));
            assert_eq!(Millis::of(Millis(n).duration()), Some(Millis(n)));
        }
        assert_eq!(Micros(u64::MAX).duration(), Duration::MAX);
        assert_eq!(Micros::of(Duration::from_nanos(1_500)), None);
        assert_eq!(Millis::of(Duration::from_micros(1_500)), None);
        assert_eq!(Micros::of(Duration::from_micros(u64::MAX)), None, "that would be for ever");
    }
}
