//! What does a sample of real memory cost, armed and checked, many in a window against one page at a time by plain
//! system calls?

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use damon_core::{AddrRange, Attrs, AttrsSpec, Instant, Monitor, Next, Ops, Sample, TargetId, TargetSpec, Want};
use damon_ops_vaddr::linux::ProcessPagemap;
use damon_ops_vaddr::{HugePages, Method, Options, Own, PrivateMap, SharedMap};
use damos::clock::thread_cpu_time;

#[allow(dead_code, clippy::unwrap_used, reason = "the tests' calls, some of them")]
#[path = "../../damon-ops-vaddr/tests/own/raw.rs"]
mod raw;

const PAGE: u64 = 4096;
const SAMPLES: u64 = 1_000;
const TARGET: TargetId = TargetId::new(0);
/// Pages from one sample to the next.
const DENSE: u64 = 1;
const SPARSE: u64 = 1_024;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Looks at a window's samples: arms them, then checks them.
trait Watcher {
    fn arm(&mut self) -> Result<()>;
    fn check(&mut self) -> Result<()>;
    /// Writes the first word of each sampled page.
    fn touch(&self);
}

/// The library.
struct Batched {
    own: Own,
    memory: Memory,
    samples: Vec<Sample>,
    stride: u64,
}

enum Memory {
    Shared(Arc<SharedMap>),
    Private(PrivateMap),
}

impl Batched {
    fn new(method: Method, stride: u64) -> Result<Self> {
        let mut own = Own::with_options(TARGET, Options { methods: vec![method], huge_pages: HugePages::Keep })?;
        let bytes = (SAMPLES * stride * PAGE) as usize;
        let (memory, range) = if matches!(method, Method::Zap | Method::ZapTracked) {
            let map = Arc::new(SharedMap::new("bench", bytes)?);
            own.watch_shared(&map)?;
            let range = map.range();
            (Memory::Shared(map), range)
        } else {
            let map = PrivateMap::new(bytes)?;
            let _ = map.advise_huge(false);
            own.watch_private(map.range())?;
            let range = map.range();
            (Memory::Private(map), range)
        };
        let samples = addrs(range, stride).map(|a| Sample::new(TARGET, a)).collect();
        Ok(Self { own, memory, samples, stride })
    }
}

impl Watcher for Batched {
    fn arm(&mut self) -> Result<()> {
        Ok(self.own.arm(&self.samples)?)
    }

    fn check(&mut self) -> Result<()> {
        Ok(self.own.check(&mut self.samples, &Want::new(true, &[]))?)
    }

