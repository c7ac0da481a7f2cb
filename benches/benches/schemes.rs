//! What do ten schemes cost that are applied to 10,000 regions: all that fits, and by priority within quotas?

use core::hint::black_box;
use core::time::Duration;

use criterion::Criterion;
use damon_core::control::priority::Weights;
use damon_core::{
    Action, Applied, ApplyOps, Attrs, AttrsSpec, Instant, Monitor, Request, TargetId, Unsupported, classic,
};
use damos::clock::thread_cpu_time;
use damos::engine::Schemes;
use damos::scheme::{AccessPattern, Age, CoreFilter, CoreFilterKind, Freq, Quota, Scheme};

const REGIONS: u64 = 10_000;
const GRANULE: u64 = 4_096;

/// Acts at no cost: the engine alone is timed.
struct Free;

impl ApplyOps for Free {
    type Error = core::convert::Infallible;
    fn supports(&self, _: Option<TargetId>, _: &Request<'_>) -> Result<(), Unsupported> {
        Ok(())
    }
    fn apply(&mut self, _: TargetId, range: damon_core::AddrRange, _: &Request<'_>) -> Applied<Self::Error> {
        Applied { took: Duration::from_nanos(100), ..Applied::whole(black_box(range)) }
    }
}

/// Neighbours differ in count and age, so that none are joined.
fn monitor() -> Monitor {
    let spec = AttrsSpec { max_nr_regions: 2 * REGIONS as usize, ..AttrsSpec::default() };
    let attrs = Attrs::try_from(spec).expect("valid attributes");
    let region = |i: u64| {
        let start = i * 16 * GRANULE;
        let n = i * 7 % 21;
        classic::region([start, start + 16 * GRANULE, n, n, i * 13 % 1_009], &attrs).expect("not empty")
    };
    let regions = (0..REGIONS).map(region).collect();
    classic::finished(attrs, regions)
}

/// Ten schemes as they are used together: by frequency and age, in part with quotas, priorities and filters.
fn ten(quota: &Quota) -> Vec<Scheme> {
    use Action::*;
    let actions = [Pageout, Cold, Stat, MigrateHot, MigrateCold, Willneed, Hugepage, Nohugepage, LruPrio, LruDeprio];
    let scheme = |(i, action): (usize, Action)| {
        let i = i as u32;
        let hot = [Action::MigrateHot, Action::Willneed, Action::Hugepage, Action::LruPrio].contains(&action);
        let freq = if hot { Freq::Samples(5..=20) } else { Freq::Samples(0..=i) };
        let out = pages(i.into());
        Scheme {
            pattern: AccessPattern { freq, age: Age::Aggregations(i * 10..=u32::MAX), ..AccessPattern::default() },
            quota: quota.clone(),
            core_filters: vec![CoreFilter { kind: CoreFilterKind::Addr(out), matching: true, allow: false }],
            ..Scheme::new(action)
        }
    };
    actions.into_iter().enumerate().map(scheme).collect()
}

/// A few regions somewhere.
fn pages(i: u64) -> damon_core::AddrRange {
    let start = (1 + i) * REGIONS / 12 * 16 * GRANULE;
    damon_core::AddrRange::new(start, start + 64 * GRANULE).expect("not empty")
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("10 schemes on 10,000 regions");
    let weights = Weights { size: 0, nr_accesses: 1, age: 1 };
    let limited =
        Quota { size: 1_000 * 16 * GRANULE, weights, reset_interval: Duration::from_millis(1), ..Quota::default() };
    let wide = Quota { size: u64::MAX / 2, ..limited.clone() };
    for (name, quota) in
        [("without quotas", Quota::default()), ("with quotas", limited), ("with quotas never full", wide)]
    {
        group.bench_function(name, |b| {
            let fresh = || {
                let monitor = monitor();
                let schemes = Schemes::new(&monitor.view(), &Free, ten(&quota)).expect("valid schemes");
                (monitor, schemes)
            };
            // CPU time: what others run meanwhile is not the engine's.
            b.iter_custom(|iterations| {
                let one = |_| {
                    let (mut monitor, mut schemes) = fresh();
                    let start = thread_cpu_time();
                    let _ = schemes.apply(Instant::from_nanos(1), true, &mut monitor, &mut Free, &mut ());
                    thread_cpu_time() - start
                };
                (0..iterations).map(one).sum()
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
