//! What all quantities share: they are numbers or texts in JSON, and one that is neither says what it should be.

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use serde::de::{self, Deserializer, Visitor};

/// A text that is not the quantity that it stands for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
#[non_exhaustive]
pub struct BadQuantity {
    /// The text.
    pub text: String,
    /// What it should be.
    pub expected: &'static str,
}

/// Reads a quantity from JSON: `FromStr` is given. A number means what its digits mean as text.
macro_rules! read_quantity {
    ($name:ty, $expected:literal) => {
        impl $name {
            fn bad(text: &str) -> $crate::config::quantity::BadQuantity {
                $crate::config::quantity::BadQuantity { text: text.into(), expected: $expected }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_any($crate::config::quantity::text::NumberOrText::new($expected))
            }
        }
    };
}
pub(super) use read_quantity;

/// Reads it, and writes it as the text that `Display` gives.
macro_rules! text_quantity {
    ($name:ty, $expected:literal) => {
        $crate::config::quantity::text::read_quantity!($name, $expected);

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
    };
}
pub(super) use text_quantity;

/// The bounds that have names.
pub(super) fn limit(text: &str) -> Option<u64> {
    match text.trim() {
        "min" => Some(0),
        "max" => Some(u64::MAX),
        _ => None,
    }
}

/// A number and what stands behind it.
pub(super) fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_alphabetic() || c == '%').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.trim(), unit.trim())
}

/// Digits in groups of three.
pub(super) fn with_commas(n: impl ToString) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    out
}

pub(super) struct NumberOrText<T> {
    expected: &'static str,
    to: PhantomData<T>,
}

impl<T> NumberOrText<T> {
    pub(super) const fn new(expected: &'static str) -> Self {
        Self { expected, to: PhantomData }
    }
}

impl<T: FromStr<Err = BadQuantity>> Visitor<'_> for NumberOrText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<T, E> {
        self.visit_str(&n.to_string())
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<T, E> {
        self.visit_str(&n.to_string())
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<T, E> {
        // Without an exponent.
        self.visit_str(&n.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(de::Error::custom)
    }
}

/// A boolean, also as damo's words for one.
pub(crate) fn flag<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    struct Flag;

    impl Visitor<'_> for Flag {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false, \"yes\" or \"no\"")
        }

        fn visit_bool<E>(self, b: bool) -> Result<bool, E> {
            Ok(b)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
            match text.to_ascii_lowercase().as_str() {
                "y" | "yes" | "true" => Ok(true),
                "n" | "no" | "false" => Ok(false),
                _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
            }
        }
    }

    d.deserialize_any(Flag)
}

/// A path; damo writes an empty one for none.
pub(crate) fn path_or_none<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let path: Option<String> = serde::Deserialize::deserialize(d)?;
    Ok(path.filter(|p| !p.is_empty()))
}
