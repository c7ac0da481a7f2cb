//! Schemes on physical memory, steered by the machine's own metrics.

use std::time::Duration;

use damon_core::control::watermarks::Marks;
use damon_core::{Attrs, AttrsSpec, Instant, Metric, Monitor, Next, TargetId, TargetSpec};
use damon_ops_paddr::{ActorOptions, Area, HostMetrics, Paddr, PaddrActor};
use damos::Context;
use damos::preset::{LruSort, Reclaim};
use damos::scheme::Watermarks;

use crate::child::{Workload, alone, in_vm, lacks, ranges};
use crate::sees::paddr;

const TARGET: TargetId = TargetId::new(0);

/// A context on the frames of a child, and what acts and measures.
fn context(child: &Workload, reclaim: &Reclaim) -> Option<Context<Paddr>> {
    let mut paddr = paddr()?;
    if !in_vm() {
        lacks("a machine whose memory may be paged out");
        return None;
    }
    let frames = ranges(child.frames().into_iter().flatten());
    let nr_ranges = frames.len();
    paddr.watch(TARGET, Area::Ranges(frames)).unwrap();
    let (attrs, mut schemes) = reclaim.plan();
    let attrs = AttrsSpec {
        sampling: Duration::from_millis(50),
        aggregation: Duration::from_millis(500),
        // Each range of frames is one region at least.
        max_nr_regions: 300 + nr_ranges,
        ..attrs
    };
    schemes.iter_mut().for_each(|scheme| scheme.verify = true);
    let mut monitor = Monitor::new(Attrs::try_from(attrs).unwrap(), 3);
    monitor.add_target(TargetSpec::new(TARGET));
    let mut context = Context::new(monitor, paddr);
    context.set_actor(PaddrActor::new(ActorOptions::default()).unwrap());
    context.set_metrics(HostMetrics::new());
    context.set_schemes(schemes).unwrap();
    Some(context)
}

/// Runs until `now` is later by `time`: a clock that goes by the child, which touches all that is hot in each step.
fn run(context: &mut Context<Paddr>, child: &mut Workload, now: &mut Instant, time: Duration) {
    let end = *now + time;
    while *now < end {
        let Next::At(due) = context.step(*now, Duration::ZERO).unwrap() else { panic!("nothing to watch") };
        child.lap();
        *now = due;
    }
}

fn reclaim(marks: Marks) -> Reclaim {
    let watermarks = Watermarks { metric: Metric::FreeMemRatePermille, interval: Duration::from_secs(1), marks };
    // An emulated CPU takes long for everything.
    let time = Duration::from_secs(1);
    Reclaim { min_age: Duration::from_secs(3), time, watermarks: Some(watermarks), ..Reclaim::default() }
}

#[test]
fn reclaim_pages_out_the_frames_that_nobody_touches() {
    let _alone = alone();
    let mut child = Workload::start(16_384);
    child.heat(4_096..8_192);
    // Below 99.9% free it works.
    let marks = Marks { high: 1_000, mid: 999, low: 10 };
    let Some(mut context) = context(&child, &reclaim(marks)) else { return };
    let (mut now, mut hot, mut cold) = (Instant::ZERO, 0, usize::MAX);
    while cold > 12_288 / 4 && now < Instant::ZERO + Duration::from_secs(300) {
        run(&mut context, &mut child, &mut now, Duration::from_secs(1));
        let present = |(n, frame): (usize, Option<_>)| frame.map(|_| (4_096..8_192).contains(&n));
        let (in_hot, in_cold): (Vec<_>, Vec<_>) =
            child.frames().into_iter().enumerate().filter_map(present).partition(|hot| *hot);
        (hot, cold) = (in_hot.len(), in_cold.len());
    }
    println!("{:?}", context.schemes().stats(0));
    println!("in memory: {hot} of 4096 hot pages, {cold} of 12288 cold ones");
    assert!(hot >= 3_700 && cold <= 12_288 / 2);
    assert_eq!(child.damaged(), 0);
}

#[test]
fn above_the_high_watermark_nothing_is_done() {
    let _alone = alone();
    let mut child = Workload::start(4_096);
    let Some(mut context) = context(&child, &reclaim(Marks { high: 500, mid: 400, low: 200 })) else { return };
    run(&mut context, &mut child, &mut { Instant::ZERO }, Duration::from_secs(8));
    assert_eq!(child.frames().into_iter().flatten().count(), 4_096);
}

#[test]
fn what_is_hot_cannot_be_moved_up_its_list_and_is_refused_when_the_scheme_is_set() {
    let _alone = alone();
    let child = Workload::start(16);
    let Some(mut context) = context(&child, &Reclaim::default()) else { return };
    let (_, schemes) = LruSort::default().plan().unwrap();
    let e = context.set_schemes(schemes.clone()).unwrap_err().to_string();
    assert!(e.contains("LruPrio") && e.contains("lru_deprio"), "{e}");
    context.set_schemes(schemes.into_iter().skip(1).collect()).unwrap();
}
