//! A database's buffer pool that asks which of its frames are cold before it evicts one.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use damon_core::{Attrs, Monitor, Snapshot, TargetId, TargetSpec};
use damon_ops_vaddr::{Own, SharedMap};
use damos::context::{Budget, Context};
use damos::runner::Kdamond;

const FRAME: usize = 8 << 10;
const FRAMES: usize = 8 << 10;
const HOT: std::ops::Range<usize> = 2_000..3_000;

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Arc::new(SharedMap::new("buffer pool", FRAMES * FRAME)?);
    pool.atomics().chunks(512).for_each(|page| page[0].store(1, Relaxed));
    thread::spawn({
        let pool = Arc::clone(&pool);
        move || queries(&pool)
    });

    let mut own = Own::new(TargetId::new(0))?;
    own.watch_shared(&pool)?;
    let mut monitor = Monitor::new(Attrs::default(), 1);
    monitor.add_target(TargetSpec::new(TargetId::new(0)));
    let budget = Budget { cpu_permille: 20, fault_cost: Duration::from_micros(2), ..Budget::default() };
    let kdamond = Kdamond::spawn(Context::new(monitor, own).with_budget(budget)?)?;

    thread::sleep(Duration::from_secs(2));
    // The last whole aggregation: takes no lock that the worker holds, and waits for nobody.
    let snapshot = kdamond.latest().ok_or("no aggregation has ended")?;
    let victims = coldest(&snapshot, &pool, FRAMES / 2);
    let wrong = victims.iter().filter(|frame| HOT.contains(frame)).count();
    let context = kdamond.stop()?;
    println!("{}", context.ops().capabilities());
    println!(
        "buffer_pool: of {} frames to evict {wrong} are in use; cost {:?} of CPU",
        victims.len(),
        context.health().cpu
    );
    Ok(())
}

/// So many frames, the coldest first: by access rate, then by how long it has been like that.
fn coldest(snapshot: &Snapshot, pool: &SharedMap, n: usize) -> Vec<usize> {
    let mut regions: Vec<_> = snapshot.regions().collect();
    regions.sort_by_key(|r| (r.rate, std::cmp::Reverse(r.age_time)));
    let frame = |addr: u64| (addr - pool.range().start()) as usize / FRAME;
    // A frame that a region ends in belongs to the region that begins there.
    regions.iter().flat_map(|r| frame(r.range.start())..frame(r.range.end())).take(n).collect()
}

/// The database: touches every page of its hot frames, over and over.
fn queries(pool: &SharedMap) {
    let pages = pool.atomics().chunks(512);
    for page in pages.skip(HOT.start * 2).take(HOT.len() * 2).cycle() {
        page[0].fetch_add(1, Relaxed);
    }
}
