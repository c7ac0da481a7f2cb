//! A ring of slots that any number of threads and signal handlers fill and one consumer empties.
//!
//! A *position* is a number that counts up and wraps around; its low bits say which slot. Who wants to report claims the next
//! position with one addition, which cannot fail, and so never waits for somebody who was interrupted between claiming
//! and writing. The consumer goes from position to position. It waits for nobody either: a claim whose writing has not begun it
//! cancels, so that the claimant takes another position, and a slot that is being written it looks at again at the next
//! drain. Order is not kept, and is not needed.
//!
//! A slot's *state* is the position that it is for, the low bits replaced by the stage: free for it, being written, or full.
//! Writing starts by a compare and exchange from "free for my position", which at most one claimant can do, and only while
//! the consumer has neither cancelled the position nor left the slot to a report of an earlier lap. Positions come again
//! after 2³² claims; a claimant that slept just as long would fill a slot before its turn, which harms nobody.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::sync::{AtomicU32, Line, Ordering};

/// The fewest slots: the stage needs the two lowest bits of a position.
pub(super) const MIN_SLOTS: u32 = 4;

const FREE: u32 = 0;
const WRITING: u32 = 1;
const FULL: u32 = 2;
const STAGE: u32 = 3;

/// A report goes to another position as often, where its claim was cancelled or met a slot still in use. Then the ring
/// counts as full.
const CLAIMS: u32 = 3;

/// Lost reports are counted up to here between two drains: so many threads may add at once and not wrap it around.
const LOST_LIMIT: u32 = 1 << 31;

/// What one addition may count: 2,048 threads that add it to just less than the limit do not wrap it around.
const LOST_AT_ONCE: u32 = 1 << 20;

#[derive(Debug)]
#[repr(align(64))]
struct Slot<const W: usize> {
    state: AtomicU32,
    words: [AtomicU32; W],
}

/// What producers write: apart from what the consumer writes.
#[derive(Debug)]
struct Claims {
    tail: AtomicU32,
    lost: AtomicU32,
    owners: AtomicU32,
}

/// Slots of `W` words.
#[derive(Debug)]
pub(super) struct Shard<const W: usize> {
    claims: Line<Claims>,
    /// The consumer has looked at all positions before it.
    head: Line<AtomicU32>,
    slots: Box<[Slot<W>]>,
}

impl<const W: usize> Shard<W> {
    /// With so many slots, a power of two.
    pub(super) fn new(slots: u32) -> Self {
        debug_assert!(slots.is_power_of_two() && slots >= MIN_SLOTS);
        let slot = |_| Slot { state: AtomicU32::new(FREE), words: core::array::from_fn(|_| AtomicU32::new(0)) };
        Self {
            claims: Line(Claims { tail: AtomicU32::new(0), lost: AtomicU32::new(0), owners: AtomicU32::new(0) }),
            head: Line(AtomicU32::new(0)),
            slots: (0..slots).map(slot).collect(),
        }
    }

    /// How many reports it holds at most.
    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// How many reporters call it their own.
    pub(super) fn owners(&self) -> &AtomicU32 {
        &self.claims.0.owners
    }

    /// Puts a report in, in a bounded number of steps; false where there is no room.
    #[inline]
    pub(super) fn push(&self, words: &[u32; W]) -> bool {
        let (tail, len) = (&self.claims.0.tail, self.slots.len() as u32);
        for _ in 0..CLAIMS {
            // `head` first: what is before it was claimed, and the tail that is read next is not before it.
            let head = self.head.0.load(Ordering::Acquire);
            if tail.load(Ordering::Relaxed).wrapping_sub(head) >= len {
                return false;
            }
            let position = tail.fetch_add(1, Ordering::Relaxed);
            let slot = &self.slots[(position & (len - 1)) as usize];
            let state = |stage| (position & !(len - 1)) | stage;
            // Acquires what the consumer read of the last report here: it is not written over before.
            let begun = slot.state.compare_exchange(state(FREE), state(WRITING), Ordering::Acquire, Ordering::Relaxed);
            if begun.is_ok() {
                for (to, &word) in slot.words.iter().zip(words) {
                    to.store(word, Ordering::Relaxed);
                }
                slot.state.store(state(FULL), Ordering::Release);
                return true;
            }
        }
        false
    }

