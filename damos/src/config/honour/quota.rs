//! Quotas and goals, from documents and back.

use damon_core::control::priority;
use damon_core::{Metric, NodeId};

use super::refusal::{At, Judge, Why};
use crate::config::document::{self, GoalMetric, GoalTuner, Quotas};
use crate::config::quantity::{Count, GoalValue, Permil, Size};
use crate::scheme::{Goal, Quota, Tuner};

const TUNERS: [(GoalTuner, Tuner); 2] = [(GoalTuner::Consist, Tuner::Consist), (GoalTuner::Temporal, Tuner::Temporal)];

pub(super) fn read(quotas: &Quotas, at: &At, judge: &mut Judge<'_>) -> Quota {
    let weights_at = at.key("weights");
    let mut weight = |key, Permil(n)| judge.fit(&weights_at.key(key), n, "below 2^32 thousandths");
    let weights = priority::Weights {
        size: weight("sz_permil", quotas.weights.sz_permil),
        nr_accesses: weight("nr_accesses_permil", quotas.weights.nr_accesses_permil),
        age: weight("age_permil", quotas.weights.age_permil),
    };
    let goals = quotas.goals.iter().enumerate();
    Quota {
        size: quotas.sz_bytes.0,
        time: quotas.time_ms.duration(),
        reset_interval: quotas.reset_interval_ms.duration(),
        fail_charge: fail_charge(quotas, at, judge),
        weights,
        goals: goals.filter_map(|(i, g)| goal(g, &at.item("goals", i), judge)).collect(),
        // Each is in the table.
        tuner: TUNERS.iter().find(|(t, _)| *t == quotas.goal_tuner).map_or(Tuner::default(), |(_, t)| *t),
    }
}

fn fail_charge(quotas: &Quotas, at: &At, judge: &mut Judge<'_>) -> Option<(u32, u32)> {
    let (Count(num), Count(denom)) = (quotas.fail_charge_num, quotas.fail_charge_denom);
    if denom == 0 {
        if num > 0 {
            judge.refuse(&at.key("fail_charge_denom"), Why::value(0, "what fail_charge_num is divided by, at least 1"));
        }
        return None;
    }
    let mut fit = |key, n| judge.fit(&at.key(key), n, "below 2^32");
    Some((fit("fail_charge_num", num), fit("fail_charge_denom", denom)))
}

fn goal(goal: &document::Goal, at: &At, judge: &mut Judge<'_>) -> Option<Goal> {
    if goal.complement {
        let why = Why::NotSupported("a goal on the rest of the whole has to name that: node_mem_free_bp, not used");
        judge.refuse(&at.key("complement"), why);
    }
    let target_value = value(goal, &at.key("target_value"), judge);
    let metric = metric(goal, at, judge)?;
    Some(Goal { metric, target_value, current_value: goal.current_value.0 })
}

fn value(goal: &document::Goal, at: &At, judge: &mut Judge<'_>) -> u64 {
    let unit = match goal.metric {
        GoalMetric::SomeMemPsiUs => "a time or a number of microseconds",
        GoalMetric::UserInput => "a plain number",
        _ => "a part in percent or a number of basis points",
    };
    let value = match (goal.target_value, goal.metric) {
        (GoalValue::Number(n), _) => n,
        (GoalValue::Time(us), GoalMetric::SomeMemPsiUs) => us.0,
        (GoalValue::Part(_), GoalMetric::SomeMemPsiUs | GoalMetric::UserInput) | (GoalValue::Time(_), _) => {
            judge.refuse(at, Why::value(goal.target_value, unit));
            return 0;
        }
        (GoalValue::Part(bp), _) => bp.0,
    };
    if value == 0 {
        judge.refuse(at, Why::value(0, format!("{unit}, at least 1: nothing can be measured against 0")));
    }
    value
}

