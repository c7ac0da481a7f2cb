//! Memory that costs nothing to look at: whether an address was accessed follows from the address.

use core::convert::Infallible;

use damon_core::{AddrRange, Ops, Sample, Seen, Sees, Span, TargetId, Want};

/// Half as many blocks of equal size as there shall be regions. Each is always accessed, or never, by the hash of its
/// number; a monitor that may have `regions` regions at most, and half of them at least, has one for each block when
/// an aggregation ends and splits each in two when the next one begins.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    blocks: u64,
}

impl Memory {
    /// Bytes of a block: 64 pages.
    pub const BLOCK: u64 = 1 << 18;

    /// Memory that makes for `regions` regions while it is sampled.
    pub const fn for_regions(regions: usize) -> Self {
        Self { blocks: (regions / 2) as u64 }
    }

    /// How many blocks.
    pub const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Was it accessed? No branch and no memory access: what is timed is the watcher.
    #[inline]
    pub const fn accessed(addr: u64) -> bool {
        (addr / Self::BLOCK).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1
    }
}

impl Ops for Memory {
    type Error = Infallible;

    fn ranges(&mut self, _: TargetId, out: &mut Vec<Span>) -> Result<(), Infallible> {
        out.extend(AddrRange::new(0, self.blocks * Self::BLOCK).map(|range| Span { range, sees: Sees::Accesses }));
        Ok(())
    }

    fn arm(&mut self, _: &[Sample]) -> Result<(), Infallible> {
        Ok(())
    }

    #[inline]
    fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), Infallible> {
        for s in samples {
            s.seen = if Self::accessed(s.addr) { Seen::Accessed } else { Seen::Idle };
        }
        Ok(())
    }
}
