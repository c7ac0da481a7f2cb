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
}

impl Monitoring {
    /// A context that watches what was opened.
    ///
    /// # Errors
    /// When the figures contradict each other.
    pub fn context(&self, opened: &mut Opened, ops: Box<DynOps>) -> Result<Context<Box<DynOps>>, Box<dyn Error>> {
        let sampling = self.sampling.duration();
        let goal = IntervalsGoal { min_sampling: sampling.min(Duration::from_millis(5)), ..IntervalsGoal::default() };
        let attrs = Attrs::try_from(AttrsSpec {
            sampling,
            aggregation: self.aggregation.duration(),
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