    /// Counts reports that found no room, up to 2³¹ between two drains, and 2²⁰ at once.
    pub(super) fn lose(&self, n: u32) {
        let lost = &self.claims.0.lost;
        if lost.load(Ordering::Relaxed) < LOST_LIMIT {
            lost.fetch_add(n.min(LOST_AT_ONCE), Ordering::Relaxed);
        }
    }

    /// Reports that are in, and those that were lost, since the last drain. It looks at every slot.
    pub(super) fn pending(&self) -> u64 {
        let full = self.slots.iter().filter(|s| s.state.load(Ordering::Acquire) & STAGE == FULL).count();
        full as u64 + u64::from(self.claims.0.lost.load(Ordering::Relaxed))
    }
}

/// The consumer's side of a shard: there is one.
#[derive(Debug, Default)]
pub(super) struct Reader {
    head: u32,
    /// Positions whose slots were being written.
    behind: Vec<u32>,
}

impl Reader {
    /// Takes every report that is in, and gives how many were lost since the last time. Claims that come meanwhile are left for
    /// the next time, so it is bounded by the number of slots and of threads.
    pub(super) fn drain<const W: usize>(&mut self, shard: &Shard<W>, take: &mut impl FnMut(&[u32; W])) -> u32 {
        let lost = &shard.claims.0.lost;
        let lost = if lost.load(Ordering::Relaxed) == 0 { 0 } else { lost.swap(0, Ordering::Relaxed) };
        let tail = shard.claims.0.tail.load(Ordering::Relaxed);
        if tail == self.head && self.behind.is_empty() {
            return lost;
        }
        let len = shard.slots.len() as u32;
        let head = self.head;
        self.behind.retain(|&position| {
            // What comes next there is the first position of that slot that was not looked at.
            let next = head.wrapping_add(position.wrapping_sub(head) & (len - 1));
            !empty(shard, position, next, take)
        });
        while self.head != tail {
            let position = self.head;
            self.head = position.wrapping_add(1);
            let next = position.wrapping_add(len);
            let state = &shard.slots[(position & (len - 1)) as usize].state;
            if empty(shard, position, next, take) {
                continue;
            }
            let free = |position| (position & !(len - 1)) | FREE;
            let cancelled = state.compare_exchange(free(position), free(next), Ordering::Relaxed, Ordering::Relaxed);
            // Begun in the meantime. Else an earlier lap is being written here: whoever claimed this position goes on to another.
            if cancelled.is_err_and(|now| now & !STAGE == free(position)) && !empty(shard, position, next, take) {
                self.behind.push(position);
            }
        }
        shard.head.0.store(self.head, Ordering::Release);
        lost
    }

    /// Slots that were being written when they were looked at last.
    pub(super) fn behind(&self) -> usize {
        self.behind.len()
    }
}

