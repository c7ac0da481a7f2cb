//! How memory is monitored: the same words in every program.

use std::error::Error;
use std::time::Duration;

use clap::Args;
use damon_core::{Attrs, AttrsSpec, DynOps, IntervalsGoal, Monitor};
use damos::Context;
use damos::config::quantity::Micros;
use damos::context::Budget;

use super::Opened;

/// Intervals, regions, and the CPU time that it may take.
#[derive(Args, Clone, Debug)]
pub struct Monitoring {
    /// The sampling interval, such as 5ms.
    #[arg(long, default_value = "5ms")]
    sampling: Micros,
    /// The aggregation interval.
    #[arg(long, default_value = "100ms")]
    aggregation: Micros,
    /// How often targets and their mappings are looked at.
    #[arg(long, default_value = "1s")]
    update: Micros,
    /// Keeps the intervals as they are. Otherwise they are tuned, to see accesses in 4% of what is watched.
    #[arg(long)]
    fixed: bool,
    /// The least regions.
    #[arg(long, default_value_t = 10)]
    min_regions: usize,
    /// The most regions.
    #[arg(long, default_value_t = 1_000)]
    max_regions: usize,
    /// CPU time that it may take, in thousandths of a CPU; beyond that it looks less often.
    #[arg(long, default_value_t = 50)]
    cpu_permille: u32,
    /// To more than this the aggregation interval is not tuned.
    #[arg(skip)]
    longest: Option<Duration>,
}

/// Aggregations of a method that takes its time have so many samples at least.
const FEW: u32 = 5;

impl Monitoring {
    /// The same with an aggregation interval that is not tuned to more than `longest`: somebody waits for each.
    #[must_use]
    pub fn no_longer_than(mut self, longest: Duration) -> Self {
        self.longest = Some(longest);
        self
    }

    /// The same for a method that cannot look more often than once in `sampling`: longer intervals, which are not tuned.
    #[must_use]
    pub fn no_shorter_than(mut self, sampling: Duration) -> Self {
        let micros = |d: Duration| Micros(u64::try_from(d.as_micros()).unwrap_or(u64::MAX));
        let sampling = self.sampling.duration().max(sampling);
        let aggregation = self.aggregation.duration().max(sampling * FEW);
        let update = self.update.duration().max(aggregation);
        (self.sampling, self.aggregation, self.update) = (micros(sampling), micros(aggregation), micros(update));
        self.fixed = true;
        self
    }

    /// A context that watches what was opened.
    ///
    /// # Errors
    /// When the figures contradict each other.
    pub fn context(&self, opened: &mut Opened, ops: Box<DynOps>) -> Result<Context<Box<DynOps>>, Box<dyn Error>> {
        let (sampling, aggregation) = (self.sampling.duration(), self.aggregation.duration());
        let mut goal =
            IntervalsGoal { min_sampling: sampling.min(Duration::from_millis(5)), ..IntervalsGoal::default() };
        if let Some(longest) = self.longest {
            let samples = aggregation.div_duration_f64(sampling).max(1.0);
            goal.max_sampling = goal.max_sampling.min(longest.div_f64(samples)).max(sampling);
        }
        let attrs = Attrs::try_from(AttrsSpec {
            sampling,
            aggregation,
            update: self.update.duration(),
            min_nr_regions: self.min_regions,
            max_nr_regions: self.max_regions,
            intervals_goal: (!self.fixed).then_some(goal),
            ..AttrsSpec::default()
        })?;
        let mut monitor = Monitor::new(attrs, 1);
        opened.targets.drain(..).for_each(|target| monitor.add_target(target));
        Ok(Context::new(monitor, ops).with_budget(Budget { cpu_permille: self.cpu_permille, ..Budget::default() })?)
    }
}
