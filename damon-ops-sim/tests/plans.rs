//! The monitor in closed loops with simulated memory: what it finds, how soon, and what faults do to it.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::num::NonZeroU64;
use std::time::Duration;

use damon_core::{AddrRange, Attrs, AttrsSpec, Bp, Fault, Sees, TargetId, TargetSpec};
use damon_ops_sim::SimTarget;
use damon_ops_sim::faulty::{Call, Rule, What, When};
use damon_ops_sim::memory::Mapping;
use damon_ops_sim::plan::{Plan, Stage};
use damon_ops_sim::workload::{Blocks, Growing, Heat, Moving, Phases, Scanning, Stack};

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const HOT: f64 = 1e4;

fn mib(start: u64, end: u64) -> AddrRange {
    AddrRange::new(start * MIB, end * MIB).unwrap()
}

fn gib_of_memory() -> Vec<Mapping> {
    vec![Mapping::new(mib(0, 1024))]
}

fn hot(start: u64, end: u64) -> Blocks {
    Blocks::new([Heat::reads(mib(start, end), HOT)])
}

/// Within a tenth of what is true.
fn finds(mib: u64) -> impl Fn(&Stage) -> bool {
    move |s| (mib * MIB * 9 / 10..=mib * MIB * 11 / 10).contains(&s.bytes_at_least(0.5))
}

fn on(call: Call, when: When, what: What) -> Rule {
    Rule { call, when, what }
}

#[test]
fn a_hot_set_that_moves_is_followed() {
    let heat = Heat::reads(mib(0, 128), HOT);
    let moving = Moving { heat, within: mib(0, 1024), by: 256 * MIB, every: SECOND * 10 };
    let mut plan = Plan::new("a hot eighth moves every ten seconds", Attrs::default(), gib_of_memory())
        .workload("it starts to move", moving);
    for _ in 0..6 {
        plan =
            plan.run("most of a stay", SECOND * 9).check("it is found where it is", finds(128)).run("the rest", SECOND);
    }
    plan.go(1);
}

#[test]
fn a_hot_set_that_grows_is_measured() {
    let heat = Heat::reads(mib(256, 768), HOT);
    Plan::new("a hot set grows by 64 MiB every five seconds", Attrs::default(), gib_of_memory())
        .workload("it grows", Growing { heat, from: 64 * MIB, by: 64 * MIB, every: SECOND * 5 })
        .run("four steps", SECOND * 19)
        .check("a quarter of memory is hot", finds(256))
        .run("all steps", SECOND * 20)
        .check("half of memory is hot", finds(512))
        .go(2);
}

#[test]
fn a_scan_does_not_look_like_a_hot_set() {
    let scan = Scanning { within: mib(0, 1024), stride: MIB, period: SECOND * 10, touches: 1.0, writes: 0.0 };
    let both = Stack::new().with(scan).with(hot(512, 640));
    Plan::new("a scan passes over memory once in ten seconds", Attrs::default(), gib_of_memory())
        .workload("a hot eighth, and the scan", both)
        .run("two passes", SECOND * 20)
        .check("only the hot eighth is hot", finds(128))
        .go(3);
}

#[test]
fn age_tells_how_long_a_phase_lasts() {
    let phases = Phases::new().then(SECOND * 20, hot(0, 512)).then(SECOND * 20, hot(512, 1024));
    let oldest = |s: &Stage| s.monitor.view().targets()[0].regions().iter().map(|r| r.age()).max().unwrap_or(0);
    Plan::new("two halves are hot in turn", Attrs::default(), gib_of_memory())
        .workload("the first half is", phases)
        .run("most of the first phase", SECOND * 19)
        .check("regions are old", move |s| oldest(s) > 100)
        .run("the change", SECOND * 2)
        .check("regions are young again", move |s| oldest(s) < 20)
        .check("and the other half is hot", finds(512))
        .go(4);
}

