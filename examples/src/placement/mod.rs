//! Policies that place memory of several tiers, side by side on the simulated machine.

mod compare;
mod damon;
mod hmsdk;
mod kdamond;
mod ours;
mod page;
pub mod picture;
mod report;
mod sweep;

pub use compare::{Comparison, Mean, compare};
pub use damon::{Classic, Goals};
pub use hmsdk::Hmsdk;
pub use kdamond::Kdamond;
pub use ours::Ours;
pub use page::{PageError, replace};
pub use report::{constants, json, swept, table};
pub use sweep::{SweepError, Varied, sweep};

use damon_ops_sim::tiering::{FirstTouch, NumaBalancing, Oracle, Policy, Tpp};
use damos::preset::tier::Tiering;

/// The policies that are compared, in the order of tables. The first is what the others are measured by, the last the limit.
pub const POLICIES: [&str; 7] = ["none", "numab", "tpp", "damon", "hmsdk", "ours", "oracle"];

/// The policy of that name; its chance comes from `seed`.
pub fn policy(name: &str, seed: u64) -> Option<Box<dyn Policy>> {
    Some(match name {
        "none" => Box::new(FirstTouch),
        "numab" => Box::new(NumaBalancing::default()),
        "tpp" => Box::new(Tpp::default()),
        "damon" => Box::new(Classic::new(Goals::default(), seed)),
        "hmsdk" => Box::new(Hmsdk::new(seed)),
        "ours" => Box::new(Ours::new(Tiering::default(), seed)),
        "oracle" => Box::new(Oracle::default()),
        _ => return None,
    })
}
