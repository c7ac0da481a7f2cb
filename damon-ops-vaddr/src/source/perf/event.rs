//! What is sampled: page faults, or what the hardware offers.

use std::num::NonZeroU64;
use std::path::Path;

use super::{Layout, PerfError};
use crate::sys::EventAttr;

/// What is sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PerfEvent {
    /// Page faults, each with its address. The kernel counts them, so it works in virtual machines. A page that is mapped does not
    /// fault: this shows where memory is touched for the first time, or again after it was reclaimed, dropped or made inaccessible
    /// for NUMA balancing. It says nothing of how often mapped memory is accessed.
    PageFaults {
        /// One in so many is sampled.
        period: NonZeroU64,
    },
    /// Accesses as the hardware samples them: PEBS, IBS, SPE. Virtual machines rarely have it.
    Hardware(HardwareEvent),
}

impl PerfEvent {
    /// Every page fault.
    pub const fn page_faults() -> Self {
        Self::PageFaults { period: NonZeroU64::MIN }
    }
}

/// An event of a performance monitoring unit, in its own terms: what `perf record -e PMU/config=…/` takes, and
/// `/sys/bus/event_source/devices/PMU/events` and `format` explain.
///
/// ```
/// use damon_ops_vaddr::source::perf::HardwareEvent;
/// // Intel: loads of 30 cycles or more, by PEBS. The event is the processor's: see `events/mem-loads`.
/// let pebs = HardwareEvent { config: 0x1cd, config1: 30, precise: 2, ..HardwareEvent::new("cpu", 1_000) };
/// // AMD: one micro-operation in 100,000, by IBS.
/// let ibs = HardwareEvent { config: 1 << 19, ..HardwareEvent::new("ibs_op", 100_000) };
/// # let _ = (pebs, ibs);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardwareEvent {
    /// The unit's name under `/sys/bus/event_source/devices`.
    pub pmu: String,
    /// `config` of `struct perf_event_attr`.
    pub config: u64,
    /// `config1`: the least latency, on Intel.
    pub config1: u64,
    /// `config2`.
    pub config2: u64,
    /// How near a sample must be to what caused it, 0 to 3 (`precise_ip`). Addresses need 1 or more on Intel.
    pub precise: u8,
    /// One event in so many is sampled; 0 counts as 1.
    pub period: u64,
    /// What the kernel itself accesses is sampled too.
    pub kernel: bool,
}

impl HardwareEvent {
    /// Event 0 of `pmu`, in user mode, one in `period`.
    pub fn new(pmu: &str, period: u64) -> Self {
        Self { pmu: pmu.to_owned(), config: 0, config1: 0, config2: 0, precise: 0, period, kernel: false }
    }
}

const SOFTWARE: u32 = 1;
const PAGE_FAULTS: u64 = 2;

impl PerfEvent {
    /// In the kernel's terms, with units as `sys` (usually `/sys`) names them; and the fields that samples will have.
    pub(super) fn attr(&self, sys: &Path) -> Result<(EventAttr, Layout), PerfError> {
        let layout = Layout::TID.and(Layout::ADDR).and(Layout::CPU).and(Layout::PERIOD);
        match self {
            Self::PageFaults { period } => {
                let attr = EventAttr {
                    kind: SOFTWARE,
                    config: PAGE_FAULTS,
                    period: period.get(),
                    sample_type: layout.bits(),
                    inherit: true,
                    ..EventAttr::default()
                };
                Ok((attr, layout))
            }
            Self::Hardware(event) => {
                let layout = layout.and(Layout::WEIGHT).and(Layout::DATA_SRC);
                let attr = EventAttr {
                    kind: pmu_type(sys, &event.pmu)?,
                    config: event.config,
                    config1: event.config1,
                    config2: event.config2,
                    precise: event.precise,
                    period: event.period.max(1),
                    sample_type: layout.bits(),
                    exclude_kernel: !event.kernel,
                    inherit: true,
                };
                Ok((attr, layout))
            }
        }
    }

    /// For messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::PageFaults { .. } => "page faults",
            Self::Hardware(event) => &event.pmu,
        }
    }
}

fn pmu_type(sys: &Path, pmu: &str) -> Result<u32, PerfError> {
    let units = sys.join("bus/event_source/devices");
    // A name, not a path.
    let named = !pmu.contains(['/', '\0']) && pmu != ".." && !pmu.is_empty();
    let text = named.then(|| std::fs::read_to_string(units.join(pmu).join("type")).ok()).flatten();
    text.and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        let list = std::fs::read_dir(&units).into_iter().flatten().flatten();
        let mut there: Vec<_> = list.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        there.sort_unstable();
        PerfError::NoUnit { pmu: pmu.to_owned(), there: there.join(", ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_is_not_there_is_named_with_those_that_are() {
        let sys = std::env::temp_dir().join(format!("damon-perf-{}", std::process::id()));
        let units = sys.join("bus/event_source/devices");
        for (unit, number) in [("cpu", "4\n"), ("software", "1\n")] {
            std::fs::create_dir_all(units.join(unit)).unwrap();
            std::fs::write(units.join(unit).join("type"), number).unwrap();
        }
        let hardware = |pmu| PerfEvent::Hardware(HardwareEvent { precise: 2, ..HardwareEvent::new(pmu, 0) });
        let (attr, layout) = hardware("cpu").attr(&sys).unwrap();
        assert_eq!((attr.kind, attr.period, attr.precise, attr.exclude_kernel), (4, 1, 2, true));
        assert_eq!(Layout::from_bits(attr.sample_type), Some(layout));
        for pmu in ["ibs_op", "", "..", "../devices/cpu"] {
            let e = hardware(pmu).attr(&sys).unwrap_err().to_string();
            assert!(e.contains(&format!("{pmu:?}")) && e.contains("cpu, software"), "{e}");
        }
        std::fs::remove_dir_all(&sys).unwrap();
    }
}
