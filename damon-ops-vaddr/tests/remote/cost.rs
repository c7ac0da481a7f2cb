//! What a sample costs: many at once against one page at a time, and as what is watched grows.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use damon_core::{Attrs, AttrsSpec, Monitor, Next, Ops, Sample, Seen, TargetId, Want, Window};
use damon_ops_vaddr::Remote;
use damon_ops_vaddr::linux::{PageFlags, PagemapEntry, ProcessPagemap};
use damon_ops_vaddr::remote::Watch;

use crate::child::Workload;
use crate::support::{PAGE, in_vm, joined, lacks, remote, say, turn};

const SAMPLES: u64 = 1_000;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_nanos() as f64 / SAMPLES as f64
}

/// `.ci/vm` runs optimized code; what is not has costs of its own.
fn judge(name: &str, ratio: f64, least: f64) {
    if in_vm() || !cfg!(debug_assertions) {
        assert!(ratio >= least, "{name}: {ratio:.2} times less, and should be {least}");
    }
}

fn word(file: &File, place: u64) -> u64 {
    let mut bytes = [0; 8];
    let n = file.read_at(&mut bytes, place * 8).unwrap();
    if n == 8 { u64::from_ne_bytes(bytes) } else { 0 }
}

/// The same answers by one page at a time, as a simple program has them.
struct Naive {
    pagemap: File,
    flags: File,
    bitmap: File,
    armed: Vec<Option<u64>>,
}

impl Naive {
    fn new(pid: u32) -> Self {
        Self {
            pagemap: File::open(format!("/proc/{pid}/pagemap")).unwrap(),
            flags: File::open("/proc/kpageflags").unwrap(),
            bitmap: OpenOptions::new().read(true).write(true).open("/sys/kernel/mm/page_idle/bitmap").unwrap(),
            armed: Vec::new(),
        }
    }

    fn pfn(&self, addr: u64) -> Option<u64> {
        PagemapEntry::new(word(&self.pagemap, addr / PAGE)).pfn().map(|pfn| pfn.0)
    }

    fn arm(&mut self, samples: &[Sample]) {
        self.armed.clear();
        for s in samples {
            let listed = |pfn: &u64| PageFlags::new(word(&self.flags, *pfn)).any(PageFlags::LRU);
            let pfn = self.pfn(s.addr).filter(listed);
            if let Some(pfn) = pfn {
                self.bitmap.write_all_at(&(1_u64 << (pfn % 64)).to_ne_bytes(), pfn / 64 * 8).unwrap();
            }
            self.armed.push(pfn);
        }
    }

    fn check(&self, samples: &mut [Sample]) {
        for (s, armed) in samples.iter_mut().zip(&self.armed) {
            s.seen = match (armed, self.pfn(s.addr)) {
                (Some(pfn), Some(now)) if *pfn == now && word(&self.bitmap, pfn / 64) >> (pfn % 64) & 1 == 1 => {
                    Seen::Idle
                }
                (Some(pfn), Some(now)) if *pfn == now => Seen::Accessed,
                _ => Seen::Unknown,
            };
        }
    }
}

