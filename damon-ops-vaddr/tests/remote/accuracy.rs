//! Is what is touched found, and nothing else? Beside the kernel's own DAMON, with the same attributes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Clock};

use damon_core::{AddrRange, Attrs, AttrsSpec, Monitor, Next, Ops, Window};
use damon_ops_vaddr::remote::Watch;

use crate::child::Workload;
use crate::kernel::Kdamond;
use crate::support::{PAGE, in_vm, lacks, remote, say};

const MEMORY_PAGES: u64 = 24 << 10;
const HOT_PAGES: u64 = 3 << 10;
/// A phase, and how much of its beginning is not judged.
const PHASE: Duration = Duration::from_secs(6);
const SETTLING: Duration = Duration::from_secs(2);

pub(crate) fn attrs() -> AttrsSpec {
    AttrsSpec { sampling: Duration::from_millis(10), aggregation: Duration::from_millis(200), ..AttrsSpec::default() }
}

/// What is hot in each phase, by its first page, and how it is touched.
const PHASES: [(u64, &str); 3] = [(0, "writes"), (MEMORY_PAGES / 2, "reads"), (MEMORY_PAGES - HOT_PAGES, "writes")];

/// A snapshot: regions and their part of the highest possible count.
pub(crate) type Picture = Vec<(AddrRange, f64)>;

/// Means of precision and recall over snapshots.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    precision: f64,
    recall: f64,
    snapshots: u32,
}

impl Score {
    /// Takes in a snapshot: hot is what was seen in a fifth of the samples.
    pub(crate) fn add(&mut self, picture: &Picture, memory: AddrRange, truth: AddrRange) {
        let hot = picture.iter().filter(|(_, rate)| *rate >= 0.2);
        let inside: Vec<AddrRange> = hot.filter_map(|(range, _)| range.intersection(memory)).collect();
        let all: u64 = inside.iter().map(|r| r.size()).sum();
        let right: u64 = inside.iter().filter_map(|r| r.intersection(truth)).map(|r| r.size()).sum();
        self.precision += if all > 0 { right as f64 / all as f64 } else { 0.0 };
        self.recall += right as f64 / truth.size() as f64;
        self.snapshots += 1;
    }

    pub(crate) fn mean(self) -> (f64, f64) {
        (self.precision / f64::from(self.snapshots), self.recall / f64::from(self.snapshots))
    }
}

