//! How much monitoring may cost, and the arithmetic that keeps it to that: numbers in, numbers out.
//!
//! What a window costs is taken to be as it was in the period measured last, and to grow with its checks; the
//! sampling interval follows from it. Costs of another shape (a look at the mappings once a second) take a few
//! periods more.

use core::time::Duration;

/// How much CPU monitoring may use, as a person writes it. The default is 3% of one CPU.
///
/// The budget is kept by sampling less often and, where that is not enough, by checking fewer addresses. Nothing
/// changes while the cost is between 80% and 100% of the budget; when it is cheaper, what was taken is given back,
/// but never more than what the attributes say.
///
/// ```
/// use damos::context::Budget;
/// let budget = Budget { cpu_permille: 10, ..Default::default() };
/// assert!(budget.max_sampling >= std::time::Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Thousandths of one CPU: 1 to 1,000.
    pub cpu_permille: u32,
    /// Sampling intervals are stretched to this at most. Where the intervals are tuned to a goal, the goal's
    /// `max_sampling` holds instead. At least a microsecond; shorter than the interval that was asked for means that
    /// intervals are never stretched. Default 1 s.
    pub max_sampling: Duration,
    /// What it costs the watched program to touch an armed address: counted for each check that finds an access.
    /// About 2 µs where checks rest on page faults, nothing where they read accessed bits. Default 0.
    pub fault_cost: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { cpu_permille: 30, max_sampling: Duration::from_secs(1), fault_cost: Duration::ZERO }
    }
}

/// What is wrong with a [`Budget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadBudget {
    /// Nothing at all, or more than one CPU.
    #[error("cpu_permille is {0}, but must be 1 to 1,000; for no limit leave the budget out")]
    CpuPermille(u32),
    /// Less than a microsecond.
    #[error("max_sampling is {0:?}, but must be at least a microsecond")]
    MaxSampling(Duration),
}

impl Budget {
    pub(super) fn check(self) -> Result<Self, BadBudget> {
        if !(1..=1_000).contains(&self.cpu_permille) {
            return Err(BadBudget::CpuPermille(self.cpu_permille));
        }
        if self.max_sampling < Duration::from_micros(1) {
            return Err(BadBudget::MaxSampling(self.max_sampling));
        }
        Ok(self)
    }
}

/// Between what the controller may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// The shortest and the longest sampling interval, in microseconds: 1 or more, in order.
    pub sampling_us: (u64, u64),
    /// The fewest and the most checks in a window: 1 or more, in order.
    pub checks: (u64, u64),
}

/// What the controller has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// No sampling interval is shorter.
    pub sampling_us: u64,
    /// No window has more checks.
    pub checks: u64,
}

/// What was measured over a period with one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub cpu_ns: u64,
    pub elapsed_ns: u64,
    pub windows: u64,
    pub checks: u64,
}

impl Limits {
    /// Nothing taken: what the user asked for.
    pub(super) const fn unstretched(&self) -> Level {
        Level { sampling_us: self.sampling_us.0, checks: self.checks.1 }
    }

    /// A level that was chosen within other limits.
    pub(super) fn clamp(&self, level: Level) -> Level {
        Level {
            sampling_us: level.sampling_us.clamp(self.sampling_us.0, self.sampling_us.1),
            checks: level.checks.clamp(self.checks.0, self.checks.1),
        }
    }
}

impl Usage {
    /// Thousandths of one CPU.
    pub(super) fn permille(&self) -> u32 {
        let permille = u128::from(self.cpu_ns) * 1_000 / u128::from(self.elapsed_ns.max(1));
        u32::try_from(permille).unwrap_or(u32::MAX)
    }
}

