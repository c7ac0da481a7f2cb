//! Heats that stay as they are, and blocks of skewed popularity.

use std::sync::Arc;

use damon_core::{AddrRange, Instant, Rng};

use super::{Heat, Picture, Workload};

/// Heats that never change.
#[derive(Clone, Debug, Default)]
pub struct Blocks(Arc<Picture>);

impl Blocks {
    /// These heats; where they overlap the later one counts.
    pub fn new(heats: impl AsRef<[Heat]>) -> Self {
        Self(Arc::new(Picture::new(heats.as_ref())))
    }
}

impl From<Arc<Picture>> for Blocks {
    fn from(picture: Arc<Picture>) -> Self {
        Self(picture)
    }
}

impl Workload for Blocks {
    fn paint(&self, _: Instant, out: &mut Vec<Heat>) -> Instant {
        out.extend_from_slice(self.0.heats());
        Instant::MAX
    }
}

/// `blocks` equal parts of `range` whose popularity falls as 1/rank^`exponent`, ranks shuffled by `seed`.
///
/// The most popular part has `top_hz` accesses a second to each page. The last part takes what does not divide; more
/// blocks than addresses are cut to that.
///
/// ```
/// use damon_core::AddrRange;
/// use damon_ops_sim::workload::zipf;
/// let heats = zipf(AddrRange::new(0, 4 << 20).unwrap(), 4, 100.0, 1.0, 1);
/// let mut hz: Vec<f64> = heats.iter().map(|h| h.hz).collect();
/// hz.sort_by(f64::total_cmp);
/// assert_eq!(hz, [25.0, 100.0 / 3.0, 50.0, 100.0]);
/// ```
pub fn zipf(range: AddrRange, blocks: u32, top_hz: f64, exponent: f64, seed: u64) -> Vec<Heat> {
    let blocks = u64::from(blocks).min(range.size());
    let mut ranks: Vec<u64> = (1..=blocks).collect();
    let mut rng = Rng::new(seed);
    for i in (1..ranks.len()).rev() {
        ranks.swap(i, rng.below(i as u64 + 1) as usize);
    }
    let size = range.size().checked_div(blocks).unwrap_or(0);
    let heat = |(i, rank): (u64, u64)| {
        let start = range.start() + i * size;
        let end = if i + 1 == blocks { range.end() } else { start + size };
        let hz = top_hz / libm::pow(rank as f64, exponent);
        AddrRange::new(start, end).map(|range| Heat::reads(range, hz))
    };
    (0..).zip(ranks).filter_map(heat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_covers_the_range_and_depends_on_the_seed_alone() {
        let range = AddrRange::new(4096, 4096 + 1003).unwrap();
        let heats = zipf(range, 10, 1.0, 0.9, 5);
        assert_eq!(heats, zipf(range, 10, 1.0, 0.9, 5));
        assert_ne!(heats, zipf(range, 10, 1.0, 0.9, 6));
        assert_eq!(heats.iter().map(|h| h.range.size()).sum::<u64>(), 1003);
        assert!(heats.is_sorted_by(|a, b| a.range.end() == b.range.start()));
        assert_eq!(zipf(range, 5_000, 1.0, 1.0, 1).len(), 1003);
        assert!(zipf(range, 0, 1.0, 1.0, 1).is_empty());
    }
}
