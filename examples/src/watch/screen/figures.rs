//! Working set, idle times, intervals, cost and losses, over all targets.

use std::time::Duration;

use damon_core::{Bp, Snapshot};

use super::Page;
use crate::watch::look::Look;
use crate::watch::state::State;
use crate::watch::units::{self as figure, Units};

const PERCENTILES: [usize; 4] = [50, 75, 90, 99];

pub(super) fn draw(state: &State, page: &mut Page<'_>) {
    let (Some(snapshot), Some(look)) = (state.snapshot(), &state.look) else { return };
    let units = state.units;
    let targets = match snapshot.targets.len() {
        1 => String::new(),
        n => format!(" in {n} targets"),
    };
    let [values, titles] = idle(snapshot, units);
    let lines = [
        ("watched", format!("{}{targets}", units.size(snapshot.watched_bytes()))),
        ("accessed", units.size(snapshot.working_set(Bp(0)))),
        (" in half of samples", units.size(snapshot.working_set(Bp(5_000)))),
        ("idle", titles),
        (" for", values),
        ("sampling", format!("{} of {}", units.time(snapshot.sampling), units.time(snapshot.aggregation))),
        (" tuned", tuned(look)),
        ("checks", figure::checks(state.meter.checks)),
        ("CPU", cpu(state.meter.cpu, look.cpu_permille)),
        ("lost", lost(look)),
        ("", trouble(look)),
    ];
    for (y, (name, value)) in (0..).zip(lines) {
        page.put(0, y, name, page.ink.faint());
        page.put_right(page.area.width, y, &value, ratatui::style::Style::new());
    }
}

/// For how long which part of the memory has been idle, in columns.
fn idle(s: &Snapshot, units: Units) -> [String; 2] {
    let percentiles = s.idle_percentiles_ns();
    let value = |p: &usize| match percentiles[*p] {
        ns if ns > 0 => short(Duration::from_nanos(ns.unsigned_abs()), units),
        _ => "hot".into(),
    };
    let column = |text: String| format!("{text:>6}");
    [
        PERCENTILES.iter().map(|p| column(value(p))).collect(),
        PERCENTILES.iter().map(|p| column(format!("{p}%"))).collect(),
    ]
}

/// A time in 5 characters.
fn short(d: Duration, units: Units) -> String {
    let s = d.as_secs_f64();
    match s {
        s if units == Units::Raw && s < 100.0 => format!("{:.0}ms", s * 1e3),
        s if s < 10.0 => format!("{s:.1}s"),
        s if s < 600.0 => format!("{s:.0}s"),
        s if s < 36_000.0 => format!("{:.0}min", s / 60.0),
        s if s < 864_000.0 => format!("{:.0}h", s / 3_600.0),
        s => format!("{:.0}d", s / 86_400.0),
    }
}

fn tuned(look: &Look) -> String {
    let Some(goal) = &look.attrs.spec().intervals_goal else { return "no, intervals are fixed".into() };
    let seen = seen(&look.snapshot);
    format!("{seen:.1}% hit, aim {:.1}%", f64::from(goal.access_bp.0) / 100.0)
}

/// Byte-samples with an access of all, in percent: what intervals are tuned to.
fn seen(s: &Snapshot) -> f64 {
    let sum = |of: fn(&damon_core::RegionSnapshot) -> u32| {
        s.regions().map(|r| u128::from(s.bytes(r)) * u128::from(of(r))).sum::<u128>() as f64
    };
    100.0 * sum(|r| r.nr_accesses) / sum(|r| r.nr_samples).max(1.0)
}

fn cpu(part: Option<f64>, budget: Option<u32>) -> String {
    let most = budget.map_or(String::new(), |b| format!(" of {:.1}%", f64::from(b) / 10.0));
    figure::cpu(part) + &most
}

/// Windows that were too late to count, and addresses that could not be checked.
fn lost(look: &Look) -> String {
    let h = &look.health;
    let unknown = 100.0 * h.unknown as f64 / h.checks.max(1) as f64;
    format!("{} windows, {unknown:.1}% of checks", h.void_windows)
}

/// What else should be known; mostly nothing.
fn trouble(look: &Look) -> String {
    let h = &look.health;
    match () {
        () if h.budget_exceeded => "over its CPU budget".into(),
        () if h.reports_lost > 0 => format!("{} reports lost", h.reports_lost),
        () if look.skipped > 0 => format!("{} snapshots not shown", look.skipped),
        () if h.retries > 0 => format!("{} errors, tried again", h.retries),
        () if h.stretch_permille > 1_000 => {
            format!("sampling {:.1}x slower to save CPU", f64::from(h.stretch_permille) / 1e3)
        }
        () => String::new(),
    }
}
