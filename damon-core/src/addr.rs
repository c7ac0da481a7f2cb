//! Half-open ranges of addresses, and their alignment.

use core::fmt;

/// Addresses from `start` up to, not including, `end`. Never empty.
///
/// The end is exclusive, so the last address of the 64-bit space, 2^64 − 1, is in no range: a range that would
/// have to include it is refused when it is built.
///
/// ```
/// use damon_core::AddrRange;
/// let r = AddrRange::new(0x1000, 0x3000).unwrap();
/// assert_eq!(r.size(), 0x2000);
/// assert!(r.contains(0x2fff) && !r.contains(0x3000));
/// assert!(AddrRange::new(8, 8).is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct AddrRange {
    start: u64,
    end: u64,
}

impl AddrRange {
    /// The range `start..end`, or `None` if that is empty or turned round.
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start < end { Some(Self { start, end }) } else { None }
    }

    /// `len` addresses from `start`, or `None` if that is nothing or does not end below 2^64.
    pub const fn from_len(start: u64, len: u64) -> Option<Self> {
        match start.checked_add(len) {
            Some(end) => Self::new(start, end),
            None => None,
        }
    }

    /// For what is known to be in order; a debug build checks it.
    pub(crate) const fn ordered(start: u64, end: u64) -> Self {
        debug_assert!(start < end);
        Self { start, end }
    }

    /// The first address.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The address after the last.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// How many addresses: at least 1.
    pub const fn size(self) -> u64 {
        self.end - self.start
    }

    /// Is `addr` in the range?
    pub const fn contains(self, addr: u64) -> bool {
        self.start <= addr && addr < self.end
    }

    /// The common part, if there is one.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The smallest range around this one whose both ends are multiples of `unit`, a power of two; `None` if that would
    /// end above 2^64 − 1.
    pub fn aligned_outward(self, unit: u64) -> Option<Self> {
        debug_assert!(unit.is_power_of_two());
        let end = self.end.checked_add(unit - 1)? & !(unit - 1);
        Self::new(align_down(self.start, unit), end)
    }
}

impl fmt::Debug for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for AddrRange {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Ends {
            start: u64,
            end: u64,
        }
        let Ends { start, end } = Ends::deserialize(d)?;
        Self::new(start, end)
            .ok_or_else(|| serde::de::Error::custom(format_args!("address range {start:#x}..{end:#x} is empty")))
    }
}

/// The largest multiple of `unit`, a power of two, that is not above `addr`.
pub(crate) const fn align_down(addr: u64, unit: u64) -> u64 {
    addr & !(unit - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_never_empty_nor_turned_round() {
        assert!(AddrRange::new(1, 1).is_none());
        assert!(AddrRange::new(2, 1).is_none());
        assert!(AddrRange::from_len(5, 0).is_none());
    }

    #[test]
    fn a_range_that_would_include_the_last_address_is_refused() {
        assert!(AddrRange::from_len(u64::MAX, 1).is_none());
        assert!(AddrRange::from_len(u64::MAX - 4, 4).is_some());
        assert!(AddrRange::new(1, u64::MAX).and_then(|r| r.aligned_outward(4096)).is_none());
    }

    #[test]
    fn alignment_goes_outward() {
        let r = AddrRange::new(0x1001, 0x2001).unwrap();
        assert_eq!(r.aligned_outward(0x1000), AddrRange::new(0x1000, 0x3000));
    }
}
