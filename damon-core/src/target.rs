//! Who is watched: an address space, its ranges and its regions.

use alloc::vec::Vec;

use crate::addr::{AddrRange, align_down};
use crate::attrs::{Attrs, MAX_PROBES};
use crate::control::rescale;
use crate::region::{Region, weighted_mean};
use crate::report::{EventRows, Events};
use crate::sight::{Extent, Sees, Span};

/// The name of a target within a monitor. Backends choose it; it need not be a pid, and a pid that is used again must
/// not get the old one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TargetId(u32);

impl TargetId {
    /// The target called `n`.
    pub const fn new(n: u32) -> Self {
        Self(n)
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A target as a person, or a backend, names it.
///
/// ```
/// use damon_core::{AddrRange, TargetId, TargetSpec};
/// let all = TargetSpec::new(TargetId::new(0));
/// let part = TargetSpec { ranges: vec![AddrRange::new(0, 1 << 30).unwrap()], ..TargetSpec::new(TargetId::new(1)) };
/// assert!(all.ranges.is_empty() && all.weight == 100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TargetSpec {
    /// Its name.
    pub id: TargetId,
    /// Targets of one group (a process tree, a cgroup) share what the group gets; a group gets what its heaviest
    /// member's weight says. By default all targets are in group 0, where only weights count.
    pub group: u32,
    /// The target's share where checks are scarce, relative to the others'. Default 100; 0 counts as 1.
    pub weight: u16,
    /// The smallest and the largest region of this target, in addresses. Default: the granule, and what
    /// `min_nr_regions` asks for. The smallest is rounded up to a power of two and to the granule. The largest gives way where
    /// it would take more than `max_nr_regions` for this target.
    pub region_bytes: Option<(u64, u64)>,
    /// What of the target is watched; empty: all that the backend finds. Where the backend has nothing to say about
    /// the target at all, these are watched by reports alone ([`Sees::Reports`](crate::Sees::Reports)).
    pub ranges: Vec<AddrRange>,
}

impl TargetSpec {
    /// All of target `id`, in group 0, with weight 100.
    pub const fn new(id: TargetId) -> Self {
        Self { id, group: 0, weight: 100, region_bytes: None, ranges: Vec::new() }
    }
}

/// Whose addresses a report speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Space {
    /// A target's own.
    Target(TargetId),
    /// Virtual addresses of a process, by its pid. The backend knows its target.
    Process(u32),
    /// Offsets of a file, by the number that the backend knows it by. What many processes map is one target then, and their
    /// accesses to the same bytes count once.
    File(u64),
    /// Something that only the backend understands: a region of a guest.
    Custom(u64),
}

/// What happened to the set of targets, as the backend learned it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetEvent {
    /// A new one: a child process, a cgroup's new member. Joining twice is a change of the spec.
    Joined(TargetSpec),
    /// It has exited or left. Its regions go with it.
    Gone(TargetId),
    /// It is somebody else now (exec): its ranges are read again and its history is void.
    Replaced(TargetId),
}

/// One target of a monitor, with its regions.
#[derive(Debug)]
pub struct Target {
    pub(crate) spec: TargetSpec,
    pub(crate) spans: Vec<Span>,
    pub(crate) regions: Vec<Region>,
    /// The attributes have probes.
    pub(crate) probed: bool,
    /// Beside the regions, one each, where they are probed; else empty.
    pub(crate) probe_hits: Vec<ProbeHits>,
    events: EventRows,
}

impl Target {
    pub(crate) const fn new(spec: TargetSpec) -> Self {
        Self {
            spec,
            spans: Vec::new(),
            regions: Vec::new(),
            probed: false,
            probe_hits: Vec::new(),
            events: EventRows::new(),
        }
    }

    /// How it was named.
    pub const fn spec(&self) -> &TargetSpec {
        &self.spec
    }

    /// Its name.
    pub const fn id(&self) -> TargetId {
        self.spec.id
    }

    /// Its ranges as of the last update, aligned to the granule, each with what can be seen there.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Its regions: ascending, apart from each other, together exactly the spans.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// How often the samples of region `index` passed each probe; `None` without probes.
    pub fn probe_hits(&self, index: usize) -> Option<&ProbeHits> {
        self.probe_hits.get(index)
    }

    /// Accesses that were reported in region `index`, in this aggregation; `None` where nothing has ever been reported of the
    /// target. Where regions are joined theirs are added; where one is cut they are divided by size.
    pub fn events(&self, index: usize) -> Option<&Events> {
        self.events.get(index).map(|(now, _)| now)
    }

