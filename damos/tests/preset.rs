//! Presets are the kernel's modules: their defaults, parameter by parameter, and what is made of them.

use std::time::Duration;

use damon_core::control::priority::Weights;
use damon_core::control::watermarks::Marks;
use damon_core::{
    Action, AddrRange, Applied, ApplyOps, Attrs, AttrsSpec, Bp, Filter, IntervalsGoal, Metric, Monitor, PageFilter,
    Request, TargetId, Unsupported,
};
use damos::engine::Schemes;
use damos::preset::{LruSort, LruSortError, Monitoring, Reclaim, Stat};
use damos::scheme::{AccessPattern, Age, Freq, Goal, Quota, Scheme, Tuner, Watermarks};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Does all of everything.
struct All;

impl ApplyOps for All {
    type Error = core::convert::Infallible;
    fn supports(&self, _: Option<TargetId>, _: &Request<'_>) -> Result<(), Unsupported> {
        Ok(())
    }
    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Self::Error> {
        Applied::whole(range)
    }
}

fn free_memory(high: u64, mid: u64, low: u64) -> Option<Watermarks> {
    let marks = Marks { high, mid, low };
    Some(Watermarks { metric: Metric::FreeMemRatePermille, interval: 5 * SECOND, marks })
}

/// Takes a plan as a program does, and gives back its schemes.
fn used((attrs, schemes): (AttrsSpec, Vec<Scheme>)) -> Vec<Scheme> {
    let attrs = Attrs::try_from(attrs);
    assert!(attrs.is_ok(), "{attrs:?}");
    let monitor = Monitor::new(attrs.unwrap_or_default(), 1);
    let accepted = Schemes::new(&monitor.view(), &All, schemes.clone());
    assert!(accepted.is_ok(), "{accepted:?}");
    schemes
}

#[test]
fn reclaim_pages_out_what_is_idle_for_two_minutes_within_10_ms_and_128_mib_a_second() {
    let (attrs, schemes) = Reclaim::default().plan();
    assert_eq!(attrs, AttrsSpec::default());
    let expected = Scheme {
        pattern: AccessPattern {
            size: 4_096..=u64::MAX,
            freq: Freq::Samples(0..=0),
            age: Age::Time(120 * SECOND..=Duration::MAX),
            ..AccessPattern::default()
        },
        quota: Quota {
            size: 134_217_728,
            time: 10 * MS,
            reset_interval: SECOND,
            fail_charge: None,
            weights: Weights { size: 0, nr_accesses: 0, age: 1 },
            goals: vec![],
            tuner: Tuner::Consist,
        },
        watermarks: free_memory(500, 400, 200),
        ..Scheme::new(Action::Pageout)
    };
    assert_eq!(used((attrs, schemes)), [expected]);
}

#[test]
fn reclaim_has_a_goal_for_the_pressure_and_one_for_the_programs_own_value() {
    let with = Reclaim { mem_pressure: Some(15 * MS), feedback: Some(9_000), ..Reclaim::default() };
    let goals = &used(with.plan())[0].quota.goals;
    let feedback = Goal { current_value: 9_000, ..Goal::new(Metric::UserInput, 10_000) };
    assert_eq!(*goals, [Goal::new(Metric::SomeMemPsiUs, 15_000), feedback]);
}

#[test]
fn reclaim_can_skip_anonymous_memory() {
    let schemes = used(Reclaim { skip_anon: true, ..Reclaim::default() }.plan());
    assert_eq!(schemes[0].filters, [Filter { page: PageFilter::Anon, matching: true, allow: false }]);
}

#[test]
fn autotuned_intervals_start_at_the_kernels_and_aim_at_40_bp() {
    let monitoring = Monitoring {
        sampling: SECOND,
        aggregation: SECOND,
        max_nr_regions: 99,
        autotune: true,
        ..Monitoring::default()
    };
    let goal = IntervalsGoal { access_bp: Bp(40), aggregations: 3, min_sampling: 5 * MS, max_sampling: 10 * SECOND };
    let expected = AttrsSpec {
        sampling: 5 * MS,
        aggregation: 100 * MS,
        max_nr_regions: 99,
        intervals_goal: Some(goal),
        ..AttrsSpec::default()
    };
    let reclaim = Reclaim { monitoring: monitoring.clone(), ..Reclaim::default() }.plan();
    assert_eq!(reclaim.0, expected);
    used(reclaim);
    assert_eq!(LruSort { monitoring, ..LruSort::default() }.plan().map(|(attrs, _)| attrs), Ok(expected));
}

