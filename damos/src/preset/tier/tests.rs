//! Plans on machines of several kinds.
#![allow(clippy::unwrap_used)]

use damon_core::{
    Action, AddrRange, Applied, ApplyOps, Attrs, Bp, Metric, MetricError, MetricsFn, Monitor, NodeId, PageFilter,
    Request, TargetId, Unsupported, classic,
};

use super::*;
use crate::engine::Schemes;
use crate::scheme::{CoreFilterKind, Freq};

const GIB: u64 = 1 << 30;

fn dram(id: u16, near: &[(u16, u32)]) -> Node {
    let distances = near.iter().map(|&(id, distance)| (NodeId(id), distance)).collect();
    Node { cpus: true, latency_ns: Some(100), distances, ..Node::new(NodeId(id), 4, 64 * GIB) }
}

fn cxl(id: u16, tier: u32, latency: u32, near: &[(u16, u32)]) -> Node {
    Node { cpus: false, latency_ns: Some(latency), tier, ..dram(id, near) }
}

fn two_nodes() -> Hierarchy {
    Hierarchy { nodes: vec![dram(0, &[(1, 20)]), cxl(1, 22, 250, &[(0, 20)])] }
}

/// Two sockets, and a memory expander at each.
fn two_sockets() -> Hierarchy {
    let far = |own, other, own_cxl, other_cxl| [(own, 10), (other, 21), (own_cxl, 14), (other_cxl, 24)];
    Hierarchy {
        nodes: vec![
            dram(0, &far(0, 1, 2, 3)),
            dram(1, &far(1, 0, 3, 2)),
            cxl(2, 22, 250, &[(0, 14), (1, 24), (3, 26)]),
            cxl(3, 22, 250, &[(0, 24), (1, 14), (2, 26)]),
        ],
    }
}

fn planned(hierarchy: &Hierarchy) -> Plan {
    Tiering::default().plan(hierarchy, &Space::Virtual).unwrap()
}

fn moves(hierarchy: &Hierarchy) -> Vec<(Direction, u16, u16)> {
    planned(hierarchy).routes.iter().map(|r| (r.direction, r.from.0, r.to.0)).collect()
}

use Direction::{Demote, Promote};

#[test]
fn of_two_nodes_the_upper_demotes_and_the_lower_promotes() {
    assert_eq!(moves(&two_nodes()), [(Demote, 0, 1), (Promote, 1, 0)]);
    let plan = planned(&two_nodes());
    let goals: Vec<_> =
        plan.schemes.iter().map(|s| (s.action, s.quota.goals[0].metric, s.quota.goals[0].target_value)).collect();
    assert_eq!(
        goals,
        [
            (Action::MigrateCold, Metric::NodeMemFreeBp(NodeId(0)), 50),
            (Action::MigrateHot, Metric::NodeMemUsedBp(NodeId(0)), 9_970)
        ]
    );
    assert!(plan.schemes.iter().all(|s| s.quota.size == 4 << 30 && s.dests.len() == 1));
}

#[test]
fn goals_are_on_top_of_what_the_kernel_keeps_free() {
    let mut hierarchy = two_nodes();
    hierarchy.nodes[0].reserved = 64 * GIB / 100;
    let plan = planned(&hierarchy);
    let goals: Vec<u64> = plan.schemes.iter().map(|s| s.quota.goals[0].target_value).collect();
    // 1%, and rounded up: where less is free the kernel reclaims.
    assert_eq!(goals, [150, 9_870]);
    let text = plan.to_string();
    assert!(
        text.contains("until 1.50% of node 0 is free") && text.contains("until 98.70% of node 0 is used"),
        "{text}"
    );
}

#[test]
fn of_two_sockets_each_uses_its_own_expander() {
    assert_eq!(moves(&two_sockets()), [(Demote, 0, 2), (Demote, 1, 3), (Promote, 2, 0), (Promote, 3, 1)]);
}

#[test]
fn what_an_expander_takes_from_a_far_socket_can_go_back_there() {
    let mut hierarchy = two_sockets();
    hierarchy.nodes.pop();
    assert_eq!(moves(&hierarchy), [(Demote, 0, 2), (Demote, 1, 2), (Promote, 2, 0), (Promote, 2, 1)]);
}

#[test]
fn of_three_tiers_only_neighbours_exchange_memory() {
    let nodes = vec![cxl(2, 72, 400, &[]), dram(0, &[]), cxl(1, 22, 250, &[])];
    let moves = moves(&Hierarchy { nodes });
    assert_eq!(moves, [(Demote, 0, 1), (Demote, 1, 2), (Promote, 1, 0), (Promote, 2, 1)]);
}

