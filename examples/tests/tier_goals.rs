//! How closely a node's used share follows its goal on the simulated machine, with the kernel's two tuners, with its sample module
//! and with this project's preset, also when the goals change while they run.
//!
//! `docs/tiering.md` has the figures: `cargo test --release -p examples --test tier_goals -- --nocapture` prints them.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use damon_core::{
    Action, Adjust, Attrs, AttrsSpec, Bp, Dest, Instant, IntervalsGoal, Metric, Monitor, NodeId, TargetId, TargetSpec,
};
use damon_ops_sim::tiering::{Costs, Host, Policy, PolicyError, Spec};
use damos::Context;
use damos::preset::tier::Tiering;
use damos::scheme::{Goal, Quota, Scheme, Tuner};
use examples::placement::{Classic, Goals, Kdamond, Ours};

/// A node of 16 GiB whose used share is to be 85%, then 70%, then 90%; each for half an hour, of which the last ten are looked at.
const GOALS: [u32; 3] = [8_500, 7_000, 9_000];
const EACH: u64 = 1_800;
const SETTLED: u64 = 600;
/// The module's 200 MiB a second are for 250 GiB.
const QUOTA: u64 = (200 << 20) / 16;

/// 24 GiB on 16 GiB of DRAM and 16 GiB of CXL memory, of which a fifth is hot and moves slowly.
fn spec() -> Spec {
    serde_json::from_str(
        r#"{"name": "goals", "about": "", "block_mib": 4, "seconds": 5400, "measure_from_s": 0, "cpus": 16,
        "nodes": [{"id": 0, "gib": 16, "kind": "dram"}, {"id": 1, "gib": 16, "kind": "cxl"}],
        "processes": [{"name": "db", "threads": 8, "cpu_ns": 1000, "accesses": 10, "load_s": 10, "memory": [{"gib": 24, "pattern":
            {"kind": "spots", "spot_mib": 64, "memory": 0.2, "accesses": 0.95, "life_s": 900}}]}]}"#,
    )
    .unwrap()
}

/// The mean of used less goal, and the standard deviation, for each goal, in percentage points.
fn track<P: Policy>(policy: &mut P, mut commit: impl FnMut(&mut P, u32, &Host)) -> Vec<(f64, f64)> {
    let host = Host::new(&spec(), Costs::default(), 1).unwrap();
    let mut wake = Instant::ZERO;
    let mut out = Vec::new();
    for (i, goal) in GOALS.into_iter().enumerate() {
        if i > 0 {
            commit(policy, goal, &host);
        }
        let mut off = Vec::new();
        for second in i as u64 * EACH..(i as u64 + 1) * EACH {
            let until = Instant::ZERO + Duration::from_secs(second + 1);
            while wake < until {
                host.advance(wake);
                wake = policy.wake(wake, &host).unwrap().max(wake + Duration::from_micros(1));
            }
            host.advance(until);
            if second % EACH >= EACH - SETTLED {
                let node = host.nodes()[0];
                let used = 1.0 - node.free as f64 / node.range.size() as f64;
                off.push(100.0 * used - f64::from(goal) / 100.0);
            }
        }
        let n = off.len() as f64;
        let mean = off.iter().sum::<f64>() / n;
        out.push((mean, (off.iter().map(|o| (o - mean).powi(2)).sum::<f64>() / n).sqrt()));
    }
    out
}

fn print(name: &str, tracked: &[(f64, f64)]) {
    for ((mean, deviation), goal) in tracked.iter().zip(GOALS) {
        println!("| {name} | {}% | {mean:+.2} pp | {deviation:.2} pp |", goal / 100);
    }
}

/// DAMON's classic adjustment: the coldest memory goes down until the rest of node 0 is free, the hottest goes up until that is used.
struct Feedback {
    /// How; without a tuner there are no goals.
    tuner: Option<Tuner>,
    used: u32,
    down: Option<Kdamond>,
    up: Option<Kdamond>,
}

impl Feedback {
    fn new(used: u32, tuner: Option<Tuner>) -> Self {
        Self { tuner, used, down: None, up: None }
    }

    fn scheme(&self, promote: bool) -> Scheme {
        let dram = NodeId(0);
        let (action, to, goal) = match promote {
            true => (Action::MigrateHot, dram, Goal::new(Metric::NodeMemUsedBp(dram), self.used.into())),
            false => {
                (Action::MigrateCold, NodeId(1), Goal::new(Metric::NodeMemFreeBp(dram), (10_000 - self.used).into()))
            }
        };
        let goals = self.tuner.map(|_| goal).into_iter().collect();
        Scheme {
            apply_interval: Duration::from_secs(1),
            dests: vec![Dest { node: to, weight: 1 }],
            quota: Quota { size: QUOTA, goals, tuner: self.tuner.unwrap_or_default(), ..Quota::default() },
            ..Scheme::new(action)
        }
    }

