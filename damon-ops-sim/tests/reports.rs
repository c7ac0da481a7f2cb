//! A monitor that lives on reports alone, on the scenarios: as accurate as one that checks where all is reported, and how
//! much is lost where few events are.
//!
//! `docs/reports.md` ends with what this test computes: `UPDATE_DOCS=1 cargo test -p damon-ops-sim --test reports` writes it
//! anew.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use damon_core::{
    Access, Adjust, Instant, Monitor, Next, Reporter, Rng, Sees, SourceSpec, Span, Target, TargetId, TargetSpec, View,
    Window,
};
use damon_ops_sim::Scenario;
use damon_ops_sim::scenario::{ScenarioSpec, reported, run};
use damon_ops_sim::score::{Score, Scorer};
use damon_ops_sim::workload::Picture;

const T: TargetId = TargetId::new(0);
/// Pages of a scenario, and the part of its aggregations, that are left: each page and window is played.
const PAGES: u64 = 8_192;
const AGGREGATIONS: (u64, u64) = (36, 18);
const SEED: u64 = 0;
/// The hottest page of a scenario, where events are counted: more often nobody could report each.
const TOP_HZ: f64 = 1_000.0;
/// One event of so many is reported.
const PERIODS: [u32; 4] = [1, 10, 100, 1_000];

/// The scenarios, in few pages.
fn scenarios() -> Vec<Scenario> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    assert_eq!(files.len(), 8);
    files
        .into_iter()
        .map(|path| Scenario::try_from(small(Scenario::read(path).unwrap().spec().clone())).unwrap())
        .collect()
}

fn small(mut spec: ScenarioSpec) -> ScenarioSpec {
    let by = spec.pages / PAGES;
    spec.pages = PAGES;
    spec.ranges = None;
    (spec.aggregations, spec.warmup_aggregations) = AGGREGATIONS;
    for (start, end, _) in spec.phases.iter_mut().flat_map(|phase| &mut phase.spans) {
        (*start, *end) = (*start / by, (*end / by).max(*start / by + 1));
    }
    spec
}

/// Reports what is accessed in a window.
type Feed = fn(&Picture, f64, u32, &mut Rng, &Reporter);

/// A number in 0..1.
fn uniform(rng: &mut Rng) -> f64 {
    rng.below(1 << 53) as f64 / (1_u64 << 53) as f64
}

/// The first touch of each page.
fn first_touches(truth: &Picture, seconds: f64, _: u32, rng: &mut Rng, to: &Reporter) {
    for heat in truth.heats() {
        let p = heat.probability(seconds);
        for addr in (heat.range.start()..heat.range.end()).step_by(4096) {
            if uniform(rng) < p {
                to.report_access(Access::new(T, addr, 1));
            }
        }
    }
}

/// One of `period` events: how many there are is drawn for each heat, as exponential gaps, and where is drawn for each event.
fn events(truth: &Picture, seconds: f64, period: u32, rng: &mut Rng, to: &Reporter) {
    let top = truth.heats().iter().fold(TOP_HZ, |top, h| top.max(h.hz));
    for heat in truth.heats() {
        let pages = heat.range.size() / 4096;
        let mut left = pages as f64 * heat.hz * (TOP_HZ / top) * seconds / f64::from(period);
        loop {
            left += (1.0 - uniform(rng)).ln();
            if left < 0.0 {
                break;
            }
            to.report_access(Access::new(T, heat.range.start() + rng.below(pages) * 4096, 8));
        }
    }
}

