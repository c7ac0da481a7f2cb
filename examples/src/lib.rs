//! What the example binaries share: drawings, a workload of known truth, and the scoring of what was seen of it.

pub mod accuracy;
pub mod acting;
pub mod agent;
pub mod cache;
pub mod ending;
pub mod heatmap;
pub mod placement;
pub mod progress;
pub mod recorded;
pub mod report;
pub mod schemes;
pub mod score;
pub mod slowdown;
pub mod subject;
pub mod tiering;
pub mod truth;
pub mod vectors;
pub mod watch;
pub mod workload;

/// The README's program is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
