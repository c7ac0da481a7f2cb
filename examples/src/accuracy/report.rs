//! What runs came to, for people as tables and for programs as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use damon_ops_sim::Score;
use damon_ops_sim::compare::{Budget, Figure, Pair, Series, Summary, mean, mean_reached};
use serde::Serialize;

/// A line of JSON.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Run {
        group: &'a str,
        scenario: &'a str,
        adjust: &'static str,
        budget: &'static str,
        seed: usize,
        #[serde(flatten)]
        score: Score,
    },
    Ratio {
        group: &'a str,
        scenario: &'a str,
        adjust: &'static str,
        budget: &'static str,
        mae: f64,
        rmse: f64,
        /// Figures by which it is worse by more than noise.
        worse: Vec<&'static str>,
    },
    Summary {
        group: &'a str,
        budget: &'static str,
        figure: &'static str,
        geometric_mean: f64,
        median: f64,
        worst: f64,
        worst_scenario: &'a str,
        worse: &'a [String],
    },
}

/// One JSON object a line: each run, then each ratio, then each group's summary.
///
/// # Errors
/// Those of writing.
pub fn json(out: &mut impl Write, series: &[Series<'_>]) -> io::Result<()> {
    let mut line = |line: &Line<'_>| writeln!(out, "{}", serde_json::to_string(line)?);
    for s in series {
        let (group, scenario) = (s.on.group.as_str(), s.on.scenario.spec().name.as_str());
        for (seed, &score) in s.scores.iter().enumerate() {
            let (adjust, budget) = (s.algorithm.name, s.budget.name());
            line(&Line::Run { group, scenario, adjust, budget, seed, score })?;
        }
    }
    for ((group, budget), rows) in comparisons(series) {
        for (s, pair) in &rows {
            line(&Line::Ratio {
                group,
                scenario: &pair.scenario,
                adjust: s.algorithm.name,
                budget: budget.name(),
                mae: pair.ratio(Figure::Mae),
                rmse: pair.ratio(Figure::Rmse),
                worse: worse(pair),
            })?;
        }
        for figure in [Figure::Mae, Figure::Rmse] {
            let Some(sum) = Summary::of(rows.iter().map(|(_, pair)| pair), figure) else { continue };
            line(&Line::Summary {
                group,
                budget: budget.name(),
                figure: figure.name(),
                geometric_mean: sum.geometric_mean,
                median: sum.median,
                worst: sum.worst.0,
                worst_scenario: &sum.worst.1,
                worse: &sum.worse,
            })?;
        }
    }
    Ok(())
}

type Compared<'s, 'a> = BTreeMap<(&'s str, Budget), Vec<(&'s Series<'a>, Pair)>>;

/// Every series of another algorithm beside the first's on the same scenario, by group and budget.
fn comparisons<'s, 'a>(series: &'s [Series<'a>]) -> Compared<'s, 'a> {
    let mut all = Compared::new();
    let Some(first) = series.first() else { return all };
    let base = |on| series.iter().find(|b| b.algorithm == first.algorithm && std::ptr::eq(b.on, on));
    for s in series.iter().filter(|s| s.algorithm != first.algorithm) {
        if let Some(base) = base(s.on) {
            all.entry((s.on.group.as_str(), s.budget)).or_default().push((s, s.beside(base)));
        }
    }
    all
}

fn worse(pair: &Pair) -> Vec<&'static str> {
    Figure::ALL.into_iter().filter(|f| pair.is_worse(*f)).map(Figure::name).collect()
}