#[test]
fn transient_errors_cost_nothing_but_tries() {
    let every = |n| When::Every(NonZeroU64::new(n).unwrap());
    Plan::new("calls fail now and then", Attrs::default(), gib_of_memory())
        .workload("a hot quarter", hot(0, 256))
        .faults(
            "one arm in three, one check in four, one look at the ranges in two",
            vec![
                on(Call::Arm, every(3), What::Fail(Fault::Transient)),
                on(Call::Check, every(4), What::FailAfter(Fault::Transient)),
                on(Call::Ranges, every(2), What::Fail(Fault::Transient)),
                on(Call::Targets, every(2), What::FailAfter(Fault::Transient)),
            ],
        )
        .run("ten seconds", SECOND * 10)
        .check("errors were met", |s| s.retried > 500)
        .check("no window was lost", |s| s.windows.len() == 2_000 && s.aggregations == 100)
        .check("the hot quarter is found", finds(256))
        .go(5);
}

#[test]
fn an_error_that_is_fatal_ends_it_typed() {
    let e = Plan::new("a check fails for good", Attrs::default(), gib_of_memory())
        .faults("the third check", vec![on(Call::Check, When::At(vec![2]), What::Fail(Fault::Fatal))])
        .run("a second", SECOND)
        .try_go(6)
        .unwrap_err();
    assert!(e.contains("the backend ended it: injected into call 2 of check"), "{e}");
}

#[test]
fn answers_that_nobody_knows_are_neither_hits_nor_misses() {
    let always = When::Every(NonZeroU64::MIN);
    Plan::new("seven of ten checks give no answer", Attrs::default(), gib_of_memory())
        .workload("a hot half", hot(0, 512))
        .faults("unknown", vec![on(Call::Check, always, What::Unknown(Bp(7_000)))])
        .run("twenty seconds", SECOND * 20)
        .check("unknown answers were met", |s| s.windows.iter().any(|w| w.unknown > 0))
        .check("what is hot is found all the same", finds(512))
        .go(7);
}

#[test]
fn memory_that_goes_away_in_mid_window_leaves_the_picture_and_comes_back_young() {
    let mapped = |s: &Stage| s.monitor.view().targets()[0].regions().iter().map(|r| r.size()).sum::<u64>() / MIB;
    Plan::new("a quarter of memory is unmapped", Attrs::default(), gib_of_memory())
        .workload("all of it is hot", hot(0, 1024))
        .run("five seconds", SECOND * 5)
        .act("behind the next samples 256..512 go away", |s| {
            let nth = s.windows.len() as u64;
            s.ops.set_rules(vec![on(Call::Arm, When::At(vec![nth]), What::Unmap(mib(256, 512)))]);
        })
        .run("two seconds", SECOND * 2)
        .check("three quarters are left", move |s| mapped(s) == 768)
        .check("and hot", finds(768))
        .act("they come back", |s| {
            let nth = s.windows.len() as u64;
            s.ops.set_rules(vec![on(Call::Arm, When::At(vec![nth]), What::Restore)]);
        })
        .run("two seconds", SECOND * 2)
        .check("all is there", move |s| mapped(s) == 1024)
        .run("five seconds", SECOND * 5)
        .check("and hot", finds(1024))
        .go(8);
}

#[test]
fn windows_that_come_late_are_counted_once_and_void_where_they_are_much_too_long() {
    let clockwork = |ms| {
        move |s: &mut Stage| {
            let delay = What::Delay(s.clock.clone(), Duration::from_millis(ms));
            s.ops.set_rules(vec![on(Call::Arm, When::Every(NonZeroU64::MIN), delay)]);
        }
    };
    Plan::new("arming takes longer than a window", Attrs::default(), gib_of_memory())
        .workload("a page is accessed once in 50 ms", Blocks::new([Heat::reads(mib(0, 1024), 20.0)]))
        .act("arming takes 8 ms of 5", clockwork(8))
        .run("twenty windows", Duration::from_millis(160))
        .check("each is one sample", |s| s.windows.len() == 20 && s.aggregations == 1)
        .check("and late", |s| s.windows.iter().all(|w| w.late == Duration::from_millis(3) && !w.void))
        .act("arming takes 12 ms", clockwork(12))
        .run("twenty windows", Duration::from_millis(240))
        .check("such windows say nothing of a rate", |s| s.windows[20..].iter().all(|w| w.void))
        .go(9);
}

