//! What is to be done on a machine: a scheme for each route.

use damon_core::control::priority::Weights;
use damon_core::{
    Action, ApplyOps, AttrsSpec, Dest, Filter, Metric, MetricError, Metrics, PageFilter, Request, Unsupported,
};

use super::fair::parts;
use super::load::Calm;
use super::room::Growth;
use super::route::routes;
use super::spread::Spread;
use super::{Direction, Hierarchy, Route, Space, Tiering, TieringError};
use crate::preset::SIZES;
use crate::scheme::{AccessPattern, Freq, Goal, Quota, Scheme, Tuner};

/// What is to be done. Its [`Display`](std::fmt::Display) says it to a person, with what was found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// What the monitor is made of, and is to be committed when steering changed it.
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
    /// Routes on which nothing is gained any more.
    pub(super) closed: Vec<bool>,
    /// What comes to each node.
    pub(super) growth: Vec<Growth>,
    /// Of each route that is always there, what is spread the other way; routes that do so follow them.
    pub(super) spreads: Vec<Spread>,
    /// Latencies without load.
    pub(super) calm: Calm,
}

impl Plan {
    pub(super) fn new(tiering: Tiering, hierarchy: Hierarchy, space: Space) -> Self {
        let routes = routes(&hierarchy);
        let schemes = routes.iter().map(|route| scheme(&tiering, &hierarchy, &space, route)).collect();
        let mut notes = Vec::new();
        if routes.is_empty() {
            notes.push(nothing(&hierarchy).to_owned());
        }
        let (closed, spreads) = (vec![false; routes.len()], vec![Spread::default(); routes.len()]);
        let bytes = hierarchy.nodes.iter().map(|node| node.bytes).fold(0, u64::saturating_add);
        let attrs = tiering.watch.attrs(&tiering.monitoring, bytes);
        let growth = vec![Growth::default(); hierarchy.nodes.len()];
        let calm = Calm::default();
        Self { closed, growth, spreads, calm, attrs, schemes, routes, notes, tiering, hierarchy, space }
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
        Ok(Self { calm: self.calm.clone(), ..self.tiering.plan(hierarchy, space)? })
    }

    /// Leaves out filters that `actor` cannot answer, and notes that and what nobody can measure here.
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
        }
        for route in &self.routes {
            for MetricError { metric, why, .. } in self.tiering.limits.unread([route.from, route.to], metrics) {
                note(format!("not slowed by {metric:?}, which cannot be read: {why}"));
            }
            for metric in [route.from, route.to].map(Metric::NodeLatencyNs) {
                if let Err(MetricError { why, .. }) = metrics.read(metric) {
                    note(format!("{metric:?} cannot be read, taken as without load: {why}"));
                }
            }
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

fn scheme(tiering: &Tiering, hierarchy: &Hierarchy, space: &Space, route: &Route) -> Scheme {
    let reset_interval = tiering.reset_interval;
    let (action, freq, goal) = match route.direction {
        Direction::Demote => (
            Action::MigrateCold,
            Freq::NONE,
            Goal::new(Metric::NodeMemFreeBp(route.from), tiering.free_on(hierarchy, route.from).0.into()),
        ),
        Direction::Promote | Direction::Spread => (
            Action::MigrateHot,
            Freq::Samples(1..=u32::MAX),
            Goal::new(Metric::NodeMemUsedBp(route.to), tiering.used_on(hierarchy, route.to).0.into()),
        ),
    };
    let (core_filters, mut filters) = space.only(route.from);
    if tiering.filter_young.unwrap_or(!space.is_virtual() || route.direction == Direction::Demote) {
        let matching = route.direction == Direction::Demote;
        filters.push(Filter { page: PageFilter::Young, matching, allow: false });
    }
    let filled = if route.direction == Direction::Demote { route.from } else { route.to };
    let (shares, primary) = parts(tiering, route.direction);
    let whole = hierarchy.node(filled).map_or(0, |node| node.bytes);
    Scheme {
        pattern: AccessPattern { size: SIZES, freq, ..AccessPattern::default() },
        apply_interval: reset_interval,
        dests: vec![Dest { node: route.to, weight: 1 }],
        quota: Quota {
            size: tiering.bytes_per_window(),
            reset_interval,
            // What is there already, or cannot move, is looked at and no more.
            fail_charge: Some((1, 100)),
            weights: Weights { size: 0, nr_accesses: 1, age: 0 },
            goals: vec![goal],
            tuner: Tuner::Exact { whole },
            ..Quota::default()
        },
        shares,
        primary,
        core_filters,
        filters,
        thrash_guard: Some(tiering.rest).filter(|rest| space.is_virtual() && !rest.is_zero()),
        dry_run: tiering.dry_run,
        ..Scheme::new(action)
    }
}
