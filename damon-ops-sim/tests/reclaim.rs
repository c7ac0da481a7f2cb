//! Proactive reclaim saves memory at the price of refaults, and under a quota loses little of the one and much of the other:
//! the shape of the published curve, on the simulated machine.
//!
//! `docs/reclaim.md` shows it, and is what this test computes:
//! `UPDATE_DOCS=1 cargo test --release -p damon-ops-sim --test reclaim`. Without optimization only a few programs are run, to
//! save minutes, and held to the rough shape alone.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::fmt::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use damon_core::control::priority::Weights;
use damon_core::{AddrRange, Attrs, AttrsSpec, Instant, Monitor, NodeId, Rng, TargetId, TargetSpec, Window};
use damon_ops_sim::machine::{Costs, Machine, Node, Usage};
use damon_ops_sim::memory::Mapping;
use damon_ops_sim::workload::{Blocks, Heat, Phases, Stack};
use damon_ops_sim::{Clock, window};
use damos::engine::Schemes;
use damos::preset::{Monitoring, Reclaim};
use damos::scheme::Scheme;

const ID: TargetId = TargetId::new(0);
const SIZE: u64 = 1 << 30;
/// A workload's memory is dealt out in so many blocks.
const BLOCKS: u64 = 64;
const RUN: Duration = Duration::from_secs(300);
const MIN_AGE: Duration = Duration::from_secs(5);

fn range(start: u64, size: u64) -> AddrRange {
    AddrRange::from_len(start, size).unwrap()
}

/// A program of three kinds of memory, in blocks in no order of address.
struct Program {
    /// Blocks that are in use all the time.
    hot: u64,
    /// Blocks that are in use now and then, in equal parts for each of [`EVERY`].
    warm: u64,
}

/// How often each page is accessed while it is in use, a second.
const HZ: f64 = 50.0;
/// How often warm blocks come into use, and for how long then: the longer a block has been idle, the longer it will be.
const EVERY: [Duration; 4] =
    [Duration::from_secs(8), Duration::from_secs(16), Duration::from_secs(48), Duration::from_secs(144)];
const STAY: Duration = Duration::from_secs(2);

impl Program {
    /// From hardly used to nearly all in use, each with little to much of the rest warm.
    fn all() -> Vec<Self> {
        let of = |hot: u64| [20, 35, 50, 65].map(|percent| Self { hot, warm: (BLOCKS - hot) * percent / 100 / 4 * 4 });
        [4, 10, 18, 26, 34, 44].into_iter().flat_map(of).collect()
    }

    fn workload(&self, seed: u64) -> Stack {
        let mut order: Vec<u64> = (0..BLOCKS).collect();
        let mut rng = Rng::new(seed);
        for i in (1..order.len()).rev() {
            order.swap(i, rng.below(i as u64 + 1) as usize);
        }
        let in_use = |blocks: &[u64]| {
            let size = SIZE / BLOCKS;
            let heat = |b: &u64| Heat::reads(range(b * size, size), HZ);
            Blocks::new(blocks.iter().map(heat).collect::<Vec<_>>())
        };
        let (hot, rest) = order.split_at(self.hot as usize);
        let part = self.warm as usize / EVERY.len();
        let warm = EVERY.iter().zip(rest.chunks(part.max(1)));
        warm.fold(Stack::new().with(in_use(hot)), |all, (every, blocks)| {
            all.with(Phases::new().then(STAY, in_use(blocks)).then(*every - STAY, Blocks::default()))
        })
    }
}

/// How reclaim is limited.
#[derive(Clone, Copy)]
struct Limit {
    name: &'static str,
    /// Milliseconds of each second; `None` is no reclaim at all, zero no limit.
    ms: Option<u64>,
    prioritised: bool,
    /// Memory that is out already is not charged to the quota.
    lenient: bool,
    published: &'static str,
}

impl Limit {
    const fn new(name: &'static str, ms: Option<u64>, prioritised: bool, lenient: bool) -> Self {
        Self { name, ms, prioritised, lenient, published: "" }
    }
}

const NONE: usize = 0;
const UNLIMITED: usize = 1;
const MS_50: [usize; 2] = [2, 3];
const MS_10: [usize; 2] = [4, 5];
const MS_10_LENIENT: [usize; 2] = [6, 7];
const LIMITS: [Limit; 8] = [
    Limit::new("no reclaim", None, false, false),
    Limit { published: "47%, 5.4%", ..Limit::new("no quota", Some(0), false, false) },
    Limit::new("50 ms/s", Some(50), false, false),
    Limit { published: "40%, 3.4%", ..Limit::new("50 ms/s, prioritised", Some(50), true, false) },
    Limit::new("10 ms/s", Some(10), false, false),
    Limit::new("10 ms/s, prioritised", Some(10), true, false),
    Limit::new("10 ms/s, only what was paged out is charged", Some(10), false, true),
    Limit::new("10 ms/s, the same, prioritised", Some(10), true, true),
];

