//! Who decides what goes where: policies that need nothing of DAMON, and what any policy is.
//!
//! | policy | whose way |
//! |---|---|
//! | [`FirstTouch`] | none: memory stays where it was touched first |
//! | [`NumaBalancing`] | the kernel's NUMA balancing in tiering mode, with demotion by reclaim |
//! | [`Tpp`] | that of the paper "TPP: Transparent Page Placement" (ASPLOS 2023) |
//! | [`Oracle`] | knows what will be accessed: the limit |

mod numa_balancing;
mod oracle;
mod reclaim;
mod scanner;
#[cfg(test)]
mod tests;
mod tpp;

use std::time::Duration;

use damon_core::Instant;

use super::Host;

pub use numa_balancing::NumaBalancing;
pub use oracle::Oracle;
pub use tpp::Tpp;

/// Any failure of a policy.
pub type PolicyError = Box<dyn std::error::Error + Send + Sync>;

/// Places memory: is woken, looks and acts, and says when to wake it again.
pub trait Policy {
    /// What it is called in tables.
    fn name(&self) -> String;

    /// Acts at `now`, first at time zero, and says when next.
    ///
    /// # Errors
    /// Where it cannot go on; the run ends with that.
    fn wake(&mut self, now: Instant, host: &Host) -> Result<Instant, PolicyError>;
}

/// How often the kernel's own ways do something.
const TICK: Duration = Duration::from_millis(100);

/// No tiering: memory stays where it was touched first.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstTouch;

impl Policy for FirstTouch {
    fn name(&self) -> String {
        "none".into()
    }

    fn wake(&mut self, _: Instant, _: &Host) -> Result<Instant, PolicyError> {
        Ok(Instant::MAX)
    }
}
