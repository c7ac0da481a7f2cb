//! What is a rate: the busy part of the CPUs, and bytes a second between them and memory.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::files::{ReadError, optional, parsed, text};

/// A rate needs two readings. Those that come sooner than this one after the other get the rate before: several goals
/// may ask for the same at once.
const WINDOW: Duration = Duration::from_millis(100);

/// The growth of a counter from reading to reading, relative to another's (`whole`).
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    before: Option<(Instant, Count)>,
    last: Option<u64>,
}

/// Two counters that only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) part: u64,
    pub(super) whole: u64,
}

impl Rate {
    /// `per` times the growth of the part over that of the whole; `None`: there is no earlier reading.
    pub(super) fn next(&mut self, now: Instant, count: Count, per: u64) -> Option<u64> {
        let Some((at, before)) = self.before else {
            self.before = Some((now, count));
            return None;
        };
        if now.saturating_duration_since(at) >= WINDOW {
            let grown = count.part.checked_sub(before.part).zip(count.whole.checked_sub(before.whole));
            // A counter that went back (a group of resctrl was removed) says nothing this time.
            if let Some((part, whole)) = grown.filter(|&(_, whole)| whole > 0) {
                let rate = u128::from(part) * u128::from(per) / u128::from(whole);
                self.last = Some(u64::try_from(rate).unwrap_or(u64::MAX));
            }
            self.before = Some((now, count));
        }
        self.last
    }
}

/// Busy and all time of all CPUs, from `/proc/stat`. What the hypervisor took (steal) is not there to be used: busy.
pub(super) fn cpu(root: &Path) -> Result<Count, ReadError> {
    parsed(&root.join("proc/stat"), "line `cpu` of at least five numbers", parse_cpu)
}

fn parse_cpu(text: &str) -> Option<Count> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; what guests got (the last two) is in user and nice already.
    let times: Option<Vec<u64>> = line.split_ascii_whitespace().take(8).map(|n| n.parse().ok()).collect();
    let times = times.filter(|times| times.len() >= 5)?;
    let whole = times.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
    Some(Count { part: whole.saturating_sub(times[3].saturating_add(times[4])), whole })
}

/// Bytes between memory and all CPUs since resctrl counts them.
pub(super) fn bandwidth_bytes(root: &Path) -> Result<u64, String> {
    let dir = root.join("sys/fs/resctrl");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) => return Err(format!("cannot read {}: {e}: {NO_RESCTRL}", dir.display())),
    };
    // The root group, and the control groups in it, each with what its own monitoring groups count.
    let groups = entries.flatten().map(|e| e.path()).filter(|p| !p.ends_with("info") && !p.ends_with("mon_data"));
    let (mut bytes, mut counters) = (0_u64, 0);
    for group in std::iter::once(dir.clone()).chain(groups.filter(|p| !p.ends_with("mon_groups"))) {
        let Ok(domains) = std::fs::read_dir(group.join("mon_data")) else { continue };
        for domain in domains.flatten() {
            let path = domain.path().join("mbm_total_bytes");
            let Some(told) = optional(text(&path)).map_err(|e| e.to_string())? else { continue };
            let told = told.trim();
            bytes = bytes.saturating_add(told.parse().map_err(|_| format!("{} says {told:?}", path.display()))?);
            counters += 1;
        }
    }
    if counters == 0 {
        return Err(format!("{} counts no mbm_total_bytes: {NO_RESCTRL}", dir.display()));
    }
    Ok(bytes)
}

const NO_RESCTRL: &str = "it needs a CPU with memory bandwidth monitoring (Intel MBM, AMD, Arm MPAM), a kernel with resctrl \
    for it, and `mount -t resctrl resctrl /sys/fs/resctrl`";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    #[test]
    fn a_rate_is_of_the_time_between_two_readings_that_are_far_enough_apart() {
        let (start, mut rate) = (Instant::now(), Rate::default());
        let count = |part, whole| Count { part, whole };
        let mut at = |ms, part, whole| rate.next(start + Duration::from_millis(ms), count(part, whole), 10_000);
        assert_eq!(at(0, 100, 1_000), None);
        assert_eq!(at(50, 100, 1_050), None);
        assert_eq!(at(100, 125, 1_100), Some(2_500));
        assert_eq!(at(150, 999, 2_000), Some(2_500));
        assert_eq!(at(200, 225, 1_200), Some(10_000));
        // It went back.
        assert_eq!(at(300, 0, 1_300), Some(10_000));
        assert_eq!(at(400, 1, 1_400), Some(100));
    }

    #[test]
    fn idle_and_waiting_for_disks_is_not_busy() {
        let text = "cpu  10 20 30 400 100 5 5 30 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_cpu(text), Some(Count { part: 100, whole: 600 }));
        assert_eq!((parse_cpu("cpu  1 2 3 4\n"), parse_cpu("cpu  1 x 3 4 5\n")), (None, None));
    }

    #[test]
    fn bandwidth_is_of_all_groups_and_domains_or_an_error_that_says_what_is_missing() {
        let tree = Tree::new(&[]);
        let e = bandwidth_bytes(tree.path()).unwrap_err();
        assert!(e.contains("sys/fs/resctrl") && e.contains("mount -t resctrl"), "{e}");
        tree.write("sys/fs/resctrl/info/L3_MON/mon_features", "llc_occupancy\n");
        assert!(bandwidth_bytes(tree.path()).unwrap_err().contains("counts no mbm_total_bytes"));
        tree.write("sys/fs/resctrl/mon_data/mon_L3_00/mbm_total_bytes", "1000\n");
        tree.write("sys/fs/resctrl/mon_data/mon_L3_01/mbm_total_bytes", "200\n");
        tree.write("sys/fs/resctrl/tenant/mon_data/mon_L3_00/mbm_total_bytes", "34\n");
        tree.write("sys/fs/resctrl/mon_groups/some/mon_data/mon_L3_00/mbm_total_bytes", "5\n");
        assert_eq!(bandwidth_bytes(tree.path()), Ok(1_234));
        tree.write("sys/fs/resctrl/mon_data/mon_L3_01/mbm_total_bytes", "Unavailable\n");
        let e = bandwidth_bytes(tree.path()).unwrap_err();
        assert!(e.ends_with("mbm_total_bytes says \"Unavailable\""), "{e}");
    }
}