#[test]
fn faster_memory_without_cpus_is_the_upper_tier() {
    let nodes = vec![dram(0, &[]), cxl(1, 1, 95, &[])];
    assert_eq!(moves(&Hierarchy { nodes }), [(Demote, 1, 0), (Promote, 0, 1)]);
}

#[test]
fn where_there_is_nothing_to_do_the_plan_says_why() {
    let slow = Node { tier: 9, ..dram(1, &[]) };
    for (nodes, why) in [
        (vec![dram(0, &[])], "there is one node"),
        (vec![dram(0, &[]), dram(1, &[])], "all nodes are in one tier"),
        (vec![dram(0, &[]), slow], "all nodes have CPUs"),
    ] {
        let plan = planned(&Hierarchy { nodes });
        assert!(plan.schemes.is_empty() && plan.to_string().contains(why), "{plan}");
    }
}

#[test]
fn bad_wishes_are_refused_with_the_reason() {
    let plan = |tiering: Tiering| tiering.plan(&two_nodes(), &Space::Virtual).unwrap_err().to_string();
    let text = plan(Tiering { free: Bp(0), ..Tiering::default() });
    assert_eq!(text, "free is 0.00%, but must be above 0% and below 100%");
    let text = plan(Tiering { free: Bp(10), used: Bp(9_970), ..Tiering::default() });
    assert!(text.starts_with("free 0.10% and used 99.70% leave a gap"), "{text}");
    let limits = Limits { latency: Some(Bp(10_000)), ..Limits::default() };
    let text = plan(Tiering { limits, ..Tiering::default() });
    assert!(text.contains("limits.latency is 100.00%") && text.contains("None is no limit"), "{text}");
    let on = |nodes| Tiering::default().plan(&Hierarchy { nodes }, &Space::Virtual).unwrap_err().to_string();
    assert_eq!(on(vec![]), "there is no node with memory: name at least one");
    assert_eq!(on(vec![dram(3, &[]), dram(3, &[])]), "node 3 is there twice: name each node once");
    assert_eq!(on(vec![Node::new(NodeId(3), 4, 0)]), "node 3 has no memory: leave it out");
}

#[test]
fn in_physical_memory_the_addresses_tell_the_node() {
    let range = |start: u64, end: u64| AddrRange::new(start * GIB, end * GIB).unwrap();
    let space = Space::Physical(vec![(NodeId(0), vec![range(0, 3), range(4, 5)]), (NodeId(1), vec![range(5, 9)])]);
    let plan = Tiering::default().plan(&two_nodes(), &space).unwrap();
    let out = |i: usize| plan.schemes[i].core_filters.iter().map(|f| (f.kind, f.matching, f.allow)).collect::<Vec<_>>();
    let left_out = |range| (CoreFilterKind::Addr(range), true, false);
    assert_eq!(out(0), [left_out(range(5, 9))], "what is demoted from node 0 is not on node 1");
    assert_eq!(out(1), [left_out(range(0, 3)), left_out(range(4, 5))]);
    assert!(plan.schemes.iter().all(|s| s.filters.len() == 1 && s.thrash_guard.is_none()), "both look at pages");
}

/// Migrates, but tells nothing of pages.
struct Plain;

impl ApplyOps for Plain {
    type Error = core::convert::Infallible;
    fn supports(&self, _: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        match req.filters {
            [] => Ok(()),
            _ => Err(Unsupported::new(req.action, "nobody looks at pages")),
        }
    }
    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Self::Error> {
        Applied::whole(range)
    }
}

#[test]
fn what_cannot_be_seen_here_is_left_out_and_said() {
    let tiering = Tiering { filter_young: Some(true), ..Tiering::default() };
    let mut plan = tiering.plan(&two_nodes(), &Space::Virtual).unwrap();
    let mut metrics = MetricsFn(|m| match m {
        Metric::CpuLoadBp => Ok(100),
        other => Err(MetricError::new(other, "no counters")),
    });
    plan.adapt(&Plain, &mut metrics);
    assert!(plan.schemes.iter().all(|s| s.filters.is_empty()));
    let text = plan.to_string();
    assert!(text.contains("note: pages are not looked at once more before they move: nobody looks at pages"), "{text}");
    assert!(
        text.contains("note: not slowed by NodeBandwidthUsedBp(NodeId(1)), which cannot be read: no counters"),
        "{text}"
    );
    let monitor = Monitor::new(Attrs::try_from(plan.attrs.clone()).unwrap(), 1);
    Schemes::new(&monitor.view(), &Plain, plan.schemes).unwrap();
}

