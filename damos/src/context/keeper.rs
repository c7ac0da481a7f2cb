//! Attributes under a budget: what the user wrote, and what of it holds while monitoring costs too much.

use core::time::Duration;

use damon_core::{Attrs, AttrsSpec};

use super::budget::{self, Budget, Level, Limits, Usage};

/// The user's attributes, the budget on top of them, and how far it has taken them.
#[derive(Debug)]
pub(super) struct Keeper {
    wrote: Attrs,
    budget: Option<(Budget, Level)>,
}

impl Keeper {
    pub(super) const fn new(wrote: Attrs) -> Self {
        Self { wrote, budget: None }
    }

    pub(super) const fn wrote(&self) -> &Attrs {
        &self.wrote
    }

    pub(super) fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref().map(|(budget, _)| budget)
    }

    /// Another budget starts from nothing taken.
    pub(super) fn set_budget(&mut self, budget: Option<Budget>) {
        self.budget = budget.map(|b| (b, limits(&self.wrote, &b).unstretched()));
    }

    /// What was taken stays taken, within the new limits.
    pub(super) fn rewrite(&mut self, wrote: Attrs) {
        self.wrote = wrote;
        if let Some((budget, level)) = &mut self.budget {
            *level = limits(&self.wrote, budget).clamp(*level);
        }
    }

    /// After a period that cost `usage`: was the budget exceeded with nothing left to take? `None` without a budget.
    pub(super) fn settle(&mut self, usage: &Usage) -> Option<Settled> {
        let (budget, level) = self.budget.as_mut()?;
        let limits = limits(&self.wrote, budget);
        let next = budget::adjust(*level, &limits, budget.cpu_permille, usage);
        let changed = next != *level;
        *level = next;
        Some(Settled { changed, exceeded: !changed && budget::over(budget.cpu_permille, usage) })
    }

    /// What to monitor with, if `sampling` is where a tuner stands (or what the user wrote).
    pub(super) fn attrs(&self, sampling: Duration) -> Attrs {
        let Some((_, level)) = &self.budget else { return self.tuned(sampling) };
        let mut spec = self.wrote.spec().clone();
        let floor = Duration::from_micros(level.sampling_us);
        spec.sampling = match &mut spec.intervals_goal {
            Some(goal) => {
                goal.min_sampling = goal.min_sampling.max(floor);
                sampling.max(goal.min_sampling).min(goal.max_sampling)
            }
            None => spec.sampling.max(floor),
        };
        spec.aggregation = spec.sampling.saturating_mul(self.wrote.samples_per_aggregation());
        if level.checks < most_checks(&self.wrote) {
            spec.max_checks = usize::try_from(level.checks).ok();
        }
        // The limits are such that this cannot fail.
        Attrs::try_from(spec).unwrap_or_else(|_| self.wrote.clone())
    }

    fn tuned(&self, sampling: Duration) -> Attrs {
        let goal = self.wrote.spec().intervals_goal.as_ref();
        goal.and_then(|goal| self.wrote.with_sampling(sampling.clamp(goal.min_sampling, goal.max_sampling)).ok())
            .unwrap_or_else(|| self.wrote.clone())
    }

    /// The shortest sampling interval, as parts of a thousand of the one that the user wrote.
    pub(super) fn stretch_permille(&self) -> u32 {
        let Some((budget, level)) = &self.budget else { return 1_000 };
        let (written_us, _) = limits(&self.wrote, budget).sampling_us;
        u32::try_from(u128::from(level.sampling_us) * 1_000 / u128::from(written_us)).unwrap_or(u32::MAX)
    }

    /// To how many checks a window the budget holds it down, if it does.
    pub(super) fn held_checks(&self) -> Option<usize> {
        let (_, level) = self.budget.as_ref()?;
        (level.checks < most_checks(&self.wrote)).then_some(level.checks).and_then(|n| usize::try_from(n).ok())
    }
}

/// What [`Keeper::settle`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) changed: bool,
    pub(super) exceeded: bool,
}

