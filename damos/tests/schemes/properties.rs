//! What holds of any schemes on any memory.

use std::time::Duration;

use damon_core::control::priority::Weights;
use damon_core::control::watermarks::{Marks, active};
use damon_core::{
    Action, Adjust, AttrsSpec, Filter, Instant, Metric, MetricsFn, Monitor, PageFilter, Rng, Sees, TargetId,
};
use damos::engine::{Schemes, Stats, Tried};
use damos::scheme::{
    AccessPattern, Age, CoreFilter, CoreFilterKind, Freq, Goal, PriorityRange, Quota, Scheme, TargetShare, Tuner,
    Watermarks,
};
use proptest::prelude::*;

use super::support::*;

/// Regions in granules: gap before, size, count, age.
fn pictures() -> impl Strategy<Value = Vec<(u64, u64, u64, u64)>> {
    let region = (prop_oneof![3 => Just(0u64), 1 => 1..9u64], 1..60u64, prop_oneof![Just(0u64), 0..=20u64], 0..400u64);
    prop::collection::vec(region, 1..40).prop_map(|list| {
        let mut at = 3;
        let place = |(gap, size, n, age)| {
            let start = at + gap;
            at = start + size;
            (start, at, n, age)
        };
        list.into_iter().map(place).collect()
    })
}

fn quotas() -> impl Strategy<Value = Quota> {
    let size = prop_oneof![1 => Just(0u64), 3 => 0..400 * GRANULE];
    let ms = prop_oneof![2 => Just(0u64), 1 => 1..3u64];
    let fail_charge = prop::option::of((0..=4u32).prop_map(|num| (num, 4)));
    let goal = prop::option::of((1..2_000u64).prop_map(|target| Goal::new(Metric::UserInput, target)));
    let weights = (0..3u32, 0..3u32, 0..3u32).prop_map(|(size, nr_accesses, age)| Weights { size, nr_accesses, age });
    (size, ms, 0..700u64, fail_charge, weights, goal, any::<bool>()).prop_map(
        |(size, ms, reset, fail_charge, weights, goal, temporal)| Quota {
            size,
            time: Duration::from_millis(ms),
            reset_interval: Duration::from_millis(reset),
            fail_charge,
            weights,
            goals: goal.into_iter().collect(),
            tuner: if temporal { Tuner::Temporal } else { Tuner::Consist },
        },
    )
}

fn filters() -> impl Strategy<Value = Vec<CoreFilter>> {
    // Not of whole granules on purpose: the ends are rounded down.
    let kind = prop_oneof![
        4 => (0..600 * GRANULE, 1..200 * GRANULE).prop_map(|(at, len)| CoreFilterKind::Addr(range(at, at + len))),
        1 => (0..2u32).prop_map(|id| CoreFilterKind::Target(TargetId::new(id))),
    ];
    let line = (kind, any::<bool>(), any::<bool>());
    prop::collection::vec(line.prop_map(|(kind, matching, allow)| CoreFilter { kind, matching, allow }), 0..4)
}

