//! What nobody acts on, whatever a scheme says: the agent itself, protected cgroups, memory below a cgroup's
//! `memory.min`, what devices and others use unseen; and what is to stay on its node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use damon_core::{Action, AddrRange, Dest, TargetId};

use super::{Kept, Reach};

/// What to leave alone. What is left alone counts as not passed and not applied, and in [`LeftAlone`].
///
/// ```
/// use damon_ops_vaddr::linux::act::Guardrails;
/// let rails = Guardrails { protected_cgroups: vec!["/system.slice/kubelet.service".into()], ..Guardrails::default() };
/// assert!(!rails.this_process);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guardrails {
    /// Act on the process that this runs in too, if it is among the targets. Otherwise it is left alone: a member of a
    /// cgroup or a tree that is watched may well be the agent.
    pub this_process: bool,
    /// Cgroups as `/proc/PID/cgroup` names them: nothing is done to processes in them, nor in cgroups below them.
    pub protected_cgroups: Vec<PathBuf>,
    /// Ranges that devices use (DMA, registered buffers) and nobody sees: only stat is done there.
    pub pinned: Vec<(TargetId, AddrRange)>,
    /// Ranges that others map too, and whose accesses nobody reports: nothing is done there for want of accesses (cold,
    /// pageout, lru_deprio, migrate_cold).
    pub mapped_elsewhere: Vec<(TargetId, AddrRange)>,
    /// Migrate whatever memory policies say ([`Policy`](crate::linux::Policy)). Otherwise what has one stays on the nodes that it
    /// names, which takes a reading of the process's page tables now and then: 1% of one CPU at most for all processes, after the first
    /// reading of each. Cpusets hold in any case.
    pub ignore_policies: bool,
}

/// How much was left alone, in bytes, by why: each time that it was to be acted on. What is known to stay on its node is seldom tried, and
/// counts each time that somebody looks whether it could move, by the pieces that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftAlone {
    /// It is this process's.
    pub this_process: u64,
    /// It is of a protected cgroup.
    pub protected_cgroup: u64,
    /// It is pinned.
    pub pinned: u64,
    /// Others map it too.
    pub mapped_elsewhere: u64,
    /// Paging it out would take a cgroup below its `memory.min`.
    pub memory_min: u64,
    /// It was to be moved to a node that its process's cpuset has not (`cpuset.mems`).
    pub cpuset: u64,
    /// It was to be moved, and its mapping has a memory policy that keeps it ([`Policy`](crate::linux::Policy)).
    pub policy: u64,
}

/// What was left alone until now, for who looks while somebody else acts.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<LeftAlone>>);

