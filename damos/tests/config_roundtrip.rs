//! What documents have words for is read as it was written, whatever the values.
#![cfg(feature = "config")]

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use damon_core::control::priority::Weights;
use damon_core::control::watermarks::Marks;
use damon_core::{
    Action, AddrRange, Adjust, AttrsSpec, Bp, Dest, Filter, IntervalsGoal, Metric, NodeId, PageFilter, Probe, TargetId,
    TargetSpec,
};
use damos::config::document::OpsKind;
use damos::config::{Config, Document, Watched};
use damos::scheme::{
    AccessPattern, Age, CoreFilter, CoreFilterKind, Counts, Freq, Goal, Quota, Scheme, Tuner, Watermarks,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn cgroups() -> BTreeMap<String, u64> {
    (0..3).map(|id| (format!("/slice/{id} \"quoted\""), id)).collect()
}

/// Small, large and all between.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..2_000_u64,
        any::<u32>().prop_map(u64::from),
        any::<u64>(),
        Just(u64::MAX),
        (0..64).prop_map(|s| 1_u64 << s)
    ]
}

fn micros() -> impl Strategy<Value = Duration> {
    number().prop_map(|us| if us == u64::MAX { Duration::MAX } else { Duration::from_micros(us) })
}

fn millis() -> impl Strategy<Value = Duration> {
    number().prop_map(|ms| if ms == u64::MAX { Duration::MAX } else { Duration::from_millis(ms) })
}

fn range<T: Ord + Clone + std::fmt::Debug>(
    bound: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = RangeInclusive<T>> {
    (bound.clone(), bound).prop_map(|(a, b)| if a <= b { a..=b } else { b..=a })
}

fn addr_range() -> impl Strategy<Value = AddrRange> {
    (any::<u64>(), any::<u64>()).prop_filter_map("empty", |(a, b)| AddrRange::new(a.min(b), a.max(b)))
}

fn u32s() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![0..100_u32, any::<u32>(), Just(u32::MAX)]
}

fn page() -> impl Strategy<Value = PageFilter> {
    let of_probes = probe_page();
    prop_oneof![3 => of_probes, 1 => Just(PageFilter::Active), 1 => Just(PageFilter::Young), 1 => Just(PageFilter::Unmapped)]
}

fn probe_page() -> impl Strategy<Value = PageFilter> {
    prop_oneof![
        Just(PageFilter::Anon),
        (0..3_u64).prop_map(PageFilter::Memcg),
        (number(), number()).prop_map(|(a, b)| PageFilter::HugepageSize { min: a.min(b), max: a.max(b) }),
    ]
}

fn filter(page: impl Strategy<Value = PageFilter>) -> impl Strategy<Value = Filter> {
    (page, any::<bool>(), any::<bool>()).prop_map(|(page, matching, allow)| Filter { page, matching, allow })
}

fn core_filter(targets: u32) -> impl Strategy<Value = CoreFilter> {
    let kind = prop_oneof![
        addr_range().prop_map(CoreFilterKind::Addr),
        (0..targets).prop_map(|t| CoreFilterKind::Target(TargetId::new(t))),
    ];
    (kind, any::<bool>(), any::<bool>()).prop_map(|(kind, matching, allow)| CoreFilter { kind, matching, allow })
}

fn goal() -> impl Strategy<Value = Goal> {
    let node = any::<u16>().prop_map(NodeId);
    let metric = (node, 0..3_u64, 0..9).prop_map(|(node, memcg, kind)| match kind {
        0 => Metric::UserInput,
        1 => Metric::SomeMemPsiUs,
        2 => Metric::NodeMemUsedBp(node),
        3 => Metric::NodeMemFreeBp(node),
        4 => Metric::NodeMemcgUsedBp(node, memcg),
        5 => Metric::NodeMemcgFreeBp(node, memcg),
        6 => Metric::ActiveMemBp,
        7 => Metric::InactiveMemBp,
        _ => Metric::NodeEligibleMemBp(node),
    });
    (metric, number(), number())
        .prop_map(|(metric, target, current_value)| Goal { current_value, ..Goal::new(metric, target.max(1)) })
}

fn quota() -> impl Strategy<Value = Quota> {
    let weights = (u32s(), u32s(), u32s()).prop_map(|(size, nr_accesses, age)| Weights { size, nr_accesses, age });
    let tuner = prop_oneof![Just(Tuner::Consist), Just(Tuner::Temporal)];
    (number(), millis(), millis(), of((u32s(), 1..=u32::MAX)), weights, vec(goal(), 0..3), tuner).prop_map(
        |(size, time, reset_interval, fail_charge, weights, goals, tuner)| Quota {
            size,
            time,
            reset_interval,
            fail_charge,
            weights,
            goals,
            tuner,
        },
    )
}

