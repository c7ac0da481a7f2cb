//! A process that knows what it touches, in phases, by reads and writes: how well is it seen, by us and by the kernel?

use std::thread::sleep;
use std::time::{Duration, Instant as Wall};

use damon_core::{AddrRange, Attrs, AttrsSpec, Instant, Monitor, Next, Ops, TargetSpec, Window};
use damon_ops_sim::score::{Score, Scorer};
use damon_ops_sim::workload::{Heat, Picture as Truth, Place};
use damon_ops_vaddr::Method;

use crate::kernel::Kdamond;
use crate::support::{Do, Memory, Peer, TARGET, handed, in_vm, lacks, quarter};

/// Few enough that a slow machine, too, touches its hot ones in each window.
const PAGES: u64 = 2_048;
const MAX_REGIONS: usize = 100;
/// The quarter of each phase.
const PHASES: [u64; 3] = [0, 2, 1];
/// After a phase began so long is left for the picture to settle; then so long is scored.
const SETTLE: Duration = Duration::from_secs(6);
const SCORED: Duration = Duration::from_secs(4);

/// Regions with the rate of each.
pub(crate) type Picture = Vec<(AddrRange, f64)>;

/// Goes through the phases, `step` by `step`; a step may give a snapshot.
fn phases(peer: &mut Peer, mut step: impl FnMut() -> Option<Picture>) -> Score {
    let mut scorer = Scorer::new(0.5);
    for (phase, n) in PHASES.into_iter().enumerate() {
        peer.order(Do::Work, n);
        let truth = Truth::new(&[Heat::reads(quarter(peer.range, n), 1e9)]);
        let (began, mut since) = (Wall::now(), 0);
        while began.elapsed() < SETTLE + SCORED {
            let snapshot = step();
            if let Some(regions) = snapshot.filter(|_| began.elapsed() >= SETTLE) {
                scorer.snapshot(regions, &truth, 0.02, Place { phase, since, of: 20 });
                since += 1;
            }
        }
        assert!(since >= 3, "phase {phase}: {since} snapshots");
        peer.order(Do::Read, 0);
        assert_eq!((peer.done(), peer.done()), (0, 0));
    }
    scorer.score()
}

/// Windows so long that an emulated CPU on a busy machine gets its share in each.
fn spec() -> AttrsSpec {
    let (sampling, aggregation) = (Duration::from_millis(20), Duration::from_millis(400));
    AttrsSpec { sampling, aggregation, max_nr_regions: MAX_REGIONS, ..AttrsSpec::default() }
}

/// One window, and what it brought if it ended an aggregation.
fn window<O: Ops>(monitor: &mut Monitor, ops: &mut O, began: Wall) -> Option<Picture> {
    let now = || Instant::from_nanos(began.elapsed().as_nanos() as u64);
    match monitor.begin(now(), ops).unwrap() {
        Next::At(at) => sleep(Duration::from_nanos(at.as_nanos().saturating_sub(now().as_nanos()))),
        _ => return None,
    }
    match monitor.end(now(), ops).unwrap() {
        Window::Aggregated(_) => {
            let regions = |t: &damon_core::Target| {
                let rate = |r: &damon_core::Region| (r.range(), f64::from(r.rate().map_or(0, |bp| bp.0)) / 10_000.0);
                t.regions().iter().map(rate).collect()
            };
            monitor.view().targets().first().map(regions)
        }
        _ => None,
    }
}

#[test]
fn reads_and_writes_of_a_process_are_seen_no_worse_than_by_the_kernel() {
    let Some((mut ops, mut peer)) = handed(Method::RwpAsync, Memory::Private, PAGES) else { return };
    let mut monitor = Monitor::new(Attrs::try_from(spec()).unwrap(), 1);
    monitor.commit_targets([TargetSpec::new(TARGET)]);
    let began = Wall::now();
    let ours = phases(&mut peer, || window(&mut monitor, &mut ops, began));
    println!("RWP_ASYNC: precision {:.3}, recall {:.3}, {:.0} regions", ours.precision, ours.recall, ours.regions);
    assert!(ours.precision >= 0.9 && ours.recall >= 0.9, "{ours:?}");
    drop(ops);

    if !in_vm() {
        return lacks("a kernel DAMON that nobody else uses");
    }
    let mut kernel = Kdamond::vaddr(peer.pid as u32, &spec()).unwrap();
    let memory = peer.range;
    let theirs = phases(&mut peer, || {
        sleep(Duration::from_millis(400));
        // It watches the whole process.
        let within = kernel.picture().into_iter().filter_map(|(range, rate)| Some((range.intersection(memory)?, rate)));
        let mut picture: Picture = within.collect();
        picture.sort_by_key(|(range, _)| range.start());
        Some(picture)
    });
    println!(
        "kernel DAMON: precision {:.3}, recall {:.3}, {:.0} regions",
        theirs.precision, theirs.recall, theirs.regions
    );
    assert!(ours.precision >= theirs.precision - 0.02, "{ours:?} {theirs:?}");
    assert!(ours.recall >= theirs.recall - 0.02, "{ours:?} {theirs:?}");
}

#[test]
fn writes_of_a_process_are_seen_where_reads_are_invisible() {
    let Some((mut ops, mut peer)) = handed(Method::WpAsync, Memory::Shared, PAGES) else { return };
    let mut monitor = Monitor::new(Attrs::try_from(spec()).unwrap(), 1);
    monitor.commit_targets([TargetSpec::new(TARGET)]);
    let began = Wall::now();
    let mut scorer = Scorer::new(0.5);
    for n in [3, 1] {
        peer.order(Do::Scribble, n);
        let truth = Truth::new(&[Heat::reads(quarter(peer.range, n), 1e9)]);
        let phase = Wall::now();
        while phase.elapsed() < SETTLE {
            let snapshot = window(&mut monitor, &mut ops, began);
            if let Some(regions) = snapshot.filter(|_| phase.elapsed() > SETTLE / 2) {
                scorer.snapshot(regions, &truth, 0.02, Place { phase: 0, since: 1, of: 2 });
            }
        }
        peer.order(Do::Read, 0);
        assert_eq!((peer.done(), peer.done()), (0, 0));
    }
    let score = scorer.score();
    println!("WP_ASYNC: precision {:.3}, recall {:.3}", score.precision, score.recall);
    assert!(score.precision >= 0.9 && score.recall >= 0.9, "{score:?}");
}