impl Tally {
    /// As of now.
    pub fn now(&self) -> LeftAlone {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut LeftAlone)) {
        count(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn kept(&self, why: Kept, bytes: u64) {
        self.count(|left| match why {
            Kept::Cpuset => left.cpuset += bytes,
            Kept::Policy => left.policy += bytes,
        });
    }
}

/// Guardrails in force: with what was read of cgroups since [`renew`](Self::renew), and what was spent since.
#[derive(Debug)]
pub struct Guard {
    rails: Guardrails,
    root: PathBuf,
    left: Tally,
    reach: Reach,
    /// What may still be paged out, by cgroup with a `memory.min`.
    budgets: BTreeMap<PathBuf, u64>,
    cgroups: BTreeMap<u32, Option<PathBuf>>,
}

impl Guard {
    /// On the machine whose files are under `root` (normally `/`).
    pub fn new(rails: Guardrails, root: &Path) -> Self {
        Self {
            reach: Reach::new(root, !rails.ignore_policies),
            rails,
            root: root.into(),
            left: Tally::default(),
            budgets: BTreeMap::new(),
            cgroups: BTreeMap::new(),
        }
    }

    /// What was left alone until now.
    pub fn left_alone(&self) -> LeftAlone {
        self.left.now()
    }

    /// The same later on.
    pub fn tally(&self) -> Tally {
        self.left.clone()
    }

    /// Forgets what was read: once before a number of actions. What takes long to read is kept for some time.
    pub fn renew(&mut self) {
        self.reach.renew();
        self.budgets.clear();
        self.cgroups.clear();
    }

    /// May anything be done to `pid`? Where not, `bytes` are counted as left alone.
    pub fn admits(&mut self, pid: u32, action: Action, bytes: u64) -> bool {
        if action == Action::Stat {
            return true;
        }
        if pid == std::process::id() && !self.rails.this_process {
            self.left.count(|left| left.this_process += bytes);
            return false;
        }
        if self.rails.protected_cgroups.is_empty() {
            return true;
        }
        // Of whom it is not known where it is, it may be there.
        let Some(cgroup) = self.cgroup(pid) else {
            self.left.count(|left| left.protected_cgroup += bytes);
            return false;
        };
        let protected = self.rails.protected_cgroups.iter().any(|protected| cgroup.starts_with(protected));
        self.left.count(|left| left.protected_cgroup += if protected { bytes } else { 0 });
        !protected
    }

    /// The parts of `range` that are not pinned and, for want of accesses, not mapped elsewhere: appended to `out`.
    pub fn cut(&mut self, target: TargetId, range: AddrRange, action: Action, out: &mut Vec<AddrRange>) {
        if action == Action::Stat {
            return out.push(range);
        }
        let mut parts = vec![range];
        let pinned = subtract(&mut parts, target, &self.rails.pinned);
        self.left.count(|left| left.pinned += pinned);
        if is_for_want_of_accesses(action) {
            let elsewhere = subtract(&mut parts, target, &self.rails.mapped_elsewhere);
            self.left.count(|left| left.mapped_elsewhere += elsewhere);
        }
        out.extend(parts);
    }

    /// Takes out of `parts` of the memory of `pid` what may not go to every one of `dests`: by its cpuset, or the memory policies of its
    /// mappings. To stat that is done only as far as a migration has asked before: it is about what could be moved.
    pub fn confine(&mut self, pid: u32, parts: &mut Vec<AddrRange>, dests: &[Dest], action: Action) {
        let kept = self.reach.cut(pid, parts, dests, action == Action::Stat);
        kept.into_iter().for_each(|(why, bytes)| self.left.kept(why, bytes));
    }

    /// Why the page of `pid` at `addr` may not go to every one of `dests`; `None` where it may. It counts nothing:
    /// [`kept`](Self::kept) does.
    pub fn keeps(&mut self, pid: u32, addr: u64, dests: &[Dest]) -> Option<Kept> {
        self.reach.keeps(pid, addr, dests)
    }

    /// Counts what was left alone.
    pub fn kept(&mut self, why: Kept, bytes: u64) {
        self.left.kept(why, bytes);
    }

    /// How many of `bytes` of `pid` may be paged out, so that none of the cgroups that it is in is taken below its
    /// `memory.min`. They are spent by that, and the rest counted as left alone.
    pub fn take(&mut self, pid: u32, bytes: u64) -> u64 {
        let Some(cgroup) = self.cgroup(pid) else { return bytes };
        let guarded: Vec<PathBuf> = cgroup.ancestors().map(Path::to_path_buf).collect();
        let mut may = bytes;
        for path in &guarded {
            if let Some(&mut budget) = self.budget(path) {
                may = may.min(budget);
            }
        }
        for path in &guarded {
            if let Some(budget) = self.budget(path) {
                *budget -= may;
            }
        }
        self.left.count(|left| left.memory_min += bytes - may);
        may
    }

    fn cgroup(&mut self, pid: u32) -> Option<PathBuf> {
        let root = &self.root;
        let read = || {
            let text = std::fs::read_to_string(root.join(format!("proc/{pid}/cgroup"))).ok()?;
            parse_cgroup(&text)
        };
        self.cgroups.entry(pid).or_insert_with(read).clone()
    }

    /// `None`: it has no `memory.min` to keep.
    fn budget(&mut self, cgroup: &Path) -> Option<&mut u64> {
        if !self.budgets.contains_key(cgroup) {
            let dir = self.root.join("sys/fs/cgroup").join(cgroup.strip_prefix("/").unwrap_or(cgroup));
            let read = |file| parse_bytes(&std::fs::read_to_string(dir.join(file)).ok()?);
            let min = read("memory.min").filter(|&min| min > 0);
            // What it uses must be known, or all of it counts as below.
            let above = min.map_or(u64::MAX, |min| read("memory.current").unwrap_or(0).saturating_sub(min));
            self.budgets.insert(cgroup.into(), above);
        }
        self.budgets.get_mut(cgroup).filter(|budget| **budget != u64::MAX)
    }
}

/// Does an action presume that nobody uses the memory?
pub(crate) const fn is_for_want_of_accesses(action: Action) -> bool {
    matches!(action, Action::Cold | Action::Pageout | Action::LruDeprio | Action::MigrateCold)
}

/// Takes what `declared` says of `target` out of `parts`; how many bytes.
fn subtract(parts: &mut Vec<AddrRange>, target: TargetId, declared: &[(TargetId, AddrRange)]) -> u64 {
    let size = |parts: &[AddrRange]| parts.iter().map(|part| part.size()).sum::<u64>();
    let before = size(parts);
    for &(_, hole) in declared.iter().filter(|(whose, _)| *whose == target) {
        let around = |part: &AddrRange| {
            let (below, above) = (hole.start().min(part.end()), hole.end().max(part.start()));
            [AddrRange::new(part.start(), below), AddrRange::new(above, part.end())].into_iter().flatten()
        };
        *parts = parts.iter().flat_map(around).collect();
    }
    before - size(parts)
}

/// The cgroup (version 2) in the text of `/proc/PID/cgroup`. `None` too where it is outside the reader's cgroup namespace, whose names
/// for it (`/../x`) are nobody else's.
///
/// ```
/// use damon_ops_vaddr::linux::act::parse_cgroup;
/// assert_eq!(parse_cgroup("1:cpu:/old\n0::/a/b c\n"), Some("/a/b c".into()));
/// assert_eq!(parse_cgroup("1:cpu:/old\n"), None);
/// assert_eq!(parse_cgroup("0::/../other-pod\n"), None);
/// ```
pub fn parse_cgroup(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    (!path.starts_with("/..")).then(|| path.trim_end_matches(" (deleted)").into())
}

/// A number of bytes, or `max`.
fn parse_bytes(text: &str) -> Option<u64> {
    match text.trim() {
        "max" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::super::words::fake::Root;
    use super::*;

    const T: TargetId = TargetId::new(3);

    fn r(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start, end).unwrap()
    }

    /// Process 10 in /a/b (min 100 of 150 used) below /a (min 300 of 320), 11 in /a/c, 12 in /free.
    fn machine() -> Root {
        let root = Root::new();
        let put = |file: &str, text: &str| root.put_bytes(file, text.as_bytes());
        for (pid, cgroup) in [(10, "/a/b"), (11, "/a/c"), (12, "/free"), (13, "/ab")] {
            put(&format!("proc/{pid}/cgroup"), &format!("0::{cgroup}\n"));
        }
        for (cgroup, min, current) in
            [("a", "300", "320"), ("a/b", "100", "150"), ("a/c", "0", "9"), ("full", "max", "9")]
        {
            put(&format!("sys/fs/cgroup/{cgroup}/memory.min"), &format!("{min}\n"));
            put(&format!("sys/fs/cgroup/{cgroup}/memory.current"), &format!("{current}\n"));
        }
        put("proc/14/cgroup", "0::/full\n");
        put("proc/15/cgroup", "0::/../outside\n");
        root
    }

    #[test]
    fn this_process_is_left_alone_unless_it_is_meant() {
        let root = machine();
        let me = std::process::id();
        let mut guard = Guard::new(Guardrails::default(), root.path());
        assert!(!guard.admits(me, Action::Cold, 7) && guard.admits(me, Action::Stat, 7));
        assert!(guard.admits(10, Action::Cold, 7));
        assert_eq!(guard.left_alone().this_process, 7);
        let mut guard = Guard::new(Guardrails { this_process: true, ..Guardrails::default() }, root.path());
        assert!(guard.admits(me, Action::Cold, 7));
    }

    #[test]
    fn a_protected_cgroup_protects_those_below_it_and_not_its_namesakes() {
        let root = machine();
        let rails = Guardrails { protected_cgroups: vec!["/a".into()], ..Guardrails::default() };
        let mut guard = Guard::new(rails, root.path());
        let admitted = [10, 11, 12, 13].map(|pid| guard.admits(pid, Action::Cold, 1));
        assert_eq!(admitted, [false, false, true, true]);
        assert!(!guard.admits(99, Action::Cold, 1), "nobody knows where it is");
        assert!(!guard.admits(15, Action::Cold, 1), "nor here, in a cgroup namespace: it may be /a");
        assert_eq!(guard.left_alone().protected_cgroup, 4);
    }

    #[test]
    fn no_cgroup_nor_one_above_it_is_taken_below_its_memory_min() {
        let root = machine();
        let mut guard = Guard::new(Guardrails::default(), root.path());
        assert_eq!(guard.take(12, 1_000), 1_000);
        assert_eq!(guard.take(10, 15), 15);
        // 35 above the minimum of /a/b, but only 5 above that of /a.
        assert_eq!(guard.take(10, 15), 5);
        assert_eq!(guard.take(11, 15), 0);
        assert_eq!(guard.take(14, 15), 0);
        assert_eq!(guard.left_alone().memory_min, 40);
        guard.renew();
        assert_eq!(guard.take(11, 15), 15);
    }

    #[test]
    fn pinned_ranges_are_cut_out_for_every_action_and_shared_ones_for_want_of_accesses() {
        let root = machine();
        let rails = Guardrails {
            pinned: vec![(T, r(20, 30)), (TargetId::new(4), r(0, 100))],
            mapped_elsewhere: vec![(T, r(0, 10)), (T, r(25, 40)), (T, r(90, 200))],
            ..Guardrails::default()
        };
        let mut guard = Guard::new(rails, root.path());
        let mut cut = |action| {
            let mut out = Vec::new();
            guard.cut(T, r(0, 100), action, &mut out);
            out
        };
        assert_eq!(cut(Action::Willneed), [r(0, 20), r(30, 100)]);
        assert_eq!(cut(Action::Cold), [r(10, 20), r(40, 90)]);
        assert_eq!(cut(Action::Stat), [r(0, 100)]);
        assert_eq!(guard.left_alone(), LeftAlone { pinned: 20, mapped_elsewhere: 30, ..LeftAlone::default() });
    }

    proptest::proptest! {
        #[test]
        fn nothing_declared_is_left_and_nothing_else_is_lost(holes in proptest::collection::vec((0u64..100, 1u64..30), 0..6)) {
            let declared: Vec<_> = holes.iter().map(|&(start, len)| (T, r(start, start + len))).collect();
            let mut parts = vec![r(10, 90)];
            let taken = subtract(&mut parts, T, &declared);
            let left: Vec<u64> = (10..90).filter(|&a| parts.iter().any(|p| p.contains(a))).collect();
            let right: Vec<u64> = (10..90).filter(|&a| !declared.iter().any(|(_, d)| d.contains(a))).collect();
            assert_eq!(left.len() as u64 + taken, 80);
            assert_eq!(left, right);
        }
    }
}
