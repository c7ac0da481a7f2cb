//! Takes in what a window's samples say: counts, boundaries, suspects.

use alloc::vec::Vec;
use core::ops::Range;

use super::belief::Belief;
use super::draw::{self, LEFT, PLAIN, RIGHT, SUSPECT, Tag};
use super::edge::{self, Edge, Move};
use super::evidence::{Evidence, Side};
use super::suspect::{self, Suspect, Verdict};
use super::typical::Looks;
use super::verdict::Judge;
use super::{Adaptive, Counted};
use crate::addr::align_down;
use crate::attrs::Attrs;
use crate::ops::Sample;
use crate::region::Region;
use crate::sight::{Extent, Seen};
use crate::target::{Cut, Target};

impl Adaptive {
    /// Takes in one run of samples, all of a target.
    ///
    /// The loop is what a check costs, so it keeps to what nearly every sample needs: most monitors have no probes, and
    /// what looks at boundaries and suspects is called where it is.
    pub(super) fn count_run(
        &mut self,
        t: &mut Target,
        i: usize,
        run: &[Sample],
        first: usize,
        judge: Judge,
        counted: &mut Counted,
    ) {
        let tags = first..first + run.len();
        if judge == Judge::Accesses && t.probe_hits.is_empty() {
            self.count_samples::<false>(t, i, run, tags, judge, counted);
        } else {
            self.count_samples::<true>(t, i, run, tags, judge, counted);
        }
        let Some(side) = self.sides.get_mut(i) else { return };
        for &i in &self.looked_at {
            // A step of a page is a boundary that is being found; a longer one may be a boundary that moves.
            self.thrift.surprises += usize::from(decide_edge(t, side, i as usize, self.least) > 1);
        }
    }

    fn count_samples<const PROBES: bool>(
        &mut self,
        t: &mut Target,
        i: usize,
        run: &[Sample],
        tags: Range<usize>,
        judge: Judge,
        counted: &mut Counted,
    ) {
        let Some(side) = self.sides.get_mut(i) else { return };
        let tags = self.tags.get(tags).unwrap_or_default();
        let mut others = Others { suspects: self.suspects.from(t.id()), looked_at: &mut self.looked_at };
        others.looked_at.clear();
        let (regions, evidence) = (t.regions.as_mut_slice(), side.evidence.as_mut_slice());
        let (mut accessed, mut unknown, mut most) = (0, 0, counted.max_nr_accesses);
        for (at, (s, tag)) in run.iter().zip(tags).enumerate() {
            let index = tag.region as usize;
            let (Some(r), Some(e)) = (regions.get_mut(index), evidence.get_mut(index)) else { continue };
            let (seen, access) = (s.seen != Seen::Unknown, s.seen.is_access());
            unknown += u32::from(!seen);
            accessed += u32::from(access);
            let (known, hit) = match PROBES {
                true => judge.of(s, &mut self.spread).map_or((false, false), |hit| (true, hit)),
                false => (seen, access),
            };
            let mut again = false;
            if s.extent > Extent::GRANULE {
                r.extent = r.extent.max(s.extent);
                counted.extent = counted.extent.max(s.extent);
                again = is_again(s, *tag, &run[..at], tags);
            }
            if tag.of & PLAIN != 0 {
                if known && !again {
                    r.nr_samples += u32::from(seen);
                    r.nr_accesses += u32::from(access);
                    r.nr_writes += u32::from(s.seen == Seen::Written);
                    most = most.max(r.nr_accesses);
                    e.bins.count(s.addr, hit);
                    let surprising = e.belief.is_surprised(hit, suspect::RARE, suspect::KNOWN);
                    if surprising && tag.of & SUSPECT == 0 && r.size() >> self.least >= suspect::WIDE {
                        self.found.push((s.target, s.addr));
                    }
                }
                if let Some(hits) = t.probe_hits.get_mut(index).filter(|_| PROBES) {
                    for (bit, n) in hits.now.iter_mut().enumerate() {
                        *n += u32::from(s.attrs >> bit & 1);
                    }
                }
            }
            if known && tag.of != PLAIN {
                others.learn(s, *tag, hit, regions, evidence);
            }
        }
        (counted.accessed, counted.unknown) = (counted.accessed + accessed, counted.unknown + unknown);
        counted.max_nr_accesses = most;
    }