    fn touch(&self) {
        let words = match &self.memory {
            Memory::Shared(map) => map.atomics(),
            Memory::Private(map) => map.atomics(),
        };
        let step = (self.stride * PAGE / 8) as usize;
        words.iter().step_by(step).for_each(|word| _ = word.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    }
}

/// One page at a time: to zap, to protect, to look are a call each. It looks first where arming needs it: at the page
/// that write protection might split, at the neighbours that a read fault would map with the zapped page.
struct Naive {
    method: Method,
    range: AddrRange,
    stride: u64,
    pagemap: File,
    uffd: Option<OwnedFd>,
}

impl Naive {
    fn new(method: Method, stride: u64) -> Result<Self> {
        const WP_SHMEM: u64 = 1 << 12;
        const WP_ASYNC: u64 = 1 << 15;
        let shared = matches!(method, Method::Zap | Method::ZapTracked);
        let flags = if shared { raw::SHARED_ANONYMOUS } else { raw::PRIVATE };
        let range = raw::map(None, SAMPLES * stride * PAGE, flags, None)?;
        let uffd = if method == Method::Zap { None } else { Some(raw::userfaultfd(WP_ASYNC | WP_SHMEM)?) };
        if let Some(uffd) = &uffd {
            raw::uffd_register(uffd, range, 1 << 1)?;
        }
        Ok(Self { method, range, stride, pagemap: File::open("/proc/self/pagemap")?, uffd })
    }
}

impl Drop for Naive {
    fn drop(&mut self) {
        raw::unmap(self.range);
    }
}

fn addrs(range: AddrRange, stride: u64) -> impl Iterator<Item = u64> {
    (range.start()..range.end()).step_by((stride * PAGE) as usize)
}

fn page(addr: u64) -> AddrRange {
    AddrRange::from_len(addr, PAGE).expect("a page of a mapping")
}

impl Watcher for Naive {
    fn arm(&mut self) -> Result<()> {
        for addr in addrs(self.range, self.stride) {
            match self.method {
                Method::WpAsync => _ = std::hint::black_box(raw::scan_page(&self.pagemap, page(addr))?),
                Method::Zap => {
                    let mut words = [0; 16 * 8];
                    self.pagemap.read_exact_at(&mut words, addr / (16 * PAGE) * 16 * 8)?;
                    std::hint::black_box(words);
                }
                _ => {}
            }
            if self.method != Method::WpAsync {
                raw::zap(page(addr))?;
            }
            if let Some(uffd) = &self.uffd {
                raw::uffd_protect(uffd, page(addr))?;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        for addr in addrs(self.range, self.stride) {
            if self.uffd.is_some() {
                std::hint::black_box(raw::scan_page(&self.pagemap, page(addr))?);
            } else {
                let mut word = [0; 8];
                self.pagemap.read_exact_at(&mut word, addr / PAGE * 8)?;
                std::hint::black_box(word);
            }
        }
        Ok(())
    }

    fn touch(&self) {
        addrs(self.range, self.stride).for_each(|addr| raw::write(addr, addr));
    }
}

/// Reading another's page table, which knows frames: what arming by page_idle begins with.
struct Pagemap {
    map: ProcessPagemap,
    addrs: Vec<u64>,
    out: Vec<Option<damon_ops_vaddr::linux::PagemapEntry>>,
    memory: Naive,
}

impl Watcher for Pagemap {
    fn arm(&mut self) -> Result<()> {
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        Ok(self.map.entries(self.addrs.iter().copied(), &mut self.out)?)
    }

    fn touch(&self) {
        self.memory.touch();
    }
}

/// CPU time of `watcher` in a window: each page touched before it is armed, and again before it is checked, if `hot`.
fn window(watcher: &mut dyn Watcher, hot: bool) -> Result<Duration> {
    let touch = |watcher: &dyn Watcher| {
        if hot {
            watcher.touch();
        }
    };
    touch(watcher);
    let start = thread_cpu_time();
    watcher.arm()?;
    let armed = thread_cpu_time() - start;
    touch(watcher);
    let start = thread_cpu_time();
    watcher.check()?;
    Ok(armed + (thread_cpu_time() - start))
}

/// What is looked at, how far apart samples are, and who looks: the library, and the naive way.
struct Case {
    name: &'static str,
    stride: u64,
    hot: bool,
    who: [Box<dyn Watcher>; 2],
}

fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for stride in [DENSE, SPARSE] {
        for method in [Method::ZapTracked, Method::WpAsync, Method::Zap] {
            for hot in [true, false] {
                // Of what a read fault may map around it zapping alone can tell one page in sixteen.
                let stride = if method == Method::Zap { stride.max(16) } else { stride };
                let name = match method {
                    Method::ZapTracked => "zap + WP_ASYNC",
                    Method::WpAsync => "WP_ASYNC",
                    _ => "zap + present",
                };
                let who: [Box<dyn Watcher>; 2] =
                    [Box::new(Batched::new(method, stride)?), Box::new(Naive::new(method, stride)?)];
                cases.push(Case { name, stride, hot, who });
            }
        }
        let (memory, naive) = (Naive::new(Method::Zap, stride)?, Naive::new(Method::Zap, stride)?);
        let (map, addrs) = (ProcessPagemap::open("/proc/self/pagemap".into(), PAGE)?, addrs(memory.range, stride));
        let pagemap = Pagemap { map, addrs: addrs.collect(), out: Vec::new(), memory };
        cases.push(Case { name: "pagemap", stride, hot: true, who: [Box::new(pagemap), Box::new(Reading(naive))] });
    }
    Ok(cases)
}

/// Only checks.
struct Reading(Naive);

impl Watcher for Reading {
    fn arm(&mut self) -> Result<()> {
        Ok(())
    }
    fn check(&mut self) -> Result<()> {
        self.0.check()
    }
    fn touch(&self) {
        self.0.touch();
    }
}

/// Median CPU time of a window with 1,000 regions on a memfd of so many GiB, and of one look at all of its page table.
fn watch_and_scan(gib: u64) -> Result<[Duration; 2]> {
    const WINDOWS: usize = 400;
    let map = Arc::new(SharedMap::new("bench", (gib << 30) as usize)?);
    let mut own = Own::new(TARGET)?;
    own.watch_shared(&map)?;
    let spec = AttrsSpec { min_nr_regions: 900, max_nr_regions: 1_000, ..AttrsSpec::default() };
    let mut monitor = Monitor::new(Attrs::try_from(spec)?, 1);
    monitor.commit_targets([TargetSpec::new(TARGET)]);
    let mut now = Instant::ZERO;
    let mut step = |monitor: &mut Monitor, own: &mut Own| -> Result<()> {
        if let Next::At(at) = monitor.begin(now, own)? {
            now = at;
        }
        let _ = monitor.end(now, own)?;
        Ok(())
    };
    // Nothing is accessed, so in the long run each page has been armed once.
    for chunk in (map.range().start()..map.range().end()).step_by(1 << 30) {
        let samples: Vec<_> =
            (chunk..chunk + (1 << 30)).step_by(PAGE as usize).map(|a| Sample::new(TARGET, a)).collect();
        own.arm(&samples)?;
    }
    // Until there are as many regions as there may be.
    for _ in 0..2 * WINDOWS {
        step(&mut monitor, &mut own)?;
    }
    let regions = monitor.view().targets().iter().map(|t| t.regions().len()).sum::<usize>();
    assert!((800..=1_000).contains(&regions), "{regions} regions");
    let mut windows = Vec::new();
    for _ in 0..WINDOWS {
        let start = thread_cpu_time();
        step(&mut monitor, &mut own)?;
        windows.push(thread_cpu_time() - start);
    }
    windows.sort_unstable();
    let watched = windows[windows.len() / 2];

    let (pagemap, mut words) = (File::open("/proc/self/pagemap")?, vec![0; 512 * 8]);
    let start = thread_cpu_time();
    for addr in (map.range().start()..map.range().end()).step_by(512 * PAGE as usize) {
        pagemap.read_exact_at(&mut words, addr / PAGE * 8)?;
        std::hint::black_box(&words);
    }
    Ok([watched, thread_cpu_time() - start])
}

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let mut cases = cases()?;
    for case in &mut cases {
        let hot = if case.hot { "accessed" } else { "idle" };
        let mut group = criterion.benchmark_group(format!("{} {hot}", case.name));
        group.throughput(Throughput::Elements(SAMPLES)).sampling_mode(SamplingMode::Flat).sample_size(10);
        group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
        for (watcher, who) in case.who.iter_mut().zip(["library", "one at a time"]) {
            group.bench_function(BenchmarkId::new(who, case.stride), |b| {
                b.iter_custom(|n| (0..n).map(|_| window(&mut **watcher, case.hot).expect("a window")).sum());
            });
        }
    }
    criterion.final_summary();

    // Both in turn, so that what else the machine does moves both.
    println!("median ns per sample      | pages apart | library | one at a time | times fewer");
    for case in &mut cases {
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..101 {
            for (watcher, all) in case.who.iter_mut().zip(&mut figures) {
                all.push(window(&mut **watcher, case.hot)?.as_nanos() as f64 / SAMPLES as f64);
            }
        }
        let [batched, naive] = figures.map(|mut all| {
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        });
        let what = format!("{}, {}", case.name, if case.hot { "accessed" } else { "idle" });
        println!("{what:<25} | {:>11} | {batched:>7.0} | {naive:>13.0} | {:>11.1}", case.stride, naive / batched);
    }
    drop(cases);

    println!("\nCPU ms, memfd of | window of 1,000 regions | look at every page");
    for gib in [1, 4, 16] {
        let [watched, scanned] = watch_and_scan(gib)?.map(|d| d.as_secs_f64() * 1e3);
        println!("{gib:>12} GiB | {watched:>23.3} | {scanned:>18.1}");
    }
    Ok(())
}