/// CPU time in nanoseconds, by a `schedstat`.
fn cpu(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Tells the workload to be in a phase; where it is hot then.
fn enter(workload: &mut Workload, memory: AddrRange, phase: usize) -> AddrRange {
    let (first, kind) = PHASES[phase];
    workload.tell(&format!("sweep {first} {HOT_PAGES} 0 {kind}"));
    AddrRange::from_len(memory.start() + first * PAGE, HOT_PAGES * PAGE).unwrap()
}

/// Steps a monitor in real time, for `time`; each aggregation goes to `seen`, with the time since the beginning.
pub(crate) fn run<O: Ops>(
    monitor: &mut Monitor,
    ops: &mut O,
    epoch: Clock,
    time: Duration,
    mut seen: impl FnMut(&Monitor, Duration),
) {
    let now = || damon_core::Instant::from_nanos(epoch.elapsed().as_nanos() as u64);
    let begun = Clock::now();
    while begun.elapsed() < time {
        let next = monitor.begin(now(), ops);
        match next.unwrap_or_else(|e| panic!("{e}")) {
            Next::At(at) => std::thread::sleep(at - now()),
            _ => panic!("nobody pauses it"),
        }
        let window = monitor.end(now(), ops);
        if let Window::Aggregated(_) = window.unwrap_or_else(|e| panic!("{e}")) {
            seen(monitor, begun.elapsed());
        }
    }
}

/// Regions of all targets as a picture.
pub(crate) fn picture(monitor: &Monitor) -> Picture {
    let view = monitor.view();
    let rate = |r: &damon_core::Region| f64::from(r.nr_accesses()) / f64::from(r.nr_samples().max(1));
    view.targets().iter().flat_map(|t| t.regions()).map(|r| (r.range(), rate(r))).collect()
}

#[test]
fn what_is_touched_is_found_as_well_as_kernel_damon_finds_it() {
    let Some(mut remote) = remote() else { return };
    let mut workload = Workload::start();
    let memory = workload.map("private", MEMORY_PAGES);
    remote.watch(Watch::process(workload.pid())).unwrap();
    let mut monitor = Monitor::new(Attrs::try_from(attrs()).unwrap(), 1);
    let (epoch, thread) = (Clock::now(), PathBuf::from("/proc/thread-self/schedstat"));
    let mut ours = Score::default();
    let (mut windows_regions, before) = ((0, 0), cpu(&thread));
    for phase in 0..PHASES.len() {
        let truth = enter(&mut workload, memory, phase);
        run(&mut monitor, &mut remote, epoch, PHASE, |monitor, at| {
            if at > SETTLING {
                ours.add(&picture(monitor), memory, truth);
                windows_regions.0 += 1;
                windows_regions.1 += monitor.view().targets().iter().map(|t| t.regions().len()).sum::<usize>();
            }
        });
    }
    let time = PHASE.as_nanos() as f64 * PHASES.len() as f64;
    let our_cpu = (cpu(&thread) - before) as f64 / time;
    let (precision, recall) = ours.mean();
    say(&format!(
        "page_idle:    precision {precision:.3} recall {recall:.3} over {} snapshots, {:.2}% of a CPU, {} regions on average",
        ours.snapshots,
        our_cpu * 100.0,
        windows_regions.1 / windows_regions.0.max(1)
    ));
    assert!(precision >= 0.9 && recall >= 0.9, "precision {precision:.3} recall {recall:.3}");
    drop(remote);

    // Never on a machine where somebody else may use it.
    if !in_vm() {
        return lacks("a kernel DAMON that nobody else uses");
    }
    let mut kdamond = match Kdamond::vaddr(workload.pid(), &attrs()) {
        Ok(kdamond) => kdamond,
        Err(e) => panic!("kernel DAMON does not start: {e}"),
    };
    let thread = PathBuf::from(format!("/proc/{}/schedstat", kdamond.pid()));
    let (mut theirs, before) = (Score::default(), cpu(&thread));
    for phase in 0..PHASES.len() {
        let (truth, begun) = (enter(&mut workload, memory, phase), Clock::now());
        std::thread::sleep(SETTLING);
        while begun.elapsed() < PHASE {
            theirs.add(&kdamond.picture(), memory, truth);
        }
    }
    let their_cpu = (cpu(&thread) - before) as f64 / time;
    let (kernel_precision, kernel_recall) = theirs.mean();
    say(&format!(
        "kernel DAMON: precision {kernel_precision:.3} recall {kernel_recall:.3} over {} snapshots, {:.2}% of a CPU",
        theirs.snapshots,
        their_cpu * 100.0
    ));
    assert!(precision >= kernel_precision - 0.02 && recall >= kernel_recall - 0.02, "the kernel's is better");
}

#[test]
fn the_judge_knows_right_from_wrong() {
    let range = |a, b| AddrRange::new(a, b).unwrap();
    let (memory, truth) = (range(0, 1000), range(100, 200));
    let of = |picture: Picture| {
        let mut score = Score::default();
        score.add(&picture, memory, truth);
        score.mean()
    };
    assert_eq!(of(vec![(range(100, 200), 1.0), (range(200, 1000), 0.1)]), (1.0, 1.0));
    assert_eq!(of(vec![(range(0, 1000), 1.0)]), (0.1, 1.0));
    assert_eq!(of(vec![(range(0, 1000), 0.0)]), (0.0, 0.0));
    assert_eq!(of(vec![(range(150, 250), 0.5), (range(5000, 6000), 1.0)]), (0.5, 0.5));
}
