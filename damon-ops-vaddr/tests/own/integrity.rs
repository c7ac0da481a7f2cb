//! Sampling never loses or changes data, whatever threads write and remap meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use damon_core::{Ops, Rng};
use damon_ops_vaddr::{HugePages, Method, PrivateMap};
use proptest::prelude::*;

use crate::raw;
use crate::support::{Memory, PAGE, check, own_of, samples, spans, watched};

/// Threads each own every second word of `memory`, and count it up; each sees the count it left there before.
fn write_patterns(memory: &Memory, seed: u64, stop: &AtomicBool) -> Vec<Vec<u64>> {
    let words = memory.words();
    let writer = |me: usize| {
        let mut rng = Rng::new(seed ^ me as u64);
        let mut counts = vec![0u64; words.len()];
        words.iter().zip(&mut counts).for_each(|(word, count)| *count = word.load(Relaxed));
        while !stop.load(Relaxed) {
            // A few pages, so that they are often armed when they are written.
            let page = rng.below(memory.range().size() / PAGE) as usize;
            for k in 0..8 {
                let i = page * 512 + rng.below(256) as usize * 2 + me;
                assert_eq!(words[i].load(Relaxed), counts[i], "word {i} changed under thread {me}, step {k}");
                counts[i] += 1;
                words[i].store(counts[i], Relaxed);
            }
        }
        counts
    };
    std::thread::scope(|s| {
        let other = s.spawn(|| writer(1));
        let mine = writer(0);
        vec![mine, other.join().unwrap()]
    })
}

fn survives(method: Method, pages: u64, seed: u64) {
    let Some((mut own, memory)) = watched(method, pages) else { return };
    let stop = AtomicBool::new(false);
    let mut rng = Rng::new(seed);
    let counts = std::thread::scope(|s| {
        let writers = s.spawn(|| write_patterns(&memory, seed, &stop));
        let end = Instant::now() + Duration::from_millis(150);
        while Instant::now() < end {
            let stride = 1 + rng.below(4);
            let first = rng.below(stride);
            let mut window = samples((first..pages).step_by(stride as usize).map(|n| memory.addr(n)));
            own.arm(&window).unwrap();
            std::thread::sleep(Duration::from_micros(rng.below(500)));
            check(&mut own, &mut window);
        }
        stop.store(true, Relaxed);
        writers.join().unwrap()
    });
    for (i, word) in memory.words().iter().enumerate() {
        assert_eq!(word.load(Relaxed), counts[i % 2][i], "word {i} lost what was written ({method})");
    }
    assert!(own.stats().armed > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn threads_that_write_while_pages_are_sampled_lose_nothing(pages in 1u64..600, seed: u64) {
        for method in Method::ALL {
            survives(method, pages, seed);
        }
    }
}

/// One thread maps private memory over watched addresses again and again, and uses it; nothing of it is ever lost.
#[test]
fn a_thread_that_maps_private_memory_over_watched_addresses_loses_nothing() {
    for method in [Method::WpAsync, Method::RwpAsync] {
        let Some(mut own) = own_of(&[method], HugePages::Split) else { continue };
        let range = raw::map(None, 64 * PAGE, raw::SHARED_ANONYMOUS, None).unwrap();
        // What is found is watched by userfaultfd alone, so the race is harmless: shared memory is not among it.
        own.watch_found().unwrap();
        let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
        let mut accesses = 0;
        std::thread::scope(|s| {
            let remapper = s.spawn(|| {
                for round in 1.. {
                    if stop.load(Relaxed) {
                        break;
                    }
                    let flags = [raw::PRIVATE, raw::SHARED_ANONYMOUS][usize::from(round % 4 == 0)];
                    raw::map(Some(range.start()), range.size(), flags, None).unwrap();
                    for _ in 0..20 {
                        std::thread::sleep(Duration::from_micros(100));
                        (0..64).for_each(|n| raw::write(range.start() + n * PAGE, round + n));
                        for n in 0..64 {
                            assert_eq!(raw::read(range.start() + n * PAGE), round + n, "page {n} of round {round}");
                        }
                    }
                    rounds.store(round, Relaxed);
                }
            });
            // At least 900 ms, and as many rounds as it takes where CPUs are busy.
            let (enough, end) = (Instant::now() + Duration::from_millis(900), Instant::now() + Duration::from_secs(30));
            while Instant::now() < enough || rounds.load(Relaxed) <= 10 && Instant::now() < end {
                spans(&mut own);
                let mut window = samples((0..64).map(|n| range.start() + n * PAGE));
                for _ in 0..3 {
                    own.arm(&window).unwrap();
                    std::thread::sleep(Duration::from_micros(200));
                    check(&mut own, &mut window);
                    accesses += window.iter().filter(|s| s.seen.is_access()).count();
                }
            }
            stop.store(true, Relaxed);
            remapper.join().unwrap();
        });
        assert!(rounds.load(Relaxed) > 10 && accesses > 0, "{} rounds, {accesses} accesses", rounds.load(Relaxed));
        raw::unmap(range);
    }
}

#[test]
fn a_program_that_gives_memory_back_and_uses_it_again_finds_zeroes_and_then_its_data() {
    for method in [Method::WpAsync, Method::RwpAsync] {
        let Some((mut own, memory)) = watched(method, 64) else { continue };
        let Memory::Private(map) = &memory else { continue };
        let mut window = samples([memory.addr(3)]);
        own.arm(&window).unwrap();
        let over = raw::map(Some(map.range().start()), map.range().size(), raw::PRIVATE, None).unwrap();
        assert_eq!((over, memory.page(3).load(Relaxed)), (map.range(), 0));
        spans(&mut own);
        memory.page(3).store(9, Relaxed);
        own.arm(&window).unwrap();
        check(&mut own, &mut window);
        assert_eq!(memory.page(3).load(Relaxed), 9, "{method}");
    }
}

#[test]
fn the_backend_may_be_dropped_while_threads_write() {
    let map = Arc::new(PrivateMap::new(256 * PAGE as usize).unwrap());
    for method in [Method::WpAsync, Method::RwpAsync] {
        let Some(mut own) = own_of(&[method], HugePages::Split) else { continue };
        own.watch_private(map.range()).unwrap();
        own.arm(&samples((0..256).map(|n| map.range().start() + n * PAGE))).unwrap();
        std::thread::scope(|s| {
            s.spawn(|| map.atomics().iter().for_each(|word| _ = word.fetch_add(1, Relaxed)));
            drop(own);
        });
        let first = map.atomics()[0].load(Relaxed);
        assert!(first > 0 && map.atomics().iter().all(|word| word.load(Relaxed) == first), "{method}");
    }
}
