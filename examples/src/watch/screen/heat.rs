//! The heat map: time goes right, addresses go down, and under it the working set.

use std::time::Duration;

use damon_core::Instant;
use ratatui::style::Style;

use super::Page;
use crate::heatmap::{Cell, HeatMap};
use crate::watch::panels::{Chosen, choose};
use crate::watch::state::State;
use crate::watch::units::Units;

/// Room for names and sizes, left of the cells.
const GUTTER: u16 = 20;
/// A mark of time each so many columns.
const TICK: u16 = 15;
const UNITS: Units = Units::Percent;

pub(super) fn draw(state: &State, page: &mut Page<'_>) {
    let (width, height, faint) = (page.area.width, page.area.height, page.ink.faint());
    let gutter = GUTTER.min(width / 3);
    let columns = width - gutter;
    // With a line for the scale, one for times, one for the working set: as far as there is room.
    let (head, feet) = (u16::from(height >= 3), [0, 0, 0, 1, 1, 2][usize::from(height.min(5))]);
    let rows = height - head - feet;
    let Some((target, _, _)) = state.target() else { return };
    let Some(end) = state.end().filter(|_| columns > 0 && rows > 0) else { return };
    let (start, time) = window(end, state.step(), columns);
    let chosen = choose(&state.panels(), usize::from(rows));
    let map = state.history.map(target, &chosen.panels, (start, time));
    if head > 0 {
        scale(&chosen, page);
    }
    cells(&map, &chosen, &mut page.part(0, head, width, rows), gutter);
    if feet > 0 {
        times(state.step(), &mut page.part(gutter, height - feet, columns, 1));
        let unit = format!("{} a column", UNITS.time(state.step()));
        page.part(0, height - feet, gutter, 1).put(0, 0, &unit, faint);
    }
    if feet > 1 {
        working_set(state, start, gutter, &mut page.part(0, height - 1, width, 1));
    }
}

/// Columns begin at whole multiples of their step, so that a cell does not change while it moves.
fn window(end: Instant, step: Duration, columns: u16) -> (Instant, Duration) {
    let step_ns = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).max(1);
    let last = end.as_nanos().div_ceil(step_ns);
    let first = last.saturating_sub(columns.into());
    (Instant::from_nanos(first.saturating_mul(step_ns)), step * columns.into())
}

fn scale(chosen: &Chosen, page: &mut Page<'_>) {
    let ink = page.ink;
    let mut x = page.put(0, 0, &format!("{} a row ", UNITS.size(chosen.row_bytes)), ink.faint());
    x = x.max(GUTTER.min(page.area.width / 3));
    x = page.put(x, 0, "samples with an access 0% ", ink.faint());
    for step in 0..10 {
        let (c, style) = ink.heat(Cell::Rate(step as f32 / 9.0));
        x = page.put(x, 0, c.encode_utf8(&mut [0; 4]), style);
    }
    x = page.put(x, 0, " 100%", ink.faint());
    let (c, style) = ink.heat(Cell::Unseen);
    x = page.put(x, 0, &format!("  {c}"), style);
    x = page.put(x, 0, " unseen", ink.faint());
    let hidden = match chosen.hidden {
        (0, _) => return,
        (n, bytes) => format!("  +{n} cooler, {}", UNITS.size(bytes)),
    };
    page.put(x, 0, &hidden, ink.faint());
}

fn cells(map: &HeatMap, chosen: &Chosen, page: &mut Page<'_>, gutter: u16) {
    let (columns, faint) = (page.area.width - gutter, page.ink.faint());
    let mut y = 0;
    for (panel, &rows) in chosen.panels.iter().zip(&chosen.rows) {
        let (size, at) = (UNITS.size(panel.range.size()), format!("{:#x}", panel.range.start()));
        label(&panel.name, &size, &mut page.part(0, y, gutter, 1));
        if rows > 2 {
            page.part(0, y + 1, gutter, 1).put(1, 0, &at, faint);
        }
        let grid = map.grid(panel.range, usize::from(columns), rows);
        for (x, column) in (gutter..).zip(&grid) {
            for (row, &cell) in (y..).zip(column) {
                // What was not watched at that time is left empty: that is most of the past in the beginning.
                if cell != Cell::Unmapped {
                    let (c, style) = page.ink.heat(cell);
                    page.put(x, row, c.encode_utf8(&mut [0; 4]), style);
                }
            }
        }
        y = y.saturating_add(u16::try_from(rows).unwrap_or(u16::MAX));
    }
    for row in 0..page.area.height.min(y) {
        page.put(gutter.saturating_sub(1), row, "|", page.ink.faint());
    }
}

/// A name and a size; of the name goes what there is no room for.
fn label(name: &str, size: &str, page: &mut Page<'_>) {
    let room = usize::from(page.area.width.saturating_sub(2)).saturating_sub(size.len() + 1);
    page.put(0, 0, &name.chars().take(room).collect::<String>(), Style::new());
    page.put_right(page.area.width.saturating_sub(2), 0, size, page.ink.faint());
}

/// How long ago it was, under the cells; the last column is now, or where the picture stands.
fn times(step: Duration, page: &mut Page<'_>) {
    let mut back = 0;
    while back < page.area.width {
        let x = page.area.width - 1 - back;
        let label = if back == 0 { "0 s^".into() } else { format!("-{}^", UNITS.time(step * back.into())) };
        if label.len() <= usize::from(x) + 1 {
            page.put_right(x + 1, 0, &label, page.ink.faint());
        }
        back += TICK;
    }
}

fn working_set(state: &State, start: Instant, gutter: u16, page: &mut Page<'_>) {
    let columns = usize::from(page.area.width - gutter);
    let sets = state.history.working_sets(start, state.step(), columns);
    let most = sets.iter().flatten().copied().max().unwrap_or(0);
    label("accessed", &format!("<{}", UNITS.size(most)), &mut page.part(0, 0, gutter, 1));
    page.put(gutter.saturating_sub(1), 0, "|", page.ink.faint());
    for (x, set) in (gutter..).zip(&sets) {
        if let Some(set) = set {
            let height = page.ink.height(*set as f64 / most.max(1) as f64);
            page.put(x, 0, height.encode_utf8(&mut [0; 4]), Style::new());
        }
    }
}
