//! One thread: passes over its sets, and writes down what it touched and when.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use damon_core::{AddrRange, Instant};
use damos::clock::Clock;

use super::{Memory, Moves, Schedule};
use crate::truth::Touch;

const PAGE: u64 = 4096;
/// Pages of one entry of the record: a fraction of a millisecond's work.
const CHUNK: u64 = 256 * PAGE;

/// How a set is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touching {
    Read,
    Write,
    /// Every fourth page is written, the others are read.
    Mixed,
}

/// Memory that is touched alike, and where it is in which phase.
#[derive(Debug)]
pub(super) struct Set {
    pub memory: Memory,
    pub schedule: Schedule,
    /// One pass in this time; zero: one after the other.
    pub every: Duration,
    pub touching: Touching,
}

/// A thread's work.
#[derive(Debug)]
pub(super) struct Worker {
    pub clock: Clock,
    pub moves: Moves,
    pub sets: Vec<Set>,
    pub touched: Vec<Touch>,
}

impl Worker {
    /// Passes over all sets until `stop`, counting `pages`. The record is what this thread really did.
    pub(super) fn run(mut self, stop: &AtomicBool, pages: &AtomicU64) -> Vec<Touch> {
        let mut due = vec![Instant::ZERO; self.sets.len()];
        while !stop.load(Ordering::Relaxed) {
            for (set, due) in self.sets.iter().zip(&mut due) {
                let now = self.clock.now();
                if now < *due {
                    continue;
                }
                *due = now + set.every;
                for chunk in chunks(set.schedule.place(self.moves.phase_at(now))) {
                    self.touched.push(Touch {
                        at: self.clock.now(),
                        range: chunk,
                        wrote: set.touching != Touching::Read,
                    });
                    set.touch(chunk);
                    pages.fetch_add(chunk.size() / PAGE, Ordering::Relaxed);
                }
            }
        }
        self.touched
    }
}

impl Moves {
    /// Which phase it is at `now`: the last one goes on.
    fn phase_at(&self, now: Instant) -> usize {
        ((now - self.start).as_nanos() / self.phase.as_nanos().max(1)) as usize
    }
}

/// `place` in pieces of [`CHUNK`], the last one what is left.
fn chunks(place: AddrRange) -> impl Iterator<Item = AddrRange> {
    let starts = (place.start()..place.end()).step_by(CHUNK as usize);
    starts.filter_map(move |start| AddrRange::new(start, place.end().min(start + CHUNK)))
}

impl Set {
    /// Reads a word of every second cache line of each page, and some arithmetic with it, as a program would; writes a word of
    /// those pages that are to be written.
    fn touch(&self, range: AddrRange) {
        let words = self.memory.words(range);
        for (i, page) in words.chunks(PAGE as usize / 8).enumerate() {
            let mut hash = 0_u64;
            for line in page.iter().step_by(16) {
                hash = (hash ^ line.load(Ordering::Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            }
            if self.touching == Touching::Write || (self.touching == Touching::Mixed && i % 4 == 0) {
                page[0].store(hash, Ordering::Relaxed);
            } else {
                std::hint::black_box(hash);
            }
        }
    }
}
