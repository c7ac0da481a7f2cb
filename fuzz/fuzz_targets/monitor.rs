//! Any sequence of calls on a monitor, with memory that changes and lies as it likes. After each call: regions ascend, are
//! apart, are together exactly the spans, and their counts can be.
#![no_main]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use arbitrary::Arbitrary;
use damon_core::{
    Access, AccessKind, Adjust, AddrRange, Attrs, AttrsSpec, Instant, Monitor, Next, Ops, Sample, Seen, Sees, SourceSpec,
    Span, TargetId, TargetSpec, Want,
};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Call {
    Window { late_us: u16, hits: u64 },
    Ranges { target: u8, ranges: Vec<(u16, u8, u8)> },
    Commit { sampling_us: u16, samples: u8, min: u16, max: u16, granule: u8, checks: Option<u16> },
    Add { target: u8, ranges: Vec<(u64, u64)>, region_bytes: Option<(u64, u64)> },
    Remove(u8),
    Replace(u8),
    Pause,
    Resume,
    Cut { target: u8, index: u16, at: u64 },
    Join { target: u8, index: u16 },
    ResetAge { target: u8, index: u16 },
    Report { by_source: bool, target: u8, addr: u64, len: u64, kind: u8, weight: u32 },
    AddSource { capacity: u16 },
    Lost(u32),
}

#[derive(Default)]
struct Memory {
    spans: BTreeMap<TargetId, Vec<Span>>,
    hits: u64,
}

const SEES: [Sees; 5] = [Sees::Accesses, Sees::Writes, Sees::Nothing, Sees::Reports, Sees::ReadsAndWrites];

impl Ops for Memory {
    type Error = Infallible;

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), Infallible> {
        out.extend(self.spans.get(&target).into_iter().flatten());
        Ok(())
    }

    fn arm(&mut self, _: &[Sample]) -> Result<(), Infallible> {
        Ok(())
    }

    fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), Infallible> {
        for s in samples {
            let seen = [Seen::Unknown, Seen::Idle, Seen::Accessed, Seen::Written];
            s.seen = seen[(self.hits >> (2 * ((s.addr >> 12) % 32)) & 3) as usize];
        }
        Ok(())
    }
}

fn id(target: u8) -> TargetId {
    TargetId::new((target % 4).into())
}

fn call(m: &mut Monitor, memory: &mut Memory, now: &mut Instant, reporter: &mut Option<damon_core::Reporter>, call: Call) {
    match call {
        Call::Window { late_us, hits } => {
            memory.hits = hits;
            let Ok(next) = m.begin(*now, memory);
            if let Next::At(due) = next {
                *now = due + Duration::from_micros(late_us.into());
                let Ok(_) = m.end(*now, memory);
            }
        }
        Call::Ranges { target, ranges } => {
            // As a backend must: ascending and apart.
            let mut start = 0;
            let spans = ranges.into_iter().filter_map(|(gap, len, sees)| {
                let from = start + (u64::from(gap) << 10);
                start = from + (u64::from(len) << 11);
                Some(Span { range: AddrRange::new(from, start)?, sees: SEES[usize::from(sees) % SEES.len()] })
            });
            memory.spans.insert(id(target), spans.collect());
        }
        Call::Commit { sampling_us, samples, min, max, granule, checks } => {
            let sampling = Duration::from_micros(sampling_us.into());
            let spec = AttrsSpec {
                sampling,
                aggregation: sampling * u32::from(samples),
                update: sampling,
                min_nr_regions: min.into(),
                max_nr_regions: usize::from(max % 2_000),
                max_checks: checks.map(usize::from),
                granule: 1 << (granule % 64),
                adjust: Adjust::Classic,
                ..AttrsSpec::default()
            };
            if let Ok(attrs) = Attrs::try_from(spec) {
                m.commit(attrs);
            }
        }
        Call::Add { target, ranges, region_bytes } => {
            let ranges = ranges.into_iter().filter_map(|(a, b)| AddrRange::new(a.min(b), a.max(b))).collect();
            m.add_target(TargetSpec { ranges, region_bytes, ..TargetSpec::new(id(target)) });
        }
        Call::Remove(target) => drop(m.remove_target(id(target))),
        Call::Replace(target) => drop(m.replace_target(id(target))),
        Call::Pause => m.pause(),
        Call::Resume => m.resume(),
        Call::Cut { target, index, at } => drop(m.edit(id(target)).map(|mut e| e.cut(index.into(), at))),
        Call::Join { target, index } => drop(m.edit(id(target)).map(|mut e| e.join(index.into()))),
        Call::ResetAge { target, index } => drop(m.edit(id(target)).map(|mut e| e.reset_age(index.into()))),
        Call::Report { by_source, target, addr, len, kind, weight } => {
            let kinds = [AccessKind::Access, AccessKind::Read, AccessKind::Write, AccessKind::Idle];
            let kind = kinds[usize::from(kind % 4)];
            let access = Access { kind, weight, ..Access::new(id(target), addr, len) };
            match reporter.as_ref().filter(|_| by_source) {
                Some(reporter) => drop(reporter.report_access(access)),
                None => m.report_access(access),
            }
        }
        Call::AddSource { capacity } if m.sources().len() < 8 => {
            *reporter = Some(m.add_source(SourceSpec { capacity: capacity.into(), ..SourceSpec::new("fuzz") }));
        }
        Call::AddSource { .. } => {}
        Call::Lost(n) => drop(reporter.as_ref().map(|r| r.report_lost(n))),
    }
}

fn invariants(m: &Monitor) {
    for t in m.view().targets() {
        let bytes = |size: u128, r: AddrRange| size + u128::from(r.size());
        let (spans, regions) = (t.spans(), t.regions());
        assert!(spans.windows(2).all(|s| s[0].range.end() <= s[1].range.start()), "spans are apart");
        assert!(regions.windows(2).all(|r| r[0].range().end() <= r[1].range().start()), "regions are apart");
        let covered = regions.iter().map(|r| r.range()).fold(0, bytes);
        assert_eq!(covered, spans.iter().map(|s| s.range).fold(0, bytes), "regions are the spans");
        for r in regions {
            let at = spans.partition_point(|s| s.range.end() <= r.range().start());
            let span = spans.get(at).map(|s| (s.range.intersection(r.range()), s.sees));
            assert_eq!(span, Some((Some(r.range()), r.sees())), "a region is within one span");
            assert!(r.nr_writes() <= r.nr_accesses() && r.nr_accesses() <= r.nr_samples());
        }
    }
}

fuzz_target!(|input: (u64, Vec<Call>)| {
    let (seed, calls) = input;
    let mut monitor = Monitor::new(Attrs::default(), seed);
    monitor.add_target(TargetSpec::new(id(0)));
    let (mut memory, mut now, mut reporter) = (Memory::default(), Instant::ZERO, None);
    for c in calls {
        call(&mut monitor, &mut memory, &mut now, &mut reporter, c);
        invariants(&monitor);
    }
});
