//! Latencies under load, measured by accesses to each node that is asked for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use damon_core::NodeId;
use damon_ops_vaddr::linux::latency::{LatencyError, NodeLatency};

/// It costs a millisecond, and several parts of a plan ask for the same at once: what was measured stands for so long. Who asks once in
/// a second always gets a new one.
const WINDOW: Duration = Duration::from_millis(500);
/// A failure stands for longer: to find out anew takes a few milliseconds, and nodes do not come every second.
const RETRY: Duration = Duration::from_secs(60);

/// The nodes that were asked for.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    nodes: HashMap<NodeId, Measured<NodeLatency>>,
}

impl Latencies {
    /// Nanoseconds that an access to this node takes.
    pub(super) fn of(&mut self, node: NodeId) -> Result<u64, String> {
        let measure = |probe: &mut Option<NodeLatency>| -> Result<u64, LatencyError> {
            let mut open = match probe.take() {
                Some(open) => open,
                None => {
                    let mut open = NodeLatency::open(node)?;
                    open.verify()?;
                    open
                }
            };
            let latency = open.measure()?;
            *probe = Some(open);
            Ok(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX))
        };
        self.nodes.entry(node).or_default().of(Instant::now(), measure)
    }
}

/// What was measured last, also that it could not be.
#[derive(Debug)]
struct Measured<P> {
    probe: Option<P>,
    last: Option<(Instant, Result<u64, String>)>,
}

impl<P> Default for Measured<P> {
    fn default() -> Self {
        Self { probe: None, last: None }
    }
}

impl<P> Measured<P> {
    fn of<E: ToString>(
        &mut self,
        now: Instant,
        measure: impl FnOnce(&mut Option<P>) -> Result<u64, E>,
    ) -> Result<u64, String> {
        if let Some((at, last)) = &self.last {
            let stands = if last.is_ok() { WINDOW } else { RETRY };
            if now.saturating_duration_since(*at) < stands {
                return last.clone();
            }
        }
        self.last.insert((now, measure(&mut self.probe).map_err(|e| e.to_string()))).1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_stands_for_half_a_second_and_that_it_failed_for_a_minute() {
        let (start, mut measured) = (Instant::now(), Measured::default());
        let mut at = |ms, result: Result<u64, &'static str>| {
            measured.of(start + Duration::from_millis(ms), |probe: &mut Option<u32>| {
                let times = probe.get_or_insert(0);
                *times += 1;
                result.map(|ns| 1_000 * u64::from(*times) + ns)
            })
        };
        assert_eq!([at(0, Ok(1)), at(499, Ok(2)), at(500, Ok(3))], [Ok(1_001), Ok(1_001), Ok(2_003)]);
        assert_eq!([at(1_000, Err("full")), at(60_999, Ok(4))], ["full"; 2].map(|e| Err(e.to_owned())));
        assert_eq!(at(61_000, Ok(5)), Ok(4_005), "the same probe all the time");
    }
}
