//! How long an access to a node's memory takes now, waiting for its bandwidth included.
//!
//! CPUs count that in ways of their own, for who may read their counters; here it is timed, by anybody. A thread reads lines of a
//! mapping on the node, none of which is in a cache, and knows where the next one is only when it has the one before.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use damon_core::{AddrRange, NodeId};

use crate::sys::{PageStatus, PrivateMap, bind, errno, flush, hold, nodes_of, page_size, prefer};

/// What a probe maps: one huge page, which has one entry in the TLB, on every channel of the node.
const BYTES: usize = 2 << 20;
const WORDS: usize = BYTES / 8;
/// Words from one place to the next, 256 bytes: a line that is fetched may bring its neighbour along, where no place is.
const APART: usize = 32;
const PLACES: usize = WORDS / APART;
/// Accesses that are timed together, so that reading the clock does not show. One in 250 meets a line of its own batch.
const STEPS: u32 = 64;
const BATCHES: usize = 64;

/// Why the latency of a node is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LatencyError {
    /// The CPU cannot be told to forget a line.
    #[error("what an access to node {} takes cannot be timed here: {source}", node.0)]
    Flush {
        /// Which node.
        node: NodeId,
        /// Why not.
        source: io::Error,
    },
    /// What is flushed comes back as fast as what is in a cache.
    #[error(
        "what an access to node {} takes cannot be timed here: {memory:?} where it was flushed from caches, and {cache:?} where not, as on an emulated CPU",
        node.0
    )]
    Caches {
        /// Which node.
        node: NodeId,
        /// An access after the line was flushed.
        memory: Duration,
        /// An access to what was read just before.
        cache: Duration,
    },
    /// There is no memory to time accesses to.
    #[error("no 2 MiB of memory to time accesses to node {} with: {source}", node.0)]
    Map {
        /// Which node.
        node: NodeId,
        /// Why not.
        source: io::Error,
    },
    /// The memory could not be brought to the node.
    #[error("cannot have 2 MiB on node {}: {source}; {needs}", node.0)]
    Bind {
        /// Which node.
        node: NodeId,
        /// Why not.
        source: io::Error,
        /// What it takes.
        needs: &'static str,
    },
    /// The memory did not stay there.
    #[error("{pages} of the pages to time accesses to node {} with are elsewhere: have whoever moves them leave them alone", node.0)]
    Elsewhere {
        /// Which node.
        node: NodeId,
        /// So many are not on it.
        pages: usize,
    },
}

/// Times accesses to one node's memory. It has 2 MiB there, which it locks into memory where `RLIMIT_MEMLOCK` allows it.
///
/// What is told is how long a read waits that finds its line in no cache, and does nothing else meanwhile: what it takes without load, and
/// more with load, since it queues like everybody's. It is seen from the CPU that the calling thread runs on: a node at another
/// socket is farther by the way there, some 60 ns, and who compares two nodes of that socket has that in both figures. The thread
/// is not bound to a CPU for it: who wants to know of another one binds the calling thread there.
///
/// ```
/// use damon_core::NodeId;
/// use damon_ops_vaddr::linux::latency::NodeLatency;
/// match NodeLatency::open(NodeId(0)).and_then(|mut node| node.measure()) {
///     Ok(latency) => println!("an access to node 0 takes {latency:?}"),
///     Err(e) => println!("{e}"),
/// }
/// ```
#[derive(Debug)]
pub struct NodeLatency {
    node: NodeId,
    map: PrivateMap,
    /// Where each page starts.
    pages: Vec<u64>,
    told: Vec<PageStatus>,
    /// A kernel without NUMA has one node, and cannot be asked for it.
    numa: bool,
    order: Order,
}

impl NodeLatency {
    /// Takes 2 MiB of the node's memory; a huge page where there is one.
    ///
    /// # Errors
    /// Where caches cannot be flushed (on other CPUs than those of x86-64 and aarch64); when the node has no memory, none to spare, or
    /// none for this process.
    pub fn open(node: NodeId) -> Result<Self, LatencyError> {
        flush(std::iter::empty()).map_err(|source| LatencyError::Flush { node, source })?;
        let map = PrivateMap::new(BYTES).map_err(|source| LatencyError::Map { node, source })?;
        // Without it it is as good but for more entries in the TLB.
        let _ = map.advise_huge(true);
        // Made there if there is room, and bound only then: a node that is full refuses to take what is elsewhere, whereas for a page of
        // a bound mapping the kernel would end a program. What is wrong with the node is told by binding.
        let _ = prefer(map.range(), node.0);
        (0..WORDS).step_by(APART).for_each(|at| map.atomics()[at].store(at as u64, Relaxed));
        let pages = (map.range().start()..map.range().end()).step_by(page_size() as usize).collect();
        let mut this = Self { node, map, pages, told: Vec::new(), numa: true, order: Order(0x9E37_79B9_7F4A_7C15) };
        this.bind()?;
        let _ = hold(this.map.range());
        Ok(this)
    }

