//! Keeps the plan up to date with what is seen while it is carried out.

use std::error::Error;
use std::time::{Duration, Instant};

use damon_core::{Attrs, DynOps};
use damon_ops_paddr::HostMetrics;
use damos::Context;
use damos::preset::tier::Plan;

use super::Planner;

const OFTEN: Duration = Duration::from_secs(1);

/// Steers the last plan of a [`Planner`], once in a second.
#[derive(Debug)]
pub struct Steering {
    metrics: HostMetrics,
    steered: Option<Instant>,
}

impl Default for Steering {
    fn default() -> Self {
        Self { metrics: HostMetrics::new(), steered: None }
    }
}

impl Steering {
    /// Gives `context` what has changed, if it is time to look.
    ///
    /// # Errors
    /// When the schemes cannot be set any more.
    pub fn keep(&mut self, planner: &Planner, context: &mut Context<Box<DynOps>>) -> Result<(), Box<dyn Error>> {
        if self.steered.is_some_and(|at| at.elapsed() < OFTEN) {
            return Ok(());
        }
        self.steered = Some(Instant::now());
        let steer = |plan: &mut Plan| plan.steer(&context.view(), context.schemes(), &mut self.metrics);
        let Some((plan, steered)) = planner.steered(steer) else { return Ok(()) };
        if steered.attrs {
            context.commit(Attrs::try_from(plan.attrs)?);
        }
        if !steered.schemes {
            return Ok(());
        }
        Ok(context.set_schemes(plan.schemes)?)
    }
}