/// `None` where it was refused.
fn metric(goal: &document::Goal, at: &At, judge: &mut Judge<'_>) -> Option<Metric> {
    let (nid_at, path_at) = (at.key("nid"), at.key("memcg_path"));
    let of_node = matches!(
        goal.metric,
        GoalMetric::NodeMemUsedBp
            | GoalMetric::NodeMemFreeBp
            | GoalMetric::NodeMemcgUsedBp
            | GoalMetric::NodeMemcgFreeBp
            | GoalMetric::NodeEligibleMemBp
    );
    let of_memcg = matches!(goal.metric, GoalMetric::NodeMemcgUsedBp | GoalMetric::NodeMemcgFreeBp);
    let useless = Why::NotSupported("is of no use to this metric");
    // 0 is what the kernel's file holds where nothing was said.
    if !of_node && goal.nid.is_some_and(|n| n.0 != 0) {
        judge.refuse(&nid_at, useless.clone());
    }
    if !of_memcg && goal.memcg_path.is_some() {
        judge.refuse(&path_at, useless);
    }
    let node = match goal.nid {
        Some(Count(n)) if of_node => Some(NodeId(judge.fit(&nid_at, n, "the number of a node, 0 to 65,535"))),
        None if of_node => {
            judge.refuse(&nid_at, Why::Missing("say of which node"));
            None
        }
        _ => None,
    };
    let memcg = if of_memcg { judge.cgroup(&path_at, goal.memcg_path.as_deref()) } else { None };
    Some(match goal.metric {
        GoalMetric::UserInput => Metric::UserInput,
        GoalMetric::SomeMemPsiUs => Metric::SomeMemPsiUs,
        GoalMetric::ActiveMemBp => Metric::ActiveMemBp,
        GoalMetric::InactiveMemBp => Metric::InactiveMemBp,
        GoalMetric::NodeMemUsedBp => Metric::NodeMemUsedBp(node?),
        GoalMetric::NodeMemFreeBp => Metric::NodeMemFreeBp(node?),
        GoalMetric::NodeEligibleMemBp => Metric::NodeEligibleMemBp(node?),
        GoalMetric::NodeMemcgUsedBp => Metric::NodeMemcgUsedBp(node?, memcg?),
        GoalMetric::NodeMemcgFreeBp => Metric::NodeMemcgFreeBp(node?, memcg?),
    })
}

pub(super) fn write(quota: &Quota, at: &At, judge: &mut Judge<'_>) -> Quotas {
    let tuner = TUNERS.iter().find(|(_, t)| *t == quota.tuner).map(|(t, _)| *t);
    if tuner.is_none() {
        judge.refuse(&at.key("goal_tuner"), Why::NotSupported("documents have consist and temporal only"));
    }
    if let Some((num, 0)) = quota.fail_charge {
        judge.refuse(&at.key("fail_charge_denom"), Why::value(0, format!("what {num} is divided by, at least 1")));
    }
    let (num, denom) = quota.fail_charge.unwrap_or_default();
    let goals = quota.goals.iter().enumerate();
    let weights = &quota.weights;
    Quotas {
        time_ms: judge.millis(&at.key("time_ms"), quota.time),
        sz_bytes: Size(quota.size),
        reset_interval_ms: judge.millis(&at.key("reset_interval_ms"), quota.reset_interval),
        fail_charge_num: Count(num.into()),
        fail_charge_denom: Count(denom.into()),
        goals: goals.filter_map(|(i, g)| write_goal(g, &at.item("goals", i), judge)).collect(),
        goal_tuner: tuner.unwrap_or_default(),
        effective_sz_bytes: Size(0),
        weights: document::Weights {
            sz_permil: Permil(weights.size.into()),
            nr_accesses_permil: Permil(weights.nr_accesses.into()),
            age_permil: Permil(weights.age.into()),
        },
    }
}

fn write_goal(goal: &Goal, at: &At, judge: &mut Judge<'_>) -> Option<document::Goal> {
    let (metric, node, memcg) = match goal.metric {
        Metric::UserInput => (GoalMetric::UserInput, None, None),
        Metric::SomeMemPsiUs => (GoalMetric::SomeMemPsiUs, None, None),
        Metric::ActiveMemBp => (GoalMetric::ActiveMemBp, None, None),
        Metric::InactiveMemBp => (GoalMetric::InactiveMemBp, None, None),
        Metric::NodeMemUsedBp(node) => (GoalMetric::NodeMemUsedBp, Some(node), None),
        Metric::NodeMemFreeBp(node) => (GoalMetric::NodeMemFreeBp, Some(node), None),
        Metric::NodeEligibleMemBp(node) => (GoalMetric::NodeEligibleMemBp, Some(node), None),
        Metric::NodeMemcgUsedBp(node, id) => (GoalMetric::NodeMemcgUsedBp, Some(node), Some(id)),
        Metric::NodeMemcgFreeBp(node, id) => (GoalMetric::NodeMemcgFreeBp, Some(node), Some(id)),
        _ => {
            judge.refuse(&at.key("metric"), Why::NotSupported("documents have no word for this metric"));
            return None;
        }
    };
    Some(document::Goal {
        metric,
        complement: false,
        nid: node.map(|n| Count(n.0.into())),
        memcg_path: memcg.and_then(|id| judge.cgroup_path(&at.key("memcg_path"), id)),
        target_value: GoalValue::Number(goal.target_value),
        current_value: Count(goal.current_value),
    })
}
