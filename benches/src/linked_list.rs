//! The same work on a linked list of regions, as the kernel keeps them: every region an allocation of its own.
//!
//! Counterpart: `struct damon_region` on `damon_target::regions_list` (`mm/damon/core.c`, Linux 7.3).

use damon_core::Rng;

use crate::{Memory, WINDOWS, Watcher};

#[derive(Debug)]
struct Node {
    start: u64,
    end: u64,
    sampling_addr: u64,
    nr_accesses: u32,
    last_nr_accesses: u32,
    age: u32,
    next: List,
}

type List = Option<Box<Node>>;

impl Node {
    fn new(start: u64, end: u64) -> Box<Self> {
        Box::new(Self { start, end, sampling_addr: start, nr_accesses: 0, last_nr_accesses: 0, age: 0, next: None })
    }

    const fn size(&self) -> u64 {
        self.end - self.start
    }
}

/// Regions of a [`Memory`], one behind the other, each where the allocator put it.
///
/// A kernel's regions lie scattered, for they are allocated and freed at each split and merge among those of others;
/// here they are allocated in order, and then linked in another one.
#[derive(Debug)]
pub struct LinkedList {
    head: List,
    rng: Rng,
    max_nr_accesses: u32,
}

impl LinkedList {
    const GRANULE: u64 = 4096;

    /// With so many regions while it samples.
    pub fn new(regions: usize) -> Self {
        let mut rng = Rng::new(7);
        let mut nodes: Vec<_> = (0..Memory::for_regions(regions).blocks()).map(|_| Node::new(0, 0)).collect();
        for last in (1..nodes.len()).rev() {
            nodes.swap(last, rng.below(last as u64 + 1) as usize);
        }
        let mut head = None;
        for (block, mut node) in nodes.into_iter().enumerate().rev() {
            (node.start, node.end) = (block as u64 * Memory::BLOCK, (block as u64 + 1) * Memory::BLOCK);
            node.next = head;
            head = Some(node);
        }
        Self { head, rng, max_nr_accesses: 0 }
    }

    fn for_each(&mut self, mut f: impl FnMut(&mut Node, &mut Rng)) {
        let mut at = self.head.as_deref_mut();
        while let Some(node) = at {
            f(node, &mut self.rng);
            at = node.next.as_deref_mut();
        }
    }

    /// Draws a page of each region to look at.
    fn prepare(&mut self) {
        self.for_each(|r, rng| {
            let pages = r.size() / Self::GRANULE;
            r.sampling_addr = r.start + rng.below(pages) * Self::GRANULE;
        });
    }

    /// Looks at them, and counts.
    fn check(&mut self) -> u64 {
        let (mut checks, mut max) = (0, self.max_nr_accesses);
        self.for_each(|r, _| {
            checks += 1;
            if Memory::accessed(r.sampling_addr) {
                r.nr_accesses += 1;
            }
            max = max.max(r.nr_accesses);
        });
        self.max_nr_accesses = max;
        checks
    }

    /// Ages each region, and joins neighbours that were accessed alike.
    fn merge(&mut self) {
        let threshold = self.max_nr_accesses / 10;
        let mut at = self.head.as_deref_mut();
        while let Some(r) = at {
            Self::grow_older(r, threshold);
            while let Some(mut next) = r.next.take_if(|next| {
                r.nr_accesses.abs_diff(next.nr_accesses) <= threshold
                    && r.end == next.start
                    && next.end - r.start <= Memory::BLOCK
            }) {
                Self::grow_older(&mut next, threshold);
                let (a, b) = (r.size(), next.size());
                let average = |x: u32, y: u32| ((u64::from(x) * a + u64::from(y) * b) / (a + b)) as u32;
                r.nr_accesses = average(r.nr_accesses, next.nr_accesses);
                r.age = average(r.age, next.age);
                r.end = next.end;
                r.next = next.next.take();
            }
            at = r.next.as_deref_mut();
        }
    }

    fn grow_older(r: &mut Node, threshold: u32) {
        let changed = r.nr_accesses.abs_diff(r.last_nr_accesses) > threshold;
        let flipped = (r.nr_accesses == 0) != (r.last_nr_accesses == 0);
        r.age = if changed || flipped { 0 } else { r.age + 1 };
    }

    fn reset(&mut self) {
        self.for_each(|r, _| {
            r.last_nr_accesses = r.nr_accesses;
            r.nr_accesses = 0;
        });
        self.max_nr_accesses = 0;
    }

    /// Cuts each region in two, somewhere between a tenth and nine tenths.
    fn split(&mut self) {
        let mut at = self.head.as_deref_mut();
        while let Some(r) = at {
            let part = r.size() * (1 + self.rng.below(9)) / 10;
            let cut = r.start + part / Self::GRANULE * Self::GRANULE;
            if cut > r.start && cut < r.end {
                let mut right = Node::new(cut, r.end);
                right.age = r.age;
                right.last_nr_accesses = r.last_nr_accesses;
                right.next = r.next.take();
                r.end = cut;
                at = r.next.insert(right).next.as_deref_mut();
            } else {
                at = r.next.as_deref_mut();
            }
        }
    }
}

impl Watcher for LinkedList {
    fn begin_first(&mut self) {
        self.reset();
        self.split();
        self.prepare();
    }

    fn windows(&mut self) -> u64 {
        let mut checks = 0;
        for _ in 1..WINDOWS {
            checks += self.check();
            self.prepare();
        }
        checks
    }

    fn end_last(&mut self) -> u64 {
        let regions = self.check();
        self.merge();
        regions
    }
}

/// Node by node: a million nested drops would overflow the stack.
impl Drop for LinkedList {
    fn drop(&mut self) {
        let mut rest = self.head.take();
        while let Some(mut node) = rest {
            rest = node.next.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_aggregation_splits_each_block_and_merges_it_back() {
        let mut list = LinkedList::new(100);
        for _ in 0..20 {
            list.begin_first();
            assert_eq!(list.windows(), 100 * u64::from(WINDOWS - 1));
            assert_eq!(list.end_last(), 100);
            let mut regions = Vec::new();
            list.for_each(|r, _| regions.push((r.start, r.end, r.nr_accesses)));
            let truth = |block| if Memory::accessed(block * Memory::BLOCK) { WINDOWS } else { 0 };
            let blocks = (0..50).map(|b| (b * Memory::BLOCK, (b + 1) * Memory::BLOCK, truth(b)));
            assert!(regions.iter().copied().eq(blocks), "{regions:?}");
        }
    }
}