    /// The same of the aggregation before.
    pub fn last_events(&self, index: usize) -> Option<&Events> {
        self.events.get(index).map(|(_, last)| last)
    }

    /// Regions have changed.
    pub(crate) fn fit_events(&mut self) {
        self.events.fit(&self.regions);
    }

    /// Counts events at ascending addresses, each with the place of its node. Fitted before.
    pub(crate) fn count_events(&mut self, events: impl Iterator<Item = (u64, u64, usize)>) {
        self.events.count(&self.regions, events);
    }

    /// Puts this aggregation's events by.
    pub(crate) fn reset_events(&mut self) {
        self.events.reset();
    }

    /// Drops all events.
    pub(crate) fn clear_events(&mut self) {
        self.events.clear();
    }
}

/// How often samples of a region passed each of the monitor's probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProbeHits {
    /// In this aggregation.
    pub now: [u32; MAX_PROBES],
    /// In the one before.
    pub last: [u32; MAX_PROBES],
}

impl ProbeHits {
    /// Takes in the hits of the next region, weighted by size.
    pub(crate) fn absorb(&mut self, next: &Self, size: u64, next_size: u64) {
        for (hits, next) in self.now.iter_mut().zip(next.now) {
            *hits = weighted_mean(*hits, size, next, next_size);
        }
    }
}

/// Where region `index` is cut in two: `at` is inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) index: usize,
    pub(crate) at: u64,
}

impl Target {
    /// Makes all cuts at once: ascending, several to a region where need be. Both sides keep what was known.
    pub(crate) fn cut(&mut self, cuts: &[Cut]) {
        expand(&mut self.regions, cuts, |left, at| {
            debug_assert!(left.start < at && at < left.end);
            let right = Region { start: at, ..*left };
            left.end = at;
            right
        });
        if !self.probe_hits.is_empty() {
            expand(&mut self.probe_hits, cuts, |left, _| *left);
        }
    }

    /// Joins region `left` with the next.
    pub(crate) fn join(&mut self, left: usize) {
        let Some([l, r]) = self.regions.get_mut(left..left + 2) else { return };
        let (wl, wr) = (l.size(), r.size());
        l.absorb(r);
        self.regions.remove(left + 1);
        if let Some([l, r]) = self.probe_hits.get_mut(left..left + 2) {
            l.absorb(r, wl, wr);
            self.probe_hits.remove(left + 1);
        }
    }

    /// A region becomes as good as new.
    pub(crate) fn start_anew(&mut self, index: usize) {
        if let Some(r) = self.regions.get_mut(index) {
            *r = Region::new(r.range(), r.sees);
        }
        if let Some(hits) = self.probe_hits.get_mut(index) {
            *hits = ProbeHits::default();
        }
    }

    /// Every region becomes as good as new.
    pub(crate) fn forget(&mut self) {
        for r in &mut self.regions {
            *r = Region::new(r.range(), r.sees);
        }
        self.probe_hits.fill(ProbeHits::default());
    }

    /// Gives every region new probe hits, or none.
    pub(crate) fn set_probed(&mut self, probed: bool) {
        self.probed = probed;
        self.probe_hits.clear();
        self.probe_hits.resize(if probed { self.regions.len() } else { 0 }, ProbeHits::default());
    }

    /// Puts the counts of this aggregation by.
    pub(crate) fn reset(&mut self) {
        self.regions.iter_mut().for_each(Region::reset);
        self.reset_probe_hits();
    }

    pub(crate) fn reset_probe_hits(&mut self) {
        for hits in &mut self.probe_hits {
            *hits = ProbeHits { now: [0; MAX_PROBES], last: hits.now };
        }
    }

    /// Brings counts and ages to another length of an aggregation. Within one, its own counts are dropped.
    pub(crate) fn rescale(&mut self, old: rescale::Aggregation, new: rescale::Aggregation, mid_aggregation: bool) {
        self.regions.iter_mut().for_each(|r| r.rescale(old, new, mid_aggregation));
        for hits in &mut self.probe_hits {
            for n in hits.now.iter_mut().chain(&mut hits.last) {
                *n = rescale::count(*n, old.samples, new.samples);
            }
            if mid_aggregation {
                hits.now = [0; MAX_PROBES];
            }
        }
    }

    /// Moves the ends of regions, and with them the spans, to multiples of `granule`.
    pub(crate) fn realign(&mut self, granule: u64) {
        for r in &mut self.regions {
            (r.start, r.end) = (align_down(r.start, granule), align_down(r.end, granule));
        }
        let mut kept = self.regions.iter().map(|r| r.start < r.end);
        self.probe_hits.retain(|_| kept.next().unwrap_or(false));
        self.regions.retain(|r| r.start < r.end);
        self.span_regions();
    }