/// The level to go on with after `usage` was measured at `level`, under a budget of `permille` of one CPU.
///
/// Above the budget it takes as much as is predicted to bring the cost to nine tenths of it. Below eight tenths it
/// gives back as much, but no more than half of the interval or as many checks again at a time, so that one quiet
/// period does not undo what a busy one asked for. In between it leaves everything alone.
pub(super) fn adjust(level: Level, limits: &Limits, permille: u32, usage: &Usage) -> Level {
    if usage.windows == 0 || usage.elapsed_ns == 0 {
        return level;
    }
    let budget = u128::from(permille);
    let window_ns = u128::from(usage.cpu_ns / usage.windows);
    if over(permille, usage) {
        let goal = predict(level, limits, budget, window_ns, usage);
        Level { sampling_us: goal.sampling_us.max(level.sampling_us), checks: goal.checks.min(level.checks) }
    } else if window_ns * 10 < u128::from(level.sampling_us) * 8 * budget {
        // The shortest interval is what the cost is predicted for: a tuner may have chosen a longer one for now.
        let goal = predict(level, limits, budget, window_ns, usage);
        limits.clamp(Level {
            sampling_us: goal.sampling_us.min(level.sampling_us).max(level.sampling_us / 2),
            checks: goal.checks.max(level.checks).min(level.checks.saturating_mul(2)),
        })
    } else {
        level
    }
}

/// Was the budget exceeded?
pub(super) fn over(permille: u32, usage: &Usage) -> bool {
    u128::from(usage.cpu_ns) * 1_000 > u128::from(usage.elapsed_ns) * u128::from(permille)
}

/// Where nine tenths of the budget lie: first the interval is used up, then the checks.
fn predict(level: Level, limits: &Limits, budget: u128, window_ns: u128, usage: &Usage) -> Level {
    let (min_us, max_us) = limits.sampling_us;
    let (min_checks, max_checks) = limits.checks;
    let checks = u128::from(usage.checks / usage.windows).max(1);
    // Windows that come near the level's limit would have more checks without it: as many as allowed, for all we
    // know.
    let held_down = level.checks < max_checks && checks * 10 >= u128::from(level.checks) * 9;
    let free_ns = if held_down { window_ns * u128::from(max_checks) / checks } else { window_ns };
    // ns of a window / (budget × 9/10), as µs: 1,000 for "per mille", 1/1,000 for the unit.
    let us = (free_ns * 10).div_ceil(budget * 9);
    if us <= u128::from(max_us) {
        return Level { sampling_us: saturate(us).max(min_us), checks: max_checks };
    }
    let fitting = checks * budget * 9 * u128::from(max_us) / (window_ns * 10).max(1);
    Level { sampling_us: max_us, checks: saturate(fitting).clamp(min_checks, max_checks) }
}

