//! Nodes and flows as they are now, redrawn in place: made for 80 columns.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use damon_core::{Bp, DynOps, Metric, Metrics, NodeId};
use damon_ops_paddr::HostMetrics;
use damos::Context;
use damos::engine::Schemes;
use damos::preset::tier::{Direction, Plan, Route};

use crate::agent::reasons;
use crate::heatmap::bytes;
use crate::subject::Opened;

const OFTEN: Duration = Duration::from_secs(1);
/// Cells of a bar.
const BAR: usize = 30;

/// Draws to standard output once in a second.
#[derive(Debug)]
pub struct Live {
    metrics: HostMetrics,
    drawn: Option<Instant>,
    /// What each scheme had moved then.
    moved: Vec<u64>,
}

impl Default for Live {
    fn default() -> Self {
        Self { metrics: HostMetrics::new(), drawn: None, moved: Vec::new() }
    }
}

/// One node: how much of it is used.
struct Level {
    node: NodeId,
    bytes: u64,
    used: Option<Bp>,
    /// Until this is used memory is promoted there, until so much is free it is demoted from there; where it is.
    goals: (Option<Bp>, Option<Bp>),
}

/// One route: what flows.
struct Flow {
    route: Route,
    bytes_per_s: u64,
    moved: u64,
    tried: u64,
    came_back: u64,
    quota: u64,
    charged: u64,
    /// The lowest score that is served.
    score: u32,
}

impl Live {
    /// Draws, if it is time to.
    pub fn look(&mut self, plan: &Plan, context: &Context<Box<DynOps>>, opened: &Opened) {
        let now = Instant::now();
        let passed = self.drawn.map(|at| now.duration_since(at));
        if passed.is_some_and(|passed| passed < OFTEN) {
            return;
        }
        let flows = self.flows(plan, context.schemes(), passed.unwrap_or(OFTEN));
        let levels: Vec<Level> =
            plan.hierarchy().nodes.iter().map(|node| self.level(plan, node.id, node.bytes)).collect();
        self.drawn = Some(now);
        let mut text = picture(&levels, &flows);
        let (attrs, health) = (context.monitor().attrs(), context.health());
        let regions: usize = context.view().targets().iter().map(|t| t.regions().len()).sum();
        let _ = write!(
            text,
            "\nsampling {:?}, aggregation {:?}, {regions} regions, {:.1}% of a CPU\n",
            attrs.sampling(),
            attrs.aggregation(),
            f64::from(health.cpu_permille) / 10.0
        );
        if let Some(e) = context.last_action_error() {
            let _ = writeln!(text, "{} actions failed, the last: {e}", health.failed_actions);
        }
        for (size, why) in reasons(&opened.left_alone()) {
            let _ = writeln!(text, "left alone {}: {why}", bytes(size));
        }
        // Home, and each line clears what is left of the one before.
        print!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"));
    }

    fn level(&mut self, plan: &Plan, node: NodeId, bytes: u64) -> Level {
        let used = self.metrics.read(Metric::NodeMemUsedBp(node)).ok().and_then(|bp| u32::try_from(bp).ok()).map(Bp);
        let goal = |metric| {
            let all = plan.schemes.iter().flat_map(|s| &s.quota.goals);
            all.filter(|g| g.metric == metric).find_map(|g| u32::try_from(g.target_value).ok()).map(Bp)
        };
        let goals = (goal(Metric::NodeMemUsedBp(node)), goal(Metric::NodeMemFreeBp(node)));
        Level { node, bytes, used, goals }
    }

