//! A process that knows what it touches is found by its frames.

use std::ops::Range;
use std::time::{Duration, Instant as Clock};

use damon_core::{
    Attrs, AttrsSpec, Bp, Filter, Instant, Monitor, Next, Ops, PageFilter, Probe, Sample, Seen, TargetId, TargetSpec,
    Want, Window,
};
use damon_ops_paddr::{Area, Paddr};
use damon_ops_vaddr::linux::Pfn;

use crate::child::{PAGE, Workload, alone, lacks, ranges};

const TARGET: TargetId = TargetId::new(0);

pub(crate) fn paddr() -> Option<Paddr> {
    match Paddr::new() {
        Ok(paddr) => Some(paddr),
        Err(e) => {
            lacks(e);
            None
        }
    }
}

#[test]
fn capabilities_tell_what_works() {
    let _alone = alone();
    let Some(paddr) = paddr() else { return };
    println!("{}", paddr.capabilities());
    assert!(paddr.capabilities().facilities.iter().all(|f| f.fails.is_none()));
}

#[test]
fn touched_frames_are_told_from_untouched_ones() {
    let _alone = alone();
    let Some(mut paddr) = paddr() else { return };
    let mut child = Workload::start(8_192);
    child.heat(2_048..6_144);
    paddr.watch(TARGET, Area::SystemRam).unwrap();
    let frames: Vec<Pfn> = child.frames().into_iter().flatten().collect();
    assert_eq!(frames.len(), 8_192);
    let mut truth: Vec<(Pfn, bool)> =
        frames.iter().enumerate().map(|(n, &pfn)| (pfn, (2_048..6_144).contains(&n))).collect();
    truth.sort_unstable();
    let mut samples: Vec<Sample> = truth.iter().map(|(pfn, _)| Sample::new(TARGET, pfn.0 * PAGE)).collect();
    let started = Clock::now();
    paddr.arm(&samples).unwrap();
    let armed = started.elapsed();
    child.lap();
    let started = Clock::now();
    paddr.check(&mut samples, &Want::new(true, &[])).unwrap();
    let checked = started.elapsed();
    let count = |seen: bool, hot: bool| {
        samples.iter().zip(&truth).filter(|(s, t)| s.seen.is_access() == seen && t.1 == hot).count() as f64
    };
    let unknown = samples.iter().filter(|s| s.seen == Seen::Unknown).count();
    let recall = count(true, true) / 4_096.0;
    let precision = count(true, true) / (count(true, true) + count(true, false));
    println!("frames: precision {precision:.4} recall {recall:.4}, {unknown} of 8192 unknown");
    println!("8192 samples: armed in {armed:?}, checked in {checked:?}");
    assert!(precision >= 0.9 && recall >= 0.9 && unknown < 200);
}

