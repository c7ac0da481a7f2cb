//! The page of figures.

use std::fmt::Write;

use damon_ops_sim::Score;
use damon_ops_sim::compare::{Budget, Figure, Pair, Series, Summary, mean, mean_reached};

use super::{GROUPS, SEEDS, pairs};

const ABOUT: &str = "\
# How the adaptive adjustment compares

The figures behind the default of `AttrsSpec::adjust`: `Adjust::Adaptive` and `Adjust::Classic`, which decides as Linux 7.3 does, on
memory whose truth is known. This page is what a test computes, and holds to bounds:

```sh
UPDATE_DOCS=1 cargo test --release -p damon-ops-sim --test adaptive
```

The same with other scenarios and seeds, as tables or JSON:

```sh
cargo run --release -p examples --bin simulate -- accuracy --adjust both --equal-cost --seeds 5 FILE...
```

[The scenarios](../damon-ops-sim/scenarios/README.md) are in four groups: `scenarios` are those that the kernel's own code was measured
on; on `own` constants may be tuned as well; on `held-out` and `scattered` none was. A ratio is adaptive's error by classic's, at least 0.05.

One of `held-out` did teach something: at equal cost `huge-pages` had 1.7 times classic's *mae*, until scattered spots were left out
of the rate of the memory around them. `scattered` was written before they were, to show whether that holds for others: at equal cost the
ratios of *mae* had been 1.13 (`extents-that-move`), 0.51 and 1.26.

## Seen

[![Heat maps of three scenarios: truth, classic, adaptive with no more checks, adaptive as configured](adaptive.png)](adaptive.png)

Time goes to the right, addresses go down; brighter is accessed more often. `simulate` drew it:

```sh
cd damon-ops-sim/scenarios && cargo run --release -p examples --bin simulate -- heatmap --png ../../docs/adaptive.png \\
    skewed-128.json own/phase-20.json held-out/scan-and-index.json
```
";

const READING: &str = "
## What it means for the default

Adaptive is the better choice wherever regions can follow what is there: with as many checks as classic uses, and more so with those that
it may use. It keeps what it learned, so noise is averaged out; it cuts where the hits are, so edges are right to the page; and after
a change it is right again in one or two aggregations. What to know before choosing:

- Classic merges regions that look alike and checks one page of each, so it spends little where it sees little. Adaptive spends where
  something is to be learned, up to the same bound, `max_nr_regions`, unless `max_checks` says less: the column *checks a second*
  shows what that comes to as configured, the tables of *equal cost* what is left of the gain where it may spend no more than classic.
- Where neighbouring pages have nothing in common (`uncorrelated`), or where what is hot is small and checks are few (`huge-pages`, `rare-extents`,
  at equal cost), no region fits. There it is little better than classic, which says nothing of what is hot either.
- Classic decides as the kernel does. Who compares with a kernel's DAMON, or replays its decisions, wants that.
";

const COLUMNS: &str = "\
In each cell classic's figure stands before adaptive's. *mae*, *rmse*: errors of the access rate of a byte in a sampling window, 0 to 1.
*f1*: of the hot bytes. *start*, *change*: aggregations until precision and recall of the hot bytes are 0.9 or more, from the start and
after a change (a dash: never, or nothing to find). *Worse* names figures that are worse by more than three standard errors.
";

/// All of it.
pub(crate) fn page(all: &[Series<'_>]) -> String {
    let mut page = ABOUT.to_string();
    page.push_str("\n## In short\n\n| group | budget | figure | geometric mean of ratios | median | worst | worse by more than noise |\n");
    page.push_str("|---|---|---|---|---|---|---|\n");
    for (group, budget) in groups() {
        let pairs = pairs(all, group, budget);
        for figure in [Figure::Mae, Figure::Rmse] {
            let Some(s) = Summary::of(&pairs, figure) else { continue };
            let worse = if s.worse.is_empty() { "none".into() } else { s.worse.join(", ") };
            let _ = writeln!(
                page,
                "| `{group}` | {} | {} | **{:.3}** | {:.3} | {:.3} {} | {worse} |",
                budget.name(),
                figure.name(),
                s.geometric_mean,
                s.median,
                s.worst.0,
                s.worst.1
            );
        }
    }
    page.push_str(READING);
    let _ = write!(page, "\n## Scenario by scenario\n\nMeans of seeds 0 to {}. {COLUMNS}", SEEDS - 1);
    for (group, budget) in groups() {
        let what = match budget {
            Budget::Configured => "as configured: in a window at most a check for each of `max_nr_regions`",
            Budget::EqualCost => "equal cost: in each run at most what classic used in it on average",
        };
        let _ = write!(page, "\n### `{group}`, {what}\n\n");
        page.push_str("| scenario | mae | ratio | rmse | ratio | f1 | start | change | checks a second | worse |\n");
        page.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
        for pair in pairs(all, group, budget) {
            page.push_str(&row(&pair));
        }
    }
    page
}

fn groups() -> impl Iterator<Item = (&'static str, Budget)> {
    GROUPS.into_iter().flat_map(|g| [(g, Budget::Configured), (g, Budget::EqualCost)])
}

fn row(pair: &Pair) -> String {
    let two = |of: &dyn Fn(&[Score]) -> String| format!("{} {}", of(&pair.base), of(&pair.other));
    let figure = |of: fn(&Score) -> f64, digits: usize| two(&|s| format!("{:.digits$}", mean(s, of)));
    let reached =
        |of: fn(&Score) -> f64| two(&|s| mean_reached(s, of).map_or_else(|| "–".into(), |n| format!("{n:.1}")));
    let worse: Vec<&str> = Figure::ALL.into_iter().filter(|f| pair.is_worse(*f)).map(Figure::name).collect();
    format!(
        "| {} | {} | {:.3} | {} | {:.3} | {} | {} | {} | {} | {} |\n",
        pair.scenario,
        figure(|s| s.mae, 4),
        pair.ratio(Figure::Mae),
        figure(|s| s.rmse, 4),
        pair.ratio(Figure::Rmse),
        figure(|s| s.f1, 3),
        reached(|s| s.start_to_quality),
        reached(|s| s.time_to_quality),
        figure(|s| s.checks_per_second, 0),
        worse.join(", ")
    )
}