    fn flows(&mut self, plan: &Plan, schemes: &Schemes, passed: Duration) -> Vec<Flow> {
        self.moved.resize(plan.routes.len(), 0);
        let flow = |(i, (route, before)): (usize, (&Route, &mut u64))| {
            let stats = schemes.stats(i).unwrap_or_default();
            let (quota, score) = schemes.effective_quota(i).unwrap_or_default();
            let grown = stats.sz_applied.saturating_sub(*before);
            *before = stats.sz_applied;
            Flow {
                route: *route,
                bytes_per_s: (grown as f64 / passed.as_secs_f64().max(0.001)) as u64,
                moved: stats.sz_applied,
                tried: stats.sz_tried,
                came_back: stats.sz_came_back,
                quota,
                charged: schemes.charged(i).unwrap_or(0),
                score,
            }
        };
        plan.routes.iter().zip(&mut self.moved).enumerate().map(flow).collect()
    }
}

fn picture(levels: &[Level], flows: &[Flow]) -> String {
    let mut text = String::from("node      size   used\n");
    for level in levels {
        let used = level.used.unwrap_or(Bp(0));
        let full = (used.0 as usize * BAR + 5_000) / 10_000;
        let bar: String = (0..BAR).map(|i| if i < full { '#' } else { '.' }).collect();
        let _ = write!(
            text,
            "{:>4} {:>9} {:>7} {bar}",
            level.node.0,
            bytes(level.bytes),
            level.used.map_or("?".into(), |u| u.to_string())
        );
        let _ = match level.goals {
            (Some(used), Some(free)) => writeln!(text, " to {used}, {free} free"),
            (Some(used), None) => writeln!(text, " to {used}"),
            (None, Some(free)) => writeln!(text, " {free} free"),
            (None, None) => writeln!(text),
        };
    }
    text.push_str("\nroute              now      moved      tried came back   quota used   score\n");
    for flow in flows {
        let Flow { route: Route { direction, from, to }, .. } = flow;
        let name = match direction {
            Direction::Promote => "promote",
            Direction::Demote => "demote",
            Direction::Spread => "spread",
        };
        let quota = match flow.quota {
            // A goal has been reached.
            0 => "done".to_owned(),
            quota => format!("{:.0}%", 100.0 * flow.charged as f64 / quota as f64),
        };
        let score = if flow.quota == 0 { "-".to_owned() } else { format!(">= {}", flow.score) };
        let _ = writeln!(
            text,
            "{name:<7} {:>2}>{:<2} {:>7}/s {:>10} {:>10} {:>9} {quota:>12} {score:>7}",
            from.0,
            to.0,
            bytes(flow.bytes_per_s),
            bytes(flow.moved),
            bytes(flow.tried),
            bytes(flow.came_back)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_flows_fit_into_80_columns() {
        let level = |node, used, goals| Level { node: NodeId(node), bytes: 250 << 30, used, goals };
        let levels = [
            level(0, Some(Bp(9_950)), (Some(Bp(9_970)), Some(Bp(50)))),
            level(1, Some(Bp(5_000)), (None, None)),
            level(2, None, (None, Some(Bp(50)))),
        ];
        let route = |direction, from, to| Route { direction, from: NodeId(from), to: NodeId(to) };
        let flow = |route, quota| Flow {
            route,
            bytes_per_s: 199 << 20,
            moved: 1_023 << 20,
            tried: 1_022 << 30,
            came_back: 512 << 20,
            quota,
            charged: 100 << 20,
            score: 99,
        };
        let flows = [flow(route(Direction::Demote, 0, 1), 200 << 20), flow(route(Direction::Promote, 10, 11), 0)];
        let text = picture(&levels, &flows);
        assert_eq!(
            text,
            "node      size   used\n\
            \x20  0   250 GiB  99.50% ############################## to 99.70%, 0.50% free\n\
            \x20  1   250 GiB  50.00% ###############...............\n\
            \x20  2   250 GiB       ? .............................. 0.50% free\n\n\
             route              now      moved      tried came back   quota used   score\n\
             demote   0>1  199 MiB/s   1023 MiB   1022 GiB   512 MiB          50%   >= 99\n\
             promote 10>11 199 MiB/s   1023 MiB   1022 GiB   512 MiB         done       -\n"
        );
        assert!(text.lines().all(|line| line.len() <= 80));
    }
}
