//! The step loop in an async runtime: a task watches the cache of a program whose other tasks use it, without a thread.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use damon_core::{Attrs, AttrsSpec, Monitor, Next, TargetId, TargetSpec};
use damon_ops_vaddr::{Own, SharedMap};
use damos::clock::{Clock, thread_cpu_time};
use damos::context::{Budget, Context};
use tokio::time::{sleep, sleep_until, timeout};

const MIB: usize = 1 << 20;
const MS: Duration = Duration::from_millis(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cache = Arc::new(SharedMap::new("cache", 64 * MIB)?);
    let mut own = Own::new(TargetId::new(0))?;
    own.watch_shared(&cache)?;
    // The runtime's timers are exact to a millisecond, so the intervals should be many of them.
    let attrs = AttrsSpec { sampling: 20 * MS, aggregation: 400 * MS, ..Default::default() };
    let mut monitor = Monitor::new(Attrs::try_from(attrs)?, 1);
    monitor.add_target(TargetSpec::new(TargetId::new(0)));
    let mut context = Context::new(monitor, own).with_budget(Budget { cpu_permille: 30, ..Default::default() })?;

    tokio::spawn(serve(Arc::clone(&cache)));
    if let Ok(failed) = timeout(Duration::from_secs(3), watch(&mut context, cache.range().start())).await {
        failed?;
    }
    let health = context.health();
    println!("{} windows, {} late, {:?} of CPU", health.windows, health.late_windows, health.cpu);
    Ok(())
}

/// Steps whenever it is time. Dropped anywhere, it leaves the context in order: a step does not wait for anything.
async fn watch(context: &mut Context<Own>, start: u64) -> Result<(), Box<dyn Error>> {
    let (clock, mut cpu_used) = (Clock::new(), Duration::ZERO);
    loop {
        // Of this thread's CPU time the steps are monitoring, the rest is the program's.
        let before = thread_cpu_time();
        let next = context.step_with(clock.now(), cpu_used, |context| print_hot(context, start))?;
        cpu_used += thread_cpu_time().saturating_sub(before);
        match next {
            Next::At(due) => sleep_until((std::time::Instant::now() + clock.until(due)).into()).await,
            _ => return Ok(()),
        }
    }
}

fn print_hot(context: &Context<Own>, start: u64) {
    let view = context.view();
    let regions = view.targets().iter().flat_map(|t| t.regions());
    let hot = regions.filter(|r| r.nr_accesses() * 2 > r.nr_samples()).map(|r| {
        let mib = |addr: u64| (addr - start) as f64 / MIB as f64;
        format!("{:.2} to {:.2}", mib(r.range().start()), mib(r.range().end()))
    });
    println!("hot, in MiB: {}", hot.collect::<Vec<_>>().join(", "));
}

/// The program: uses 8 MiB of its cache every few milliseconds.
async fn serve(cache: Arc<SharedMap>) {
    loop {
        for page in cache.atomics().chunks(512).skip(16 * MIB / 4096).take(8 * MIB / 4096) {
            page[0].fetch_add(1, Relaxed);
        }
        sleep(2 * MS).await;
    }
}
