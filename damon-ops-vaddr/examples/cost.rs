//! What arming and checking cost here: microseconds of CPU a sample, for each method that works, alone and beside a thread
//! that is busy on another CPU (whose translations must be flushed too).
//!
//! `cargo run --release -p damon-ops-vaddr --example cost`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use damon_core::{Ops, Sample, TargetId, Want};
use damon_ops_vaddr::{HugePages, Method, Options, Own, PrivateMap, SharedMap};

const TARGET: TargetId = TargetId::new(0);
const PAGE: u64 = 4096;
const BYTES: usize = 256 << 20;
/// Far enough apart that no two share a look.
const STRIDE: u64 = 64;
const ROUNDS: u32 = 300;

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:<16} {:>12} {:>12} {:>12} {:>12}",
        "us per sample", "arm, written", "arm, idle", "check", "busy threads"
    );
    for busy in [0, 1] {
        let stop = AtomicBool::new(false);
        std::thread::scope(|s| {
            let work = || {
                while !stop.load(Relaxed) {
                    std::hint::spin_loop();
                }
            };
            (0..busy).for_each(|_| drop(s.spawn(work)));
            let result = Method::ALL.iter().try_for_each(|&method| measure(method, busy));
            stop.store(true, Relaxed);
            result
        })?;
    }
    Ok(())
}

fn measure(method: Method, busy: usize) -> Result<(), Box<dyn Error>> {
    let Ok(mut own) = Own::with_options(TARGET, Options { methods: vec![method], huge_pages: HugePages::Keep }) else {
        println!("{method:<16} does not work here");
        return Ok(());
    };
    let (shared, private);
    let (range, words): (_, &[AtomicU64]) = if method.is_for_shared() {
        shared = Arc::new(SharedMap::new("cost", BYTES)?);
        own.watch_shared(&shared)?;
        (shared.range(), shared.atomics())
    } else {
        private = PrivateMap::new(BYTES)?;
        private.advise_huge(false)?;
        own.watch_private(private.range())?;
        (private.range(), private.atomics())
    };
    let step = (STRIDE * PAGE) as usize;
    let write = || words.iter().step_by(step / 8).for_each(|word| _ = word.fetch_add(1, Relaxed));
    let mut samples: Vec<Sample> = (range.start()..range.end()).step_by(step).map(|a| Sample::new(TARGET, a)).collect();
    let (mut written, mut idle, mut check) = (0.0, 0.0, 0.0);
    for _ in 0..ROUNDS {
        write();
        written += timed(|| own.arm(&samples))?;
        idle += timed(|| own.arm(&samples))?;
        check += timed(|| own.check(&mut samples, &Want::new(true, &[])))?;
    }
    let batched = own.capabilities().batched_zap && method.is_for_shared();
    let batched = if batched { "batched" } else { "" };
    let per = |total: f64| total / f64::from(ROUNDS) / samples.len() as f64;
    println!("{method:<16} {:>12.2} {:>12.2} {:>12.2} {busy:>12} {batched}", per(written), per(idle), per(check));
    Ok(())
}

/// Microseconds of this thread's CPU time, of which waiting for other CPUs to flush is a part.
fn timed<E: Error + 'static>(f: impl FnOnce() -> Result<(), E>) -> Result<f64, Box<dyn Error>> {
    let start = cpu_time()?;
    f()?;
    Ok(cpu_time()? - start)
}

fn cpu_time() -> Result<f64, Box<dyn Error>> {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: f64 = schedstat.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanos / 1e3)
}