fn schemes() -> impl Strategy<Value = Scheme> {
    use Action::*;
    let action = prop::sample::select(vec![Pageout, Cold, Stat, MigrateHot, Willneed, Hugepage, LruPrio]);
    let pattern = (prop_oneof![Just(0u64), 0..20u64], 0..8u32, 5..=20u32, 0..200u32, 100..400u32).prop_map(
        |(size, least, most, young, old)| AccessPattern {
            size: size * GRANULE..=u64::MAX,
            freq: Freq::Samples(least..=most),
            age: Age::Aggregations(young..=old),
            ..AccessPattern::default()
        },
    );
    let watermarks = prop::option::weighted(0.3, (0..300u64, 0..300u64, 0..300u64, 1..400u64)).prop_map(|w| {
        let metric = Metric::FreeMemRatePermille;
        w.map(|(low, mid, high, ms)| Watermarks {
            metric,
            interval: Duration::from_millis(ms),
            marks: Marks { low, mid: low + mid, high: low + mid + high },
        })
    });
    let interval = prop_oneof![2 => Just(0u64), 1 => 20..400u64];
    let first =
        (0..3u32, 0..600 * GRANULE, 1..100 * GRANULE, 0..5_000u64).prop_map(|(target, at, len, ms)| PriorityRange {
            target: TargetId::new(target),
            range: range(at, at + len),
            until: Instant::ZERO + Duration::from_millis(ms),
        });
    let first = prop_oneof![Just(Vec::new()), prop::collection::vec(first, 1..4)];
    let (few, seldom) = (prop::option::weighted(0.2, 1..6u64), prop::bool::weighted(0.2));
    let guard = prop::option::weighted(0.3, 1..900u64).prop_map(|ms| ms.map(Duration::from_millis));
    let share = (0..3u32, 0..9u16).prop_map(|(t, weight)| TargetShare { target: TargetId::new(t), weight });
    let shared = (prop::collection::vec(share, 0..3), prop::collection::vec((0..3u32).prop_map(TargetId::new), 0..3));
    let rest = (interval, few, seldom, prop::bool::weighted(0.2), first, guard, shared);
    (action, prop_oneof![Just(AccessPattern::default()), pattern], quotas(), watermarks, filters(), rest).prop_map(
        |(
            action,
            pattern,
            quota,
            watermarks,
            core_filters,
            (interval, max_nr_snapshots, page, dry_run, priority_ranges, thrash_guard, (shares, primary)),
        )| Scheme {
            pattern,
            quota,
            watermarks,
            core_filters,
            filters: page
                .then_some(Filter { page: PageFilter::Anon, matching: true, allow: true })
                .into_iter()
                .collect(),
            apply_interval: Duration::from_millis(interval),
            priority_ranges,
            thrash_guard,
            shares,
            primary,
            verify: true,
            max_nr_snapshots,
            dry_run,
            ..Scheme::new(action)
        },
    )
}

/// What a test feeds in each time: milliseconds that pass, does an aggregation end, free memory, a goal's value.
fn scripts() -> impl Strategy<Value = Vec<(u64, bool, u64, u64)>> {
    prop::collection::vec((1..500u64, prop::bool::weighted(0.8), 0..1_000u64, 0..3_000u64), 1..25)
}

fn actors() -> impl Strategy<Value = Actor> {
    (prop::option::of(0..600 * GRANULE / 64), 0..=1_000u64, 0..3_000u64).prop_map(|(broken, per_mille, us)| Actor {
        broken_at: broken.map(|at| at * 64),
        per_mille,
        took: Duration::from_micros(us),
        ..Actor::default()
    })
}

/// The core filters of a scheme, said once more and without cutting: `None` where an edge goes through the range.
fn allows(scheme: &Scheme, t: &Tried) -> Option<bool> {
    let down = |addr: u64| addr / GRANULE * GRANULE;
    for f in &scheme.core_filters {
        let matched = match f.kind {
            CoreFilterKind::Target(id) => id == t.target,
            CoreFilterKind::Addr(r) => {
                let (start, end) = (down(r.start()).max(t.range.start()), down(r.end()).min(t.range.end()));
                if start < end && (start, end) != (t.range.start(), t.range.end()) {
                    return None;
                }
                start < end
            }
            _ => return None,
        };
        if matched == f.matching {
            return Some(f.allow);
        }
    }
    Some(!scheme.filters.is_empty() || scheme.core_filters.last().is_none_or(|f| !f.allow))
}

/// What one scheme was seen to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    nr_tried: u64,
    sz_tried: u64,
    nr_applied: u64,
    sz_applied: u64,
}

impl Sum {
    fn of<'a>(tried: impl Iterator<Item = &'a Tried>) -> Self {
        tried.fold(Self::default(), |sum, t| Self {
            nr_tried: sum.nr_tried + 1,
            sz_tried: sum.sz_tried + t.range.size(),
            nr_applied: sum.nr_applied + u64::from(!t.dry_run && t.applied > 0),
            sz_applied: sum.sz_applied + if t.dry_run { 0 } else { t.applied },
        })
    }

    fn said(s: &Stats) -> Self {
        let &Stats { nr_tried, sz_tried, nr_applied, sz_applied, .. } = s;
        Self { nr_tried, sz_tried, nr_applied, sz_applied }
    }
}

struct Run {
    tried: Vec<Tried>,
    actor: Actor,
    stats: Vec<Stats>,
    monitor: Monitor,
}

fn memory(monitor: &Monitor) -> Vec<(u32, u64)> {
    let targets = monitor.view();
    targets.targets().iter().map(|t| (t.id().get(), t.regions().iter().map(|r| r.size()).sum())).collect()
}