    fn start(&self, host: &Host, promote: bool) -> Kdamond {
        let target = TargetId::new(0);
        let backend = host.physical(vec![(target, vec![NodeId(u16::from(promote))])]);
        let attrs = AttrsSpec {
            adjust: Adjust::Classic,
            intervals_goal: Some(IntervalsGoal::default()),
            ..AttrsSpec::default()
        };
        let mut monitor = Monitor::new(Attrs::try_from(attrs).unwrap(), 1);
        monitor.add_target(TargetSpec::new(target));
        let mut context = Context::new(monitor, backend.clone());
        context.set_actor(backend.clone());
        context.set_metrics(backend);
        context.set_schemes(vec![self.scheme(promote)]).unwrap();
        Kdamond::new(context)
    }

    fn commit(&mut self, used: u32) {
        self.used = used;
        let (down, up) = (self.scheme(false), self.scheme(true));
        self.down.as_mut().unwrap().context_mut().set_schemes(vec![down]).unwrap();
        self.up.as_mut().unwrap().context_mut().set_schemes(vec![up]).unwrap();
    }
}

impl Policy for Feedback {
    fn name(&self) -> String {
        "feedback".into()
    }

    fn wake(&mut self, now: Instant, host: &Host) -> Result<Instant, PolicyError> {
        if self.down.is_none() {
            (self.down, self.up) = (Some(self.start(host, false)), Some(self.start(host, true)));
        }
        let mut next = Instant::MAX;
        for kdamond in [&mut self.down, &mut self.up].into_iter().flatten() {
            next = next.min(kdamond.wake(now, host)?);
        }
        Ok(next)
    }
}

fn goals(used: u32) -> Goals {
    Goals { used: Bp(used), free: Bp(10_000 - used), quota: QUOTA }
}

fn wishes(used: u32) -> Tiering {
    Tiering { used: Bp(used), free: Bp(10_000 - used), ..Tiering::default() }
}

fn is_kept(tracked: &[(f64, f64)]) -> bool {
    tracked.iter().all(|(mean, deviation)| mean.abs() <= 1.0 && *deviation <= 1.3)
}

#[test]
#[cfg_attr(debug_assertions, ignore = "needs minutes: cargo test --release -p examples --test tier_goals")]
fn with_the_temporal_tuner_the_used_share_is_within_a_percentage_point_also_when_goals_change() {
    let tracked = track(&mut Feedback::new(GOALS[0], Some(Tuner::Temporal)), |p, goal, _| p.commit(goal));
    print("temporal tuner", &tracked);
    assert!(is_kept(&tracked), "{tracked:?}");
}

/// Each of the two quotas grows while its goal is not reached, and shrinks step by step from then on: the share swings around the goal.
#[test]
#[cfg_attr(debug_assertions, ignore = "needs minutes: cargo test --release -p examples --test tier_goals")]
fn with_the_consist_tuner_the_used_share_follows_the_goals_but_swings() {
    let tracked = track(&mut Feedback::new(GOALS[0], Some(Tuner::Consist)), |p, goal, _| p.commit(goal));
    print("consist tuner", &tracked);
    assert!(tracked.iter().all(|(mean, deviation)| mean.abs() <= 1.0 && *deviation < 6.0), "{tracked:?}");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "needs minutes: cargo test --release -p examples --test tier_goals")]
fn with_the_preset_the_used_share_is_within_a_percentage_point_also_when_goals_change() {
    let tracked = track(&mut Ours::new(wishes(GOALS[0]), 1), |p, goal, host| p.commit(wishes(goal), host).unwrap());
    print("ours", &tracked);
    assert!(is_kept(&tracked), "{tracked:?}");
}

/// The module demotes only what was not accessed and promotes only what was: it runs out of either before the goal is reached.
#[test]
#[cfg_attr(debug_assertions, ignore = "needs minutes: cargo test --release -p examples --test tier_goals")]
fn the_kernels_module_misses_goals_where_what_it_may_move_runs_out() {
    let tracked = track(&mut Classic::new(goals(GOALS[0]), 1), |p, goal, _| p.commit(goals(goal)).unwrap());
    print("damon", &tracked);
    assert!(!is_kept(&tracked), "{tracked:?}");
}

/// The judge is judged: who never hears of the new goals is not within them, and who has none at all neither.
#[test]
#[cfg_attr(debug_assertions, ignore = "needs minutes: cargo test --release -p examples --test tier_goals")]
fn goals_that_are_not_committed_and_schemes_without_goals_are_found_out() {
    let deaf = track(&mut Feedback::new(GOALS[0], Some(Tuner::Temporal)), |_, _, _| ());
    assert!(is_kept(&deaf[..1]) && !is_kept(&deaf[1..2]) && !is_kept(&deaf[2..]), "{deaf:?}");
    let without = track(&mut Feedback::new(GOALS[0], None), |p, goal, _| p.commit(goal));
    print("no goals", &without);
    assert!(!without.iter().any(|one| is_kept(&[*one])), "{without:?}");
}