    /// Of which node.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The memory that it reads: nothing to be watched, and best left where it is.
    pub const fn range(&self) -> AddrRange {
        self.map.range()
    }

    /// What an access takes now, by 4,096 of them: about half a millisecond, most of it waiting for them. Who has moved the memory away
    /// has it brought back before.
    ///
    /// Of 64 batches it is the median. A batch in which the thread was interrupted, or its CPU taken away by a hypervisor, is one of
    /// the slow ones, and it takes half of them to show; the fastest one would be what an access takes when nobody else happens to be
    /// there.
    ///
    /// # Errors
    /// When the memory is not on the node and cannot be brought there: the node went offline, or is full.
    pub fn measure(&mut self) -> Result<Duration, LatencyError> {
        self.settle()?;
        self.median(true)
    }

    /// Is it memory that is timed? The same lines in the same order again take at least four times as long where they were flushed. An
    /// emulated CPU does not flush what its own one caches, and all nodes are equally fast there whatever firmware tells of
    /// them. It takes some ten milliseconds, and the fastest of four attempts counts: emulators are slow at first.
    ///
    /// # Errors
    /// [`LatencyError::Caches`] where it is not, else as [`measure`](Self::measure).
    pub fn verify(&mut self) -> Result<(), LatencyError> {
        let (mut memory, mut cache) = (Duration::MAX, Duration::MAX);
        for _ in 0..4 {
            self.settle()?;
            (memory, cache) = (memory.min(self.again(true)?), cache.min(self.again(false)?));
        }
        if memory < 4 * cache { Err(LatencyError::Caches { node: self.node, memory, cache }) } else { Ok(()) }
    }

    /// Lines that were read just before, in the same order.
    fn again(&mut self, flushed: bool) -> Result<Duration, LatencyError> {
        let order = self.order;
        self.median(flushed)?;
        self.order = order;
        self.median(flushed)
    }

    fn median(&mut self, flushed: bool) -> Result<Duration, LatencyError> {
        let mut batches = [Duration::ZERO; BATCHES];
        for took in &mut batches {
            let mut order = self.order;
            let start = Instant::now();
            let last = chase(self.map.atomics(), &mut self.order);
            *took = start.elapsed();
            std::hint::black_box(last);
            if flushed {
                self.forget((0..STEPS).map(|_| order.next()))?;
            }
        }
        batches.sort_unstable();
        Ok(batches[BATCHES / 2] / STEPS)
    }

    /// Sees to it that all pages are in memory, on the node, and in no cache.
    fn settle(&mut self) -> Result<(), LatencyError> {
        let each = || (0..WORDS).step_by(WORDS / self.pages.len());
        // What could not be locked may have to come back from swap, and all of it into the TLB.
        std::hint::black_box(each().fold(0, |sum, at| sum ^ self.map.atomics()[at].load(Relaxed)));
        self.forget(each())?;
        if self.away()? == 0 {
            return Ok(());
        }
        self.bind()?;
        match self.away()? {
            0 => Ok(()),
            pages => Err(LatencyError::Elsewhere { node: self.node, pages }),
        }
    }

    /// How many pages are not on the node.
    fn away(&mut self) -> Result<usize, LatencyError> {
        if !self.numa {
            return Ok(0);
        }
        // 0 is this process.
        nodes_of(0, &self.pages, &mut self.told).map_err(|e| self.refused(e))?;
        Ok(self.told.iter().filter(|page| page.node() != Some(self.node.0)).count())
    }

    /// Brings all of it to the node. Who copied it there has it in a cache.
    fn bind(&mut self) -> Result<(), LatencyError> {
        match bind(self.map.range(), self.node.0) {
            Err(e) if e.raw_os_error() == Some(errno::ENOSYS) && self.node == NodeId(0) => self.numa = false,
            bound => bound.map_err(|e| self.refused(e))?,
        }
        self.forget((0..WORDS).step_by(APART))
    }

    fn refused(&self, source: io::Error) -> LatencyError {
        let needs = match source.raw_os_error() {
            Some(errno::EINVAL) => {
                "it must be online, have memory, and be one of Mems_allowed_list in /proc/self/status (cpuset.mems of the cgroup)"
            }
            Some(errno::EIO | errno::ENOMEM) => "it has no room for them: free some of its memory",
            Some(errno::EPERM) => {
                "a container refuses mbind and move_pages: Docker's default profile takes CAP_SYS_NICE"
            }
            Some(errno::ENOSYS) => "the kernel has no NUMA (CONFIG_NUMA): its only node is 0",
            _ => "see mbind(2) and move_pages(2)",
        };
        LatencyError::Bind { node: self.node, source, needs }
    }

