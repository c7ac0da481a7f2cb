//! Keeps a plan up to date with what is seen: the waterlines between tiers, room for what waits, load.

use damon_core::{Bp, Metric, Metrics, NodeId, Region, View};

use super::benefit::{Heat, Piece};
use super::{Direction, Plan};
use crate::engine::Schemes;
use crate::scheme::Freq;

/// Latency must be better by so much to open a route that was closed: a tenth.
const REOPEN: u64 = 10;

/// What steering changed of a [`Plan`], and what its context is to be given anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Steered {
    /// [`Plan::schemes`]: [`Context::set_schemes`](crate::Context::set_schemes).
    pub schemes: bool,
    /// [`Plan::attrs`]: [`Context::commit`](crate::Context::commit).
    pub attrs: bool,
}

impl Plan {
    /// Adjusts the schemes to what `view` shows and `metrics` tell, given what they did so far; says whether anything changed, so
    /// that they are to be given to the context anew. To be called when an aggregation has ended.
    ///
    /// - Memory that is watched is ranked by its rate. The hottest that fills a tier, and those above it, belongs there: the
    ///   rate at which it is full is the tier's *waterline*. What is above it is promoted, what is below it demoted.
    /// - What is promoted is hotter than what leaves for it by more than chance, and by so much that both moves pay back where no CPU is free
    ///   for them; what is between stays where it is.
    /// - A node demotes what is needed to keep its part free, and as much as waits to come or is new there from time to time.
    /// - Nothing is promoted to a node whose latency under load is no longer better.
    /// - Where bandwidth is short less is moved, and a part of what is hot goes below, until latencies under load are alike.
    /// - The sampling interval follows the waterline, see [`Watch`](super::Watch).
    pub fn steer(&mut self, view: &View<'_>, schemes: &Schemes, metrics: &mut (impl Metrics + ?Sized)) -> Steered {
        let before: Vec<_> =
            self.schemes.iter().map(|s| (s.pattern.freq.clone(), s.quota.clone(), s.dests.clone())).collect();
        let regions = view.targets().iter().flat_map(|t| t.regions());
        let unit = view.attrs().spec().addr_unit;
        let piece = |r: &Region| Piece {
            rate: r.rate().unwrap_or_default(),
            bytes: r.size().saturating_mul(unit),
            checks: r.evidence(),
        };
        let heat: Heat = regions.map(piece).collect();
        // Where the load is not to be known it is taken to be full.
        let busy = metrics.read(Metric::CpuLoadBp).map_or(Bp::WHOLE, |bp| Bp(u32::try_from(bp).unwrap_or(u32::MAX)));
        let mut lines = Vec::new();
        for i in 0..self.closed.len() {
            let route = self.routes[i];
            let (upper, lower) = match route.direction {
                Direction::Promote => (route.to, route.from),
                Direction::Demote | Direction::Spread => (route.from, route.to),
            };
            let line = heat.waterline(self.above(upper));
            lines.push(line.rate);
            let gain = self.gain(i, lower, upper, metrics);
            let band = self.tiering.benefit.band(line, gain, view.attrs().sampling(), busy);
            self.schemes[i].pattern.freq = match route.direction {
                Direction::Promote | Direction::Spread => Freq::Rate(band.up..=Bp(u32::MAX)),
                Direction::Demote => Freq::Rate(Bp(0)..=band.down),
            };
            let halvings = self.tiering.limits.halvings([route.from, route.to], &mut self.calm, metrics);
            self.schemes[i].quota.size = (self.tiering.bytes_per_window() >> halvings).max(1);
        }
        // So many charge windows pass until the next time.
        let windows = view.attrs().aggregation().as_millis().div_ceil(self.tiering.reset_interval.as_millis().max(1));
        let windows = u64::try_from(windows).unwrap_or(u64::MAX);
        self.spread(&heat, &lines, windows, metrics);
        self.make_rooms(windows, unit, schemes, metrics);
        let sampling = self.attrs.sampling;
        self.tiering.watch.follow(&mut self.attrs, &self.tiering.monitoring, lines.into_iter().max().unwrap_or(Bp(0)));
        let after = self.schemes.iter().map(|s| (&s.pattern.freq, &s.quota, &s.dests));
        Steered {
            schemes: !before.iter().map(|(freq, quota, dests)| (freq, quota, dests)).eq(after),
            attrs: self.attrs.sampling != sampling,
        }
    }

    /// Bytes that there are in the tier of a node and in those above it, as far as they are to be used.
    fn above(&self, node: NodeId) -> u64 {
        let tier = self.hierarchy.node(node).map_or(0, |node| node.tier);
        let nodes = self.hierarchy.nodes.iter().filter(|node| node.tier <= tier);
        let bytes: u64 = nodes.map(|node| node.bytes.saturating_sub(node.reserved)).sum();
        let used = u128::from(bytes) * u128::from(Bp::WHOLE.0 - self.tiering.free.0) / u128::from(Bp::WHOLE.0);
        u64::try_from(used).unwrap_or(u64::MAX)
    }

    /// Nanoseconds that an access gains on the upper node now; 0 where that is no longer better. Where latencies are unknown
    /// the tiers alone say that it is: by as much as CXL memory is slower, then.
    fn gain(&mut self, i: usize, lower: NodeId, upper: NodeId, metrics: &mut (impl Metrics + ?Sized)) -> u64 {
        let mut now = |node| metrics.read(Metric::NodeLatencyNs(node)).ok();
        let Some((slow, fast)) = now(lower).zip(now(upper)) else {
            return self.hierarchy.gain_ns(lower, upper).map_or(150, |ns| ns.max(0).unsigned_abs());
        };
        let band = if self.closed[i] { slow / REOPEN } else { 0 };
        self.closed[i] = fast + band >= slow;
        if self.closed[i] { 0 } else { slow - fast }
    }
}
