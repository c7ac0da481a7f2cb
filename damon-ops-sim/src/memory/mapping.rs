//! What a simulated target has mapped, and what can be seen and told of it.

use damon_core::{AddrRange, Extent, PageFilter, Probe, Seen, Sees, Span, passes};

use super::SimTargetError;
use crate::workload::Workload;

/// A mapped range.
///
/// ```
/// use damon_core::{AddrRange, Sees};
/// use damon_ops_sim::memory::Mapping;
/// let range = AddrRange::new(0, 64 << 20).unwrap();
/// let huge = Mapping { block: 2 << 20, sees: Sees::ReadsAndWrites, ..Mapping::new(range) };
/// # let _ = huge;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The addresses.
    pub range: AddrRange,
    /// What checks see there. Default: accesses.
    pub sees: Sees,
    /// How many bytes one check observes: 2 MiB for huge pages. Rounded up to a power of two; less than the memory's
    /// page counts as a page. Default 0: a page.
    pub block: u64,
    /// What its pages are, for probes. [`PageFilter::HugepageSize`] is told from `block`. Default: nothing.
    pub has: Vec<PageFilter>,
}

impl Mapping {
    /// Pages whose accesses are seen, of no attribute.
    pub const fn new(range: AddrRange) -> Self {
        Self { range, sees: Sees::Accesses, block: 0, has: Vec::new() }
    }

    /// One bit for each probe that its pages pass.
    fn attrs(&self, block: u64, probes: &[Probe]) -> u8 {
        let has = |page| match page {
            PageFilter::HugepageSize { min, max } => (min..=max).contains(&block),
            other => self.has.contains(&other),
        };
        probes.iter().take(8).enumerate().fold(0, |bits, (i, p)| bits | u8::from(passes(&p.filters, has)) << i)
    }
}

/// A target: what it has mapped, and who accesses it.
pub struct SimTarget {
    pub(super) mapped: Vec<Mapped>,
    pub(super) workload: Box<dyn Workload>,
}

impl SimTarget {
    /// A target with these mappings, in any order.
    ///
    /// # Errors
    /// Where two of them overlap.
    pub fn new(mappings: Vec<Mapping>, workload: impl Workload + 'static) -> Result<Self, SimTargetError> {
        Ok(Self { mapped: Mapped::list(mappings, &[])?, workload: Box::new(workload) })
    }
}

impl std::fmt::Debug for SimTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimTarget").field("mapped", &self.mapped).finish_non_exhaustive()
    }
}

/// A mapping, and whether it was there when samples were armed last.
#[derive(Clone, Debug)]
pub(super) struct Mapped {
    pub(super) mapping: Mapping,
    pub(super) armed: bool,
    /// The attributes of its pages, for the probes of the check that runs.
    pub(super) attrs: u8,
}

impl Mapped {
    /// Sorted, and armed as far as `before` has the same mapping.
    pub(super) fn list(mut mappings: Vec<Mapping>, before: &[Self]) -> Result<Vec<Self>, SimTargetError> {
        mappings.sort_by_key(|m| m.range.start());
        if let Some(pair) = mappings.windows(2).find(|p| p[0].range.end() > p[1].range.start()) {
            return Err(SimTargetError::Overlap { first: pair[0].range, second: pair[1].range });
        }
        let armed = |m: &Mapping| before.iter().any(|b| b.armed && b.mapping == *m);
        Ok(mappings.into_iter().map(|m| Self { armed: armed(&m), mapping: m, attrs: 0 }).collect())
    }

    pub(super) fn extent(&self, page: u64) -> Extent {
        Extent::of(self.mapping.block.max(page))
    }

    pub(super) fn span(&self) -> Span {
        Span { range: self.mapping.range, sees: self.mapping.sees }
    }

    pub(super) fn look_for(&mut self, probes: &[Probe], page: u64) {
        self.attrs = self.mapping.attrs(self.extent(page).bytes(), probes);
    }

    /// What a check shows of what happened.
    #[inline]
    pub(super) fn shows(&self, read: bool, written: bool) -> Seen {
        match (self.mapping.sees, read, written) {
            (Sees::ReadsAndWrites | Sees::Writes, _, true) => Seen::Written,
            (Sees::ReadsAndWrites, true, false) => Seen::Read,
            (Sees::Accesses, true, _) | (Sees::Accesses, _, true) => Seen::Accessed,
            (Sees::Accesses | Sees::Writes | Sees::ReadsAndWrites, ..) => Seen::Idle,
            _ => Seen::Unknown,
        }
    }
}
