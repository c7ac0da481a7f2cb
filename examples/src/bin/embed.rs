//! The smallest program that links the library: which parts of a buffer of its own are hot?

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use damon_core::{Attrs, Monitor, Next, TargetId, TargetSpec};
use damon_ops_vaddr::{Own, SharedMap};
use damos::clock::Clock;

const MIB: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let buffer = Arc::new(SharedMap::new("buffer", 64 * MIB)?);
    thread::spawn({
        let buffer = Arc::clone(&buffer);
        move || work(&buffer)
    });

    let mut own = Own::new(TargetId::new(0))?;
    own.watch_shared(&buffer)?;
    let mut monitor = Monitor::new(Attrs::default(), 1);
    monitor.add_target(TargetSpec::new(TargetId::new(0)));

    let clock = Clock::new();
    let end = clock.now() + Duration::from_secs(3);
    while monitor.view().at() < end {
        let Next::At(due) = monitor.begin(clock.now(), &mut own)? else { break };
        thread::sleep(clock.until(due));
        let _ = monitor.end(clock.now(), &mut own)?;
    }

    let mib = |addr: u64| (addr - buffer.range().start()) as f64 / MIB as f64;
    for r in monitor.view().targets().iter().flat_map(|t| t.regions()).filter(|r| r.nr_accesses() > 0) {
        let (from, to) = (mib(r.range().start()), mib(r.range().end()));
        println!("{from:6.2} to {to:6.2} MiB: accessed in {} of {} samples", r.nr_accesses(), r.nr_samples());
    }
    Ok(())
}

/// What the program does: touches every page from 16 to 24 MiB, over and over.
fn work(buffer: &SharedMap) {
    let pages = buffer.atomics().chunks(512);
    for page in pages.skip(16 * MIB / 4096).take(8 * MIB / 4096).cycle() {
        page[0].fetch_add(1, Relaxed);
    }
}