#[test]
fn a_node_that_goes_offline_takes_its_routes_along() {
    let plan = planned(&two_sockets());
    let mut left = two_sockets();
    left.nodes.retain(|node| node.id != NodeId(2));
    let plan = plan.on(&left, &Space::Virtual).unwrap();
    let moves: Vec<_> = plan.routes.iter().map(|r| (r.direction, r.from.0, r.to.0)).collect();
    assert_eq!(moves, [(Demote, 0, 3), (Demote, 1, 3), (Promote, 3, 1), (Promote, 3, 0)]);
}

#[test]
fn the_whole_plan_reads_as_text() {
    let tiering = Tiering { dry_run: true, ..Tiering::default() };
    let text = tiering.plan(&two_nodes(), &Space::Virtual).unwrap().to_string();
    assert_eq!(
        text,
        "2 nodes in 2 tiers\n\
         node 0 (tier 4, 64.0 GiB, 100 ns)\n\
        \x20 demotes cold memory to node 1 until 0.50% of node 0 is free\n\
         node 1 (tier 22, 64.0 GiB, 250 ns, no CPUs)\n\
        \x20 promotes hot memory to node 0 until 99.70% of node 0 is used, 150 ns nearer\n\
         at most 4.0 GiB in 1s on each route, the most deserving first\n\
         dry run: nothing is moved\n"
    );
}

#[test]
fn where_pages_are_looked_at_young_ones_are_promoted_and_old_ones_demoted() {
    let looking = |filter_young| {
        let tiering = Tiering { filter_young, ..Tiering::default() };
        tiering.plan(&two_nodes(), &Space::Virtual).unwrap()
    };
    let looks = |wish| {
        let looks = looking(wish).schemes;
        looks.iter().map(|s| s.filters.iter().any(|f| f.page == PageFilter::Young)).collect::<Vec<_>>()
    };
    assert_eq!([None, Some(false), Some(true)].map(looks), [[true, false], [false; 2], [true; 2]]);
    let plan = looking(Some(true));
    let young = |i: usize| plan.schemes[i].filters.iter().find(|f| f.page == PageFilter::Young).copied().unwrap();
    assert!(young(0).matching && !young(0).allow, "what is young is not demoted");
    assert!(!young(1).matching && !young(1).allow, "what is not young is not promoted");
}

/// A machine without load whose nodes have so much free, in basis points.
fn machine(free: u64) -> MetricsFn<impl FnMut(Metric) -> Result<u64, MetricError>> {
    MetricsFn(move |metric| match metric {
        Metric::CpuLoadBp => Ok(0),
        Metric::NodeMemFreeBp(_) => Ok(free),
        other => Err(MetricError::new(other, "not told")),
    })
}

#[test]
fn who_comes_first_is_promoted_first_and_demoted_last_and_steering_leaves_it_so() {
    let (first, other) = (TargetId::new(3), TargetId::new(4));
    let share = |target, weight| TargetShare { target, weight };
    let tiering =
        Tiering { primary: vec![first], shares: vec![share(first, 50), share(other, 70)], ..Tiering::default() };
    let mut plan = tiering.plan(&two_nodes(), &Space::Virtual).unwrap();
    let down = vec![share(other, 70), share(first, 1)];
    let parts = |plan: &Plan| plan.schemes.iter().map(|s| (s.shares.clone(), s.primary.clone())).collect::<Vec<_>>();
    assert_eq!(parts(&plan), [(down.clone(), vec![]), (tiering.shares.clone(), vec![first])]);
    assert!(!plan.divide(tiering.shares.clone(), vec![first]) && parts(&plan)[0].0 == down);

    let hot = classic::region([0, 16 * GIB, 10, 10, 9], &Attrs::default()).unwrap();
    let monitor = classic::finished(Attrs::default(), vec![hot]);
    let nobody = Schemes::new(&monitor.view(), &Anybody, plan.schemes.clone()).unwrap();
    let mut short = MetricsFn(|metric| match metric {
        Metric::NodeLatencyNs(NodeId(0)) => Ok(400),
        Metric::NodeLatencyNs(_) => Ok(250),
        other => Err(MetricError::new(other, "not told")),
    });
    let _ = plan.steer(&monitor.view(), &nobody, &mut short);
    let spread = (down.clone(), vec![]);
    assert_eq!(
        parts(&plan),
        [spread.clone(), (tiering.shares, vec![first]), spread],
        "nor is what is hot spread first"
    );

    assert!(plan.divide(vec![], vec![]));
    assert!(parts(&plan).iter().all(|(shares, primary)| shares.is_empty() && primary.is_empty()));
}

