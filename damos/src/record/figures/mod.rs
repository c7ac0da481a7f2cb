//! What records come to: where and when something was seen, heat over time and addresses, working sets, idle times.
//!
//! Each is fed snapshot by snapshot, so that a record of any length is summed up while it is read. They agree with damo 3.4.3
//! (`report heatmap`, `report wss`, `report access`) in every number.

mod heat;
mod percentiles;
mod survey;
mod timing;

use super::model::Snapshot;

pub use heat::{Axis, HeatGrid, HeatUnit};
pub use percentiles::{at_percentile, idle_time_us};
pub use survey::{Contiguous, Survey, Surveyed};
pub use timing::Timing;

impl Snapshot {
    /// Working set size: bytes of the regions in which at least `min_accesses` samples found an access.
    pub fn working_set_bytes(&self, min_accesses: u32) -> u64 {
        let hot = self.regions.iter().filter(|r| r.nr_accesses >= min_accesses);
        hot.fold(0, |sum: u64, r| sum.saturating_add(r.size()))
    }

    /// Bytes of all regions.
    pub fn regions_bytes(&self) -> u64 {
        self.regions.iter().fold(0, |sum: u64, r| sum.saturating_add(r.size()))
    }

    /// Accessed bytes per second, estimated: each sample that found an access stands for one access to each byte of its
    /// region. A lower bound, since no sample tells how often.
    pub fn bandwidth(&self, timing: &Timing) -> f64 {
        let bytes = |r: &super::Region| u128::from(r.size()) * u128::from(r.nr_accesses);
        self.regions.iter().map(bytes).sum::<u128>() as f64 / (timing.aggregation_us / 1e6)
    }
}