fn limits(wrote: &Attrs, budget: &Budget) -> Limits {
    let AttrsSpec { sampling, intervals_goal, min_nr_regions, .. } = wrote.spec();
    let (shortest, longest) = match intervals_goal {
        Some(goal) => (goal.min_sampling, goal.max_sampling),
        None => (*sampling, budget.max_sampling),
    };
    let shortest_us = micros(shortest).max(1);
    // An aggregation of such windows must still be a number of microseconds.
    let longest_us = micros(longest).min(u64::MAX / u64::from(wrote.samples_per_aggregation().max(1)));
    let most = most_checks(wrote);
    Limits {
        sampling_us: (shortest_us, longest_us.max(shortest_us)),
        checks: ((*min_nr_regions as u64).min(most), most),
    }
}

fn most_checks(wrote: &Attrs) -> u64 {
    wrote.spec().max_checks.unwrap_or(wrote.spec().max_nr_regions) as u64
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use damon_core::IntervalsGoal;

    const DEAR: Usage = Usage { cpu_ns: 200_000_000, elapsed_ns: 1_000_000_000, windows: 200, checks: 20_000 };
    const MS: Duration = Duration::from_millis(1);

    fn keeper(spec: AttrsSpec) -> Keeper {
        let mut keeper = Keeper::new(Attrs::try_from(spec).unwrap());
        keeper.set_budget(Some(Budget::default()));
        keeper
    }

    #[test]
    fn fixed_intervals_are_stretched_as_a_whole() {
        let mut k = keeper(AttrsSpec::default());
        assert_eq!(k.attrs(5 * MS), Attrs::default());
        assert_eq!(k.settle(&DEAR), Some(Settled { changed: true, exceeded: false }));
        let attrs = k.attrs(5 * MS);
        assert_eq!(attrs.sampling(), Duration::from_micros(37_038));
        assert_eq!(attrs.samples_per_aggregation(), 20);
        assert_eq!(k.stretch_permille(), 7_407);
    }

    #[test]
    fn tuned_intervals_have_their_minimum_raised_and_keep_where_the_tuner_stands() {
        let mut k = keeper(AttrsSpec { intervals_goal: Some(IntervalsGoal::default()), ..Default::default() });
        k.settle(&DEAR);
        for (tuned, expected) in [(5 * MS, Duration::from_micros(37_038)), (80 * MS, 80 * MS)] {
            let attrs = k.attrs(tuned);
            assert_eq!(attrs.sampling(), expected);
            let goal = attrs.spec().intervals_goal.clone().unwrap();
            assert_eq!((goal.min_sampling, goal.max_sampling), (Duration::from_micros(37_038), 10_000 * MS));
        }
    }

    #[test]
    fn attributes_written_later_stay_under_the_budget() {
        let mut k = keeper(AttrsSpec::default());
        k.settle(&DEAR);
        k.rewrite(Attrs::try_from(AttrsSpec { min_nr_regions: 20, ..Default::default() }).unwrap());
        let attrs = k.attrs(5 * MS);
        assert_eq!((attrs.sampling(), attrs.spec().min_nr_regions), (Duration::from_micros(37_038), 20));

        k.set_budget(None);
        assert_eq!(k.attrs(5 * MS).sampling(), 5 * MS);
    }

    #[test]
    fn limits_that_leave_no_room_give_up_checks_and_then_say_so() {
        let mut k = Keeper::new(Attrs::default());
        k.set_budget(Some(Budget { max_sampling: MS, ..Default::default() }));
        assert_eq!(k.settle(&DEAR).map(|s| s.exceeded), Some(false));
        assert_eq!((k.attrs(5 * MS).sampling(), k.attrs(5 * MS).spec().max_checks), (5 * MS, Some(13)));
        let fixed_cost = Usage { checks: 13 * 200, ..DEAR };
        assert_eq!(k.settle(&fixed_cost), Some(Settled { changed: true, exceeded: false }));
        assert_eq!(k.held_checks(), Some(10));
        assert_eq!(k.settle(&fixed_cost), Some(Settled { changed: false, exceeded: true }));
    }

    #[test]
    fn an_endless_longest_interval_is_no_error() {
        let mut k = Keeper::new(Attrs::default());
        k.set_budget(Some(Budget { cpu_permille: 1, max_sampling: Duration::MAX, ..Default::default() }));
        k.settle(&Usage { cpu_ns: u64::MAX, elapsed_ns: 1, windows: 1, checks: 1 });
        assert_eq!(k.attrs(5 * MS).samples_per_aggregation(), 20);
        assert!(k.attrs(5 * MS).sampling() > 5 * MS);
    }
}
