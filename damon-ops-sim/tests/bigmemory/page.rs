//! The page of figures.

use std::fmt::Write;
use std::time::Duration;

use damon_core::Adjust;

use super::machine::{ACCESSES_HZ, CHECK, PAGE, Watched};
use super::{
    CASES, CHECKS, CPU, GOOD, LONGEST, PATIENCE, SEEDS, TIB_5, WINDOWS, adaptive, classic, machine, mean, seeds,
    slowest,
};
use super::{tuned, tuned_runs};

const ABOUT: &str = "\
# A big machine, and little time to look at it

How soon does a monitor find the hot data of a machine with terabytes, if it may take a hundredth of a CPU? This page is what a
test computes in virtual time, and holds to limits:

```sh
UPDATE_DOCS=1 cargo test --release -p damon-ops-sim --test bigmemory
```

## The model

";

const ROW: &str = "
## What was published of DAMON, reproduced

At a fixed sampling interval of 5 ms DAMON was published to find more than 90% of the hot data of a machine with 1 GB, less than half with
10 GB, and about none with 100 GB and 5 TB. `Adjust::Classic`, with the defaults of the kernel (5 ms, 100 ms, 10 to 1,000 regions), finds:

| machine | *p* in 5 ms | published | hot data found | precision | CPU |
|---|---|---|---|---|---|
";

const WHY: &str = "
The larger the hot part, the more seldom each of its pages is accessed: 5 ms are too short to see it, whoever looks. So the interval has
to be longer, and then there are fewer windows, each of which has to tell more.
";

/// All of it.
pub(crate) fn page() -> String {
    let mut page = ABOUT.to_string();
    let _ = writeln!(
        page,
        "{:.2} million accesses a second go to the hot part, evenly; the rest is idle. So in a window of *T* seconds a hot page is \
         accessed with probability\n*p* = 1 − exp(−{:.2} million · *T* / hot pages). A check takes {:.1} µs. Reported hot is what \
         has at least half the rate that the hot\npages have in a window. The picture is good where precision and recall are {GOOD} or \
         more in three snapshots in a row; times are until the\nfirst of them. Figures of quality are of the 20 aggregations after \
         that, times are the slowest, others the mean, of seeds 0 to {}.",
        ACCESSES_HZ / 1e6,
        ACCESSES_HZ / 1e6,
        CHECK.as_secs_f64() * 1e6,
        SEEDS - 1
    );
    page.push_str(ROW);
    for (case, runs) in CASES.iter().zip(classic()) {
        let p = case.machine.probability(Duration::from_millis(5));
        let cells =
            (percent(mean(runs, |w| w.recall)), percent(mean(runs, |w| w.precision)), percent(mean(runs, |w| w.cpu)));
        let _ =
            writeln!(page, "| {} | {p:.4} | {} | {} | {} | {} |", case.name, case.published, cells.0, cells.1, cells.2);
    }
    page.push_str(WHY);
    page.push_str(&tuned_section());
    page.push_str(&smallest_section());
    page
}

fn tuned_section() -> String {
    let attrs = tuned(Adjust::Adaptive, CPU, CHECKS);
    let mut out = format!(
        "\n## Adaptive, with tuned intervals\n\nThe same attributes for every machine: at most {CHECKS} checks in a window, which is \
         never shorter than {:.1} s, so that checks take\n{} of a CPU at most; intervals tuned to see 4% of what could be seen, up to \
         {} s; {WINDOWS} windows in an aggregation; at most {}\nregions. Classic, in the last column, has the same attributes.\n\n\
         | machine | hot data found | precision | from the start | after it moved | sampling interval | CPU | classic finds |\n\
         |---|---|---|---|---|---|---|---|\n",
        attrs.sampling().as_secs_f64(),
        percent(CPU),
        LONGEST.as_secs(),
        attrs.spec().max_nr_regions
    );
    for ((case, runs), classic) in CASES.iter().zip(adaptive()).zip(tuned_runs(Adjust::Classic)) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {:.1} s | {} | {} |",
            case.name,
            percent(mean(runs, |w| w.recall)),
            percent(mean(runs, |w| w.precision)),
            time(slowest(runs, |w| w.from_start)),
            time(slowest(runs, |w| w.from_move)),
            mean(runs, |w| w.sampling.as_secs_f64()),
            percent(mean(runs, |w| w.cpu)),
            percent(mean(&classic, |w| w.recall)),
        );
    }
    out
}

fn smallest_section() -> String {
    let sweep = TIB_5 as f64 / PAGE as f64 * CHECK.as_secs_f64() / CPU / 3_600.0;
    let mut out = format!(
        "\n## The smallest extent\n\nThe 10 GiB of 5 TiB in ever more extents of one size, until the picture is not good within {} \
         minutes from the start any more:\n\n| CPU | checks in a window | smallest extent found | extents | after |\n\
         |---|---|---|---|---|\n",
        PATIENCE.as_secs() / 60
    );
    for cpu in [0.003, CPU, 0.03] {
        let checks = (CHECKS as f64 * cpu / CPU) as u64;
        let (extents, runs) = most_extents(cpu, checks);
        let Some(runs) = runs else {
            let _ = writeln!(out, "| {} | {checks} | none | | |", percent(cpu));
            continue;
        };
        let size = machine(TIB_5, 10 << 30, extents).extent();
        let after = time(slowest(&runs, |w| w.from_start));
        let _ = writeln!(out, "| {} | {checks} | {} KiB | {extents} | {after} |", percent(cpu), size >> 10);
    }
    out.push_str(LIMIT);
    let _ = write!(
        out,
        "\nPages of {PAGE} bytes scattered one by one over 5 TiB cannot be found at any such budget, by no algorithm that checks pages: \
         to look at each\nonce takes {sweep:.0} hours at {}. Nor could they be told to a consumer, who would need a region for each.\n",
        percent(CPU)
    );
    out
}

const LIMIT: &str = "
What takes the time is to meet each extent once: half of the checks go round all memory for that, the others to where something is known
to be. A page that was met is looked at again, becomes a region, and the region grows to the extent's edges in steps that double.
";

/// The most extents, doubling from about an eighth of what there are checks for, that are found in time, and the runs that
/// found them.
fn most_extents(cpu: f64, checks: u64) -> (u64, Option<Vec<Watched>>) {
    let attrs = tuned(Adjust::Adaptive, cpu, checks);
    let mut best = (1, None);
    for extents in (checks.ilog2() - 3..21).map(|n| 1 << n) {
        let runs = seeds(machine(TIB_5, 10 << 30, extents), &attrs, PATIENCE, false);
        if runs.iter().any(|w| w.from_start.is_none()) {
            break;
        }
        best = (extents, Some(runs));
    }
    best
}

fn percent(part: f64) -> String {
    format!("{:.1}%", part * 100.0)
}

fn time(t: Option<Duration>) -> String {
    match t {
        None => "never".into(),
        Some(t) if t.as_secs() >= 600 => format!("{:.0} min", t.as_secs_f64() / 60.0),
        Some(t) => format!("{:.1} s", t.as_secs_f64()),
    }
}