/// Takes the report at a position, if it is in, and frees the slot for another.
fn empty<const W: usize>(shard: &Shard<W>, position: u32, next: u32, take: &mut impl FnMut(&[u32; W])) -> bool {
    let mask = shard.slots.len() as u32 - 1;
    let slot = &shard.slots[(position & mask) as usize];
    if slot.state.load(Ordering::Acquire) != (position & !mask) | FULL {
        return false;
    }
    take(&core::array::from_fn(|i| slot.words[i].load(Ordering::Relaxed)));
    slot.state.store((next & !mask) | FREE, Ordering::Release);
    true
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use alloc::vec;

    fn drain(reader: &mut Reader, shard: &Shard<1>) -> (Vec<u32>, u32) {
        let mut taken = Vec::new();
        let lost = reader.drain(shard, &mut |&[word]| taken.push(word));
        (taken, lost)
    }

    #[test]
    fn what_does_not_fit_is_refused_until_a_drain_and_positions_wrap_around() {
        let (shard, mut reader) = (Shard::<1>::new(4), Reader::default());
        // As after 2³² − 6 reports.
        let start = 6_u32.wrapping_neg();
        shard.claims.0.tail.store(start, Ordering::Relaxed);
        shard.head.0.store(start, Ordering::Relaxed);
        reader.head = start;
        for slot in 0..4 {
            let next = start.wrapping_add(slot);
            shard.slots[(next & 3) as usize].state.store(next & !3, Ordering::Relaxed);
        }
        for round in 0..4 {
            let pushed: Vec<u32> = (10 * round..10 * round + 6).filter(|&word| shard.push(&[word])).collect();
            assert_eq!(pushed, [0, 1, 2, 3].map(|i| 10 * round + i));
            assert_eq!((shard.pending(), drain(&mut reader, &shard)), (4, (pushed, 0)));
        }
    }

    #[test]
    fn losses_are_counted_once_and_up_to_a_limit() {
        let (shard, mut reader) = (Shard::<1>::new(4), Reader::default());
        shard.lose(1);
        assert_eq!((drain(&mut reader, &shard).1, drain(&mut reader, &shard).1), (1, 0));
        shard.claims.0.lost.store(LOST_LIMIT - 1, Ordering::Relaxed);
        (0..3).for_each(|_| shard.lose(1));
        assert_eq!(drain(&mut reader, &shard).1, LOST_LIMIT);
    }

    /// A claim as far as `push` gets with it before it is interrupted.
    fn claim(shard: &Shard<1>) -> u32 {
        shard.claims.0.tail.fetch_add(1, Ordering::Relaxed)
    }

    fn slot(shard: &Shard<1>, position: u32) -> &AtomicU32 {
        &shard.slots[(position & 3) as usize].state
    }

    #[test]
    fn a_claim_that_nobody_has_begun_to_write_is_cancelled_and_holds_up_nobody() {
        let (shard, mut reader) = (Shard::<1>::new(4), Reader::default());
        let interrupted = claim(&shard);
        assert!(shard.push(&[7]));
        assert_eq!(drain(&mut reader, &shard), (vec![7], 0));
        assert_ne!(slot(&shard, interrupted).load(Ordering::Relaxed), interrupted, "it must go on to another position");
        assert_eq!((0..9).filter(|&word| shard.push(&[word])).count(), 4);
        assert_eq!(drain(&mut reader, &shard).0, [0, 1, 2, 3]);
    }

    #[test]
    fn what_is_being_written_is_taken_when_it_is_finished_and_holds_up_nobody() {
        let (shard, mut reader) = (Shard::<1>::new(4), Reader::default());
        let interrupted = claim(&shard);
        slot(&shard, interrupted).store(WRITING, Ordering::Relaxed);
        assert_eq!(drain(&mut reader, &shard), (vec![], 0));
        assert_eq!(reader.behind(), 1);
        for _ in 0..5 {
            // The slot that is in use costs a position in each lap, not a report.
            assert_eq!((0..9).filter(|&word| shard.push(&[word])).count(), 3);
            assert_eq!(drain(&mut reader, &shard).0.len(), 3);
        }
        shard.slots[0].words[0].store(42, Ordering::Relaxed);
        slot(&shard, interrupted).store(FULL, Ordering::Release);
        assert_eq!((drain(&mut reader, &shard).0, reader.behind()), (vec![42], 0));
        assert_eq!((0..9).filter(|&word| shard.push(&[word])).count(), 4);
        assert_eq!(drain(&mut reader, &shard).0.len(), 4);
    }
}
