//! What is to be done on a machine: a scheme for each route.

use damon_core::control::priority::Weights;
use damon_core::{
    Action, ApplyOps, AttrsSpec, Dest, Filter, Metric, MetricError, Metrics, PageFilter, Request, Unsupported,
};

use super::route::routes;
use super::{Direction, Hierarchy, Route, Space, Tiering, TieringError};
use crate::preset::SIZES;
use crate::scheme::{AccessPattern, Freq, Goal, Quota, Scheme, Tuner};

/// What is to be done. Its [`Display`](std::fmt::Display) says it to a person, with what was found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// What the monitor is made of.
    pub attrs: AttrsSpec,
    /// What the context is given, in the order of [`routes`](Self::routes).
    pub schemes: Vec<Scheme>,
    /// The route of each scheme.
    pub routes: Vec<Route>,
    /// What cannot be done or seen here.
    pub notes: Vec<String>,
    pub(super) tiering: Tiering,
    pub(super) hierarchy: Hierarchy,
    pub(super) space: Space,
}

impl Plan {
    pub(super) fn new(tiering: Tiering, hierarchy: Hierarchy, space: Space) -> Self {
        let routes = routes(&hierarchy);
        let schemes = routes.iter().map(|route| scheme(&tiering, &space, route)).collect();
        let mut notes = Vec::new();
        if routes.is_empty() {
            notes.push(nothing(&hierarchy).to_owned());
        }
        Self { attrs: tiering.monitoring.clone(), schemes, routes, notes, tiering, hierarchy, space }
    }

    /// The nodes that it was made for.
    pub const fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// The same wishes on other nodes: one went offline, or was plugged. Given to a context that is at work, schemes whose place in
    /// the list is the same keep their statistics.
    ///
    /// # Errors
    /// As [`Tiering::plan`].
    pub fn on(&self, hierarchy: &Hierarchy, space: &Space) -> Result<Self, TieringError> {
        self.tiering.plan(hierarchy, space)
    }

    /// Leaves out what `actor` will not do and what nobody can measure here, with a note for each: goals on load, and
    /// filters. What remains, the goals on node use among it, is what cannot be done without.
    pub fn adapt<A: ApplyOps + ?Sized>(&mut self, actor: &A, metrics: &mut (impl Metrics + ?Sized)) {
        let notes = &mut self.notes;
        let mut note = |text: String| {
            if !notes.contains(&text) {
                notes.push(text);
            }
        };
        for scheme in &mut self.schemes {
            let (action, dests) = (scheme.action, scheme.dests.clone());
            scheme.filters.retain(|filter| {
                let refused = actor.supports(None, &Request::new(action, core::slice::from_ref(filter), &dests));
                // Without the filter it may be refused as well: then that is for who gives it to a context.
                match refused.err().filter(|_| actor.supports(None, &Request::new(action, &[], &dests)).is_ok()) {
                    Some(Unsupported { why, .. }) => {
                        note(without(filter, why));
                        false
                    }
                    None => true,
                }
            });
            scheme.quota.goals.retain(|goal| match (goal.metric, metrics.read(goal.metric)) {
                (Metric::NodeMemFreeBp(_) | Metric::NodeMemUsedBp(_), _) | (_, Ok(_)) => true,
                (_, Err(MetricError { metric, why, .. })) => {
                    note(format!("not slowed by {metric:?}, which cannot be read: {why}"));
                    false
                }
            });
        }
    }
}

fn without(filter: &Filter, why: &str) -> String {
    match filter.page {
        PageFilter::Young => format!("pages are not looked at once more before they move: {why}"),
        PageFilter::Node(node) => {
            format!("memory on node {} is not told from other memory, and may skip a tier: {why}", node.0)
        }
        page => format!("left out the filter {page:?}: {why}"),
    }
}

fn nothing(hierarchy: &Hierarchy) -> &'static str {
    match hierarchy.tiers().len() {
        1 if hierarchy.nodes.len() == 1 => "nothing to do: there is one node",
        1 => "nothing to do: all nodes are in one tier",
        _ => "nothing to do: all nodes have CPUs, each is near to somebody",
    }
}

fn scheme(tiering: &Tiering, space: &Space, route: &Route) -> Scheme {
    let Tiering { free, used, bytes_per_s, reset_interval, .. } = *tiering;
    let (action, freq, goal) = match route.direction {
        Direction::Demote => {
            (Action::MigrateCold, Freq::NONE, Goal::new(Metric::NodeMemFreeBp(route.from), free.0.into()))
        }
        Direction::Promote => {
            (Action::MigrateHot, Freq::Samples(1..=u32::MAX), Goal::new(Metric::NodeMemUsedBp(route.to), used.0.into()))
        }
    };
    let (core_filters, mut filters) = space.only(route.from);
    if tiering.filter_young {
        let matching = route.direction == Direction::Demote;
        filters.push(Filter { page: PageFilter::Young, matching, allow: false });
    }
    let per_window = u128::from(bytes_per_s) * reset_interval.as_millis() / 1_000;
    Scheme {
        pattern: AccessPattern { size: SIZES, freq, ..AccessPattern::default() },
        dests: vec![Dest { node: route.to, weight: 1 }],
        quota: Quota {
            size: u64::try_from(per_window).unwrap_or(u64::MAX).max(1),
            reset_interval,
            // What is there already, or cannot move, is looked at and no more.
            fail_charge: Some((1, 100)),
            weights: Weights { size: 0, nr_accesses: 1, age: 100 },
            goals: core::iter::once(goal).chain(tiering.limits.goals(route.to)).collect(),
            tuner: Tuner::Temporal,
            ..Quota::default()
        },
        shares: tiering.shares.clone(),
        primary: tiering.primary,
        core_filters,
        filters,
        thrash_guard: Some(tiering.rest).filter(|rest| space.is_virtual() && !rest.is_zero()),
        dry_run: tiering.dry_run,
        ..Scheme::new(action)
    }
}
