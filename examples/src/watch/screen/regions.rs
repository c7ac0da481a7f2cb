//! The regions of a target, a line each.

use ratatui::style::Style;

use super::Page;
use crate::watch::state::{Sort, State};

/// The widest address of a process.
const ADDRESS: usize = 14;

pub(super) fn draw(state: &State, page: &mut Page<'_>) {
    let (width, height) = (usize::from(page.area.width), usize::from(page.area.height));
    let (Some(snapshot), true) = (state.snapshot(), height > 0) else { return };
    let (size, rate, age) = state.units.widths();
    let name = width.saturating_sub(ADDRESS + size + rate + age + 5);
    let line = |n: &str, at: &str, s: &str, r: &str, a: &str| {
        let n: String = n.chars().take(name).collect();
        format!("{n:<name$} {at:>ADDRESS$} {s:>size$} {r:>rate$} {a:>age$}")
    };
    // A star stands at what they are sorted by.
    let star = |title: &str, sort| if state.sort == sort { format!("*{title}") } else { title.into() };
    let rate_title = if rate < 5 { star("hit", Sort::Hotness) } else { star("rate", Sort::Hotness) };
    let head = line(
        "mapping",
        &star("address", Sort::Address),
        &star("size", Sort::Size),
        &rate_title,
        &star("for", Sort::Age),
    );
    page.put(0, 0, &head, page.ink.strong());
    let regions = state.regions();
    let (rows, selected) = (height - 1, state.selected.min(regions.len().saturating_sub(1)));
    let first = (selected + 1).saturating_sub(rows);
    for (y, (i, r)) in (1..).zip(regions.iter().enumerate().skip(first).take(rows)) {
        let start = r.range.start();
        let text = line(
            state.name(start),
            &format!("{start:#x}"),
            &state.units.size(snapshot.bytes(r)),
            &state.units.rate(r, snapshot),
            &state.units.time(r.age_time),
        );
        page.put(0, y, &text, if i == selected { page.ink.marked() } else { Style::new() });
    }
}
