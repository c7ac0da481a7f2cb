//! Tunes the intervals at the end of an aggregation, by the counts that it left.
//!
//! Counterpart: `kdamond_tune_intervals` (`mm/damon/core.c`, Linux 7.3).

use super::Monitor;
use crate::attrs::Attrs;
use crate::control::intervals;
use crate::sight::Sees;
use crate::target::Target;

impl Monitor {
    /// Tunes, if the goal says that it is time.
    pub(super) fn tune(&mut self) {
        let Some(goal) = &self.attrs.spec().intervals_goal else { return };
        self.untuned += 1;
        if self.untuned < goal.aggregations {
            return;
        }
        self.untuned = 0;
        if let Some(new) = next_attrs(&self.attrs, &self.targets) {
            self.adjuster.rescale(&self.attrs, &new, false, &mut self.targets);
            self.attrs = new;
        }
    }
}

/// The attributes with tuned intervals; `None` without a goal, without a sample, or where they are right.
pub(crate) fn next_attrs(attrs: &Attrs, targets: &[Target]) -> Option<Attrs> {
    let goal = attrs.spec().intervals_goal.as_ref()?;
    let (mut seen, mut possible) = (0, 0);
    for r in targets.iter().flat_map(|t| &t.regions).filter(|r| r.sees != Sees::Nothing) {
        seen += u128::from(r.size()) * u128::from(r.nr_accesses);
        possible += u128::from(r.size()) * u128::from(r.nr_samples);
    }
    if possible == 0 {
        return None;
    }
    let score = intervals::score(seen, possible, goal.access_bp);
    let us = |d: core::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    let next = intervals::next_sampling(attrs.sampling_us(), score, us(goal.min_sampling), us(goal.max_sampling));
    (next != attrs.sampling_us()).then(|| attrs.with_sampling_us(next))
}