impl Limit {
    fn reclaim(&self, ms: u64) -> (AttrsSpec, Vec<Scheme>) {
        let monitoring = Monitoring {
            sampling: Duration::from_millis(20),
            aggregation: Duration::from_millis(200),
            min_nr_regions: 100,
            max_nr_regions: 200,
            ..Monitoring::default()
        };
        let time = Duration::from_millis(ms);
        let preset = Reclaim { min_age: MIN_AGE, time, size: 0, watermarks: None, monitoring, ..Reclaim::default() };
        let (attrs, mut schemes) = preset.plan();
        for scheme in &mut schemes {
            if !self.prioritised {
                scheme.quota.weights = Weights::default();
            }
            // Of what it costs to page out, to look takes a 400th.
            scheme.quota.fail_charge = self.lenient.then_some((1, 400));
        }
        (attrs, schemes)
    }

    fn run(&self, program: &Program, seed: u64, costs: Costs) -> Usage {
        let clock = Clock::new();
        let mut machine = Machine::new(seed, &clock, &[Node { id: NodeId(0), bytes: 2 * SIZE }], costs);
        machine.insert(ID, vec![Mapping::new(range(0, SIZE))], program.workload(seed)).unwrap();
        let Some(ms) = self.ms else {
            clock.advance(RUN);
            return machine.usage();
        };
        let (attrs, schemes) = self.reclaim(ms);
        let mut monitor = Monitor::new(Attrs::try_from(attrs).unwrap(), seed);
        monitor.add_target(TargetSpec::new(ID));
        let mut schemes = Schemes::new(&monitor.view(), &machine, schemes).unwrap();
        while clock.now() < Instant::ZERO + RUN {
            if let Some(Window::Aggregated(_)) = window(&mut monitor, &mut machine, &clock).unwrap() {
                let before = machine.usage().acting;
                let (mut actor, mut metrics) = (machine.clone(), machine.clone());
                let outcome = schemes.apply(clock.now(), true, &mut monitor, &mut actor, &mut metrics);
                assert_eq!(outcome.error, None);
                // One thread watches and acts: while it does the one it does not do the other.
                clock.advance(machine.usage().acting - before);
            }
        }
        machine.usage()
    }
}

/// In percent.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    saved: f64,
    slowdown: f64,
    stalled: f64,
    cpu: f64,
    refaults: f64,
}

impl Row {
    fn of(usage: &Usage, costs: &Costs) -> Self {
        let seconds = usage.elapsed.as_secs_f64();
        let part = |d: Duration| d.as_secs_f64() / seconds * 100.0;
        Self {
            saved: f64::from(usage.saved().0) / 100.0,
            slowdown: f64::from(usage.slowdown(costs.cpus).0) / 100.0,
            stalled: part(usage.stalled),
            cpu: part(usage.watching + usage.acting),
            refaults: usage.refaults as f64 / seconds,
        }
    }

    fn mean(rows: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
        Self {
            saved: mean(|r| r.saved),
            slowdown: mean(|r| r.slowdown),
            stalled: mean(|r| r.stalled),
            cpu: mean(|r| r.cpu),
            refaults: mean(|r| r.refaults),
        }
    }
}

/// The mean of all programs under each limit, computed once.
fn figures() -> &'static [Row; LIMITS.len()] {
    static ROWS: OnceLock<[Row; LIMITS.len()]> = OnceLock::new();
    ROWS.get_or_init(|| {
        let costs = Costs::default();
        let step = if cfg!(debug_assertions) { 12 } else { 1 };
        let programs = Program::all();
        LIMITS.map(|limit| {
            let some = programs.iter().enumerate().step_by(step);
            let rows: Vec<Row> = some.map(|(i, p)| Row::of(&limit.run(p, i as u64, costs), &costs)).collect();
            Row::mean(&rows)
        })
    })
}

