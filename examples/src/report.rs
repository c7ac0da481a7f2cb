//! What a person wants to know of snapshots: scores over a run, the hottest regions, the working set.

use std::fmt::Write as _;
use std::time::Duration;

use damon_core::{Instant, RegionSnapshot, Sees, Snapshot};

use crate::heatmap::{Cell, HeatMap, Mapping, bytes};
use crate::score::{Score, claimed};
use crate::truth::{Touch, Truth};

/// The map of all `snapshots`, with times since `start`.
pub fn heatmap(mappings: Vec<Mapping>, snapshots: &[Snapshot], start: Instant) -> HeatMap {
    let mut map = HeatMap::new(mappings);
    for snapshot in snapshots {
        let to = snapshot.at - start;
        map.push(to.saturating_sub(snapshot.took), to, snapshot.regions().map(|r| (r.range, Cell::from(r))));
    }
    map
}

/// How the snapshots that ended after `from` agree with `truth`, each over its own sampling windows.
pub fn score(snapshots: &[Snapshot], truth: &Truth, from: Instant) -> Score {
    let mut score = Score::default();
    for s in snapshots.iter().filter(|s| s.at > from) {
        let regions: Vec<_> = s.regions().copied().collect();
        let windows = s.samples_per_aggregation;
        let visible = truth.hot(s.at, s.took, windows, |touch| is_visible(&regions, touch));
        score.add(&claimed(&regions), &visible, &truth.hot(s.at, s.took, windows, |_| true));
    }
    score
}

/// Could anybody see it, given what can be seen in the regions, which ascend?
fn is_visible(regions: &[RegionSnapshot], touch: &Touch) -> bool {
    let at = regions.partition_point(|r| r.range.end() <= touch.range.start());
    let Some(region) = regions.get(at).filter(|r| r.range.contains(touch.range.start())) else { return false };
    region.sees.sees_reads() || (touch.wrote && region.sees == Sees::Writes)
}

