//! What does the monitor itself cost: per check, and per region and aggregation? And what a linked list?
//!
//! Ends with a table of medians and ratios. A "region" is one that was sampled: half as many are left after merging. `Adaptive` does not
//! split at random: it makes as many checks, two in each of half as many regions.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use benches::{LinkedList, Monitored, WINDOWS, Watcher};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use damon_core::Adjust;

const REGIONS: [usize; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];

/// What is timed of an aggregation.
#[derive(Clone, Copy)]
enum Part {
    /// The windows but one, all alike.
    Checks,
    /// The last window's end and the next one's begin, less what an ordinary window takes.
    Adjusting,
}

/// Nanoseconds per check, or per region and aggregation: of each aggregation, by regions and by who and what. Their median
/// is not moved by the few in which the CPU was taken away, as criterion's means of many are.
type Figures = RefCell<BTreeMap<(usize, &'static str), Vec<f64>>>;

/// Takes the time of each aggregation.
type Each<'a> = &'a mut dyn FnMut(Duration);

fn time(part: Part, iterations: u64, watcher: &mut impl Watcher, each: Each<'_>) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..iterations {
        let start = Instant::now();
        watcher.windows();
        let checks = start.elapsed();
        let start = Instant::now();
        watcher.end_last();
        watcher.begin_first();
        let adjusting = start.elapsed().saturating_sub(checks / (WINDOWS - 1));
        let took = match part {
            Part::Checks => checks,
            Part::Adjusting => adjusting,
        };
        each(took);
        total += took;
    }
    total
}

fn bench(c: &mut Criterion, figures: &Figures, part: Part, name: &str, who: [&'static str; 3]) {
    for n in REGIONS {
        let mut group = c.benchmark_group(name);
        let elements = match part {
            Part::Checks => n as u64 * u64::from(WINDOWS - 1),
            Part::Adjusting => n as u64,
        };
        group.throughput(Throughput::Elements(elements));
        group.sampling_mode(SamplingMode::Flat).sample_size(20).warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(2));
        let mut run = |who: &'static str, time: &mut dyn FnMut(u64, Each<'_>) -> Duration| {
            group.bench_function(BenchmarkId::new(who.rsplit(' ').next().unwrap_or(who), n), |b| {
                b.iter_custom(|iterations| {
                    let mut figures = figures.borrow_mut();
                    let all = figures.entry((n, who)).or_default();
                    time(iterations, &mut |took| all.push(took.as_secs_f64() * 1e9 / elements as f64))
                });
            });
        };
        // Made when they are first run: a filter on the command line may leave them out.
        let mut list = None;
        run(who[0], &mut |i, each| time(part, i, list.get_or_insert_with(|| warm(LinkedList::new(n), n)), each));
        drop(list);
        for (who, adjust) in [(who[1], Adjust::Classic), (who[2], Adjust::Adaptive)] {
            let mut monitored = None;
            run(who, &mut |i, each| {
                let new = || Monitored::new(n, adjust).expect("at least 6 regions");
                time(part, i, monitored.get_or_insert_with(|| warm(new(), n)), each)
            });
        }
    }
}

/// Runs until it is in a steady state, and makes sure that it is the one to be timed.
fn warm<W: Watcher>(mut watcher: W, regions: usize) -> W {
    let mut checks = 0;
    watcher.begin_first();
    for _ in 0..10 {
        checks = watcher.windows() / u64::from(WINDOWS - 1);
        watcher.end_last();
        watcher.begin_first();
    }
    // A boundary that is looked at costs two checks, so an odd one may be left.
    assert!((regions as u64 * 97 / 100..=regions as u64).contains(&checks), "{checks} checks in a window");
    watcher
}

fn main() {
    let figures = Figures::default();
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion, &figures, Part::Checks, "check", ["check list", "check classic", "check adaptive"]);
    bench(&mut criterion, &figures, Part::Adjusting, "adjust", ["adjust list", "adjust classic", "adjust adaptive"]);
    criterion.final_summary();

    let mut figures = figures.into_inner();
    let mut median = |n, who| {
        let all = figures.get_mut(&(n, who))?;
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    };
    println!("median ns      |            per check             |     per region and aggregation");
    println!("    regions    |   list  classic   adaptive       |   list  classic   adaptive");
    for n in REGIONS {
        // A filter on the command line leaves some out.
        let mut part = |who: [&'static str; 3]| {
            let [list, classic, adaptive] = who.map(|who| median(n, who).unwrap_or(f64::NAN));
            format!("{list:7.1}  {classic:7.1}  {adaptive:7.1} {:5.2} ", adaptive / list)
        };
        let check = part(["check list", "check classic", "check adaptive"]);
        println!("{n:11}    | {check} | {}", part(["adjust list", "adjust classic", "adjust adaptive"]));
    }
}