/// Plays a scenario by reports alone, and shows the aggregations after the warm-up.
fn play(scenario: &Scenario, adjust: Adjust, feed: Feed, period: u32, mut see: impl FnMut(View<'_>, &Picture, u64)) {
    let attrs = scenario.attrs(adjust, None).unwrap();
    let (seconds, windows) = (attrs.sampling().as_secs_f64(), attrs.samples_per_aggregation());
    let mut rng = Rng::new(SEED);
    let mut m = Monitor::new(attrs, rng.next_u64());
    m.add_target(TargetSpec { ranges: scenario.ranges().to_vec(), ..TargetSpec::new(T) });
    let reporter = m.add_source(SourceSpec { period, ..SourceSpec::new("scenario") });
    let mut now = Instant::ZERO;
    for aggregation in 0..scenario.spec().aggregations {
        let (truth, _) = scenario.cycle().at(aggregation).unwrap();
        for _ in 0..windows {
            let Ok(Next::At(due)) = m.begin(now, &mut ()) else { panic!("parked") };
            now = due;
            feed(truth, seconds, period, &mut rng, &reporter);
            let Ok(Window::Counted(stats) | Window::Aggregated(stats)) = m.end(now, &mut ()) else { panic!("early") };
            assert_eq!(stats.reports_lost + stats.reports_outside, 0);
        }
        if aggregation >= scenario.spec().warmup_aggregations {
            see(m.view(), truth, aggregation);
        }
    }
    assert!(m.view().targets()[0].spans().iter().all(|s: &Span| s.sees == Sees::Reports));
}

/// With every first touch reported.
fn score(scenario: &Scenario, adjust: Adjust) -> Score {
    let spec = scenario.spec();
    let mut scorer = Scorer::new(spec.hot_rate);
    play(scenario, adjust, first_touches, 1, |view, truth, aggregation| {
        let regions = view.targets().iter().flat_map(Target::regions).map(|r| (r.range(), reported(r)));
        let seconds = spec.attrs.sample_us as f64 / 1e6;
        scorer.snapshot(regions, truth, seconds, scenario.cycle().at(aggregation).unwrap().1);
    });
    scorer.score()
}

/// The part of the events that the regions put where they did not happen: half of the sum of what shares of them are off.
fn misplaced(view: View<'_>, truth: &Picture) -> f64 {
    let target = &view.targets()[0];
    let seen = |i: usize| target.events(i).map_or(0.0, |e| e.total as f64);
    let all: f64 = (0..target.regions().len()).map(seen).sum();
    let true_all: f64 = truth.heats().iter().map(|h| h.hz * h.range.size() as f64).sum();
    let mut off = 0.0;
    for (i, r) in target.regions().iter().enumerate() {
        let density = if all > 0.0 { seen(i) / all / r.size() as f64 } else { 0.0 };
        off += (r.range().start()..r.range().end())
            .step_by(4096)
            .map(|addr| (density - truth.at(addr).map_or(0.0, |h| h.hz) / true_all).abs() * 4096.0)
            .sum::<f64>();
    }
    off / 2.0
}

fn loss(scenario: &Scenario, period: u32) -> f64 {
    let (mut sum, mut n) = (0.0, 0);
    play(scenario, Adjust::Classic, events, period, |view, truth, _| {
        (sum, n) = (sum + misplaced(view, truth), n + 1);
    });
    sum / f64::from(n)
}

struct Row {
    name: String,
    /// Classic's with checks and with reports, and adaptive's with reports.
    scores: [Score; 3],
    /// By period.
    loss: [f64; 4],
}

fn rows() -> Vec<Row> {
    let row = |s: &Scenario| Row {
        name: s.spec().name.clone(),
        scores: [run(s, Adjust::Classic, SEED, None).unwrap(), score(s, Adjust::Classic), score(s, Adjust::Adaptive)],
        loss: PERIODS.map(|period| loss(s, period)),
    };
    scenarios().iter().map(row).collect()
}

fn tables(rows: &[Row]) -> String {
    let mut out = String::from(
        "\n| scenario | MAE with checks | with reports | adaptive | RMSE with checks | with reports | adaptive |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for Row { name, scores: [checks, reports, adaptive], .. } in rows {
        let cells = [checks.mae, reports.mae, adaptive.mae, checks.rmse, reports.rmse, adaptive.rmse]
            .map(|n| format!("{n:.4}"));
        let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
    }
    out += "\n### Thinned reports\n";
    out += THINNED;
    out += "\n| scenario | all | 1/10 | 1/100 | 1/1,000 |\n|---|---|---|---|---|\n";
    for Row { name, loss, .. } in rows {
        let _ = writeln!(out, "| {name} | {} |", loss.map(|l| format!("{:.0}%", l * 100.0)).join(" | "));
    }
    let all = PERIODS.iter().enumerate().map(|(i, _)| {
        let mean = rows.iter().map(|r| r.loss[i]).sum::<f64>() / rows.len() as f64;
        format!("{:.0}%", mean * 100.0)
    });
    let _ = writeln!(out, "| mean | {} |", all.collect::<Vec<_>>().join(" | "));
    out
}

const THINNED: &str = "
The same scenarios, and now every event counts: a page accessed *f* times a second has *f* events, at most 1,000 for the hottest of a
scenario, and one of so many is reported, at random. What is scored is `Target::events`: the part of an aggregation's
events that the regions put on pages where they did not happen (each region's events spread evenly over it), against the
true density. It includes the chance of a sample: of 1/1,000 there are a few to some hundred in an aggregation.
";

#[test]
fn reports_alone_are_as_accurate_as_checks_and_the_page_in_docs_is_what_is_computed() {
    let rows = rows();
    for Row { name, scores: [checks, classic, adaptive], loss } in &rows {
        for reports in [classic, adaptive] {
            // Means have the least squared error, not the least absolute one, where no region fits.
            let no_worse = if name == "uncorrelated" { reports.rmse <= checks.rmse } else { reports.mae <= checks.mae };
            assert!(no_worse, "{name}: {reports:?} with reports, {checks:?} with checks");
        }
        assert!(loss.windows(2).all(|w| w[0] <= w[1] + 0.02), "{name}: fewer reports cannot tell more: {loss:?}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reports.md");
    let there = std::fs::read_to_string(&path).unwrap();
    let mark = "<!-- computed from here on -->\n";
    let (prose, _) = there.split_once(mark).unwrap();
    let page = format!("{prose}{mark}{}", tables(&rows));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    } else {
        assert!(there == page, "docs/reports.md is out of date: run this test with UPDATE_DOCS=1");
    }
}
