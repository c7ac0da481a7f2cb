//! What can be seen of memory, and what was.

use crate::addr::{AddrRange, align_down};

/// What checks can see in a range. It belongs to a range and not to a backend: a program's shared memory may show its
/// reads where its private memory does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Sees {
    /// Nothing: the range is mapped, and no check says anything about it. It is never sampled, and never shown as cold.
    Nothing,
    /// No check, but reports: what is not reported was not accessed.
    Reports,
    /// Writes only. "Not accessed" means "not written" here.
    Writes,
    /// Reads and writes, not told apart.
    Accesses,
    /// Reads and writes, told apart.
    ReadsAndWrites,
}

impl Sees {
    /// Is it worth checking addresses of such a range?
    pub const fn checkable(self) -> bool {
        matches!(self, Self::Writes | Self::Accesses | Self::ReadsAndWrites)
    }

    /// Does "not accessed" mean that there was neither a read nor a write?
    pub const fn sees_reads(self) -> bool {
        matches!(self, Self::Reports | Self::Accesses | Self::ReadsAndWrites)
    }
}

/// A range of a target's addresses, and what can be seen there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Span {
    /// The addresses.
    pub range: AddrRange,
    /// What checks see there.
    pub sees: Sees,
}

/// What a check found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Seen {
    /// It could not be checked (unmapped since, its process gone, the ranges changed under it): counts as no sample.
    #[default]
    Unknown,
    /// Not accessed since it was armed.
    Idle,
    /// Accessed, nobody can tell how.
    Accessed,
    /// Read, and not written.
    Read,
    /// Written.
    Written,
}

impl Seen {
    /// Was there an access of any kind?
    #[inline]
    pub const fn is_access(self) -> bool {
        matches!(self, Self::Accessed | Self::Read | Self::Written)
    }
}

/// How many bytes one check really observed: the naturally aligned block around the sampled address, as a power of two.
///
/// A huge page has one accessed bit, so a hit says only that somewhere in its 2 MiB something was touched. Two samples
/// in one block are one observation, and no region is split below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extent(u8);

impl Extent {
    /// The granule of the monitor, or less.
    pub const GRANULE: Self = Self(0);

    /// A block of `bytes`, rounded up to a power of two.
    pub const fn of(bytes: u64) -> Self {
        if bytes <= 1 {
            return Self(0);
        }
        // At most 64, for sizes above 2^63; capped so that the block fits.
        let log2 = u64::BITS - (bytes - 1).leading_zeros();
        Self(if log2 > 63 { 63 } else { log2 as u8 })
    }

    /// Its size in bytes.
    pub const fn bytes(self) -> u64 {
        1 << self.0
    }

    /// The first address of the block around `addr`.
    pub const fn start(self, addr: u64) -> u64 {
        align_down(addr, self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_is_the_power_of_two_that_holds_the_size() {
        assert_eq!(Extent::of(0), Extent::GRANULE);
        assert_eq!(Extent::of(4096).bytes(), 4096);
        assert_eq!(Extent::of(4097).bytes(), 8192);
        assert_eq!(Extent::of(u64::MAX).bytes(), 1 << 63);
        assert_eq!(Extent::of(2 << 20).start((5 << 20) + 17), 4 << 20);
    }
}
