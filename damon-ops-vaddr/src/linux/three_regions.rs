//! The kernel's initial regions of a process: all that is mapped, less the two largest gaps.
//!
//! Counterpart: `__damon_va_three_regions` (`mm/damon/vaddr.c`, Linux 7.3).

use damon_core::AddrRange;

/// Why mappings do not make three regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{gaps} gaps between {mappings} mappings, but three regions need two: watch the mappings themselves")]
#[non_exhaustive]
pub struct ThreeRegionsError {
    /// How many mappings there were.
    pub mappings: usize,
    /// How many gaps lie between them.
    pub gaps: usize,
}

/// The three ranges around `mappings`, ascending and apart, that leave out the two largest gaps between them: usually
/// heap, mapped files with anonymous memory, and stack. Of gaps of one size the lower goes first.
///
/// # Errors
/// When fewer than two gaps lie between the mappings.
///
/// ```
/// use damon_core::AddrRange;
/// let r = |a, b| AddrRange::new(a, b).unwrap();
/// let regions = damon_ops_vaddr::linux::three_regions(&[r(1, 2), r(10, 11), r(12, 13), r(50, 60)]);
/// assert_eq!(regions, Ok([r(1, 2), r(10, 13), r(50, 60)]));
/// ```
pub fn three_regions(mappings: &[AddrRange]) -> Result<[AddrRange; 3], ThreeRegionsError> {
    let mut gaps: Vec<AddrRange> =
        mappings.windows(2).filter_map(|pair| AddrRange::new(pair[0].end(), pair[1].start())).collect();
    let error = ThreeRegionsError { mappings: mappings.len(), gaps: gaps.len() };
    // Stable: of equal gaps the lower stays first.
    gaps.sort_by_key(|gap| core::cmp::Reverse(gap.size()));
    gaps.truncate(2);
    gaps.sort_by_key(|gap| gap.start());
    let (&[low, high], Some(first), Some(last)) = (&gaps[..], mappings.first(), mappings.last()) else {
        return Err(error);
    };
    match (
        AddrRange::new(first.start(), low.start()),
        AddrRange::new(low.end(), high.start()),
        AddrRange::new(high.end(), last.end()),
    ) {
        (Some(a), Some(b), Some(c)) => Ok([a, b, c]),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(ends: &[(u64, u64)]) -> Vec<AddrRange> {
        ends.iter().map(|&(a, b)| AddrRange::new(a, b).unwrap()).collect()
    }

    #[test]
    fn the_two_largest_gaps_are_left_out() {
        let got = three_regions(&ranges(&[(0, 4), (8, 12), (100, 104), (106, 110), (500, 504)])).unwrap();
        assert_eq!(got.to_vec(), ranges(&[(0, 12), (100, 110), (500, 504)]));
    }

    #[test]
    fn of_equal_gaps_the_lower_are_left_out() {
        let got = three_regions(&ranges(&[(0, 1), (2, 3), (4, 5), (6, 7)])).unwrap();
        assert_eq!(got.to_vec(), ranges(&[(0, 1), (2, 3), (4, 7)]));
    }

    #[test]
    fn fewer_than_two_gaps_are_an_error() {
        assert_eq!(three_regions(&ranges(&[(0, 1), (1, 2), (8, 9)])).unwrap_err().gaps, 1);
        assert_eq!(three_regions(&[]).unwrap_err().mappings, 0);
    }
}