    /// Makes regions of suspects that are hot, and drops those that are not.
    pub(super) fn judge(&mut self, attrs: &Attrs, targets: &mut [Target], budget: usize) {
        // First those of this window, which were gathered in `found`.
        let mut found = core::mem::take(&mut self.found);
        for (id, addr) in found.drain(..) {
            let Ok(i) = targets.binary_search_by_key(&id, Target::id) else { continue };
            if let Some(at) = region_at(&targets[i], addr) {
                let around = self.sides[i].evidence[at].belief.cautious_rate();
                self.suspects.add(Suspect::new(id, addr, around), budget);
            }
        }
        let mut left = attrs.spec().max_nr_regions.saturating_sub(targets.iter().map(|t| t.regions.len()).sum());
        let sides = &mut self.sides;
        self.suspects.list_mut().retain(|s| {
            let verdict = s.verdict();
            if verdict == Verdict::Open {
                return true;
            }
            if verdict == Verdict::Hot {
                found.push((s.target, s.addr));
            }
            if let Ok(i) = targets.binary_search_by_key(&s.target, Target::id) {
                if let Some(e) = region_at(&targets[i], s.addr).and_then(|at| sides.get_mut(i)?.evidence.get_mut(at)) {
                    e.looks.learn(verdict);
                }
            }
            false
        });
        for &(id, addr) in &found {
            let Ok(i) = targets.binary_search_by_key(&id, Target::id) else { continue };
            if left >= 2 {
                left -= self.cut_out(&mut targets[i], i, addr, attrs);
                self.thrift.alarm();
            }
        }
        found.clear();
        self.found = found;
    }

    /// Makes a region of one page. Gives how many regions more there are.
    fn cut_out(&mut self, t: &mut Target, i: usize, addr: u64, attrs: &Attrs) -> usize {
        let Some(index) = region_at(t, addr) else { return 0 };
        let r = t.regions[index];
        // Where hits are frequent by now the bins will show it.
        if r.nr_accesses > r.nr_samples / 4 && r.nr_samples >= 8 {
            return 0;
        }
        let unit = t.unit(attrs.spec().granule).max(r.extent.bytes());
        let start = align_down(addr, unit).max(r.start);
        let end = start.saturating_add(unit).min(r.end);
        self.cuts.clear();
        self.cuts.extend([start, end].iter().filter(|&&at| r.start < at && at < r.end).map(|&at| Cut { index, at }));
        let side = &mut self.sides[i];
        side.cut(&t.regions, &self.cuts);
        t.cut(&self.cuts);
        let page = if start > r.start { index + 1 } else { index };
        for at in [page, page + 1] {
            if let Some(e) = side.evidence.get_mut(at).filter(|_| at > index) {
                e.edge = Edge::new(1);
            }
        }
        for at in index..=index + self.cuts.len() {
            if let (Some(r), Some(e)) = (t.regions.get(at), side.evidence.get_mut(at)) {
                e.bins = e.bins.fitted(r.range(), self.least);
            }
        }
        if let Some(e) = side.evidence.get_mut(page) {
            e.belief = Belief::of(3, 3);
            e.looks = Looks::default();
            let more = (draw::SHARE / 4).saturating_sub(e.share);
            e.share += more;
            if let Some(pool) = self.pools.iter_mut().find(|p| p.targets.contains(&i)) {
                pool.plan.shares += u64::from(more);
                pool.plan.edges += 2 * u64::from(draw::SHARE);
            }
        }
        if let Some(r) = t.regions.get_mut(page) {
            r.clear_counts();
        }
        self.cuts.len()
    }
}