#[test]
fn under_a_quota_the_saving_falls_and_the_slowdown_falls_more() {
    let rows = figures();
    assert_eq!((rows[NONE].saved, rows[NONE].slowdown), (0.0, 0.0));
    for at in [0, 1] {
        let path = [UNLIMITED, MS_50[at], MS_10[at]].map(|i| &rows[i]);
        for pair in path.windows(2) {
            let [more, less] = pair else { continue };
            let kept = |of: fn(&Row) -> f64| of(less) / of(more);
            assert!(kept(|r| r.saved) < 1.0 && kept(|r| r.slowdown) < 1.0, "{less:?} {more:?}");
            assert!(kept(|r| r.stalled) < kept(|r| r.saved), "{less:?} {more:?}");
        }
        let [all, limited] = [path[0], path[1]];
        assert!(limited.slowdown / all.slowdown < limited.saved / all.saved, "{limited:?} {all:?}");
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "needs all programs: cargo test --release")]
fn a_quota_of_50_ms_keeps_the_published_part_of_the_saving() {
    let [all, limited] = [UNLIMITED, MS_50[1]].map(|i| &figures()[i]);
    let (saved, slowdown) = (limited.saved / all.saved, limited.slowdown / all.slowdown);
    assert!((saved - 40.0 / 47.0).abs() < 0.05, "{saved} of the saving");
    assert!(slowdown < 3.4 / 5.4, "{slowdown} of the slowdown");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "needs all programs: cargo test --release")]
fn where_a_quota_is_short_the_coldest_first_come_back_less() {
    let [plain, prioritised] = MS_10.map(|i| &figures()[i]);
    assert!(prioritised.refaults / prioritised.saved < plain.refaults / plain.saved, "{prioritised:?} {plain:?}");
    let [plain, prioritised] = MS_10_LENIENT.map(|i| &figures()[i]);
    assert!(prioritised.saved > plain.saved && prioritised.refaults < plain.refaults, "{prioritised:?} {plain:?}");
}

const ABOUT: &str = "\
# Proactive reclaim

Memory that nobody used for a while is paged out before memory is short (`damos::preset::Reclaim`, in the kernel
`DAMON_RECLAIM`). For the kernel's module a curve was published, from 24 real programs: without a quota 47% of memory saved at 5.4%
slowdown; with 50 ms of work a second, the coldest first, 40% at 3.4%. So 85% of the saving was kept, for 63% of the slowdown.

Here 24 made-up programs run on the simulated machine (`damon_ops_sim::machine`). This page is what a test computes and holds to
that shape; the levels depend on programs and constants, and nothing but the shape is compared:

```sh
UPDATE_DOCS=1 cargo test --release -p damon-ops-sim --test reclaim
```

## The programs

1 GiB each for 300 s, in 64 blocks in no order of address: 4 to 44 of them hot, of the rest 20 to 65% warm, the others never used. Warm
blocks are in use for 2 s every 8, 16, 48 or 144 s, a quarter each; a page in use is accessed 50 times a second. Reclaim pages
out what is idle for 5 s. It samples each 20 ms, aggregates each 200 ms, and has 100 to 200 regions.

## The cost model

A fault on swapped memory stops the program for its cost. The thread that watches and acts takes CPU time from the program, which
uses all CPUs; while it pages out it does not watch. Slowdown is both together, relative to the time that the program needs by
itself. Saved is the part of memory that is swapped out, in the mean over the whole run; what zram keeps of it is not
taken off.

";

const FINDINGS: &str = "
## What it shows

- The shape is that of the published curve: a quota of 50 ms a second keeps about as much of the saving as was published, and less of
  the slowdown than that. Below it there is little left to win: what remains at 10 ms is mostly the cost of watching.
- Prioritisation, with the kernel's law (the logarithm of the age), makes no difference at 50 ms a second here: sooner or later
  everything that is idle gets its turn. At 10 ms less of what it pages out comes back.
- It saves less at 10 ms, though: memory that is out already stays old enough to be tried again, and is charged to the quota in
  full. Charged for what is really paged out (`Quota::fail_charge`; the module does not set it) both save more, and the
  coldest first saves most: by little, and of these programs and seeds alone.
- The programs were chosen among some half a dozen mixes. All that let the monitor tell hot from idle had this shape; in none did
  prioritisation save clearly more. Kept was the one where memory will be idle the longer, the longer it has been.
";

fn page() -> String {
    let mut page = format!("{ABOUT}{}\n", Costs::default());
    page.push_str("## The figures\n\nMeans of the 24 programs, program *n* with seed *n*:\n\n");
    page.push_str("| | saved | slowdown | of it faults | CPU of the thread | refaults a second | published |\n");
    page.push_str("|---|---|---|---|---|---|---|\n");
    for (limit, r) in LIMITS.iter().zip(figures()) {
        let Row { saved, slowdown, stalled, cpu, refaults } = r;
        let _ = writeln!(
            page,
            "| {} | {saved:.1}% | {slowdown:.2}% | {stalled:.2}% | {cpu:.1}% | {refaults:.0} | {} |",
            limit.name, limit.published
        );
    }
    page.push_str(FINDINGS);
    page
}

#[test]
#[cfg_attr(debug_assertions, ignore = "needs all programs: cargo test --release")]
fn the_page_in_docs_is_what_is_computed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reclaim.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/reclaim.md is out of date: run this test with UPDATE_DOCS=1");
}
