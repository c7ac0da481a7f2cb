//! Cuts a region where its hits change, instead of at random.
//!
//! Of all block edges the one is taken between whose sides the difference is largest; if chance does not explain it, that is
//! where the region is cut, and both halves are looked at again: a hot block inside a region is found with both its ends at once.

use alloc::vec::Vec;

use super::bins::{BLOCKS, Bins, Sums, UNIT};
use super::log::{contrast, threshold};
use crate::addr::AddrRange;
use crate::target::Cut;

/// *G²* of 9 comes by chance once in 370 comparisons; the best of fifteen edges, at two times, in one of fifteen regions at most,
/// and merging undoes nearly all of those.
const CHANCE: u64 = threshold(900, UNIT);

/// Appends where region `index` is to be cut, ascending.
/// Nothing is cut within a block of `unit` bytes.
pub(super) fn cuts(index: usize, range: AddrRange, bins: &Bins, unit: u64, out: &mut Vec<Cut>) {
    if bins.even() {
        return;
    }
    let (now, all) = (bins.now(), bins.all());
    within(0, BLOCKS, &now, &all, &mut |edge| {
        let at = bins.start_of(edge);
        if range.start() < at && at < range.end() && at % unit == 0 {
            out.push(Cut { index, at });
        }
    });
}

fn within(from: usize, to: usize, now: &Sums, all: &Sums, cut: &mut impl FnMut(usize)) {
    // What was seen earlier helps to see a small difference; what is new shows without it.
    let best = [all, now].into_iter().filter_map(|sums| best(from, to, sums)).max();
    if let Some((_, at)) = best {
        within(from, at, now, all, cut);
        cut(at);
        within(at, to, now, all, cut);
    }
}

/// The best edge between blocks `from..to`, and how much it tells; none where chance may have made it.
fn best(from: usize, to: usize, sums: &Sums) -> Option<(u64, usize)> {
    let total = sums.of(from, to);
    if total.hits == 0 || total.hits == total.checks {
        return None;
    }
    let (mut best, mut at) = (0, from);
    // To 16 bits: the square below is of a product of two.
    let down = (u32::BITS - total.checks.leading_zeros()).saturating_sub(16);
    let of = |n: u32| u64::from(n >> down);
    for edge in from + 1..to {
        let l = sums.of(from, edge);
        let product = of(l.checks) * of(total.checks - l.checks);
        if product == 0 {
            continue;
        }
        // χ² but for a factor that all edges share: it ranks as G² does, with one division.
        let apart = (of(l.hits) * of(total.checks)).abs_diff(of(total.hits) * of(l.checks));
        let chi = apart * apart / product;
        if chi > best {
            (best, at) = (chi, edge);
        }
    }
    if best == 0 {
        return None;
    }
    let (l, r) = (sums.of(from, at), sums.of(at, to));
    let told = contrast([l.hits, r.hits], [l.checks, r.checks]);
    (told > CHANCE).then_some((told, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn cut(hot: core::ops::Range<u64>, checks: u64, unit: u64) -> Vec<u64> {
        let range = AddrRange::new(0, 64 << 12).unwrap();
        let mut bins = Bins::new(range, 12);
        for page in (0..64).cycle().take(checks as usize) {
            bins.count(page << 12, hot.contains(&page));
        }
        let mut cuts = Vec::new();
        cuts_of(&bins, range, unit, &mut cuts);
        cuts.into_iter().map(|c| c.at >> 12).collect()
    }

    fn cuts_of(bins: &Bins, range: AddrRange, unit: u64, out: &mut Vec<Cut>) {
        cuts(0, range, bins, unit, out);
    }

    #[test]
    fn a_hot_block_inside_is_cut_out_at_both_ends_at_once() {
        assert_eq!(cut(24..40, 128, 4_096), [24, 40]);
    }

    #[test]
    fn a_few_checks_prove_nothing_and_nothing_is_cut_where_all_is_alike() {
        assert_eq!(cut(24..40, 6, 4_096), vec![0; 0]);
        assert_eq!(cut(0..64, 128, 4_096), vec![0; 0]);
    }

    #[test]
    fn a_block_that_was_observed_as_a_whole_stays_whole() {
        assert_eq!(cut(24..40, 128, 32 << 12), vec![0; 0]);
        assert_eq!(cut(32..64, 128, 32 << 12), [32]);
    }
}
