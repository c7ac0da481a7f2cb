//! Schemes: what they may, what they shall, what they did.

use damon_core::Bp;

use crate::watch::look::{GoalLook, SchemeLook};
use crate::watch::state::State;

/// A line for each scheme, and one for each of its goals.
pub(super) fn lines(state: &State) -> Vec<String> {
    let Some(look) = &state.look else { return Vec::new() };
    let mut lines = Vec::new();
    for (i, scheme) in look.schemes.iter().enumerate() {
        lines.push(line(i, scheme, state));
        lines.extend(scheme.goals.iter().map(goal));
    }
    lines.extend(look.action_error.as_ref().map(|e| format!("   the last action that failed: {e}")));
    lines
}

fn line(i: usize, s: &SchemeLook, state: &State) -> String {
    let size = |n| state.units.size(n);
    let action = format!("{:?}", s.action).to_lowercase();
    let how = match (s.active, s.dry_run) {
        (false, _) => " (inactive)",
        (true, true) => " (dry run)",
        (true, false) => "",
    };
    let quota = s.quota.map_or("no quota".into(), |(most, charged)| {
        format!("quota {} of {} in {}", size(charged), size(most), state.units.time(s.reset_interval))
    });
    let stats = &s.stats;
    let mut out = format!("#{i} {action}{how}: {} of {} tried; {quota}", size(stats.sz_applied), size(stats.sz_tried));
    for (n, what) in [(stats.sz_came_back, "came back"), (stats.sz_blind, "left, reads invisible")] {
        if n > 0 {
            out += &format!("; {} {what}", size(n));
        }
    }
    if stats.nr_failed > 0 {
        out += &format!("; {} failed", stats.nr_failed);
    }
    out
}

fn goal(g: &GoalLook) -> String {
    match g.measured.zip(g.score()) {
        Some((measured, Bp(score))) => {
            format!("   goal {:?}: {measured} of {}, score {}%", g.metric, g.target, score / 100)
        }
        None => format!("   goal {:?}: ? of {}, cannot be read yet", g.metric, g.target),
    }
}