fn saturate(n: u128) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { sampling_us: (5_000, 1_000_000), checks: (10, 1_000) };

    /// A monitor whose windows cost `fixed_ns`, and `check_ns` for each of as many checks as it has `regions`, up
    /// to the level's.
    struct Model {
        fixed_ns: u64,
        check_ns: u64,
        regions: u64,
    }

    impl Model {
        fn run(&self, level: Level, windows: u64) -> Usage {
            let checks = self.regions.min(level.checks);
            let cpu_ns = (self.fixed_ns + checks * self.check_ns) * windows;
            let elapsed_ns = (level.sampling_us * 1_000 * windows).max(cpu_ns);
            Usage { cpu_ns, elapsed_ns, windows, checks: checks * windows }
        }

        fn settle(&self, mut level: Level, permille: u32, periods: u32) -> (Level, Usage) {
            for _ in 0..periods {
                level = adjust(level, &LIMITS, permille, &self.run(level, 20));
            }
            (level, self.run(level, 20))
        }
    }

    #[test]
    fn within_the_budget_nothing_changes() {
        let cheap = Model { fixed_ns: 10_000, check_ns: 100, regions: 100 };
        let free = LIMITS.unstretched();
        assert_eq!(cheap.settle(free, 30, 10).0, free);
    }

    #[test]
    fn a_cost_above_the_budget_stretches_the_interval_to_nine_tenths_of_it() {
        // 1 ms each 5 ms is 20%. Nine tenths of 3% are 2.7%: 1 ms each 37.04 ms.
        let dear = Model { fixed_ns: 0, check_ns: 10_000, regions: 100 };
        let (level, usage) = dear.settle(LIMITS.unstretched(), 30, 1);
        assert_eq!(level, Level { sampling_us: 37_038, checks: 1_000 });
        assert_eq!(usage.permille(), 26);
    }

    #[test]
    fn at_the_longest_interval_checks_are_given_up_and_no_more_than_allowed() {
        let dear = Model { fixed_ns: 0, check_ns: 100_000, regions: 1_000 };
        let (level, usage) = dear.settle(LIMITS.unstretched(), 30, 3);
        assert_eq!(level.sampling_us, 1_000_000);
        assert!((250..=270).contains(&level.checks), "{level:?}");
        assert!(!over(30, &usage));

        let hopeless = Model { fixed_ns: 50_000_000, check_ns: 100_000, regions: 1_000 };
        let (level, usage) = hopeless.settle(LIMITS.unstretched(), 30, 5);
        assert_eq!(level, Level { sampling_us: 1_000_000, checks: 10 });
        assert!(over(30, &usage));
        assert_eq!(adjust(level, &LIMITS, 30, &usage), level, "nothing is left to take");
    }

    #[test]
    fn what_was_taken_is_given_back_step_by_step_and_never_more() {
        let dear = Model { fixed_ns: 0, check_ns: 100_000, regions: 1_000 };
        let (mut level, _) = dear.settle(LIMITS.unstretched(), 30, 3);
        let cheap = Model { fixed_ns: 1_000, check_ns: 10, regions: 1_000 };
        let mut periods = 0;
        while level != LIMITS.unstretched() {
            let next = adjust(level, &LIMITS, 30, &cheap.run(level, 20));
            assert!(next.sampling_us >= level.sampling_us / 2 && next.checks <= level.checks * 2);
            (level, periods) = (next, periods + 1);
            assert!(periods < 20, "{level:?}");
        }
        assert_eq!(cheap.settle(level, 30, 5).0, level);
    }

    #[test]
    fn a_cost_that_wavers_by_a_tenth_does_not_move_the_level() {
        let model = |percent: u64| Model { fixed_ns: 0, check_ns: 100 * percent, regions: 100 };
        let (level, _) = model(100).settle(LIMITS.unstretched(), 30, 2);
        for percent in [91, 109, 95, 110, 90] {
            assert_eq!(adjust(level, &LIMITS, 30, &model(percent).run(level, 20)), level, "{percent}%");
        }
        assert_ne!(adjust(level, &LIMITS, 30, &model(115).run(level, 20)), level);
        assert_ne!(adjust(level, &LIMITS, 30, &model(85).run(level, 20)), level);
    }

    #[test]
    fn a_longer_interval_chosen_by_the_tuner_does_not_count_as_room() {
        // The tuner samples each 200 ms; at the level's 37 ms the budget would just hold.
        let level = Level { sampling_us: 37_000, checks: 1_000 };
        let usage = Usage { cpu_ns: 20_000_000, elapsed_ns: 4_000_000_000, windows: 20, checks: 2_000 };
        assert_eq!(usage.permille(), 5);
        assert_eq!(adjust(level, &LIMITS, 30, &usage), level);
    }

    #[test]
    fn a_level_chosen_within_other_limits_is_brought_into_these() {
        let level = Level { sampling_us: 2_000_000, checks: 5 };
        assert_eq!(LIMITS.clamp(level), Level { sampling_us: 1_000_000, checks: 10 });
    }

    proptest! {
        #[test]
        fn it_settles_under_the_budget_or_with_nothing_left_to_take(
            fixed_ns in 0u64..100_000_000, check_ns in 0u64..200_000, regions in 1u64..3_000, permille in 1u32..1_000,
            from_us in 5_000u64..1_000_000, from_checks in 10u64..1_000,
        ) {
            let model = Model { fixed_ns, check_ns, regions };
            let (level, usage) = model.settle(Level { sampling_us: from_us, checks: from_checks }, permille, 60);
            prop_assert_eq!(LIMITS.clamp(level), level);
            let spent = Level { sampling_us: 1_000_000, checks: 10 };
            prop_assert!(!over(permille, &usage) || level == spent, "{:?} {:?}", level, usage);
            // Settled: it stays.
            prop_assert_eq!(adjust(level, &LIMITS, permille, &usage), level);
        }

        #[test]
        fn no_measurement_makes_it_leave_its_limits(
            cpu_ns: u64, elapsed_ns: u64, windows: u64, checks: u64, permille in 1u32..=1_000,
            sampling_us in 5_000u64..=1_000_000, level_checks in 10u64..=1_000,
        ) {
            let level = Level { sampling_us, checks: level_checks };
            let next = adjust(level, &LIMITS, permille, &Usage { cpu_ns, elapsed_ns, windows, checks });
            prop_assert_eq!(LIMITS.clamp(next), next);
        }
    }
}
