//! Which addresses are drawn: gaps are cut out, and where there is no room for all the hottest are.

use damon_core::{AddrRange, RegionSnapshot};
use damos::record::Mapping;

/// A range of addresses and what a person calls it.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What is mapped there.
    pub name: String,
    /// The addresses.
    pub range: AddrRange,
    /// Bytes times access rate, of late.
    pub heat: f64,
}

/// Panels with the rows that each gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chosen {
    /// By address.
    pub panels: Vec<Panel>,
    /// How many rows each has.
    pub rows: Vec<usize>,
    /// What a row stands for, in bytes.
    pub row_bytes: u64,
    /// Panels that there is no room for, and their bytes.
    pub hidden: (usize, u64),
}

/// So much of a panel's heat is left at the next aggregation.
const KEPT: f64 = 0.9;

impl Panel {
    /// One without heat.
    pub fn new(name: &str, range: AddrRange) -> Self {
        Self { name: name.into(), range, heat: 0.0 }
    }
}

/// What is watched, cut where something else is mapped. `before` has the panels of the last aggregation, whose heat counts on.
pub(super) fn panels(regions: &[RegionSnapshot], mappings: &[Mapping], before: &[Panel]) -> Vec<Panel> {
    let mut out: Vec<Panel> = Vec::new();
    for run in regions.chunk_by(|a, b| a.range.end() == b.range.start()) {
        let Some(whole) = run.first().zip(run.last()).and_then(|(a, b)| AddrRange::new(a.range.start(), b.range.end()))
        else {
            continue;
        };
        let from = out.len();
        for m in mappings {
            let Some(part) = AddrRange::new(m.start, m.end).and_then(|r| r.intersection(whole)) else { continue };
            let name = short(&m.name);
            match out[from..].last_mut() {
                Some(last) if last.name == name && last.range.end() == part.start() => {
                    last.range = AddrRange::new(last.range.start(), part.end()).unwrap_or(last.range);
                }
                _ => out.push(Panel::new(name, part)),
            }
        }
        if out.len() == from {
            out.push(Panel::new("memory", whole));
        }
    }
    for panel in &mut out {
        let old = before.iter().find(|b| b.range.start() == panel.range.start()).map_or(0.0, |b| b.heat);
        panel.heat = old * KEPT + heat(regions, panel.range);
    }
    out
}

/// A path's last part; `anon` for memory without a name.
pub(super) fn short(name: &str) -> &str {
    match name.rsplit('/').next().unwrap_or(name) {
        "" => "anon",
        last => last,
    }
}

fn heat(regions: &[RegionSnapshot], range: AddrRange) -> f64 {
    let first = regions.partition_point(|r| r.range.end() <= range.start());
    let parts = regions[first..].iter().map_while(|r| Some((r, r.range.intersection(range)?)));
    parts.map(|(r, part)| part.size() as f64 * f64::from(r.rate.0)).sum()
}

/// Those that are drawn in so many rows: the hottest, of equals the largest, each with a row at least.
pub(super) fn choose(panels: &[Panel], rows: usize) -> Chosen {
    let mut by_heat: Vec<&Panel> = panels.iter().collect();
    by_heat.sort_by(|a, b| b.heat.total_cmp(&a.heat).then(b.range.size().cmp(&a.range.size())));
    let most = if panels.len() <= rows / 2 { panels.len() } else { (rows / 2).max(1) };
    let rest = by_heat.split_off(most.min(by_heat.len()));
    let mut shown: Vec<Panel> = by_heat.into_iter().cloned().collect();
    shown.sort_by_key(|p| p.range.start());
    let row_bytes = row_bytes(&shown, rows);
    Chosen {
        rows: shown.iter().map(|p| rows_of(p, row_bytes)).collect(),
        panels: shown,
        row_bytes,
        hidden: (rest.len(), rest.iter().map(|p| p.range.size()).sum()),
    }
}

fn rows_of(panel: &Panel, row_bytes: u64) -> usize {
    usize::try_from(panel.range.size().div_ceil(row_bytes)).unwrap_or(usize::MAX)
}

/// The bytes of a row, the same in all panels: the least power of two, or three halves of one, with which they fit, if there is one.
fn row_bytes(panels: &[Panel], rows: usize) -> u64 {
    let fits = |row: &u64| panels.iter().map(|p| rows_of(p, *row)).fold(0, usize::saturating_add) <= rows;
    (0..62).flat_map(|shift| [1 << shift, 3 << shift >> 1]).find(fits).unwrap_or(1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::{MIB, mapping, range, region};

    #[test]
    fn panels_end_at_gaps_and_where_another_thing_is_mapped() {
        let regions = [region(0, 4, 0), region(4, 8, 50), region(10, 12, 0), region(20, 21, 0)];
        let mappings =
            [mapping(0, 2, "/lib/a.so"), mapping(2, 6, "/lib/a.so"), mapping(6, 8, ""), mapping(10, 14, "[heap]")];
        let panels = panels(&regions, &mappings, &[]);
        let found: Vec<_> = panels.iter().map(|p| (p.name.as_str(), p.range)).collect();
        let expected =
            [("a.so", range(0, 6)), ("anon", range(6, 8)), ("[heap]", range(10, 12)), ("memory", range(20, 21))];
        assert_eq!(found, expected);
        let hot: Vec<_> = panels.iter().map(|p| p.heat / MIB as f64).collect();
        assert_eq!(hot, [10_000.0, 10_000.0, 0.0, 0.0]);
    }

    #[test]
    fn heat_counts_on_so_that_panels_do_not_come_and_go() {
        let once = panels(&[region(0, 4, 100)], &[], &[]);
        let later = panels(&[region(0, 4, 0)], &[], &once);
        assert!(later[0].heat > 0.8 * once[0].heat);
    }

    #[test]
    fn the_hottest_are_shown_by_address_and_share_rows_by_size() {
        let panel = |name, start, end, heat| Panel { heat, ..Panel::new(name, range(start, end)) };
        let all = [panel("cold", 0, 9, 0.0), panel("big", 10, 18, 1.0), panel("hot", 20, 21, 5.0)];
        let chosen = choose(&all, 5);
        let names: Vec<_> = chosen.panels.iter().map(|p| p.name.as_str()).collect();
        assert_eq!((names, chosen.rows.clone()), (vec!["big", "hot"], vec![4, 1]));
        assert_eq!((chosen.row_bytes, chosen.hidden), (2 * MIB, (1, 9 * MIB)));
    }

    #[test]
    fn whatever_the_rows_no_more_are_used() {
        let all: Vec<_> = (0..9).map(|i| Panel::new("p", range(20 * i, 20 * i + i + 1))).collect();
        for rows in 0..30 {
            let chosen = choose(&all, rows);
            assert!(chosen.rows.iter().sum::<usize>() <= rows.max(1), "{rows}: {chosen:?}");
        }
        assert_eq!(choose(&[], 5), Chosen { row_bytes: 1, ..Chosen::default() });
    }
}
