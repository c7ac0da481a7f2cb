//! DAMON with its classic adjustment, as SK hynix' HMSDK sets it up: thresholds and limits of time, no goals.
//!
//! Counterpart: `tools/gen_migpol.py` of HMSDK (BSD-2-Clause), whose figures these are, for physical addresses: what the published
//! measurements with redis behind a ballast of cold memory ran with, as far as the tool has not changed since.

use std::time::Duration;

use damon_core::control::priority::Weights;
use damon_core::{Action, Adjust, AttrsSpec, Dest, Filter, Instant, NodeId, PageFilter};
use damon_ops_sim::tiering::{Host, Policy, PolicyError};
use damos::scheme::{AccessPattern, Age, Freq, Quota, Scheme};

use super::kdamond::{Ways, context};

/// HMSDK.
#[derive(Debug, Default)]
pub struct Hmsdk {
    seed: u64,
    ways: Ways,
}

impl Hmsdk {
    /// Its chance comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, ways: Ways::default() }
    }
}

/// Hot memory goes up, cold memory down.
fn setup(promote: bool, to: NodeId) -> (AttrsSpec, Scheme) {
    let attrs = AttrsSpec {
        sampling: Duration::from_millis(100),
        aggregation: Duration::from_secs(2),
        update: Duration::from_secs(20),
        min_nr_regions: 100,
        max_nr_regions: 10_000,
        adjust: Adjust::Classic,
        ..AttrsSpec::default()
    };
    let (action, freq, age, seconds) = match promote {
        true => (Action::MigrateHot, Freq::Percent(5..=100), Age::ANY, 2),
        false => (Action::MigrateCold, Freq::NONE, Age::Time(Duration::from_secs(30)..=Duration::MAX), 1),
    };
    let scheme = Scheme {
        pattern: AccessPattern { size: 4_096..=u64::MAX, freq, age, ..AccessPattern::default() },
        dests: vec![Dest { node: to, weight: 1 }],
        quota: Quota {
            size: 50 << 30,
            time: Duration::from_secs(seconds),
            reset_interval: Duration::from_secs(20),
            weights: Weights { size: 0, nr_accesses: 0, age: 10 },
            ..Quota::default()
        },
        // What is young is not demoted, and what is not is not promoted.
        filters: vec![Filter { page: PageFilter::Young, matching: !promote, allow: false }],
        ..Scheme::new(action)
    };
    (attrs, scheme)
}

impl Policy for Hmsdk {
    fn name(&self) -> String {
        "hmsdk".into()
    }

    fn wake(&mut self, now: Instant, host: &Host) -> Result<Instant, PolicyError> {
        let seed = self.seed;
        self.ways.wake(now, host, |from, to| {
            let (attrs, scheme) = setup(to.kind < from.kind, to.id);
            context(host, (from, to), seed, attrs, scheme)
        })
    }
}