    fn forget(&self, places: impl Iterator<Item = usize>) -> Result<(), LatencyError> {
        let words = self.map.atomics();
        flush(places.map(|at| &words[at])).map_err(|source| LatencyError::Flush { node: self.node, source })
    }
}

/// The places that are read, one after the other: another order in each batch, for some CPUs remember the last.
#[derive(Clone, Copy, Debug)]
struct Order(u64);

impl Order {
    /// The index of the next word (xorshift).
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % PLACES * APART
    }
}

/// Reads [`STEPS`] words, each when the one before has come.
fn chase(words: &[AtomicU64], order: &mut Order) -> usize {
    // A word holds its index, so that this is always zero; but a CPU learns it only with the word, and can ask for no other before.
    let mut known = 0;
    for _ in 0..STEPS {
        let at = (order.next() ^ known) % WORDS;
        known = words[at].load(Relaxed) as usize ^ at;
    }
    known
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// An emulated CPU has no caches; nor has it others' noise.
    fn emulated() -> bool {
        let it_is = std::fs::read_to_string("/proc/cmdline").is_ok_and(|line| line.contains("damon-vm"));
        if it_is {
            println!("NOT TESTED: an emulated CPU has no caches");
        }
        it_is
    }

    fn probe() -> NodeLatency {
        NodeLatency::open(NodeId(0)).unwrap()
    }

    /// The least disturbed of several readings.
    fn least(mut read: impl FnMut() -> Duration) -> Duration {
        (0..8).map(|_| read()).min().unwrap()
    }

    /// CPU time of this thread, where the kernel tells it.
    fn cpu() -> Duration {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        Duration::from_nanos(stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
    }

    #[test]
    fn it_is_memory_that_is_timed_and_not_a_cache() {
        if emulated() {
            return;
        }
        let mut probe = probe();
        let before = cpu();
        let memory = least(|| probe.measure().unwrap());
        println!("an access to memory takes {memory:?}; CPU time of a reading: {:?}", (cpu() - before) / 8);
        let cache = least(|| probe.again(false).unwrap());
        println!("an access to a cache takes {cache:?}");
        assert!(memory >= 3 * cache, "{memory:?} and {cache:?}");
        probe.verify().unwrap();
        assert!((Duration::from_nanos(20)..Duration::from_micros(5)).contains(&memory), "{memory:?}");
    }

    #[test]
    fn latency_does_not_fall_while_others_stream_through_memory() {
        if emulated() {
            return;
        }
        let (mut probe, others) = (probe(), PrivateMap::new(256 << 20).unwrap());
        others.atomics().iter().step_by(8).for_each(|word| word.store(1, Relaxed));
        let before = least(|| probe.measure().unwrap());
        let over = AtomicBool::new(false);
        let busy = std::thread::scope(|scope| {
            let stream = || {
                let mut bytes = 0_u64;
                while !over.load(Relaxed) {
                    // Written, not only read: memory has to take it, too.
                    for chunk in others.atomics().chunks(1 << 17).take_while(|_| !over.load(Relaxed)) {
                        chunk.iter().step_by(8).for_each(|word| word.store(bytes, Relaxed));
                        bytes += chunk.len() as u64 * 8;
                    }
                }
                bytes
            };
            let (start, stream) = (Instant::now(), scope.spawn(stream));
            std::thread::sleep(Duration::from_millis(50));
            let busy = least(|| probe.measure().unwrap());
            over.store(true, Relaxed);
            let bytes = stream.join().unwrap();
            println!("another thread wrote {:.1} GB/s", bytes as f64 / start.elapsed().as_nanos() as f64);
            busy
        });
        // Other programs come and go.
        let idle = before.min(least(|| probe.measure().unwrap()));
        println!("an access takes {idle:?}, beside it {busy:?}");
        assert!(busy * 10 >= idle * 8, "{busy:?} after {idle:?}");
    }

    #[test]
    fn a_node_that_is_not_there_is_named_with_the_way_out() {
        for node in [900, 2_000].map(NodeId) {
            let e = NodeLatency::open(node).unwrap_err().to_string();
            assert!(e.starts_with(&format!("cannot have 2 MiB on node {}", node.0)) && e.contains("online"), "{e}");
        }
    }

    #[test]
    fn the_next_place_is_told_by_what_was_read() {
        let map = PrivateMap::new(BYTES).unwrap();
        let mut order = Order(7);
        let all = (0..STEPS).fold(0, |all, _| all ^ order.next());
        assert_eq!(chase(map.atomics(), &mut Order(7)), all, "each is off by what the words before it were off");
        map.atomics().iter().enumerate().for_each(|(at, word)| word.store(at as u64, Relaxed));
        assert_eq!(chase(map.atomics(), &mut Order(7)), 0);
    }
}