#[test]
fn a_window_of_many_samples_costs_a_third_of_one_page_at_a_time_and_never_more() {
    let Some(mut remote) = remote() else { return };
    let mut workload = Workload::start();
    let memory = workload.map("private", 24 * SAMPLES);
    remote.watch(Watch::process(workload.pid())).unwrap();
    let target: TargetId = joined(&mut remote)[0];
    remote.ranges(target, &mut Vec::new()).unwrap();
    let mut naive = Naive::new(workload.pid());
    for (name, stride, least) in [("dense", 1, 3.0), ("sparse", 24, 0.9)] {
        let addr = |n: u64| memory.start() + n * stride * PAGE;
        let mut samples: Vec<Sample> = (0..SAMPLES).map(|n| Sample::new(target, addr(n))).collect();
        let mut times: [Vec<Duration>; 4] = Default::default();
        for _ in 0..15 {
            let mut took = Vec::new();
            let mut begun = Instant::now();
            let mut lap = || took.push(std::mem::replace(&mut begun, Instant::now()).elapsed());
            remote.arm(&samples).unwrap();
            lap();
            remote.check(&mut samples, &Want::new(true, &[])).unwrap();
            lap();
            naive.arm(&samples);
            lap();
            naive.check(&mut samples);
            lap();
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
        let idle = samples.iter().filter(|s| s.seen == Seen::Idle).count();
        assert!(idle > 900, "{idle} of {SAMPLES} were looked at");
        let [arm, check, naive_arm, naive_check] = times.map(median);
        let ratio = (naive_arm + naive_check) / (arm + check);
        say(&format!(
            "page_idle, {name}: arm {arm:.0} ns + check {check:.0} ns a sample; one page at a time \
             {naive_arm:.0} + {naive_check:.0}; {ratio:.1} times less"
        ));
        judge(name, ratio, least);
    }
}

#[test]
fn reading_page_tables_together_costs_less_than_page_by_page() {
    turn();
    let mut workload = Workload::start();
    let memory = workload.map("private", 64 * SAMPLES);
    let path = format!("/proc/{}/pagemap", workload.pid());
    let (Ok(mut pagemap), Ok(file)) = (ProcessPagemap::open(path.clone().into(), PAGE), File::open(path)) else {
        return lacks("leave to read a child's pagemap");
    };
    // Where nothing can be shared there are as many calls: what is left is the emulator's slowness with our own code.
    for (name, stride, least) in [("dense", 1, 3.0), ("sparse", 64, 0.7)] {
        let addrs: Vec<u64> = (0..SAMPLES).map(|n| memory.start() + n * stride * PAGE).collect();
        let (mut together, mut alone, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..31 {
            let begun = Instant::now();
            pagemap.entries(addrs.iter().copied(), &mut entries).unwrap();
            together.push(begun.elapsed());
            let begun = Instant::now();
            let words: Vec<u64> = addrs.iter().map(|addr| word(&file, addr / PAGE)).collect();
            alone.push(begun.elapsed());
            assert!(words.iter().zip(&entries).all(|(&w, e)| Some(PagemapEntry::new(w)) == *e));
        }
        let (together, alone) = (median(together), median(alone));
        say(&format!(
            "pagemap, {name}: {together:.0} ns a sample; one at a time {alone:.0}; {:.1} times less",
            alone / together
        ));
        judge(name, alone / together, least);
    }
}

/// So many regions of these sizes are as large as a thousand of 1, 4 and 16 GiB.
const REGIONS: usize = 40;
const MIB: [u64; 3] = [40, 160, 640];
const WINDOWS: usize = 150;

/// A monitor of a process of some size.
struct Watcher {
    remote: Remote,
    monitor: Monitor,
    /// Runs as long as this.
    _workload: Workload,
    pages: Vec<u64>,
    windows: Vec<Duration>,
    scans: Vec<Duration>,
}

impl Watcher {
    fn new(mib: u64) -> Option<Self> {
        let mut remote = remote()?;
        let mut workload = Workload::start();
        let memory = workload.map("private", mib << 8);
        remote.watch(Watch { ranges: vec![memory], ..Watch::process(workload.pid()) }).unwrap();
        let sampling = Duration::from_millis(20);
        let spec = AttrsSpec {
            sampling,
            aggregation: 5 * sampling,
            min_nr_regions: REGIONS,
            max_nr_regions: REGIONS + 4,
            ..AttrsSpec::default()
        };
        let monitor = Monitor::new(Attrs::try_from(spec).unwrap(), 1);
        let pages = (memory.start()..memory.end()).step_by(PAGE as usize).collect();
        Some(Self { remote, monitor, _workload: workload, pages, windows: Vec::new(), scans: Vec::new() })
    }

    fn window(&mut self, begun: Instant) {
        let now = || damon_core::Instant::from_nanos(begun.elapsed().as_nanos() as u64);
        let arming = Instant::now();
        let Next::At(at) = self.monitor.begin(now(), &mut self.remote).unwrap() else { panic!("nobody pauses it") };
        let armed = arming.elapsed();
        std::thread::sleep(at - now());
        let checking = Instant::now();
        let window = self.monitor.end(now(), &mut self.remote).unwrap();
        self.windows.push(armed + checking.elapsed());
        if let Window::Aggregated(stats) = window {
            assert!((REGIONS - 6..=REGIONS + 6).contains(&stats.nr_regions), "{stats:?}");
        }
    }

    /// A look at every page.
    fn scan(&mut self) {
        let target = self.monitor.view().targets()[0].id();
        let mut all: Vec<Sample> = self.pages.iter().map(|&addr| Sample::new(target, addr)).collect();
        let scanning = Instant::now();
        self.remote.arm(&all).unwrap();
        self.remote.check(&mut all, &Want::new(true, &[])).unwrap();
        self.scans.push(scanning.elapsed());
    }
}

#[test]
fn regions_cost_the_same_however_large_the_memory() {
    let mut watchers: Vec<Watcher> = Vec::new();
    for mib in MIB {
        let Some(watcher) = Watcher::new(mib) else { return };
        watchers.push(watcher);
    }
    // In turn, so that a busy machine is busy for all of them. What was looked at and not touched stays idle, and reading
    // a word of the bitmap looks up all its idle pages: after a scan it costs what it costs in the long run.
    let begun = Instant::now();
    watchers.iter_mut().for_each(|w| w.window(begun));
    (0..3).for_each(|_| watchers.iter_mut().for_each(Watcher::scan));
    watchers.iter_mut().for_each(|w| w.windows.clear());
    (0..WINDOWS).for_each(|_| watchers.iter_mut().for_each(|w| w.window(begun)));
    let costs: Vec<(Duration, Duration)> = watchers
        .into_iter()
        .map(|mut w| {
            w.windows.sort_unstable();
            // Most of the others were interrupted.
            (w.windows[WINDOWS / 10], w.scans.into_iter().min().unwrap())
        })
        .collect();
    for (mib, (window, scan)) in MIB.iter().zip(&costs) {
        say(&format!("{mib:>4} MiB: a window of {REGIONS} regions {window:.2?}, a look at every page {scan:.2?}"));
    }
    let (least, most) = (costs.iter().map(|c| c.0).min().unwrap(), costs.iter().map(|c| c.0).max().unwrap());
    assert!(most <= least.mul_f64(1.2), "{least:?} to {most:?}");
    let grown = costs[2].1.as_secs_f64() / costs[0].1.as_secs_f64();
    assert!((8.0..32.0).contains(&grown), "a look at every page grows in step: {grown:.1}");
}