#[test]
fn steering_follows_the_waterline_and_leaves_room_for_new_memory() {
    let attrs = Attrs::default();
    let region = |start: u64, end: u64, n: u64| classic::region([start * GIB, end * GIB, n, n, 9], &attrs).unwrap();
    let monitor = classic::finished(attrs.clone(), vec![region(0, 16, 10), region(16, 128, 1)]);
    let mut plan = planned(&two_nodes());
    let nobody = Schemes::new(&monitor.view(), &Anybody, plan.schemes.clone()).unwrap();

    let interval = plan.attrs.sampling;
    let steered = plan.steer(&monitor.view(), &nobody, &mut machine(100));
    assert_eq!(steered, Steered { schemes: true, attrs: true });
    assert!(plan.attrs.sampling > interval, "few accesses are seen: samples go apart");
    let band = |plan: &Plan| plan.schemes.iter().map(|s| s.pattern.freq.clone()).collect::<Vec<_>>();
    // One in twenty samples fills node 0, and twenty samples may show four of what is no hotter.
    assert_eq!(band(&plan), [Freq::Rate(Bp(0)..=Bp(497)), Freq::Rate(Bp(2_031)..=Bp(u32::MAX))]);
    let goals = |plan: &Plan| plan.schemes.iter().map(|s| s.quota.goals[0].target_value).collect::<Vec<_>>();
    assert_eq!(goals(&plan), [50, 9_970], "nothing waits, and nothing is known to come");

    assert!(plan.steer(&monitor.view(), &nobody, &mut machine(40)).schemes);
    assert_eq!(goals(&plan), [50 + 60, 9_970 - 60], "as much as came is kept free, and not for what is promoted");

    let still = plan.clone().steer(&monitor.view(), &nobody, &mut machine(40));
    assert!(still.schemes, "what came is forgotten slowly");
}

#[test]
fn hot_memory_is_spread_while_the_upper_node_is_short_of_bandwidth_and_comes_back_after() {
    let attrs = Attrs::default();
    let hot = classic::region([0, 16 * GIB, 10, 10, 9], &attrs).unwrap();
    let monitor = classic::finished(attrs, vec![hot]);
    let mut plan = planned(&two_nodes());
    let nobody = Schemes::new(&monitor.view(), &Anybody, plan.schemes.clone()).unwrap();
    let steer = |plan: &mut Plan, upper_ns: u64, lower_ns: u64| {
        let mut metrics = MetricsFn(move |metric| match metric {
            Metric::NodeLatencyNs(NodeId(0)) => Ok(upper_ns),
            Metric::NodeLatencyNs(_) => Ok(lower_ns),
            other => Err(MetricError::new(other, "not told")),
        });
        let _ = plan.steer(&monitor.view(), &nobody, &mut metrics);
        plan.schemes.iter().map(|s| s.dests.iter().map(|d| (d.node.0, d.weight)).collect()).collect::<Vec<Vec<_>>>()
    };
    let spread = vec![(1, 16), (0, 84)];
    assert_eq!(steer(&mut plan, 400, 250), [vec![(1, 1)], spread.clone(), spread.clone()]);
    let last = (plan.routes[2], &plan.schemes[2]);
    assert_eq!(last.0, Route { direction: Direction::Spread, from: NodeId(0), to: NodeId(1) });
    let nodes: Vec<_> = last.1.filters.iter().map(|f| f.page).collect();
    assert_eq!(nodes, [PageFilter::Node(NodeId(0))]);
    assert!(plan.to_string().contains("spreads hot memory to node 1 while node 0 is short of bandwidth"));
    // 4 GiB each second: the aggregation of 100 ms counts as one window.
    let weights: Vec<_> = (0..4).map(|_| steer(&mut plan, 400, 250)[1][0]).collect();
    assert_eq!(weights, [(1, 16), (1, 16), (1, 16), (1, 32)], "what was asked for is done first");
    let weights: Vec<_> = (0..20).map(|_| steer(&mut plan, 100, 250)[1].clone()).collect();
    assert_eq!(weights[19], [(0, 1)]);
    assert_eq!(plan.routes.len(), 2);
}

/// Does whatever it is asked.
struct Anybody;

impl ApplyOps for Anybody {
    type Error = core::convert::Infallible;
    fn supports(&self, _: Option<TargetId>, _: &Request<'_>) -> Result<(), Unsupported> {
        Ok(())
    }
    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Self::Error> {
        Applied::whole(range)
    }
}
