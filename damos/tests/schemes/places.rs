//! Schemes about memory on a node: what is elsewhere takes nothing of a quota.

use std::collections::BTreeSet;
use std::convert::Infallible;

use damon_core::{
    Action, AddrRange, Applied, ApplyOps, Dest, Filter, Instant, Metric, MetricsFn, NodeId, PageFilter, Request,
    TargetId, Unsupported, passes,
};
use damos::engine::Schemes;
use damos::scheme::{AccessPattern, Freq, Goal, Quota, Scheme, Tuner};

use super::support::*;

/// Two nodes of memory: these granules are on node 1, all others on node 0.
struct Nodes {
    on_1: BTreeSet<u64>,
    tells: bool,
}

impl ApplyOps for Nodes {
    type Error = Infallible;
    fn supports(&self, _: Option<TargetId>, _: &Request<'_>) -> Result<(), Unsupported> {
        Ok(())
    }
    fn apply(&mut self, _: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<Infallible> {
        let (mut passed, mut size) = (0, 0);
        for page in range.start() / GRANULE..range.end() / GRANULE {
            let node = u16::from(self.on_1.contains(&page));
            if passes(req.filters, |f| self.tells && f == PageFilter::Node(NodeId(node))) {
                passed += GRANULE;
                size += GRANULE;
                if req.action == Action::MigrateHot {
                    self.on_1.remove(&page);
                }
            }
        }
        Applied { size, filter_passed: passed, took: MS, error: None }
    }
}

/// The hottest 1,000 granules are on node 0 already, the next 1,000 are not.
const PICTURE: [(u64, u64, u64, u64); 3] = [(0, 1_000, 20, 9), (1_000, 2_000, 10, 9), (2_000, 3_000, 0, 9)];

fn promotes(quota: u64) -> Scheme {
    let from = Filter { page: PageFilter::Node(NodeId(1)), matching: false, allow: false };
    Scheme {
        dests: vec![Dest { node: NodeId(0), weight: 1 }],
        filters: vec![from],
        quota: Quota {
            size: quota * GRANULE,
            weights: damon_core::control::priority::Weights { size: 0, nr_accesses: 1, age: 0 },
            ..Quota::default()
        },
        ..Scheme::new(Action::MigrateHot)
    }
}

#[test]
fn a_quota_goes_to_the_hottest_memory_that_is_not_there_yet() {
    let mut monitor = finished(&PICTURE);
    let mut nodes = Nodes { on_1: (1_000..3_000).collect(), tells: true };
    let mut schemes = Schemes::new(&monitor.view(), &nodes, vec![promotes(100)]).expect("a valid scheme");
    for second in 0..5 {
        let _ = schemes.apply(Instant::ZERO + MS * 1_000 * second, true, &mut monitor, &mut nodes, &mut ());
        assert_eq!(nodes.on_1.len() as u64, 2_000 - 100 * u64::from(second + 1), "each window does all it may");
    }
    assert!(nodes.on_1.range(..1_500).next().is_none(), "the hottest went first");
    assert!(schemes.eligible(0) >= Some(100 * GRANULE), "there is more to do: {:?}", schemes.eligible(0));
}

#[test]
fn who_cannot_tell_nodes_has_nothing_moved() {
    let mut monitor = finished(&PICTURE);
    let mut nodes = Nodes { on_1: (1_000..3_000).collect(), tells: false };
    let mut schemes = Schemes::new(&monitor.view(), &nodes, vec![promotes(100)]).expect("a valid scheme");
    let _ = schemes.apply(Instant::ZERO, true, &mut monitor, &mut nodes, &mut ());
    assert_eq!((nodes.on_1.len(), schemes.eligible(0)), (2_000, Some(0)));
}

#[test]
fn just_what_a_goal_misses_is_moved() {
    // Node 0 has 10,000 granules, of which 97% are used: 99% shall be.
    let mut monitor = finished(&PICTURE);
    let mut nodes = Nodes { on_1: (1_000..3_000).collect(), tells: true };
    let mut scheme = promotes(10_000);
    scheme.quota.goals = vec![Goal::new(Metric::NodeMemUsedBp(NodeId(0)), 9_900)];
    scheme.quota.tuner = Tuner::Exact { whole: 10_000 * GRANULE };
    let mut schemes = Schemes::new(&monitor.view(), &nodes, vec![scheme]).expect("a valid scheme");
    let mut metrics = MetricsFn(|_| Ok(9_700));
    let _ = schemes.apply(Instant::ZERO, true, &mut monitor, &mut nodes, &mut metrics);
    // Scores are whole points: 9,797 of 10,000.
    assert!((195..=202).contains(&(2_000 - nodes.on_1.len())), "{}", nodes.on_1.len());
    let mut reached = MetricsFn(|_| Ok(9_901));
    let before = nodes.on_1.len();
    let _ = schemes.apply(Instant::ZERO + MS * 1_000, true, &mut monitor, &mut nodes, &mut reached);
    assert_eq!(nodes.on_1.len(), before);
}

#[test]
fn where_no_node_is_asked_for_all_that_fits_is_there_to_be_taken() {
    let mut monitor = finished(&PICTURE);
    let mut nodes = Nodes { on_1: (1_000..3_000).collect(), tells: true };
    let freq = Freq::Samples(5..=u32::MAX);
    let pattern = AccessPattern { freq, ..AccessPattern::default() };
    let scheme = Scheme { filters: Vec::new(), pattern, ..promotes(100) };
    let mut schemes = Schemes::new(&monitor.view(), &nodes, vec![scheme]).expect("a valid scheme");
    let _ = schemes.apply(Instant::ZERO, true, &mut monitor, &mut nodes, &mut ());
    assert_eq!(schemes.eligible(0), Some(2_000 * GRANULE), "whatever the quota");
}

#[test]
fn who_commits_more_often_than_a_scheme_is_applied_does_not_put_it_off() {
    let mut monitor = finished(&PICTURE);
    let mut nodes = Nodes { on_1: (1_000..3_000).collect(), tells: true };
    let scheme = |quota| Scheme { apply_interval: MS * 1_000, ..promotes(quota) };
    let mut schemes = Schemes::new(&monitor.view(), &nodes, vec![scheme(100)]).expect("a valid scheme");
    for tenth in 0..=30 {
        let _ = schemes.apply(Instant::ZERO + MS * 100 * tenth, true, &mut monitor, &mut nodes, &mut ());
        let known = schemes.eligible(0);
        schemes.commit(&monitor.view(), &nodes, vec![scheme(100 + u64::from(tenth % 2))]).expect("as valid");
        assert_eq!(schemes.eligible(0), known, "what was found stays known");
    }
    assert!(nodes.on_1.len() <= 2_000 - 3 * 100, "once a second: {} are left", nodes.on_1.len());
}

/// Frames, of which these have a page that can be moved elsewhere.
struct Frames(BTreeSet<u64>);

impl ApplyOps for Frames {
    type Error = Infallible;
    fn supports(&self, _: Option<TargetId>, _: &Request<'_>) -> Result<(), Unsupported> {
        Ok(())
    }
    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Infallible> {
        let pages = (range.start() / GRANULE..range.end() / GRANULE).filter(|page| self.0.remove(page)).count() as u64;
        Applied { size: pages * GRANULE, filter_passed: pages * GRANULE, took: MS, error: None }
    }
}

#[test]
fn frames_that_are_empty_by_now_do_not_take_the_turn_of_those_that_are_not() {
    let mut monitor = finished(&PICTURE);
    let mut frames = Frames((1_000..3_000).collect());
    let mut scheme = Scheme { filters: Vec::new(), ..promotes(100) };
    scheme.quota.fail_charge = Some((1, 100));
    let mut schemes = Schemes::new(&monitor.view(), &frames, vec![scheme]).expect("a valid scheme");
    for second in 0..4 {
        let _ = schemes.apply(Instant::ZERO + MS * 1_000 * second, true, &mut monitor, &mut frames, &mut ());
    }
    let moved = 2_000 - frames.0.len() as u64;
    assert!((200..=400).contains(&moved) && frames.0.range(..1_200).next().is_none(), "{moved}");
    let spared = schemes.stats(0).expect("it is there").sz_spared;
    assert!(spared >= 1_000 * GRANULE, "{spared}");
    // They are looked at again after a while: pages may have come.
    frames.0.extend(0..1_000);
    for second in 14..16 {
        let _ = schemes.apply(Instant::ZERO + MS * 1_000 * second, true, &mut monitor, &mut frames, &mut ());
    }
    assert!(frames.0.range(..1_000).count() <= 900, "{}", frames.0.range(..1_000).count());
}
