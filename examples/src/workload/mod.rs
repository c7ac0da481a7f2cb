//! A program to watch: memory of three kinds, and threads with hot sets that move.

mod memory;
mod schedule;
mod worker;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use damon_core::{Instant, Rng};
use damon_ops_vaddr::{PrivateMap, SharedMap};
use damos::clock::Clock;

pub use memory::Memory;
pub use schedule::Schedule;

use crate::heatmap::Mapping;
use crate::truth::{Touch, Truth};
use worker::{Set, Touching, Worker};

/// The mappings that the workload lives in: 512 MiB.
#[derive(Debug)]
pub struct Mappings {
    /// 256 MiB, read and written.
    pub shared: Memory,
    /// 128 MiB, written.
    pub written: Memory,
    /// 128 MiB, only read.
    pub read: Memory,
}

impl Mappings {
    /// Maps them, and touches each page once.
    ///
    /// # Errors
    /// When the system does not give so much memory.
    pub fn new() -> io::Result<Self> {
        let private = |name| {
            let map = PrivateMap::new(128 << 20)?;
            // Huge pages would be watched whole, if at all. A kernel without them refuses, and is right as it is.
            let _ = map.advise_huge(false);
            io::Result::Ok(Memory::Private(name, Arc::new(map)))
        };
        let shared = "shared, read and written";
        // In this order the shared part lies between the private ones, which would be one mapping otherwise.
        let mappings = Self {
            written: private("private, written")?,
            shared: Memory::Shared(shared, Arc::new(SharedMap::new(shared, 256 << 20)?)),
            read: private("private, only read")?,
        };
        mappings.by_address().into_iter().for_each(Memory::populate);
        Ok(mappings)
    }

    /// All three, by address.
    pub fn by_address(&self) -> Vec<&Memory> {
        let mut all: Vec<&Memory> = vec![&self.shared, &self.written, &self.read];
        all.sort_by_key(|m| m.range().start());
        all
    }

    /// The same as panels of a heat map.
    pub fn panels(&self) -> Vec<Mapping> {
        self.by_address().into_iter().map(|m| Mapping { name: m.name().to_owned(), range: m.range() }).collect()
    }
}

/// How hot sets move.
#[derive(Clone, Copy, Debug)]
pub struct Moves {
    /// When the first phase begins.
    pub start: Instant,
    /// How many phases there are: one more than moves.
    pub phases: u32,
    /// How long a phase is.
    pub phase: Duration,
    /// Lukewarm sets are touched once in this time.
    pub lukewarm: Duration,
    /// What places are drawn from.
    pub seed: u64,
}

/// Threads at work.
#[derive(Debug)]
pub struct Workload {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Vec<Touch>>>,
}

/// What the threads share with who started them.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Pages touched by all threads.
    pages: AtomicU64,
}

/// A thread of the workload is gone.
#[derive(Debug, thiserror::Error)]
#[error("a worker thread panicked: what it touched is lost, so nothing can be scored")]
pub struct WorkerPanicked;

impl Workload {
    /// Starts two threads that touch `mappings` as fast as they can: one the shared part, one the private parts.
    pub fn start(mappings: &Mappings, moves: Moves) -> Self {
        let mut rng = Rng::new(moves.seed);
        let mut set = |memory: &Memory, mib: u64, every: Duration, touching: Touching| Set {
            schedule: Schedule::new(memory.range(), mib << 20, moves.phases as usize, &mut rng),
            memory: memory.clone(),
            every,
            touching,
        };
        let always = Duration::ZERO;
        let sets = [
            vec![
                set(&mappings.shared, 48, always, Touching::Mixed),
                set(&mappings.shared, 24, moves.lukewarm, Touching::Mixed),
            ],
            vec![
                set(&mappings.written, 32, always, Touching::Write),
                set(&mappings.written, 12, moves.lukewarm, Touching::Write),
                set(&mappings.read, 32, always, Touching::Read),
            ],
        ];
        let shared = Arc::new(Shared::default());
        let threads = sets
            .map(|sets| {
                let worker = Worker { clock: Clock::new(), moves, sets, touched: Vec::new() };
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || worker.run(&shared.stop, &shared.pages))
            })
            .into();
        Self { shared, threads }
    }

    /// Pages touched so far.
    pub fn pages(&self) -> u64 {
        self.shared.pages.load(Ordering::Relaxed)
    }

    /// Ends the threads, and takes their record of what they touched.
    ///
    /// # Errors
    /// When one of them panicked.
    pub fn stop(mut self) -> Result<Truth, WorkerPanicked> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let records: Result<Vec<_>, _> = self.threads.drain(..).map(JoinHandle::join).collect();
        Ok(records.map_err(|_| WorkerPanicked)?.into_iter().flatten().collect())
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}