/// Is a plain sample in the block that the last one before it observed as a whole? Then both are one observation.
#[cold]
fn is_again(s: &Sample, tag: Tag, before: &[Sample], tags: &[Tag]) -> bool {
    let last = before.iter().zip(tags).rev().find(|(_, t)| t.of & PLAIN != 0);
    last.is_some_and(|(l, t)| t.region == tag.region && s.extent.start(s.addr) <= l.addr)
}

/// What samples that are not plain, or not only, tell of.
struct Others<'a> {
    /// Those that are ahead, by target and address.
    suspects: &'a mut [Suspect],
    looked_at: &'a mut Vec<u32>,
}

impl Others<'_> {
    #[inline(never)]
    fn learn(&mut self, s: &Sample, tag: Tag, hit: bool, regions: &[Region], evidence: &mut [Evidence]) {
        let index = tag.region as usize;
        if tag.of & RIGHT != 0 {
            learn_edge(regions, evidence, index, edge::Side::Right, hit);
            self.looked_at.push(tag.region);
        }
        if tag.of & LEFT != 0 {
            learn_edge(regions, evidence, index + 1, edge::Side::Left, hit);
        }
        if tag.of & SUSPECT != 0 {
            let ahead = self.suspects.iter().take_while(|x| (x.target, x.addr) < (s.target, s.addr)).count();
            self.suspects = core::mem::take(&mut self.suspects).get_mut(ahead..).unwrap_or_default();
            if let Some(x) = self.suspects.first_mut().filter(|x| (x.target, x.addr) == (s.target, s.addr)) {
                x.learn(hit);
            }
        }
    }
}

/// The region that `addr` is in.
fn region_at(t: &Target, addr: u64) -> Option<usize> {
    let at = t.regions.partition_point(|r| r.end <= addr);
    t.regions.get(at).filter(|r| r.start <= addr).map(|_| at)
}

/// The rate of a region in 1/256, with what this aggregation has so far: old evidence must not mislead.
fn live(r: &Region, e: &Evidence) -> u32 {
    let believed = u64::from(e.belief.rate()) >> 6;
    ((believed + u64::from(r.nr_accesses) * 256) / (4 + u64::from(r.nr_samples))) as u32
}

fn learn_edge(regions: &[Region], evidence: &mut [Evidence], boundary: usize, on: edge::Side, hit: bool) {
    let Some(l) = boundary.checked_sub(1) else { return };
    if let (Some([l, r]), Some([le, re])) = (regions.get(l..=boundary), evidence.get_mut(l..=boundary)) {
        let (left, right) = (live(l, le), live(r, re));
        re.edge.learn(on, hit, left, right);
    }
}

/// Moves a boundary if it was found to be elsewhere. Gives how far the next step would go, in granules; 0 if it stays.
fn decide_edge(t: &mut Target, side: &mut Side, boundary: usize, shift: u32) -> u64 {
    let Some(first) = boundary.checked_sub(1) else { return 0 };
    let unit = t.unit(1 << shift);
    let (Some([l, r]), Some(e)) = (t.regions.get_mut(first..=boundary), side.evidence.get_mut(boundary)) else {
        return 0;
    };
    let Some(to) = e.edge.decide() else { return 0 };
    let unit = unit.max(l.extent.bytes()).max(r.extent.bytes());
    let step = |r: &Region| align_down((e.edge.reach() << shift).min(r.size() / 2), unit).max(unit);
    match to {
        Move::Left if l.size() > step(l) => (l.end, r.start) = (l.end - step(l), l.end - step(l)),
        Move::Right if r.size() > step(r) => (l.end, r.start) = (r.start + step(r), r.start + step(r)),
        _ => return 0,
    }
    e.edge.moved(to);
    e.edge.reach()
}
