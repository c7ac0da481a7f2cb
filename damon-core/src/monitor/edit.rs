//! What a scheme may do to regions in the gap, and no more: the invariants hold after each call.

use crate::adjust::Adjuster;
use crate::control::moving_sum;
use crate::region::Region;
use crate::target::{Cut, Target};

/// The regions of one target, to cut, join and reset. Counts cannot be changed.
#[derive(Debug)]
pub struct Editor<'a> {
    pub(super) adjuster: &'a mut dyn Adjuster,
    pub(super) target: &'a mut Target,
    pub(super) granule: u64,
    /// Samples of a full aggregation, and how many of them the counts lack.
    pub(super) samples: u32,
    pub(super) left: u32,
}

/// Why an edit was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// There are fewer regions.
    #[error("there is no region {index}: the target has {nr_regions}")]
    NoRegion {
        /// The index asked for.
        index: usize,
        /// How many there are.
        nr_regions: usize,
    },
    /// A cut outside the region, at its edge, or not at a multiple of the granule.
    #[error("cannot cut region {index} at {at:#x}: it must be inside the region and a multiple of {granule}")]
    BadCut {
        /// The region.
        index: usize,
        /// Where it should have been cut.
        at: u64,
        /// What cuts are multiples of.
        granule: u64,
    },
    /// The region and the next do not touch, or are not seen alike.
    #[error("cannot join region {index} with the next: they must touch and be seen alike")]
    Apart {
        /// The left one.
        index: usize,
    },
}

impl Editor<'_> {
    /// The regions as they are now.
    #[inline]
    pub fn regions(&self) -> &[Region] {
        &self.target.regions
    }

    /// What cuts are multiples of.
    pub const fn granule(&self) -> u64 {
        self.granule
    }

    /// A region's count as of a full aggregation: see [`View::moving_sum`](crate::View::moving_sum).
    #[inline]
    pub fn moving_sum(&self, r: &Region) -> u32 {
        moving_sum(r.nr_accesses, r.last_nr_accesses, self.left, self.samples)
    }

    /// The believed rate of a region as a count: see [`View::believed_count`](crate::View::believed_count).
    #[inline]
    pub fn believed_count(&self, r: &Region) -> u32 {
        r.believed_count(self.samples).unwrap_or_else(|| self.moving_sum(r))
    }

    /// Cuts a region in two. Both keep its counts and its age.
    ///
    /// # Errors
    /// Where there is no such region, or no such place in it.
    pub fn cut(&mut self, index: usize, at: u64) -> Result<(), EditError> {
        let r = self.get(index)?;
        if at <= r.start || at >= r.end || at % self.granule != 0 {
            return Err(EditError::BadCut { index, at, granule: self.granule });
        }
        self.adjuster.cut(self.target, &[Cut { index, at }]);
        self.target.fit_events();
        Ok(())
    }

    /// Joins a region with the next, as merging does: counts and ages are weighted by size.
    ///
    /// # Errors
    /// Where there are no two such regions, or they do not touch.
    pub fn join(&mut self, left: usize) -> Result<(), EditError> {
        let (l, r) = (self.get(left)?, self.get(left + 1)?);
        if l.end != r.start || l.sees != r.sees {
            return Err(EditError::Apart { index: left });
        }
        self.adjuster.join(self.target, left);
        self.target.fit_events();
        Ok(())
    }

    /// Starts a region's age anew.
    ///
    /// # Errors
    /// Where there is no such region.
    pub fn reset_age(&mut self, index: usize) -> Result<(), EditError> {
        self.get(index)?;
        let r = &mut self.target.regions[index];
        (r.age, r.age_rest_us) = (0, 0);
        Ok(())
    }

    fn get(&self, index: usize) -> Result<Region, EditError> {
        let nr_regions = self.target.regions.len();
        self.target.regions.get(index).copied().ok_or(EditError::NoRegion { index, nr_regions })
    }
}