/// The median of something about each snapshot; 0 without any.
pub fn median(snapshots: &[Snapshot], of: impl Fn(&Snapshot) -> u64) -> u64 {
    let mut values: Vec<u64> = snapshots.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// A table of the `most` hottest regions of the last snapshot: the highest rate first, then the oldest, then the largest.
pub fn hottest(snapshots: &[Snapshot], mappings: &[Mapping], most: usize) -> String {
    let regions = snapshots.last().into_iter().flat_map(Snapshot::regions);
    let mut hot: Vec<_> = regions.filter(|r| r.nr_accesses > 0).collect();
    hot.sort_by_key(|r| std::cmp::Reverse((r.rate, r.age, r.range.size())));
    let mut out =
        format!("{:<24} {:>14} {:>9} {:>5} {:>6} {:>7}\n", "mapping", "address", "size", "rate", "writes", "age");
    for r in hot.into_iter().take(most) {
        let name = mappings.iter().find(|m| m.range.contains(r.range.start())).map_or("?", |m| &m.name);
        let part = |n: u32| format!("{:.0}%", 100.0 * f64::from(n) / f64::from(r.nr_samples.max(1)));
        let (rate, writes) = (format!("{:.0}%", f64::from(r.rate.0) / 100.0), part(r.nr_writes));
        let (address, size, age) = (format!("{:#x}", r.range.start()), bytes(r.range.size()), seconds(r.age_time));
        let _ = writeln!(out, "{name:<24} {address:>14} {size:>9} {rate:>5} {writes:>6} {age:>7}");
    }
    out
}

fn seconds(d: Duration) -> String {
    format!("{:.1} s", d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use damon_core::{
        AddrRange, Attrs, AttrsSpec, Bp, Monitor, Next, Ops, Sample, Seen, Span, TargetId, TargetSpec, Want, Window,
    };

    const MIB: u64 = 1 << 20;
    const SAMPLING: Duration = Duration::from_millis(10);
    const ID: TargetId = TargetId::new(0);

    fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start * MIB, end * MIB).unwrap()
    }

    /// 64 MiB that show all and 64 MiB that show writes only; `hot` is written all the time.
    struct Fake {
        hot: AddrRange,
    }

    impl Ops for Fake {
        type Error = std::convert::Infallible;
        fn ranges(&mut self, _: TargetId, out: &mut Vec<Span>) -> Result<(), Self::Error> {
            out.push(Span { range: range(0, 64), sees: Sees::ReadsAndWrites });
            out.push(Span { range: range(100, 164), sees: Sees::Writes });
            Ok(())
        }
        fn arm(&mut self, _: &[Sample]) -> Result<(), Self::Error> {
            Ok(())
        }
        fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), Self::Error> {
            let seen = |addr| if self.hot.contains(addr) { Seen::Written } else { Seen::Idle };
            samples.iter_mut().for_each(|s| s.seen = seen(s.addr));
            Ok(())
        }
    }

    /// What a monitor sees of `hot` in 40 aggregations of 10 windows.
    fn watch(hot: AddrRange) -> Vec<Snapshot> {
        let spec = AttrsSpec { sampling: SAMPLING, aggregation: 10 * SAMPLING, ..Default::default() };
        let mut monitor = Monitor::new(Attrs::try_from(spec).unwrap(), 1);
        monitor.add_target(TargetSpec::new(ID));
        let (mut ops, mut now, mut out) = (Fake { hot }, Instant::ZERO, Vec::new());
        while out.len() < 40 {
            let Ok(Next::At(at)) = monitor.begin(now, &mut ops) else { panic!("nothing to watch") };
            now = at;
            if let Ok(Window::Aggregated(_)) = monitor.end(now, &mut ops) {
                out.push(monitor.view().snapshot());
            }
        }
        out
    }

    fn touched(hot: AddrRange) -> Truth {
        (0..500).map(|i| Touch { at: Instant::ZERO + SAMPLING * i, range: hot, wrote: true }).collect()
    }

    #[test]
    fn a_right_picture_scores_high_and_a_shifted_one_low() {
        let snapshots = watch(range(8, 24));
        let score = |hot| score(&snapshots, &touched(hot), Instant::ZERO + 20 * SAMPLING);
        let right = score(range(8, 24));
        assert!(right.precision() > 0.9 && right.recall() > 0.9, "{right:?}");
        let shifted = score(range(16, 32));
        assert!(shifted.precision() < 0.6 && shifted.recall() < 0.6, "{shifted:?}");
        assert_eq!(score(range(40, 56)).found, 0);
    }

    #[test]
    fn what_shows_no_reads_and_no_write_is_unseen_and_never_cold() {
        let snapshots = watch(range(8, 24));
        let cell = |addr| snapshots[39].regions().find(|r| r.range.contains(addr)).map(Cell::from);
        assert_eq!(cell(130 * MIB), Some(Cell::Unseen));
        assert_eq!(cell(50 * MIB), Some(Cell::Rate(0.0)));
        assert_eq!(cell(16 * MIB), Some(Cell::Rate(1.0)));
    }

    #[test]
    fn writes_show_where_reads_do_not() {
        let snapshots = watch(range(110, 120));
        let right = score(&snapshots, &touched(range(110, 120)), Instant::ZERO + 20 * SAMPLING);
        assert!(right.precision() > 0.85 && right.recall() > 0.85, "{right:?}");
    }

    #[test]
    fn what_nobody_could_see_is_not_expected_to_be_found() {
        let snapshots = watch(range(8, 24));
        let regions: Vec<_> = snapshots[39].regions().copied().collect();
        let at = |mib, wrote| Touch { at: Instant::ZERO, range: range(mib, mib + 1), wrote };
        let visible = [at(8, false), at(8, true), at(130, true)];
        assert!(visible.iter().all(|t| is_visible(&regions, t)));
        let hidden = [at(130, false), at(80, true), at(170, true)];
        assert!(!hidden.iter().any(|t| is_visible(&regions, t)));
    }

    #[test]
    fn the_hottest_regions_come_with_their_mapping_and_make_the_working_set() {
        let snapshots = watch(range(8, 24));
        let mappings = [Mapping { name: "buffer".into(), range: range(0, 64) }];
        let table = hottest(&snapshots, &mappings, 3);
        let first: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!((first[0], first[4], first[5]), ("buffer", "100%", "100%"), "{table}");
        let working_set = median(&snapshots, |s| s.working_set(Bp(5_000)));
        assert!((14 * MIB..18 * MIB).contains(&working_set), "{working_set}");
    }
}