/// Runs a script, and after each step holds what was done against the laws.
fn run(mut monitor: Monitor, list: &[Scheme], mut actor: Actor, script: &[(u64, bool, u64, u64)]) -> Run {
    let mut schemes = Schemes::new(&monitor.view(), &actor, list.to_vec()).expect("valid schemes");
    let total = memory(&monitor);
    let (mut now, mut all) = (Instant::ZERO, Vec::new());
    let mut marks: Vec<_> = list.iter().map(|_| (true, Instant::ZERO)).collect();
    for &(ms, aggregated, free, goal) in script {
        now = now + Duration::from_millis(ms);
        let mut metrics = MetricsFn(|_| Ok(free));
        let _ = schemes.activate(now, &mut metrics);
        for (i, (s, (on, look))) in list.iter().zip(&mut marks).enumerate() {
            schemes.set_goal_input(i, 0, goal);
            if let Some(w) = s.watermarks.as_ref().filter(|_| now >= *look) {
                (*on, *look) = (active(*on, free, w.marks), now + w.interval);
            }
        }
        let charged: Vec<_> = (0..list.len()).filter_map(|i| schemes.charged(i)).collect();
        let asked = actor.asked.len();
        let mut tried = Vec::new();
        let outcome =
            schemes.apply_with(now, aggregated, &mut monitor, &mut actor, &mut metrics, &mut |t| tried.push(*t));
        assert_eq!(outcome.error.is_some(), outcome.nr_failed > 0);
        assert_eq!(memory(&monitor), total, "regions are cut and joined, and none is lost");

        let real: Vec<_> = tried.iter().filter(|t| !t.dry_run).collect();
        assert!(real.iter().map(|t| (t.target, t.range)).eq(actor.asked[asked..].iter().map(|a| (a.target, a.range))));
        for (t, a) in real.iter().zip(&actor.asked[asked..]) {
            // What a core filter allows is allowed whatever the page filters say.
            let decided = list[t.scheme].core_filters.iter().any(|f| f.allow) && a.filters == 0;
            assert!(decided || a.filters == list[t.scheme].filters.len());
        }
        for (i, s) in list.iter().enumerate() {
            let mine: Vec<_> = tried.iter().filter(|t| t.scheme == i).collect();
            assert!(mine.is_empty() || marks[i].0, "acts outside its watermarks");
            assert_eq!(schemes.is_active(i), Some(marks[i].0));
            for t in &mine {
                assert_eq!((t.range.start() % GRANULE, t.range.end() % GRANULE), (0, 0));
                assert_eq!(allows(s, t), Some(true), "{t:?} and {:?}", s.core_filters);
                let (Freq::Samples(freq), Age::Aggregations(age)) = (&s.pattern.freq, &s.pattern.age) else { continue };
                assert!(freq.contains(&t.nr_accesses) && age.contains(&t.age), "{t:?} and {:?}", s.pattern);
            }
            let mut places: Vec<_> = mine.iter().map(|t| (t.target, t.range.start(), t.range.end())).collect();
            assert!(places.is_sorted() || !s.priority_ranges.is_empty(), "in order");
            places.sort_unstable();
            assert!(places.windows(2).all(|p| (p[0].0, p[0].2) <= (p[1].0, p[1].1)), "nothing twice");
            let (effective, _) = schemes.effective_quota(i).expect("there is the scheme");
            let is_set = effective > 0 || s.quota.size > 0 || !s.quota.time.is_zero() || !s.quota.goals.is_empty();
            let in_window = schemes.charged(i).expect("there is the scheme");
            assert!(!is_set || in_window <= effective, "charged {in_window} of {effective}");
            assert!(s.quota.size == 0 || effective <= s.quota.size);
            // Nothing but what it was itself tried on is charged, in this window or a new one.
            let charge: u64 = mine.iter().map(|t| charge(t, s)).sum();
            assert!(
                in_window == charged[i] + charge || in_window == charge || mine.is_empty() && in_window == charged[i]
            );
        }
        all.extend(tried);
    }
    let stats: Vec<_> = (0..list.len()).filter_map(|i| schemes.stats(i)).collect();
    for (i, (s, stats)) in list.iter().zip(&stats).enumerate() {
        assert_eq!(Sum::said(stats), Sum::of(all.iter().filter(|t| t.scheme == i)));
        let failed = all
            .iter()
            .filter(|t| t.scheme == i && !t.dry_run && actor.broken_at.is_some_and(|at| t.range.contains(at)));
        assert_eq!(stats.nr_failed, failed.count() as u64);
        assert!(stats.sz_verified + stats.sz_unverified <= stats.sz_tried);
        assert!(stats.sz_came_back == 0 && stats.sz_spared == 0 || s.thrash_guard.is_some() && !s.dry_run);
        assert!(stats.sz_applied <= stats.sz_tried && stats.nr_applied <= stats.nr_tried);
        assert!(s.max_nr_snapshots.is_none_or(|max| stats.nr_snapshots <= max));
    }
    Run { tried: all, actor, stats, monitor }
}

