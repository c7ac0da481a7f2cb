//! Small numbers that must not be taken for one another.

use core::fmt;

/// Basis points: ten-thousandths. 10,000 is the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Bp(pub u32);

impl Bp {
    /// 10,000 basis points.
    pub const WHOLE: Self = Self(10_000);

    /// `part` of `whole`, rounded down; the whole if `whole` is zero or smaller than `part`.
    pub fn of(part: u64, whole: u64) -> Self {
        if part >= whole {
            return Self::WHOLE;
        }
        // Below the whole, so it fits.
        Self(u32::try_from(u128::from(part) * 10_000 / u128::from(whole)).unwrap_or(10_000))
    }
}

impl fmt::Display for Bp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

/// A NUMA node, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NodeId(pub u16);
