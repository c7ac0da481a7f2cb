//! Numbers as damo writes them: as numbers, or as text with commas and units. Most of a record is numbers, so the plain
//! ones take a short way.

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::config::quantity::{Address, BadQuantity, Count, Micros, Size};

/// What a text means where it is more than digits.
pub(super) trait Unit {
    fn read(text: &str) -> Result<u64, BadQuantity>;
}

macro_rules! units {
    ($($name:ident),*) => {
        $(impl Unit for $name {
            fn read(text: &str) -> Result<u64, BadQuantity> {
                Self::from_str(text).map(|quantity| quantity.0)
            }
        })*
    };
}
units!(Address, Count, Micros, Size);

/// A number of `T`.
pub(super) struct Num<T>(pub(super) u64, PhantomData<T>);

impl<'de, T: Unit> Deserialize<'de> for Num<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Numbers(PhantomData::<T>)).map(|n| Self(n, PhantomData))
    }
}

struct Numbers<T>(PhantomData<T>);

impl<T: Unit> Visitor<'_> for Numbers<T> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of 0 or more")
    }

    fn visit_u64<E>(self, n: u64) -> Result<u64, E> {
        Ok(n)
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<u64, E> {
        // Parts of a nanosecond, a byte or a sample are an accident of arithmetic.
        if n >= 0.0 && n < u64::MAX as f64 {
            Ok(n as u64)
        } else {
            Err(E::invalid_value(de::Unexpected::Float(n), &self))
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        digits(text).map_or_else(|| T::read(text).map_err(E::custom), Ok)
    }
}

/// Digits, and commas between them.
fn digits(text: &str) -> Option<u64> {
    let mut n: u64 = 0;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => n = n.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?,
            b',' => {}
            _ => return None,
        }
    }
    text.starts_with(|c: char| c.is_ascii_digit()).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_form() {
        let read = |json: &str| serde_json::from_str::<Num<Size>>(json).map(|n| n.0).map_err(|e| e.to_string());
        for (json, n) in
            [("7", 7), ("\"4,294,967,296\"", 1 << 32), ("\"4.000 KiB\"", 4_096), ("1e3", 1_000), ("\"0 B\"", 0)]
        {
            assert_eq!(read(json), Ok(n), "{json}");
        }
        for json in ["-1", "\"\"", "\",\"", "\"x\"", "null", "1e300", "\"99999999999999999999\""] {
            assert!(read(json).is_err(), "{json}");
        }
        assert_eq!(serde_json::from_str::<Num<Micros>>("\"5 ms\"").map(|n| n.0).ok(), Some(5_000));
    }
}
