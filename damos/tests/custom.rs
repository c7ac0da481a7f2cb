//! An address space of the program's own, with actions of its own: slots of a cache. No kernel is involved.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use damon_core::{
    Access, Action, AddrRange, Applied, ApplyOps, Attrs, AttrsSpec, Instant, Metric, Monitor, Next, NodeId, Request,
    TargetId, TargetSpec, Unsupported, Window,
};
use damos::engine::Schemes;
use damos::scheme::{AccessPattern, Age, Freq, Goal, Quota, Scheme, Tuner};

const SLOTS: TargetId = TargetId::new(0);
const EVICT: Action = Action::Custom(1);

/// Slots that are filled, an eighth of which lies on node 1; and whether it is open for an application of schemes.
struct Cache(BTreeSet<u64>, bool);

impl ApplyOps for Cache {
    type Error = Infallible;
    fn supports(&self, _: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        if req.action == EVICT { Ok(()) } else { Err(Unsupported::new(req.action, "slots can only be evicted")) }
    }
    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Infallible> {
        let before = self.0.len();
        self.0.retain(|slot| !range.contains(*slot));
        Applied { size: (before - self.0.len()) as u64, ..Applied::whole(range) }
    }
    fn open(&mut self, _: Instant) -> Result<(), Infallible> {
        self.1 = true;
        Ok(())
    }
    fn close(&mut self) -> Result<(), Infallible> {
        self.1 = false;
        Ok(())
    }
    fn verify(&mut self, _: TargetId, range: AddrRange, req: &Request<'_>) -> Result<Option<u64>, Infallible> {
        assert!(self.1, "where memory lies is asked of who is open");
        Ok((req.dests.first().map(|d| d.node) == Some(NodeId(1))).then(|| range.size() / 8))
    }
}

/// Watches 10,000 slots, of which the first 1,000 are hit in every window, for so many windows.
fn run(scheme: Scheme, windows: u32) -> (Cache, Schemes) {
    let spec = AttrsSpec { granule: 1, addr_unit: 256, ..AttrsSpec::default() };
    let mut monitor = Monitor::new(Attrs::try_from(spec).unwrap(), 1);
    monitor.add_target(TargetSpec { ranges: vec![AddrRange::new(0, 10_000).unwrap()], ..TargetSpec::new(SLOTS) });
    let mut cache = Cache((0..10_000).collect(), false);
    let mut schemes = Schemes::new(&monitor.view(), &cache, vec![scheme]).unwrap();
    let mut now = Instant::ZERO;
    for _ in 0..windows {
        let Ok(Next::At(due)) = monitor.begin(now, &mut ()) else { panic!("parked") };
        now = due;
        monitor.report_access(Access::new(SLOTS, 0, 1_000));
        if let Ok(Window::Aggregated(_)) = monitor.end(now, &mut ()) {
            let _ = schemes.apply(now, true, &mut monitor, &mut cache, &mut ());
        }
    }
    (cache, schemes)
}

fn evict(quota: Quota) -> Scheme {
    let age = Age::Time(Duration::from_secs(1)..=Duration::MAX);
    Scheme { pattern: AccessPattern { freq: Freq::NONE, age, ..AccessPattern::default() }, quota, ..Scheme::new(EVICT) }
}

#[test]
fn what_was_not_reported_is_evicted_and_what_was_stays() {
    let (cache, schemes) = run(evict(Quota::default()), 600);
    let hot = cache.0.iter().filter(|&&slot| slot < 1_000).count();
    assert!(hot >= 950 && cache.0.len() <= 1_100, "{hot} of {} slots are hot ones", cache.0.len());
    assert_eq!(schemes.stats(0).unwrap().sz_applied, 10_000 - cache.0.len() as u64);
}

#[test]
fn a_goal_on_where_eligible_memory_lies_is_measured_by_who_acts() {
    let quota = |node, target| Quota {
        size: 64,
        goals: vec![Goal::new(Metric::NodeEligibleMemBp(NodeId(node)), target)],
        tuner: Tuner::Temporal,
        ..Quota::default()
    };
    // An eighth is there, which is 1,250 basis points, less what is rounded down for each region. In the first window
    // nothing is old enough to be asked about, so that it is not reached: one quota may be used.
    let (_, below) = run(evict(quota(1, 1_300)), 1_200);
    assert!(below.stats(0).unwrap().sz_tried >= 4 * 64);
    let (_, reached) = run(evict(quota(1, 1_000)), 1_200);
    assert!(reached.stats(0).is_some_and(|s| s.sz_tried <= 64 && s.goal_errors == 0));
    // Nobody knows of node 2: that is no licence to act.
    let (_, unknown) = run(evict(quota(2, 1_000)), 1_200);
    let stats = unknown.stats(0).unwrap();
    assert!(stats.goal_errors > 0 && stats.sz_tried <= 64, "{stats:?}");
}
