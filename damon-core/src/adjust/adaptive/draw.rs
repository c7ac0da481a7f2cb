//! Chooses the pages of a window: some of each region, a pair at boundaries that are followed, and those under suspicion.
//!
//! Shares of checks are fractions, and each window has a whole number of them: a running sum over the regions is rounded, starting from
//! another fraction each time. So a region of a quarter check has one in every fourth window, and the total is
//! what it should be without a pass to make it so.

use alloc::vec::Vec;

use super::edge::Edge;
use super::evidence::Side;
use super::suspect::Suspect;
use crate::ops::Sample;
use crate::region::Region;
use crate::rng::Rng;
use crate::target::{Target, TargetId};

/// What a sample is for: any of these, together.
pub(super) const PLAIN: u8 = 1;
/// Left of the boundary to the next region.
pub(super) const LEFT: u8 = 2;
/// Right of the boundary to the last region.
pub(super) const RIGHT: u8 = 4;
pub(super) const SUSPECT: u8 = 8;

/// The region that a sample is in, and what it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    pub(super) region: u32,
    pub(super) of: u8,
}

/// Shares of checks are in such parts.
pub(super) const SHARE: u32 = 1 << 12;
/// A boundary that is right is looked at again in one window of five.
const SETTLED: u64 = 5;

/// How the checks of a window are divided.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// The sum of all shares.
    pub(super) shares: u64,
    /// Boundaries that are followed, in [`SHARE`]s: those that are right count less.
    pub(super) edges: u64,
}

/// How often a boundary wants to be looked at, in [`SHARE`]s of a window.
pub(super) fn wants(e: &Edge) -> u64 {
    match (e.strong, e.settled()) {
        (false, _) => 0,
        (true, true) => u64::from(SHARE) / SETTLED,
        (true, false) => SHARE.into(),
    }
}

/// A sequence of fractions whose every stretch is spread evenly over 0 to 1: steps of the golden ratio.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread(u32);

impl Spread {
    pub(super) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9);
        self.0
    }
}

/// Where a target's samples go, with their tags.
struct Drawn<'a> {
    id: TargetId,
    /// Where this target's begin.
    first: usize,
    /// The last one's address and one more: what is not below comes after it.
    next: u64,
    out: &'a mut Vec<Sample>,
    tags: &'a mut Vec<Tag>,
}

impl Drawn<'_> {
    /// Puts it where it belongs: nearly always at the end.
    #[inline]
    fn push(&mut self, addr: u64, region: usize, of: u8) {
        if addr < self.next {
            return self.insert(addr, region, of);
        }
        self.next = addr + 1;
        self.out.push(Sample::new(self.id, addr));
        self.tags.push(Tag { region: region as u32, of });
    }

    /// Draws `n` pages of a region, which has as many: one in each of as many equal parts, the last with what is left over.
    #[inline]
    fn spread(&mut self, n: u64, r: &Region, shift: u32, region: usize, rng: &mut Rng) {
        let units = r.size() >> shift;
        // Most have one or two, and a division takes as long as all else.
        let part = match n {
            0 => return,
            1 => units,
            2 => units / 2,
            _ => units / n,
        };
        let mut at = r.start;
        for _ in 1..n {
            self.push(at + (rng.below(part) << shift), region, PLAIN);
            at += part << shift;
        }
        self.push(at + (rng.below(units - (n - 1) * part) << shift), region, PLAIN);
    }

    /// Draws a page on each side of the boundary between two regions, of which the second is `region`.
    fn beside(&mut self, [l, r]: [&Region; 2], reach: u64, shift: u32, region: usize, rng: &mut Rng) {
        let reach = |r: &Region| reach.min(r.size() >> shift >> 1).max(1);
        let (left, right) = (rng.below(reach(l)) + 1, rng.below(reach(r)));
        self.push(r.start - (left << shift), region - 1, LEFT);
        self.push(r.start + (right << shift), region, RIGHT);
    }

    /// One page is sampled once, whatever for.
    #[cold]
    fn insert(&mut self, addr: u64, region: usize, of: u8) {
        let at = self.first + self.out[self.first..].partition_point(|s| s.addr < addr);
        if self.out.get(at).is_some_and(|s| s.addr == addr) {
            self.tags[at].of |= of;
            return;
        }
        self.out.insert(at, Sample::new(self.id, addr));
        self.tags.insert(at, Tag { region: region as u32, of });
    }
}

/// What a window is drawn from.
pub(super) struct Draw<'a> {
    pub(super) budget: u64,
    pub(super) plan: Plan,
    pub(super) shift: u32,
    pub(super) suspects: &'a [Suspect],
    pub(super) spread: &'a mut Spread,
    pub(super) rng: &'a mut Rng,
}

impl Draw<'_> {
    /// Draws a window's samples of some targets.
    pub(super) fn draw(self, targets: &[Target], sides: &[Side], out: &mut Vec<Sample>, tags: &mut Vec<Tag>) {
        let Self { budget, plan, shift, suspects, spread, rng } = self;
        let whole = u64::from(SHARE);
        // Two fifths of the checks at most go to boundaries, two each.
        let edge_scale = if plan.edges == 0 { 0 } else { (budget * whole * whole / (5 * plan.edges)).min(whole) };
        let mut edge_sum = u64::from(spread.next() >> 20) * whole;
        let mut edges_left = (edge_sum + plan.edges * edge_scale) / (whole * whole);
        let mut left = budget.saturating_sub(2 * edges_left).saturating_sub(suspects.len() as u64);
        let scale = (left << 28).checked_div(plan.shares).unwrap_or(0);
        let mut sum = u64::from(spread.next() >> 4);
        let mut suspects = suspects.iter().peekable();

        for (t, side) in targets.iter().zip(sides) {
            let id = t.id();
            let mut drawn = Drawn { id, first: out.len(), next: 0, out, tags };
            let mut last: Option<&Region> = None;
            while suspects.next_if(|s| s.target < id).is_some() {}
            for (i, (r, e)) in t.regions.iter().zip(&side.evidence).enumerate() {
                if !r.sees.checkable() {
                    last = None;
                    continue;
                }
                if e.edge.strong {
                    edge_sum += wants(&e.edge) * edge_scale;
                    if edge_sum >= whole * whole {
                        edge_sum -= whole * whole;
                        if let Some(l) = last.filter(|l| l.end == r.start && edges_left > 0) {
                            edges_left -= 1;
                            drawn.beside([l, r], e.edge.reach(), shift, i, rng);
                        }
                    }
                }
                while let Some(s) = suspects.next_if(|s| s.target == id && s.addr < r.end) {
                    if s.addr >= r.start {
                        drawn.push(s.addr, i, SUSPECT);
                    }
                }
                sum += u64::from(e.share) * scale;
                let n = sum >> 28;
                sum &= (1 << 28) - 1;
                if n > 0 {
                    let n = n.min(r.size() >> shift.max(e.extent.into())).min(left);
                    left -= n;
                    drawn.spread(n, r, shift, i, rng);
                }
                last = Some(r);
            }
        }
    }
}
