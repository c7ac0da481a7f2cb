//! A small program to watch where nothing else may be watched: it lives in this process and needs no privileges.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use damon_core::AddrRange;
use damon_ops_vaddr::{PrivateMap, SharedMap};
use damos::record::Mapping;

use crate::workload::Memory;

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;
/// The program does its round in this time, and then sleeps.
const ROUND: Duration = Duration::from_millis(2);

/// The program: an index whose first quarter is hot, a table that is scanned again and again beside a part that is warm, and a log
/// that is written in a circle. 80 MiB.
#[derive(Debug)]
pub struct Demo {
    index: Memory,
    table: Memory,
    log: Memory,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Demo {
    /// Maps its memory, and starts it.
    ///
    /// # Errors
    /// When there is not enough memory, or no further thread.
    pub fn start() -> io::Result<Self> {
        let shared = |name, mib: u64| io::Result::Ok(Memory::Shared(name, Arc::new(SharedMap::new(name, size(mib))?)));
        let log = PrivateMap::new(size(16))?;
        // A huge page would be watched whole, if at all. A kernel without them refuses, and is right as it is.
        let _ = log.advise_huge(false);
        let mut demo = Self {
            index: shared("index", 16)?,
            table: shared("table", 48)?,
            log: Memory::Private("log", Arc::new(log)),
            stop: Arc::default(),
            thread: None,
        };
        demo.memories().into_iter().for_each(Memory::populate);
        let [index, table, log] = demo.memories().map(Memory::clone);
        let stop = Arc::clone(&demo.stop);
        let run = move || {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                work(&index, &table, &log, round);
                round += 1;
                std::thread::sleep(ROUND);
            }
        };
        demo.thread = Some(std::thread::Builder::new().name("demo".into()).spawn(run)?);
        Ok(demo)
    }

    /// All of its memory.
    pub fn memories(&self) -> [&Memory; 3] {
        [&self.index, &self.table, &self.log]
    }

    /// The same as mappings.
    pub fn mappings(&self) -> Vec<Mapping> {
        let mapping = |m: &Memory| {
            let (start, end) = (m.range().start(), m.range().end());
            Mapping { start, end, name: m.name().into() }
        };
        let mut mappings = self.memories().map(mapping).to_vec();
        mappings.sort_by_key(|m| m.start);
        mappings
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It touches memory and sleeps: there is nothing that it could fail of.
            let _ = thread.join();
        }
    }
}

const fn size(mib: u64) -> usize {
    (mib * MIB) as usize
}

/// One round: the index's hot part, now and then the table's warm part, and a page further with the scan and the log.
fn work(index: &Memory, table: &Memory, log: &Memory, round: u64) {
    touch(index, 0, 4 * MIB);
    if round % 64 == 0 {
        touch(table, 36 * MIB, 6 * MIB);
    }
    // They begin anew after about 16 and 8 seconds.
    scan(table, 32 * MIB, 2 * MIB, round * PAGE);
    scan(log, 16 * MIB, MIB, round * PAGE);
}

/// A part of `bytes` of what is before `end`, that moves with `at`.
fn scan(memory: &Memory, end: u64, bytes: u64, at: u64) {
    touch(memory, at % (end - bytes), bytes);
}

fn touch(memory: &Memory, offset: u64, bytes: u64) {
    let Some(part) = AddrRange::from_len(memory.range().start() + offset, bytes) else { return };
    memory.words(part).iter().step_by(PAGE as usize / 8).for_each(|word| {
        word.fetch_add(1, Ordering::Relaxed);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_touches_what_it_says_and_leaves_the_rest() {
        let demo = Demo::start().unwrap();
        let count = |m: &Memory, offset: u64| {
            let page = AddrRange::from_len(m.range().start() + offset, PAGE).unwrap();
            m.words(page)[0].load(Ordering::Relaxed)
        };
        while count(&demo.index, 0) < 5 {
            std::thread::sleep(ROUND);
        }
        assert!(count(&demo.index, 4 * MIB - PAGE) > 1);
        assert_eq!((count(&demo.index, 4 * MIB), count(&demo.table, 44 * MIB)), (1, 1));
        let names: Vec<_> = demo.mappings().into_iter().map(|m| m.name).collect();
        assert!(["index", "table", "log"].iter().all(|n| names.iter().any(|m| m == n)), "{names:?}");
    }
}
