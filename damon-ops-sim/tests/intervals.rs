//! Tuned intervals settle where those of real servers do, on two load models in virtual time.
//!
//! `docs/intervals.md` shows how, and is what this test computes:
//! `UPDATE_DOCS=1 cargo test -p damon-ops-sim --test intervals` writes it anew.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use damon_core::{AddrRange, Adjust, Attrs, AttrsSpec, Instant, IntervalsGoal, Monitor, TargetId, TargetSpec, Window};
use damon_ops_sim::memory::Mapping;
use damon_ops_sim::workload::{Blocks, Heat, zipf};
use damon_ops_sim::{Clock, SimMemory, SimTarget, window};

const SEEDS: u64 = 8;
/// Tunings until intervals have settled, and as many as are looked at then.
const SETTLING: usize = 20;
const SETTLED: usize = 60;

struct Load {
    name: &'static str,
    top_hz: f64,
    settles: (Duration, Duration),
}

const NORMAL: Load =
    Load { name: "normal", top_hz: 50.0, settles: (Duration::from_millis(300), Duration::from_millis(400)) };
const LIGHT: Load = Load { name: "light", top_hz: 4.0, settles: (Duration::from_secs(4), Duration::from_secs(5)) };

const ABOUT: &str = "\
# Where tuned intervals settle

A sampling interval that is too short sees nothing, one that is too long sees everything. Given a goal, *of all access
events that a window can see, see 4%*, the monitor tunes its intervals to the load (`AttrsSpec::intervals_goal`; in the
kernel `intervals_goal`, as `DAMON_STAT` uses it). For that goal, tuned once in 3 aggregations between 5 ms and 10 s, sampling
intervals of 300 to 400 ms were reported for real servers under normal load, and 4 to 5 s under light load.

Here the same happens in virtual time. This page is what a test computes and holds to those limits:

```sh
UPDATE_DOCS=1 cargo test -p damon-ops-sim --test intervals
```

## The loads

64 GiB in 64 areas of 1 GiB, of which the *r*-th busiest has its pages accessed *f* / *r*³ times a second each, in no order of
address: a heavy tail, as real memory has. `normal` has *f* = 50, `light` *f* = 4, so a page of the tenth area is accessed once in
20 s, and once in 4 min. *f* was chosen so that the middle falls into the limits; pace and spread follow from it. All attributes but
the goal are the kernel's: 5 ms to start with, 20 samples in an aggregation, 10 to 1,000 regions, `Adjust::Classic`.

The tuner's 4% are of what it counted, and counts are rounded down where regions merge, in the kernel as here. So what is truly accessed
in a window that it settles at, the third column, is a little more than 4%. `Adjust::Adaptive` loses less in merging, and settles a quarter lower.
";

fn memory() -> AddrRange {
    AddrRange::new(0, 64 << 30).unwrap()
}

impl Load {
    fn heats(&self) -> Vec<Heat> {
        zipf(memory(), 64, self.top_hz, 3.0, 7)
    }

    /// The part of memory that is accessed in a window of this length.
    fn accessed(&self, length: Duration) -> f64 {
        let bytes = |h: &Heat| h.probability(length.as_secs_f64()) * h.range.size() as f64;
        self.heats().iter().map(bytes).sum::<f64>() / memory().size() as f64
    }

    /// When each tuning came, and the sampling interval that it ended.
    fn curve(&self, seed: u64) -> Vec<(Duration, Duration)> {
        let goal = IntervalsGoal::default();
        let every = goal.aggregations;
        let spec = AttrsSpec { intervals_goal: Some(goal), adjust: Adjust::Classic, ..AttrsSpec::default() };
        let attrs = Attrs::try_from(spec).unwrap();
        let (id, clock) = (TargetId::new(0), Clock::new());
        let mut ops = SimMemory::new(seed, &clock);
        ops.insert(id, SimTarget::new(vec![Mapping::new(memory())], Blocks::new(self.heats())).unwrap());
        let mut monitor = Monitor::new(attrs, seed);
        monitor.add_target(TargetSpec::new(id));

        let (mut curve, mut aggregations) = (Vec::new(), 0);
        while curve.len() < SETTLING + SETTLED {
            if let Ok(Some(Window::Aggregated(_))) = window(&mut monitor, &mut ops, &clock) {
                aggregations += 1;
                if aggregations % every == 0 {
                    curve.push((clock.now() - Instant::ZERO, monitor.attrs().sampling()));
                }
            }
        }
        curve
    }

    /// The settled intervals of all seeds, ascending.
    fn settled(&self) -> Vec<Duration> {
        let of = |seed| self.curve(seed).split_off(SETTLING).into_iter().map(|(_, sampling)| sampling);
        let mut all: Vec<Duration> = (0..SEEDS).flat_map(of).collect();
        all.sort_unstable();
        all
    }
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn page() -> String {
    let mut page = ABOUT.to_string();
    let ms = |d: Duration| format!("{} ms", d.as_millis());
    for load in [NORMAL, LIGHT] {
        let _ = write!(
            page,
            "\n## The curve, {} load, seed 0\n\n| after | sampling interval | accessed in a window |\n|---|---|---|\n",
            load.name
        );
        for (at, sampling) in load.curve(0).into_iter().take(SETTLING) {
            let part = load.accessed(sampling) * 100.0;
            let _ = writeln!(page, "| {:.1} s | {} | {part:.2}% |", at.as_secs_f64(), ms(sampling));
        }
    }
    let _ = write!(
        page,
        "\n## Settled\n\nSampling intervals of {SETTLED} tunings after the first {SETTLING}, seeds 0 to {}:\n\n\
         | load | 5% are below | a quarter | half | three quarters | 95% |\n|---|---|---|---|---|---|\n",
        SEEDS - 1
    );
    for load in [NORMAL, LIGHT] {
        let all = load.settled();
        let cells = [5, 25, 50, 75, 95].map(|p| ms(quantile(&all, p)));
        let _ = writeln!(page, "| {} | {} |", load.name, cells.join(" | "));
    }
    page
}

fn settles(load: &Load) {
    let all = load.settled();
    let middle = [25, 50, 75].map(|p| quantile(&all, p));
    let (low, high) = load.settles;
    assert!(middle.iter().all(|d| (low..=high).contains(d)), "{}: {middle:?}", load.name);
}

#[test]
fn a_normal_load_settles_at_300_to_400_ms() {
    settles(&NORMAL);
}

#[test]
fn a_light_load_settles_at_4_to_5_s() {
    settles(&LIGHT);
}

#[test]
fn the_page_in_docs_is_what_is_computed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/intervals.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/intervals.md is out of date: run this test with UPDATE_DOCS=1");
}
