//! The bag that reporters fill and the monitor empties: shards, so that producers do not meet on a cache line.
//!
//! Each reporter starts at a shard that is its own as long as there are enough, goes on to the next when it is full, and is back at
//! its own after the next drain. So one busy producer may use all of the bag, and what is too much is counted.

mod shard;
mod sync;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use shard::{MIN_SLOTS, Reader, Shard};
use sync::{AtomicU32, Line, Ordering};

/// At most so many shards: with [`NO_ROOM`], their numbers fit into a byte.
const MAX_SHARDS: u32 = 128;
/// At least so many slots to a shard where there are several.
const SHARD_SLOTS: u32 = 64;
/// Instead of a shard's number: none has room before the next drain.
const NO_ROOM: u32 = 0xff;

/// Reports of `W` words.
pub(super) struct Bag<const W: usize> {
    shards: Box<[Shard<W>]>,
    life: Line<Life>,
}

/// What the consumer writes, once in a drain.
struct Life {
    /// How often it was emptied.
    drains: AtomicU32,
    /// Not 0: nobody empties it any more.
    closed: AtomicU32,
}

/// Where a reporter is in the bag.
#[derive(Debug)]
pub(super) struct Place {
    home: u32,
    /// The shard where there was room last, and in the upper three bytes the number of drains then.
    last: AtomicU32,
}

impl<const W: usize> Bag<W> {
    /// With room for at least `capacity` reports: a power of two, 64 to 2²⁶.
    pub(super) fn new(capacity: usize) -> Self {
        let slots = u32::try_from(capacity).unwrap_or(u32::MAX).clamp(SHARD_SLOTS, 1 << 26).next_power_of_two();
        Self::with_shards((slots / SHARD_SLOTS).min(MAX_SHARDS), slots)
    }

    /// With `slots` in all, in so many shards: both powers of two.
    pub(super) fn with_shards(shards: u32, slots: u32) -> Self {
        let shards = (0..shards).map(|_| Shard::new((slots / shards).max(MIN_SLOTS))).collect();
        Self { shards, life: Line(Life { drains: AtomicU32::new(0), closed: AtomicU32::new(0) }) }
    }

    /// A shard for one more reporter: of those that the fewest have, the one farthest from the others'.
    pub(super) fn place(&self) -> Place {
        let bits = self.shards.len().trailing_zeros();
        let spread = |i: u32| i.reverse_bits().checked_shr(u32::BITS - bits).unwrap_or(0);
        let order = (0..self.shards.len() as u32).map(spread);
        let home = order.min_by_key(|&i| self.shards[i as usize].owners().load(Ordering::Relaxed)).unwrap_or(0);
        self.shards[home as usize].owners().fetch_add(1, Ordering::Relaxed);
        let drains = self.life.0.drains.load(Ordering::Relaxed);
        Place { home, last: AtomicU32::new(drains << 8 | home) }
    }

    /// A reporter is no more.
    pub(super) fn leave(&self, place: &Place) {
        self.shards[place.home as usize].owners().fetch_sub(1, Ordering::Relaxed);
    }

    /// Puts a report in, in a bounded number of steps; false where it is lost, which is counted.
    #[inline]
    pub(super) fn push(&self, place: &Place, words: &[u32; W]) -> bool {
        let Life { drains, closed } = &self.life.0;
        let epoch = drains.load(Ordering::Acquire) << 8;
        let last = place.last.load(Ordering::Relaxed);
        let first = if last & !0xff == epoch { last & 0xff } else { place.home };
        if closed.load(Ordering::Relaxed) == 0 && first != NO_ROOM {
            if self.shards[first as usize].push(words) {
                return true;
            }
            if self.push_further(place, epoch, first, words) {
                return true;
            }
        }
        self.lose(place, 1);
        false
    }

    /// Counts reports that were lost before they got here: 2²⁰ at most.
    pub(super) fn lose(&self, place: &Place, n: u32) {
        self.shards[place.home as usize].lose(n);
    }

    #[cold]
    fn push_further(&self, place: &Place, epoch: u32, first: u32, words: &[u32; W]) -> bool {
        let mask = self.shards.len() as u32 - 1;
        let mut others = (1..=mask).map(|i| (first + i) & mask);
        let found = others.find(|&i| self.shards[i as usize].push(words));
        place.last.store(epoch | found.unwrap_or(NO_ROOM), Ordering::Relaxed);
        found.is_some()
    }