    /// Makes the spans what the regions are.
    pub(crate) fn span_regions(&mut self) {
        self.spans.clear();
        for r in &self.regions {
            match self.spans.last_mut() {
                Some(last) if last.range.end() == r.start && last.sees == r.sees => {
                    last.range = AddrRange::ordered(last.range.start(), r.end);
                }
                _ => self.spans.push(Span { range: r.range(), sees: r.sees }),
            }
        }
    }

    /// Moves edges between regions that touch to where the blocks begin that checks observed: a huge page across an edge
    /// would be seen on both sides of it.
    pub(crate) fn align_to_extents(&mut self) {
        for i in 1..self.regions.len() {
            let [l, r] = &mut self.regions[i - 1..=i] else { return };
            let extent = l.extent.max(r.extent);
            if extent > Extent::GRANULE && l.end == r.start && l.sees == r.sees {
                let (below, above) = (extent.start(l.end), extent.start(l.end).saturating_add(extent.bytes()));
                let nearest = if l.end - below <= above - l.end { below } else { above };
                if let Some(edge) = [nearest, below, above].into_iter().find(|&at| l.start < at && at < r.end) {
                    (l.end, r.start) = (edge, edge);
                }
            }
        }
    }

    /// What cuts are multiples of: the granule, or what the target's own smallest region asks for.
    pub(crate) fn unit(&self, granule: u64) -> u64 {
        let own = self.spec.region_bytes.and_then(|(min, _)| min.checked_next_power_of_two());
        own.unwrap_or(granule).max(granule)
    }

    /// How many of its addresses are not hidden from everybody.
    pub(crate) fn seen_size(&self) -> u128 {
        self.spans.iter().filter(|s| s.sees != Sees::Nothing).map(|s| u128::from(s.range.size())).sum()
    }
}

/// The size of regions of which there are `min_nr_regions`, but at least the granule. What nobody sees into does not count.
pub(crate) fn mean_size(targets: &[Target], attrs: &Attrs) -> u64 {
    let total: u128 = targets.iter().map(Target::seen_size).sum();
    let mean = u64::try_from(total / attrs.spec().min_nr_regions as u128).unwrap_or(u64::MAX);
    mean.max(attrs.spec().granule)
}

/// Inserts the second half of each cut item behind it, in place and from the back, so that each item moves once.
pub(crate) fn expand<T: Copy>(items: &mut Vec<T>, cuts: &[Cut], mut halve: impl FnMut(&mut T, u64) -> T) {
    let mut from = items.len();
    let Some(&filler) = items.first() else { return };
    items.resize(from + cuts.len(), filler);
    let mut to = items.len();
    for cut in cuts.iter().rev() {
        while from > cut.index + 1 {
            (to, from) = (to - 1, from - 1);
            items[to] = items[from];
        }
        to -= 1;
        items[to] = halve(&mut items[cut.index], cut.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn target(bounds: &[u64]) -> Target {
        let mut t = Target::new(TargetSpec::new(TargetId::new(0)));
        t.regions = bounds.windows(2).map(|w| Region::new(AddrRange::ordered(w[0], w[1]), Sees::Accesses)).collect();
        t
    }

    fn bounds(t: &Target) -> Vec<(u64, u64)> {
        t.regions.iter().map(|r| (r.start, r.end)).collect()
    }

    #[test]
    fn many_cuts_at_once_also_several_in_one_region() {
        let mut t = target(&[0, 10, 20, 30]);
        t.set_probed(true);
        t.probe_hits[1].now[0] = 7;
        t.cut(&[Cut { index: 0, at: 4 }, Cut { index: 1, at: 12 }, Cut { index: 1, at: 15 }]);
        assert_eq!(bounds(&t), [(0, 4), (4, 10), (10, 12), (12, 15), (15, 20), (20, 30)]);
        assert_eq!(t.probe_hits.iter().map(|p| p.now[0]).collect::<Vec<_>>(), [0, 0, 7, 7, 7, 0]);
    }

    #[test]
    fn a_join_weighs_by_size() {
        let mut t = target(&[0, 10, 40]);
        t.regions[0].nr_accesses = 20;
        t.regions[1].nr_accesses = 4;
        t.join(0);
        assert_eq!((bounds(&t), t.regions[0].nr_accesses), (vec![(0, 40)], 8));
        t.join(0);
        assert_eq!(t.regions.len(), 1, "nothing to join with");
    }
}