#[test]
fn targets_come_and_go() {
    let other = TargetId::new(7);
    let regions = move |s: &Stage| {
        let view = s.monitor.view();
        view.targets().iter().find(|t| t.id() == other).map_or(0, |t| t.regions().len())
    };
    let spec = TargetSpec::new(other);
    let target = SimTarget::new(vec![Mapping::new(mib(0, 64))], hot(0, 64)).unwrap();
    Plan::new("a second program starts and ends", Attrs::default(), gib_of_memory())
        .workload("the first is busy", hot(0, 256))
        .run("two seconds", SECOND * 2)
        .act("the second starts", move |s| s.ops.inner_mut().join(spec, target))
        .run("two seconds", SECOND * 2)
        .check("it is watched", move |s| regions(s) > 0)
        .act("it ends in mid-window", move |s| assert!(s.ops.inner_mut().exit(other)))
        .run("two seconds", SECOND * 2)
        .check("it is gone", move |s| regions(s) == 0)
        .check("and the first is still known", finds(256))
        .go(10);
}

#[test]
fn huge_pages_are_never_split() {
    let huge = Mapping { block: 2 * MIB, ..Mapping::new(mib(0, 1024)) };
    // The first regions are cut before a check has told of huge pages: eighths of a GiB end between them.
    let attrs = AttrsSpec { min_nr_regions: 8, ..AttrsSpec::default() };
    Plan::new("memory of huge pages", Attrs::try_from(attrs).unwrap(), vec![huge])
        .workload("one small page of each of the first 128 is hot", {
            let page = |i: u64| Heat::reads(AddrRange::from_len(i * 2 * MIB, 4096).unwrap(), HOT);
            Blocks::new((0..128).map(page).collect::<Vec<_>>())
        })
        .run("twenty seconds", SECOND * 20)
        .check("all of their bytes count as hot", finds(256))
        .check("no region ends in a huge page", |s| {
            s.monitor.view().targets()[0].regions().iter().all(|r| r.range().end() % (2 * MIB) == 0)
        })
        .go(11);
}

#[test]
fn where_reads_are_invisible_only_writes_show_and_what_is_blind_is_never_checked() {
    let half = |range, sees| Mapping { sees, ..Mapping::new(range) };
    let mappings = vec![half(mib(0, 512), Sees::Writes), half(mib(512, 1024), Sees::Nothing)];
    let written = Heat { range: mib(128, 256), hz: HOT, writes: 0.5 };
    Plan::new("a range that sees writes beside one that sees nothing", Attrs::default(), mappings)
        .workload("all is read, an eighth written too", Blocks::new([Heat::reads(mib(0, 1024), HOT), written]))
        .run("twenty seconds", SECOND * 20)
        .check("only what is written shows", finds(128))
        .check("what is blind has no samples", |s| {
            let regions = s.monitor.view().targets()[0].regions();
            regions.iter().filter(|r| r.sees() == Sees::Nothing).all(|r| r.nr_samples() == 0)
        })
        .go(12);
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = |seed| {
        let stage = Plan::new("chance", Attrs::default(), gib_of_memory())
            .workload("lukewarm", Blocks::new([Heat::reads(mib(0, 300), 100.0)]))
            .run("five seconds", SECOND * 5)
            .go(seed);
        (stage.monitor.view().snapshot(), stage.windows)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