/// Monitors `area` until what it finds hot, among frames of a process, is what the process touches; or for too long.
///
/// The monitor's clock goes by the process: a window lasts until all that is hot was touched in it. So what is true does not depend
/// on how much of a busy machine the process gets.
fn monitored(area: impl FnOnce(&[Option<Pfn>]) -> Area, regions: Range<usize>) {
    let _alone = alone();
    let Some(mut paddr) = paddr() else { return };
    let mut child = Workload::start(32_768);
    child.heat(8_192..24_576);
    let frames = child.frames();
    let nr_ranges = ranges(frames.iter().copied().flatten()).len();
    let hot = |n: usize| (8_192..24_576).contains(&n);
    paddr.watch(TARGET, area(&frames)).unwrap();
    let attrs = AttrsSpec {
        sampling: Duration::from_millis(100),
        aggregation: Duration::from_millis(1_000),
        min_nr_regions: regions.start,
        // Where free memory was scattered, so are the frames: each of their ranges is one region at least.
        max_nr_regions: regions.end + nr_ranges,
        ..AttrsSpec::default()
    };
    let mut monitor = Monitor::new(Attrs::try_from(attrs).unwrap(), 7);
    monitor.add_target(TargetSpec::new(TARGET));
    let (started, mut now) = (Clock::now(), Instant::ZERO);
    let (mut precision, mut recall, mut last) = (0.0, 0.0, None);
    while now < Instant::ZERO + Duration::from_secs(300) && (precision < 0.9 || recall < 0.9) {
        let Next::At(due) = monitor.begin(now, &mut paddr).unwrap() else { panic!("nothing to watch") };
        child.lap();
        now = due;
        let Window::Aggregated(stats) = monitor.end(now, &mut paddr).unwrap() else { continue };
        last = Some(stats);
        let view = monitor.view();
        let regions = view.targets()[0].regions();
        let found = |pfn: Pfn| {
            let at = regions.partition_point(|r| r.range().end() <= pfn.0 * PAGE);
            let around = regions.get(at).filter(|r| r.range().contains(pfn.0 * PAGE));
            around.is_some_and(|r| r.rate().is_some_and(|rate| rate >= Bp(5_000)))
        };
        let told = frames.iter().enumerate().filter_map(|(n, pfn)| Some((hot(n), found((*pfn)?))));
        let count = |is: fn(bool, bool) -> bool| told.clone().filter(|&(hot, found)| is(hot, found)).count() as f64;
        let both = count(|hot, found| hot && found);
        precision = both / f64::max(count(|_, found| found), 1.0);
        recall = both / count(|hot, _| hot);
    }
    println!("regions: precision {precision:.3} recall {recall:.3} after {now:?}, which took {:?}", started.elapsed());
    println!("{nr_ranges} ranges of frames: {last:?}");
    assert!(precision >= 0.9 && recall >= 0.9);
}

#[test]
fn a_monitor_of_a_processs_frames_finds_the_hot_ones() {
    monitored(|frames| Area::Ranges(ranges(frames.iter().copied().flatten())), 20..400);
}

#[test]
fn a_monitor_of_all_memory_finds_the_hot_frames_of_a_process() {
    monitored(|_| Area::SystemRam, 300..1_000);
}

#[test]
fn the_last_frames_of_memory_can_be_armed() {
    let _alone = alone();
    let Some(mut paddr) = paddr() else { return };
    let ram = Area::SystemRam.ranges("/".as_ref(), PAGE).unwrap();
    let end = ram.last().unwrap().end();
    paddr.watch(TARGET, Area::SystemRam).unwrap();
    // Memory may end amid a word of the bitmap; alone, and with the words before it.
    for pages in [1, 3, 200] {
        let mut samples: Vec<Sample> = (0..pages).rev().map(|n| Sample::new(TARGET, end - (n + 1) * PAGE)).collect();
        paddr.arm(&samples).unwrap();
        paddr.check(&mut samples, &Want::new(true, &[])).unwrap();
    }
}

#[test]
fn probes_know_anonymous_memory_and_folio_sizes() {
    let _alone = alone();
    let Some(mut paddr) = paddr() else { return };
    let child = Workload::start(256);
    paddr.watch(TARGET, Area::SystemRam).unwrap();
    let probe = |page| Probe { filters: vec![Filter { page, matching: true, allow: true }], weight: 0 };
    let small = PageFilter::HugepageSize { min: PAGE, max: PAGE };
    let probes = [probe(PageFilter::Anon), probe(small), probe(PageFilter::Unmapped)];
    let mut frames: Vec<Pfn> = child.frames().into_iter().flatten().collect();
    frames.sort_unstable();
    let mut samples: Vec<Sample> = frames.iter().map(|pfn| Sample::new(TARGET, pfn.0 * PAGE)).collect();
    paddr.check(&mut samples, &Want::new(false, &probes)).unwrap();
    assert!(samples.iter().all(|s| s.attrs == 0b011), "{samples:?}");
}