fn pattern() -> impl Strategy<Value = AccessPattern> {
    let freq = prop_oneof![range(u32s()).prop_map(Freq::Samples), range(u32s()).prop_map(Freq::Percent)];
    let time = (micros(), micros()).prop_map(|(a, b)| Age::Time(a.min(b)..=a.max(b)));
    let age = prop_oneof![range(u32s()).prop_map(Age::Aggregations), time];
    ((number(), number()), freq, age).prop_map(|((a, b), freq, age)| AccessPattern {
        size: a.min(b)..=a.max(b),
        freq,
        age,
        // A document knows no others.
        counts: Counts::Raw,
    })
}

fn watermarks() -> impl Strategy<Value = Watermarks> {
    (micros(), vec(number(), 3)).prop_map(|(interval, mut marks)| {
        marks.sort_unstable();
        let marks = Marks { high: marks[2], mid: marks[1], low: marks[0] };
        Watermarks { metric: Metric::FreeMemRatePermille, interval, marks }
    })
}

fn action() -> impl Strategy<Value = (Action, Vec<Dest>)> {
    let others = vec![
        Action::Willneed,
        Action::Cold,
        Action::Pageout,
        Action::Hugepage,
        Action::Nohugepage,
        Action::Collapse,
        Action::LruPrio,
        Action::LruDeprio,
        Action::Stat,
    ];
    let dest =
        (any::<u16>(), prop_oneof![Just(1), u32s()]).prop_map(|(node, weight)| Dest { node: NodeId(node), weight });
    let migrate = prop_oneof![Just(Action::MigrateHot), Just(Action::MigrateCold)];
    prop_oneof![(proptest::sample::select(others), Just(Vec::new())).boxed(), (migrate, vec(dest, 1..4)).boxed()]
}

prop_compose! {
    fn scheme(targets: u32)(
        (action, dests) in action(),
        pattern in pattern(),
        apply_interval in micros(),
        quota in quota(),
        watermarks in of(watermarks()),
        core_filters in vec(core_filter(targets), 0..3),
        filters in vec(filter(page()), 0..4),
        max_nr_snapshots in of(1..=u64::MAX),
    ) -> Scheme {
        let limits = Scheme { quota, watermarks, max_nr_snapshots, ..Scheme::new(action) };
        Scheme { pattern, apply_interval, dests, core_filters, filters, ..limits }
    }
}

prop_compose! {
    fn attrs()(
        sampling in 1..100_000_u64,
        samples in 1..1_000_u64,
        below in 0..1_000_u64,
        update in 1..u64::MAX / 2,
        regions in (3..1_000_usize, 0..100_000_usize),
        unit in 0..20_u32,
        goal in of((1..=10_000_u32, 1..=u32::MAX, 0..1_000_000_u64)),
        probes in vec((vec(filter(probe_page()), 0..3), 0..1_000_u32), 0..4),
    ) -> AttrsSpec {
        let us = Duration::from_micros;
        let (min_nr_regions, more) = regions;
        AttrsSpec {
            sampling: us(sampling),
            aggregation: us(sampling * samples + below),
            update: us(update),
            min_nr_regions,
            max_nr_regions: min_nr_regions + more,
            addr_unit: 1 << unit,
            granule: (4_096_u64 >> unit).max(1),
            intervals_goal: goal.map(|(bp, aggregations, longer)| IntervalsGoal {
                access_bp: Bp(bp),
                aggregations,
                min_sampling: us(sampling.div_ceil(2)),
                max_sampling: us(sampling + longer),
            }),
            probes: probes.into_iter().map(|(filters, weight)| Probe { filters, weight }).collect(),
            // What documents ask for is the kernel's.
            adjust: Adjust::Classic,
            ..AttrsSpec::default()
        }
    }
}

fn targets() -> impl Strategy<Value = (OpsKind, Vec<Watched>)> {
    let one = (1..i64::MAX, vec(addr_range(), 1..4));
    (0..3_usize, vec(one, 1..4)).prop_map(|(kind, targets)| {
        let ops = [OpsKind::Vaddr, OpsKind::Fvaddr, OpsKind::Paddr][kind];
        let watched = |(i, (pid, ranges)): (u32, (i64, Vec<AddrRange>))| Watched {
            pid: (ops != OpsKind::Paddr).then_some(pid),
            spec: TargetSpec {
                ranges: if ops == OpsKind::Vaddr { Vec::new() } else { ranges },
                ..TargetSpec::new(TargetId::new(i))
            },
        };
        (ops, (0..).zip(targets).map(watched).collect())
    })
}

fn config() -> impl Strategy<Value = Config> {
    (targets(), attrs(), any::<bool>()).prop_flat_map(|((ops, targets), attrs, paused)| {
        let schemes = vec(scheme(targets.len() as u32), 0..3);
        schemes.prop_map(move |schemes| Config { ops, attrs: attrs.clone(), targets: targets.clone(), schemes, paused })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_is_read_as_it_was(config in config()) {
        let context = config.to_context(&cgroups()).unwrap();
        let document = Document::from(context);
        let read: Document = document.to_string().parse().unwrap();
        prop_assert_eq!(&read, &document);
        prop_assert_eq!(read.configs(&cgroups()).unwrap(), [config]);
    }
}