fn charge(t: &Tried, s: &Scheme) -> u64 {
    match s.quota.fail_charge {
        Some((num, denom)) => t.applied + (t.range.size() - t.applied) * u64::from(num) / u64::from(denom),
        None => t.range.size(),
    }
}

/// Three targets that were watched for a while by either algorithm, with hot parts and holes where `seed` says.
fn three_targets(seed: u64) -> Monitor {
    let mut rng = Rng::new(seed);
    let hot: Vec<_> = (0..3).map(|_| rng.below(300) * GRANULE).collect();
    let target = |_| {
        let start = rng.below(50);
        let hole = start + 50 + rng.below(100);
        [pages(start, hole), pages(hole + 10, hole + 60 + rng.below(200))].map(|r| span(r, Sees::Accesses)).to_vec()
    };
    let targets = (0..3).map(target).collect();
    let is_hot = |t: TargetId, addr: u64| (hot[t.get() as usize]..hot[t.get() as usize] + 60 * GRANULE).contains(&addr);
    let adjust = if seed % 2 == 0 { Adjust::Classic } else { Adjust::Adaptive };
    watched(
        AttrsSpec { min_nr_regions: 40, adjust, ..AttrsSpec::default() },
        seed,
        9,
        &mut Picture { targets, hot: is_hot },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn quotas_filters_and_watermarks_are_kept_and_the_statistics_add_up(
        picture in pictures(), list in prop::collection::vec(schemes(), 1..5), actor in actors(), script in scripts(),
    ) {
        run(finished(&picture), &list, actor, &script);
    }

    #[test]
    fn so_are_they_with_several_targets(
        seed in any::<u64>(), list in prop::collection::vec(schemes(), 1..4), actor in actors(), script in scripts(),
    ) {
        run(three_targets(seed), &list, actor, &script);
    }

    #[test]
    fn equal_seeds_equal_decisions(
        seed in any::<u64>(), list in prop::collection::vec(schemes(), 1..4), actor in actors(), script in scripts(),
    ) {
        let [a, b] = [0, 1].map(|_| run(three_targets(seed), &list, actor.clone(), &script));
        prop_assert_eq!((a.tried, a.actor.asked, a.stats), (b.tried, b.actor.asked, b.stats));
        prop_assert_eq!(a.monitor.view().snapshot(), b.monitor.view().snapshot());
    }

    /// The other looks at the counts alone: ages, and regions joined because their ages are alike now, are nothing to it.
    #[test]
    fn a_scheme_that_resets_ages_does_not_touch_the_quotas_of_others(
        picture in pictures(), quota in quotas(), script in scripts(),
    ) {
        let weights = Weights { size: 0, age: 0, ..quota.weights };
        // Time that its own calls take depends on how many regions there are.
        let quota = Quota { weights, time: Duration::ZERO, ..quota };
        let other = Scheme { quota, ..Scheme::new(Action::Stat) };
        let resets = Scheme::new(Action::Cold);
        let charged = |list: Vec<Scheme>| {
            let mut monitor = finished(&picture);
            let mut schemes = Schemes::new(&monitor.view(), &Actor::default(), list).expect("valid schemes");
            let (mut now, mut log, last) = (Instant::ZERO, Vec::new(), schemes.schemes().len() - 1);
            for &(ms, aggregated, _, goal) in &script {
                now = now + Duration::from_millis(ms);
                schemes.set_goal_input(last, 0, goal);
                let mut done = Vec::new();
                let _ = schemes.apply_with(now, aggregated, &mut monitor, &mut Actor::default(), &mut (), &mut |t| {
                    if t.scheme == last {
                        done.extend((t.range.start()..t.range.end()).step_by(GRANULE as usize));
                    }
                });
                log.push((schemes.charged(last), schemes.effective_quota(last), done));
            }
            log
        };
        prop_assert_eq!(charged(vec![other.clone()]), charged(vec![resets, other]));
    }
}
