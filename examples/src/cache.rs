//! A cache of keys, least recently used first out, that can also be told which keys to let go; and loads to try it with.

use std::convert::Infallible;
use std::num::NonZeroUsize;

use damon_core::{Action, AddrRange, Applied, ApplyOps, Request, TargetId, Unsupported};
use lru::LruCache;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Zipf};

/// Lets go what is cached of a range of keys, as far as free slots are wanted.
pub const EVICT: Action = Action::Custom(1);

/// The cache: slots of keys, without values.
#[derive(Debug)]
pub struct Cache {
    lru: LruCache<u64, ()>,
    /// A bit for each key that is in.
    is_in: Vec<u64>,
    evicted: u64,
    /// So many slots shall be free before the least recently used has to go.
    wanted_free: usize,
    /// Keys below it had their turn in this round, and those of these ranges shall have it in the next.
    turn: u64,
    next: Vec<AddrRange>,
}

impl Cache {
    /// With so many slots, for keys below `keys`.
    pub fn new(slots: NonZeroUsize, keys: u64) -> Self {
        let is_in = vec![0; usize::try_from(keys.div_ceil(64)).unwrap_or(0)];
        Self { lru: LruCache::new(slots), is_in, evicted: 0, wanted_free: slots.get() / 50, turn: 0, next: Vec::new() }
    }

    /// Looks a key up; on a miss it comes in. True for a hit.
    pub fn get(&mut self, key: u64) -> bool {
        if self.lru.get(&key).is_some() {
            return true;
        }
        if let Some((gone, ())) = self.lru.push(key, ()) {
            self.is_in[(gone / 64) as usize] &= !(1 << (gone % 64));
        }
        self.is_in[(key / 64) as usize] |= 1 << (key % 64);
        false
    }

    /// How many keys are in.
    pub fn len(&self) -> usize {
        self.lru.len()
    }

    /// Is none in?
    pub fn is_empty(&self) -> bool {
        self.lru.is_empty()
    }

    /// How many keys were let go because they were cold.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn wants_room(&self) -> bool {
        self.lru.len() + self.wanted_free > self.lru.cap().get()
    }

    /// Lets go the keys of `range` while room is wanted; how many those were.
    fn evict(&mut self, range: AddrRange) -> u64 {
        if !self.wants_room() {
            return 0;
        }
        let mut gone = 0;
        let mut key = range.start();
        while key < range.end() && self.wants_room() {
            let word = self.is_in.get((key / 64) as usize).map_or(0, |w| w >> (key % 64));
            if word == 0 {
                key = (key / 64 + 1) * 64;
                continue;
            }
            key += u64::from(word.trailing_zeros());
            if key < range.end() && self.lru.pop(&key).is_some() {
                self.is_in[(key / 64) as usize] &= !(1 << (key % 64));
                gone += 1;
            }
            key += 1;
        }
        self.turn = key;
        self.evicted += gone;
        gone
    }
}

/// It goes round: each time it starts where it stopped, or the lowest keys would always be the first to go.
impl ApplyOps for &mut Cache {
    type Error = Infallible;

    fn supports(&self, _: Option<TargetId>, request: &Request<'_>) -> Result<(), Unsupported> {
        if request.action == EVICT { Ok(()) } else { Err(Unsupported::new(request.action, "a cache can only evict")) }
    }

    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Infallible> {
        if range.end() <= self.turn {
            self.next.push(range);
            return Applied { size: 0, ..Applied::whole(range) };
        }
        Applied { size: self.evict(range), ..Applied::whole(range) }
    }

    fn close(&mut self) -> Result<(), Infallible> {
        for range in std::mem::take(&mut self.next) {
            if self.wants_room() {
                self.evict(range);
            }
        }
        Ok(())
    }
}

/// What keys are asked for: groups of keys that are asked for alike, by a zipf law over the groups.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// What a person calls it.
    pub name: &'static str,
    /// Groups, and keys in each.
    pub groups: u64,
    /// Keys in a group.
    pub group: u64,
    /// Keys of a group lie together. Else neighbours have nothing to do with each other, as behind a hash.
    pub together: bool,
    /// After so many requests the groups change places in the order of popularity; 0 is never.
    pub shift_after: u64,
    /// Of 100 requests so many are of a scan, which asks once for each of `scanned` further keys.
    pub scan_percent: u32,
    /// Further keys.
    pub scanned: u64,
}

impl Load {
    /// Keys in all.
    pub const fn keys(&self) -> u64 {
        self.groups * self.group + self.scanned
    }

    /// The requests, without end: equal seeds give equal ones.
    pub fn requests(self, seed: u64) -> Result<impl Iterator<Item = u64>, rand_distr::ZipfError> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let zipf = Zipf::new(self.groups as f64, 0.9)?;
        let hot = self.groups * self.group;
        let (mut n, mut scan) = (0_u64, 0);
        Ok(std::iter::repeat_with(move || {
            n += 1;
            if self.scanned > 0 && rng.random_range(0..100) < self.scan_percent {
                scan = (scan + 1) % self.scanned;
                return hot + scan;
            }
            let rank = zipf.sample(&mut rng) as u64 - 1;
            let shifts = n.checked_div(self.shift_after).unwrap_or(0);
            // Odd factors permute a power of two: ranks are spread over groups, and keys over all.
            let group = (rank + shifts * (self.groups / 7)).wrapping_mul(0x9e37_79b1) % self.groups;
            let key = group * self.group + rng.random_range(0..self.group);
            if self.together { key } else { key.wrapping_mul(0x9e37_79b9_7f4a_7c15) % hot }
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::new(start, end).unwrap()
    }

    #[test]
    fn it_evicts_of_a_range_what_is_in_and_only_until_there_is_room() {
        let mut cache = Cache::new(NonZeroUsize::new(1_000).unwrap(), 2_000);
        (0..2_000).filter(|key| key % 2 == 1).for_each(|key| assert!(!cache.get(key)));
        assert_eq!((cache.len(), cache.wants_room()), (1_000, true));
        let request = Request::new(EVICT, &[], &[]);
        let mut evict = |from, to| (&mut &mut cache).apply(TargetId::new(0), range(from, to), &request).size;
        assert_eq!(evict(100, 105), 2, "101 and 103");
        assert_eq!(evict(200, 2_000), 18, "then one in fifty is free");
        assert_eq!(evict(1_000, 2_000), 0);
        assert!(cache.get(99) && !cache.get(101) && !cache.get(235) && cache.get(237));
        assert_eq!((cache.len(), cache.evicted()), (982, 20));
        let mut actor = &mut cache;
        let waits = actor.apply(TargetId::new(0), range(0, 100), &request);
        actor.close().unwrap();
        assert_eq!((waits.size, cache.len(), cache.evicted()), (0, 980, 22), "below where it stopped: last of all");
    }

    #[test]
    fn a_load_repeats_itself_and_a_shift_changes_what_is_popular() {
        let load =
            Load { name: "", groups: 64, group: 16, together: true, shift_after: 10_000, scan_percent: 0, scanned: 0 };
        let first: Vec<_> = load.requests(1).unwrap().take(20_000).collect();
        assert!(load.requests(1).unwrap().take(20_000).eq(first.iter().copied()));
        let favourite = |part: &[u64]| {
            let mut counts = [0; 64];
            part.iter().for_each(|key| counts[(key / 16) as usize] += 1);
            (0..64).max_by_key(|&group| counts[group])
        };
        assert_ne!(favourite(&first[..10_000]), favourite(&first[10_000..]));
        assert!(first.iter().all(|&key| key < load.keys()));
    }
}