    /// Nobody empties it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.life.0.closed.load(Ordering::Relaxed) != 0
    }

    /// How many reports it holds at most.
    pub(super) fn capacity(&self) -> usize {
        self.shards.len() * self.shards.first().map_or(0, Shard::capacity)
    }

    /// Reports that are in, and those that were lost, since the last drain. It looks at every slot.
    pub(super) fn pending(&self) -> u64 {
        self.shards.iter().map(Shard::pending).sum()
    }
}

impl<const W: usize> fmt::Debug for Bag<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bag")
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The consumer of a bag. When it goes, the bag is closed.
#[derive(Debug)]
pub(super) struct Consumer<const W: usize> {
    bag: Arc<Bag<W>>,
    readers: Vec<Reader>,
}

impl<const W: usize> Consumer<W> {
    /// Of a bag that has no other.
    pub(super) fn new(bag: Arc<Bag<W>>) -> Self {
        let readers = bag.shards.iter().map(|_| Reader::default()).collect();
        Self { bag, readers }
    }

    /// Takes every report that is in, and gives how many were lost since the last time.
    pub(super) fn drain(&mut self, mut take: impl FnMut(&[u32; W])) -> u64 {
        let shards = self.readers.iter_mut().zip(&self.bag.shards);
        let lost = shards.map(|(reader, shard)| u64::from(reader.drain(shard, &mut take))).sum();
        // Reporters that found no room look again.
        self.bag.life.0.drains.fetch_add(1, Ordering::Release);
        lost
    }

    /// There is no reporter any more.
    pub(super) fn is_abandoned(&mut self) -> bool {
        Arc::get_mut(&mut self.bag).is_some()
    }

    /// Reports that were not finished at the last drain.
    pub(super) fn behind(&self) -> u64 {
        self.readers.iter().map(|r| r.behind() as u64).sum()
    }
}

impl<const W: usize> Drop for Consumer<W> {
    fn drop(&mut self) {
        self.bag.life.0.closed.store(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn drain(consumer: &mut Consumer<1>) -> (usize, u64) {
        let mut taken = 0;
        let lost = consumer.drain(|_| taken += 1);
        (taken, lost)
    }

    #[test]
    fn one_producer_may_use_all_of_it_and_what_is_too_much_is_lost_and_counted() {
        for capacity in [0, 64, 1_000] {
            let bag = Arc::new(Bag::<1>::new(capacity));
            let (place, mut consumer) = (bag.place(), Consumer::new(Arc::clone(&bag)));
            assert!(bag.capacity() >= capacity);
            for _ in 0..3 {
                let took = (0..bag.capacity() + 5).filter(|_| bag.push(&place, &[1])).count();
                assert_eq!((took, drain(&mut consumer)), (bag.capacity(), (bag.capacity(), 5)));
            }
        }
    }

    #[test]
    fn what_was_lost_elsewhere_is_counted_with_it() {
        let bag = Arc::new(Bag::<1>::new(64));
        let (place, mut consumer) = (bag.place(), Consumer::new(Arc::clone(&bag)));
        bag.lose(&place, 7);
        bag.push(&place, &[1]);
        assert_eq!(drain(&mut consumer), (1, 7));
        bag.lose(&place, u32::MAX);
        assert_eq!(drain(&mut consumer), (0, 1 << 20));
        (0..3_000).for_each(|_| bag.lose(&place, u32::MAX));
        assert_eq!(drain(&mut consumer), (0, 1 << 31), "no wrap-around");
    }

    #[test]
    fn reporters_start_apart_and_take_over_what_others_left() {
        let bag = Bag::<1>::new((MAX_SHARDS * SHARD_SLOTS) as usize);
        let mut places: Vec<_> = (0..MAX_SHARDS).map(|_| bag.place()).collect();
        assert_eq!(places[..4].iter().map(|p| p.home).collect::<Vec<_>>(), [0, 64, 32, 96]);
        let mut homes: Vec<_> = places.iter().map(|p| p.home).collect();
        homes.sort_unstable();
        homes.dedup();
        assert_eq!(homes.len(), MAX_SHARDS as usize, "each has its own");
        let left = places.swap_remove(17);
        bag.leave(&left);
        assert_eq!(bag.place().home, left.home);
    }

    #[test]
    fn after_its_consumer_it_takes_nothing_and_what_is_in_it_stays_pending() {
        let bag = Arc::new(Bag::<1>::new(64));
        let (place, consumer) = (bag.place(), Consumer::new(Arc::clone(&bag)));
        assert!(bag.push(&place, &[1]) && !bag.is_closed());
        drop(consumer);
        assert!(!bag.push(&place, &[2]) && bag.is_closed());
        assert_eq!(bag.pending(), 2);
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
