//! A big machine of known truth, and a monitor that watches it until its picture is good.

use std::time::Duration;

use damon_core::{AddrRange, Attrs, Instant, Monitor, Rng, Target, TargetId, TargetSpec, Window};
use damon_ops_sim::memory::Mapping;
use damon_ops_sim::scenario::reported;
use damon_ops_sim::score::Scorer;
use damon_ops_sim::workload::{Blocks, Heat, Picture, Place};
use damon_ops_sim::{Clock, SimMemory, SimTarget, window};

pub(crate) const GIB: u64 = 1 << 30;
pub(crate) const PAGE: u64 = 4096;
/// All accesses, in a second.
pub(crate) const ACCESSES_HZ: f64 = 1.75e6;
/// The CPU time of a check.
pub(crate) const CHECK: Duration = Duration::from_nanos(1_500);

/// Precision and recall of a good snapshot, and so many of them in a row make quality.
const QUALITY: f64 = 0.9;
const STREAK: u32 = 3;
/// Figures are of so many aggregations once quality was reached.
const SETTLED: usize = 20;

const TARGET: TargetId = TargetId::new(0);

/// Memory of which a part is hot: it has all accesses, each of its pages as many. The rest is idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) bytes: u64,
    pub(crate) hot_bytes: u64,
    /// The hot part lies in so many extents of one size.
    pub(crate) extents: u64,
}

impl Machine {
    /// The accesses that a hot page has in a second.
    pub(crate) fn hz(&self) -> f64 {
        ACCESSES_HZ / (self.hot_bytes / PAGE) as f64
    }

    /// The probability that a hot page is accessed in a window.
    pub(crate) fn probability(&self, window: Duration) -> f64 {
        -(-self.hz() * window.as_secs_f64()).exp_m1()
    }

    /// Bytes of an extent: whole pages.
    pub(crate) fn extent(&self) -> u64 {
        self.hot_bytes / self.extents / PAGE * PAGE
    }

    /// Each extent lies somewhere in its equal share of memory.
    pub(crate) fn heats(&self, seed: u64) -> Vec<Heat> {
        let (share, size, mut rng) = (self.bytes / self.extents, self.extent(), Rng::new(seed));
        let mut place = |i: u64| {
            let start = i * share + rng.below((share - size) / PAGE + 1) * PAGE;
            Heat::reads(AddrRange::from_len(start, size).unwrap(), self.hz())
        };
        (0..self.extents).map(&mut place).collect()
    }
}

/// What came of watching.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watched {
    /// Of what was reported hot the part that is, and of what is hot the part that was reported, once it had settled.
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    /// From the start, and from when the hot part moved, until the first of three good snapshots in a row was there.
    pub(crate) from_start: Option<Duration>,
    pub(crate) from_move: Option<Duration>,
    /// The part of a CPU that the checks took, over all, and the most in an aggregation.
    pub(crate) cpu: f64,
    pub(crate) most_cpu: f64,
    /// The sampling interval in the end.
    pub(crate) sampling: Duration,
}

struct Watch {
    machine: Machine,
    clock: Clock,
    ops: SimMemory,
    monitor: Monitor,
    busy: Duration,
    most_cpu: f64,
}

/// Watches until quality is reached, and where `moves`, has the hot part move then and watches until it is reached again; gives
/// up either after `patience`.
pub(crate) fn watch(machine: Machine, attrs: Attrs, seed: u64, patience: Duration, moves: bool) -> Watched {
    let clock = Clock::new();
    let mut ops = SimMemory::new(seed, &clock);
    let all = Mapping::new(AddrRange::new(0, machine.bytes).unwrap());
    ops.insert(TARGET, SimTarget::new(vec![all], Blocks::default()).unwrap());
    let mut monitor = Monitor::new(attrs, seed);
    monitor.add_target(TargetSpec::new(TARGET));
    let mut watch = Watch { machine, clock, ops, monitor, busy: Duration::ZERO, most_cpu: 0.0 };

    let (from_start, (precision, recall)) = watch.until_good(2 * seed, patience);
    let from_move = from_start.filter(|_| moves).and_then(|_| watch.until_good(2 * seed + 1, patience).0);
    Watched {
        precision,
        recall,
        from_start,
        from_move,
        cpu: watch.busy.as_secs_f64() / (watch.clock.now() - Instant::ZERO).as_secs_f64(),
        most_cpu: watch.most_cpu,
        sampling: watch.monitor.attrs().sampling(),
    }
}

impl Watch {
    /// Has the hot part where `place` says. How long until snapshots are good, and precision and recall of those after
    /// that, or of the last ones where they never are.
    fn until_good(&mut self, place: u64, patience: Duration) -> (Option<Duration>, (f64, f64)) {
        let heats = self.machine.heats(place);
        let truth = Picture::new(&heats);
        self.ops.set_workload(TARGET, Blocks::new(heats));
        let start = self.clock.now();
        let (mut reached, mut row, mut first, mut seen) = (None, 0, Duration::ZERO, Vec::new());
        loop {
            let (precision, recall) = self.aggregation(&truth);
            seen.push((precision, recall));
            let took = self.clock.now() - start;
            if reached.is_none() {
                row = if precision >= QUALITY && recall >= QUALITY { row + 1 } else { 0 };
                first = if row == 1 { took } else { first };
                if row == STREAK {
                    reached = Some(first);
                    seen.clear();
                } else if took > patience {
                    break;
                }
            } else if seen.len() == SETTLED {
                break;
            }
        }
        let settled = &seen[seen.len().saturating_sub(SETTLED)..];
        let n = settled.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| settled.iter().map(of).sum::<f64>() / n;
        (reached, (mean(|s| s.0), mean(|s| s.1)))
    }

    /// Precision and recall of the next snapshot: hot is reported what has at least half the rate that hot pages have.
    fn aggregation(&mut self, truth: &Picture) -> (f64, f64) {
        let (start, mut checks) = (self.clock.now(), 0);
        loop {
            match window(&mut self.monitor, &mut self.ops, &self.clock).unwrap() {
                Some(Window::Counted(stats)) => checks += stats.checks,
                Some(Window::Aggregated(stats)) => {
                    checks += stats.checks;
                    break;
                }
                other => panic!("it watches: {other:?}"),
            }
        }
        let busy = CHECK * checks;
        self.busy += busy;
        self.most_cpu = self.most_cpu.max(busy.as_secs_f64() / (self.clock.now() - start).as_secs_f64());

        let sampling = self.monitor.attrs().sampling();
        let mut scorer = Scorer::new(self.machine.probability(sampling) / 2.0);
        let regions = self.monitor.view().targets().iter().flat_map(Target::regions);
        scorer.snapshot(
            regions.map(|r| (r.range(), reported(r))),
            truth,
            sampling.as_secs_f64(),
            Place { phase: 0, since: 0, of: 1 },
        );
        let score = scorer.score();
        (score.precision, score.recall)
    }
}
