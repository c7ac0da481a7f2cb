//! What does it cost to send the result elsewhere: an owned copy, into new buffers and into those of the last one?

use benches::{Monitored, Watcher};
use criterion::{BenchmarkId, Criterion, Throughput};
use damon_core::Snapshot;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("snapshot");
    for n in [100, 1_000, 10_000, 100_000] {
        let mut monitored = Monitored::new(n, damon_core::Adjust::Classic).expect("at least 6 regions");
        monitored.begin_first();
        monitored.windows();
        monitored.end_last();
        let view = monitored.view();
        let regions: usize = view.snapshot().targets.iter().map(|t| t.regions.len()).sum();
        group.throughput(Throughput::Elements(regions as u64));
        group.bench_function(BenchmarkId::new("new", regions), |b| b.iter(|| view.snapshot()));
        let mut last = Snapshot::default();
        group.bench_function(BenchmarkId::new("copy_into", regions), |b| b.iter(|| view.copy_into(&mut last)));
    }
    group.finish();
    criterion.final_summary();
}