fn lru_sort(preset: &LruSort) -> [Scheme; 2] {
    let plan = preset.plan();
    assert!(plan.is_ok(), "{plan:?}");
    let schemes = used(plan.unwrap_or_default());
    [schemes[0].clone(), schemes[1].clone()]
}

#[test]
fn lru_sort_makes_hot_what_half_the_samples_hit_and_cold_what_is_idle_for_two_minutes() {
    let [hot, cold] = lru_sort(&LruSort::default());
    assert_eq!((hot.action, cold.action), (Action::LruPrio, Action::LruDeprio));
    assert_eq!((hot.pattern.freq, hot.pattern.age), (Freq::Samples(10..=u32::MAX), Age::ANY));
    assert_eq!((cold.pattern.freq, cold.pattern.age), (Freq::NONE, Age::Time(120 * SECOND..=Duration::MAX)));
    let quota = Quota {
        time: 5 * MS,
        reset_interval: SECOND,
        weights: Weights { size: 0, nr_accesses: 1, age: 1 },
        ..Quota::default()
    };
    assert_eq!((&hot.quota, &cold.quota), (&quota, &quota));
    assert_eq!((&hot.watermarks, &cold.watermarks), (&free_memory(200, 150, 50), &free_memory(200, 150, 50)));
    assert!(hot.filters.is_empty() && cold.filters.is_empty());
}

#[test]
fn lru_sort_rounds_the_hot_threshold_down_to_samples() {
    let [hot, _] = lru_sort(&LruSort { hot_access_permille: 549, ..LruSort::default() });
    assert_eq!(hot.pattern.freq, Freq::Samples(10..=u32::MAX));
}

#[test]
fn lru_sort_goals_overlap_by_two_basis_points() {
    let [hot, cold] = lru_sort(&LruSort { active_mem: Some(Bp(6_000)), ..LruSort::default() });
    assert_eq!(hot.quota.goals, [Goal::new(Metric::ActiveMemBp, 6_000)]);
    assert_eq!(cold.quota.goals, [Goal::new(Metric::InactiveMemBp, 4_002)]);
}

#[test]
fn lru_sort_refuses_an_active_part_above_the_whole() {
    for bad in [Bp(0), Bp(10_001)] {
        let plan = LruSort { active_mem: Some(bad), ..LruSort::default() }.plan();
        assert_eq!(plan, Err(LruSortError::ActiveMem(bad)));
    }
}

#[test]
fn lru_sort_can_look_at_each_page_once_more() {
    let [hot, cold] = lru_sort(&LruSort { filter_young: true, ..LruSort::default() });
    let young = |matching| [Filter { page: PageFilter::Young, matching, allow: false }];
    assert_eq!(hot.filters, young(false), "what is not young does not become hot");
    assert_eq!(cold.filters, young(true), "what is young does not become cold");
}

#[test]
fn half_of_a_small_time_limit_does_not_become_no_limit() {
    let time = |time| lru_sort(&LruSort { time, ..LruSort::default() })[0].quota.time;
    assert_eq!([0, 1, 2, 7].map(|ms| time(ms * MS).as_millis()), [0, 1, 1, 3]);
}

#[test]
fn stat_only_watches_and_tunes_its_intervals_to_4_percent() {
    let (attrs, schemes) = Stat::default().plan();
    let expected = AttrsSpec {
        update: 60 * SECOND,
        intervals_goal: Some(IntervalsGoal {
            access_bp: Bp(400),
            aggregations: 3,
            min_sampling: 5 * MS,
            max_sampling: 10 * SECOND,
        }),
        ..AttrsSpec::default()
    };
    assert_eq!(attrs, expected);
    assert!(used((attrs, schemes)).is_empty());
}

#[test]
fn stat_starts_within_the_goals_limits() {
    let goal = IntervalsGoal { min_sampling: 50 * MS, ..IntervalsGoal::default() };
    let (attrs, _) = Stat { intervals_goal: goal, ..Stat::default() }.plan();
    assert_eq!((attrs.sampling, attrs.aggregation), (50 * MS, SECOND));
}
