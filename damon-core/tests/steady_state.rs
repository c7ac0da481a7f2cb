//! Once it has found its size, a monitor asks the allocator for nothing.

use std::convert::Infallible;

use allocation_counter::measure;
use damon_core::{
    Access, AddrRange, Adjust, Attrs, AttrsSpec, Bp, Instant, IntervalsGoal, Monitor, Next, Ops, Probe, Sample, Seen,
    Sees, Snapshot, Span, TargetId, TargetSpec, Want,
};

/// Two targets; a hot part of each moves with every window.
struct Moving(u64);

const SIZE: u64 = 1 << 30;

impl Ops for Moving {
    type Error = Infallible;
    fn ranges(&mut self, _: TargetId, out: &mut Vec<Span>) -> Result<(), Infallible> {
        out.extend(AddrRange::new(0, SIZE).map(|range| Span { range, sees: Sees::Accesses }));
        Ok(())
    }
    fn arm(&mut self, _: &[Sample]) -> Result<(), Infallible> {
        self.0 = (self.0 + (1 << 18)) % SIZE;
        Ok(())
    }
    fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), Infallible> {
        for s in samples {
            s.seen = if s.addr.wrapping_sub(self.0) % SIZE < SIZE / 8 { Seen::Written } else { Seen::Idle };
            s.attrs = (s.addr >> 20) as u8;
        }
        Ok(())
    }
}

fn run(monitor: &mut Monitor, ops: &mut Moving, now: &mut Instant, snapshot: &mut Snapshot, windows: u32) {
    for _ in 0..windows {
        let Ok(Next::At(due)) = monitor.begin(*now, ops) else { panic!("parked") };
        *now = due;
        for i in 0..100 {
            monitor.report_access(Access::new(TargetId::new(0), i << 20, 64));
        }
        let _ = monitor.end(*now, ops);
        monitor.view().copy_into(snapshot);
    }
}

#[test]
fn the_steady_state_allocates_nothing() {
    for (adjust, max_checks) in [Adjust::Classic, Adjust::Adaptive].into_iter().flat_map(|a| [(a, None), (a, Some(50))])
    {
        let attrs = Attrs::try_from(AttrsSpec {
            adjust,
            max_checks,
            max_nr_regions: 200,
            probes: vec![Probe::default(); 2],
            ..AttrsSpec::default()
        })
        .unwrap();
        let mut monitor = Monitor::new(attrs, 1);
        for id in 0..2 {
            let ranges = vec![AddrRange::new(0, SIZE / (u64::from(id) + 1)).unwrap()];
            monitor.add_target(TargetSpec { ranges, weight: 100, ..TargetSpec::new(TargetId::new(id)) });
        }
        let (mut ops, mut now, mut snapshot) = (Moving(0), Instant::ZERO, Snapshot::default());
        run(&mut monitor, &mut ops, &mut now, &mut snapshot, 10_000);
        let allocations = measure(|| run(&mut monitor, &mut ops, &mut now, &mut snapshot, 2_000));
        assert_eq!(allocations.count_total, 0, "{adjust:?} with max_checks {max_checks:?}");
        // The counter counts.
        assert!(measure(|| drop(monitor.view().snapshot())).count_total > 0);
    }
}

#[test]
fn tuning_the_intervals_allocates_nothing() {
    let goal = IntervalsGoal { access_bp: Bp(1_200), ..IntervalsGoal::default() };
    let attrs = Attrs::try_from(AttrsSpec { intervals_goal: Some(goal), ..AttrsSpec::default() }).unwrap();
    let mut monitor = Monitor::new(attrs, 1);
    monitor.add_target(TargetSpec::new(TargetId::new(0)));
    let (mut ops, mut now, mut snapshot) = (Moving(0), Instant::ZERO, Snapshot::default());
    run(&mut monitor, &mut ops, &mut now, &mut snapshot, 10_000);
    let before = monitor.attrs().sampling();
    let mut tuned = false;
    let allocations = measure(|| {
        for _ in 0..100 {
            run(&mut monitor, &mut ops, &mut now, &mut snapshot, 60);
            tuned |= monitor.attrs().sampling() != before;
        }
    });
    assert_eq!((allocations.count_total, tuned), (0, true));
}