/// Means over the seeds. Quality is averaged where it was reached; a dash says that it never was.
///
/// # Errors
/// Those of writing.
pub fn table(out: &mut impl Write, series: &[Series<'_>]) -> io::Result<()> {
    writeln!(
        out,
        "{:<18} {:<8} {:<10} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>7} {:>8} {:>8} {:>7} {:>8}",
        "scenario",
        "adjust",
        "budget",
        "mae",
        "rmse",
        "prec",
        "recall",
        "f1",
        "start",
        "quality",
        "checks/w",
        "checks/s",
        "regions",
        "ns/check"
    )?;
    for s in series {
        let m = |of: fn(&Score) -> f64| mean(&s.scores, of);
        writeln!(
            out,
            "{:<18} {:<8} {:<10} {:>6.4} {:>6.4} {:>6.3} {:>6.3} {:>6.3} {:>6} {:>7} {:>8.1} {:>8.0} {:>7.1} {:>8.1}",
            s.on.scenario.spec().name,
            s.algorithm.name,
            s.budget.name(),
            m(|s| s.mae),
            m(|s| s.rmse),
            m(|s| s.precision),
            m(|s| s.recall),
            m(|s| s.f1),
            reached(&s.scores, |s| s.start_to_quality),
            reached(&s.scores, |s| s.time_to_quality),
            m(|s| s.checks_per_window),
            m(|s| s.checks_per_second),
            m(|s| s.regions),
            m(|s| s.ns_per_check),
        )?;
    }
    Ok(())
}

fn reached(scores: &[Score], of: fn(&Score) -> f64) -> String {
    mean_reached(scores, of).map_or_else(|| "-".into(), |n| format!("{n:.1}"))
}

/// For each group and budget: each scenario's figures, the first algorithm's before the other's, with the ratio of errors;
/// then the ratios' means. Nothing where only one algorithm ran.
///
/// # Errors
/// Those of writing.
pub fn ratios(out: &mut impl Write, series: &[Series<'_>]) -> io::Result<()> {
    for ((group, budget), rows) in comparisons(series) {
        let Some((first, _)) = rows.first() else { continue };
        let base = series.first().map_or("", |s| s.algorithm.name);
        writeln!(out, "\n{group}, {} by {base}, budget {}", first.algorithm.name, budget.name())?;
        writeln!(
            out,
            "{:<18} {:>13} {:>6} {:>13} {:>6} {:>11} {:>11} {:>11} {:>13}  worse",
            "scenario", "mae", "ratio", "rmse", "ratio", "f1", "start", "quality", "checks/s"
        )?;
        for (_, pair) in &rows {
            let two = |of: &dyn Fn(&[Score]) -> String| format!("{} {}", of(&pair.base), of(&pair.other));
            let four = |of: fn(&Score) -> f64| two(&|s| format!("{:.4}", mean(s, of)));
            writeln!(
                out,
                "{:<18} {:>13} {:>6.3} {:>13} {:>6.3} {:>11} {:>11} {:>11} {:>13}  {}",
                pair.scenario,
                four(|s| s.mae),
                pair.ratio(Figure::Mae),
                four(|s| s.rmse),
                pair.ratio(Figure::Rmse),
                two(&|s| format!("{:.3}", mean(s, |s| s.f1))),
                two(&|s| reached(s, |s| s.start_to_quality)),
                two(&|s| reached(s, |s| s.time_to_quality)),
                two(&|s| format!("{:.0}", mean(s, |s| s.checks_per_second))),
                worse(pair).join(" "),
            )?;
        }
        let pairs = || rows.iter().map(|(_, pair)| pair);
        let (Some(mae), Some(rmse)) = (Summary::of(pairs(), Figure::Mae), Summary::of(pairs(), Figure::Rmse)) else {
            continue;
        };
        let mut row = |what: &str, of: fn(&Summary) -> f64, name: String| {
            writeln!(out, "{what:<18} {:>13} {:>6.3} {:>13} {:>6.3}  {name}", "", of(&mae), "", of(&rmse))
        };
        row("geometric mean", |s| s.geometric_mean, String::new())?;
        row("median", |s| s.median, String::new())?;
        row("worst", |s| s.worst.0, format!("{}, {}", mae.worst.1, rmse.worst.1))?;
        let mut names: Vec<&str> = pairs().filter(|p| !worse(p).is_empty()).map(|p| p.scenario.as_str()).collect();
        names.dedup();
        let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        writeln!(out, "worse by more than noise: {names}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use damon_ops_sim::Scenario;
    use damon_ops_sim::compare::{Algorithm, CLASSIC, Grouped};

    #[test]
    fn groups_and_budgets_are_summed_up_apart() {
        let text = r#"{"name": "small", "about": "", "page_bytes": 4096, "pages": 1000, "aggregations": 4,
            "attrs": {"sample_us": 5000, "aggr_us": 100000, "min_nr_regions": 10, "max_nr_regions": 100},
            "warmup_aggregations": 1, "hot_rate": 0.5, "phases": [{"aggregations": 1, "spans": [[0, 300, 1000]]}]}"#;
        let scenario = Scenario::parse("small.json", text).unwrap();
        let scenarios = ["a", "b"].map(|group| Grouped { group: group.into(), scenario: scenario.clone() });
        let score = |mae| {
            let mut score = Score::default();
            (score.mae, score.rmse) = (mae, mae);
            score
        };
        let series =
            |on, algorithm, budget, maes: [f64; 2]| Series { on, algorithm, budget, scores: maes.map(score).into() };
        let second = Algorithm { name: "second", ..CLASSIC };
        let mut all = Vec::new();
        for on in &scenarios {
            all.push(series(on, CLASSIC, Budget::Configured, [0.4, 0.4]));
            all.push(series(on, second, Budget::Configured, [0.1, 0.1]));
            all.push(series(on, second, Budget::EqualCost, [0.8, 0.8]));
        }

        let (mut tables, mut lines) = (Vec::new(), Vec::new());
        ratios(&mut tables, &all).unwrap();
        let tables = String::from_utf8(tables).unwrap();
        for (group, budget, ratio, worse) in [
            ("a", "configured", "0.250", "none"),
            ("b", "configured", "0.250", "none"),
            ("b", "equal-cost", "2.000", "small"),
        ] {
            let at = tables.find(&format!("\n{group}, second by classic, budget {budget}\n")).unwrap();
            let table: Vec<&str> = tables[at..].lines().skip(3).take(5).collect();
            assert!(table[1].starts_with("geometric mean") && table[1].contains(ratio), "{table:#?}");
            assert_eq!(table[4], format!("worse by more than noise: {worse}"));
        }
        json(&mut lines, &all).unwrap();
        let lines = String::from_utf8(lines).unwrap();
        let count = |kind: &str| lines.matches(&format!("{{\"kind\":\"{kind}\"")).count();
        assert_eq!((count("run"), count("ratio"), count("summary")), (12, 4, 8));
    }
}
