//! A second adjuster fits beside the first, and every edit passes it.

use super::*;
use crate::adjust::{Adjuster, Counted};

/// Looks at the first address of each region, halves them until there are eight, and merges nothing. Beside the regions
/// it keeps their starts, which must stay in step.
#[derive(Debug, Default)]
struct Halves {
    starts: BTreeMap<TargetId, Vec<u64>>,
}

impl Halves {
    fn in_step(&self, targets: &[Target]) {
        for t in targets {
            let starts: Vec<_> = t.regions.iter().map(|r| r.start).collect();
            assert_eq!(self.starts.get(&t.id()), Some(&starts), "an edit went past the adjuster");
        }
    }
}

impl Adjuster for Halves {
    fn draw(&mut self, _: &Attrs, targets: &[Target], _: &mut Rng, out: &mut Vec<Sample>) {
        self.in_step(targets);
        out.extend(targets.iter().flat_map(|t| t.regions.iter().map(|r| Sample::new(t.id(), r.start))));
    }
    fn count(&mut self, _: &Attrs, targets: &mut [Target], samples: &[Sample]) -> Counted {
        let mut counted = Counted::default();
        let regions = targets.iter_mut().flat_map(|t| &mut t.regions);
        for (r, s) in regions.zip(samples) {
            r.nr_samples += 1;
            r.nr_accesses += u32::from(s.seen.is_access());
            counted.accessed += u32::from(s.seen.is_access());
        }
        counted
    }
    fn aggregate(&mut self, _: &Attrs, targets: &mut [Target]) {
        self.in_step(targets);
    }
    fn reset_and_split(&mut self, _: &Attrs, targets: &mut [Target], _: &mut Rng) {
        for t in targets {
            t.reset();
            if t.regions.len() < 8 {
                let cut = |(index, r): (usize, &Region)| Cut { index, at: r.start + r.size() / 2 };
                let cuts: Vec<_> = t.regions.iter().enumerate().map(cut).collect();
                self.cut(t, &cuts);
            }
        }
    }
    fn rescale(&mut self, old: &Attrs, new: &Attrs, mid_aggregation: bool, targets: &mut [Target]) {
        targets.iter_mut().for_each(|t| t.rescale(old.window(), new.window(), mid_aggregation));
    }
    fn refit(&mut self, t: &mut Target) {
        t.regions = t.spans.iter().map(|s| Region::new(s.range, s.sees)).collect();
        self.starts.insert(t.id(), t.regions.iter().map(|r| r.start).collect());
    }
    fn limit_sizes(&mut self, _: &Attrs, _: &mut [Target]) {}
    fn realign(&mut self, t: &mut Target, granule: u64) {
        t.realign(granule);
        self.starts.insert(t.id(), t.regions.iter().map(|r| r.start).collect());
    }
    fn cut(&mut self, t: &mut Target, cuts: &[Cut]) {
        let starts = self.starts.entry(t.id()).or_default();
        for (made, cut) in cuts.iter().enumerate() {
            starts.insert(cut.index + made + 1, cut.at);
        }
        t.cut(cuts);
    }
    fn join(&mut self, t: &mut Target, left: usize) {
        self.starts.get_mut(&t.id()).unwrap().remove(left + 1);
        t.join(left);
    }
    fn forget(&mut self, t: &mut Target) {
        t.forget();
    }
}

#[test]
fn another_adjuster_drives_the_monitor_and_sees_every_edit() {
    let mut m = Monitor::with_adjuster(Attrs::default(), 7, Box::<Halves>::default());
    m.add_target(TargetSpec::new(T));
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..8 * MIB), Instant::ZERO);
    aggregations(&mut m, &mut ops, &mut now, 4);
    let counts: Vec<_> = regions(&m).iter().map(|r| r.nr_accesses).collect();
    assert_eq!(counts, [20, 0, 0, 0, 0, 0, 0, 0], "it found the hot eighth its own way");

    let mut edit = m.edit(T).unwrap();
    edit.cut(0, 4 * MIB).unwrap();
    edit.join(3).unwrap();
    aggregations(&mut m, &mut ops, &mut now, 1);
    assert_eq!(regions(&m).len(), 8);

    ops.spans.insert(T, vec![span(0, 32 * MIB, Sees::Accesses), span(96 * MIB, 128 * MIB, Sees::Accesses)]);
    let update = m.attrs().spec().update;
    now = now + update;
    aggregations(&mut m, &mut ops, &mut now, 2);
    assert_invariants(&m);

    // Mid-aggregation, so that the next draw comes before the next look at the ranges.
    let _ = window(&mut m, &mut ops, &mut now);
    let update = m.attrs().spec().update;
    m.edit(T).unwrap().cut(0, 12_288).unwrap();
    m.commit(attrs(|s| (s.granule, s.update) = (MIB, update)));
    let _ = window(&mut m, &mut ops, &mut now);
    assert!(regions(&m).iter().all(|r| r.start % MIB == 0));
}

#[test]
fn edits_outside_the_rules_are_refused_and_change_nothing() {
    let mut m = monitor(Attrs::default());
    let (mut ops, mut now) = (Fake::new(64 * MIB, 0..0), Instant::ZERO);
    ops.spans.get_mut(&T).unwrap().push(span(65 * MIB, 66 * MIB, Sees::Writes));
    let _ = window(&mut m, &mut ops, &mut now);
    let mut edit = m.edit(T).unwrap();
    let before = edit.regions().to_vec();
    let (n, end) = (before.len(), before[0].end);
    for error in [
        edit.cut(n, 0).unwrap_err(),
        edit.cut(0, 0).unwrap_err(),
        edit.cut(0, end).unwrap_err(),
        edit.cut(0, 4_097).unwrap_err(),
        edit.join(n - 1).unwrap_err(),
        edit.join(n - 2).unwrap_err(),
        edit.reset_age(n).unwrap_err(),
    ] {
        assert!(matches!(error, EditError::NoRegion { .. } | EditError::BadCut { .. } | EditError::Apart { .. }));
    }
    assert_eq!(edit.regions(), before);
    assert!(m.edit(TargetId::new(9)).is_none());
}
