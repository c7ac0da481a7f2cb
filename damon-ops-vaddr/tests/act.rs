//! Acting on one's own memory for real: what each action does, that data stays while threads use it, and what is refused.
//! One binary, so that it runs as it is on a kernel with swap too (`.ci/vm`).
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

#[allow(dead_code, reason = "each test binary makes its part of these calls")]
#[path = "own/raw.rs"]
mod raw;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use damon_core::{Action, AddrRange, ApplyOps, Filter, NodeId, Ops, PageFilter, Request, Sample, Seen, TargetId, Want};
use damon_ops_vaddr::{ActError, HugePages, Options, Own, OwnActor, PrivateMap, SharedMap};

const TARGET: TargetId = TargetId::new(7);
const PAGE: u64 = 4096;
const HUGE: u64 = 2 << 20;

/// Says, past the capture of output, that a test could not show what it is for.
fn lacks(what: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("not shown here for lack of {what}: {test}\n").as_bytes());
}

fn has_swap() -> bool {
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    let has = swaps.lines().count() > 1;
    if !has {
        lacks("swap");
    }
    has
}

/// One test at a time: pageout in one would disturb what another measures.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Memory {
    Shared(Arc<SharedMap>),
    Private(PrivateMap),
}

impl Memory {
    fn words(&self) -> &[AtomicU64] {
        match self {
            Self::Shared(map) => map.atomics(),
            Self::Private(map) => map.atomics(),
        }
    }

    fn range(&self) -> AddrRange {
        match self {
            Self::Shared(map) => map.range(),
            Self::Private(map) => map.range(),
        }
    }

    fn pages(&self) -> impl Iterator<Item = &AtomicU64> {
        self.words().iter().step_by((PAGE / 8) as usize)
    }

    fn is_intact(&self) -> bool {
        self.pages().enumerate().all(|(n, word)| word.load(Relaxed) == n as u64 + 1)
    }
}

/// Populated memory that is watched, and who acts on it.
fn watched(shared: bool, bytes: u64, small: bool) -> (Own, OwnActor, Memory) {
    let mut own = Own::with_options(TARGET, Options { huge_pages: HugePages::Split, ..Options::default() }).unwrap();
    let memory = if shared {
        Memory::Shared(Arc::new(SharedMap::new("act", bytes as usize).unwrap()))
    } else {
        Memory::Private(PrivateMap::new(bytes as usize).unwrap())
    };
    match &memory {
        Memory::Shared(map) => own.watch_shared(map).unwrap(),
        Memory::Private(map) => {
            if small {
                let _ = map.advise_huge(false);
            }
            own.watch_private(map.range()).unwrap();
        }
    }
    memory.pages().enumerate().for_each(|(n, word)| word.store(n as u64 + 1, Relaxed));
    let actor = own.actor().unwrap();
    (own, actor, memory)
}

const fn plain(action: Action) -> Request<'static> {
    Request::new(action, &[], &[])
}

fn apply(actor: &mut OwnActor, range: AddrRange, req: &Request<'_>) -> (u64, u64) {
    let done = actor.apply(TARGET, range, req);
    if let Some(e) = done.error {
        panic!("{e}");
    }
    (done.size, done.filter_passed)
}

fn part(range: AddrRange, from: u64, pages: u64) -> AddrRange {
    AddrRange::from_len(range.start() + from * PAGE, pages * PAGE).unwrap()
}

/// A line of `smaps` about the mapping that holds `addr`.
fn smaps(addr: u64, key: &str) -> String {
    let mut inside = false;
    for line in std::fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        if let Some((start, end)) = line.split(' ').next().and_then(|r| r.split_once('-')) {
            let hex = |s| u64::from_str_radix(s, 16).unwrap_or(0);
            inside = (hex(start)..hex(end)).contains(&addr);
        } else if inside && line.starts_with(key) {
            return line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        }
    }
    panic!("{addr:#x} is not mapped");
}

fn flag(addr: u64, flag: &str) -> bool {
    smaps(addr, "VmFlags:").split(' ').any(|f| f == flag)
}

#[test]
fn every_action_on_watched_memory_leaves_its_content() {
    let _turn = turn();
    for shared in [true, false] {
        let (mut own, mut actor, memory) = watched(shared, 4 * HUGE, true);
        for action in [Action::Cold, Action::Pageout, Action::Willneed, Action::Hugepage, Action::Nohugepage] {
            if let Err(e) = actor.supports(Some(TARGET), &plain(action)) {
                lacks(&e.to_string());
                continue;
            }
            let mut window = [Sample::new(TARGET, memory.range().start() + 9 * PAGE)];
            own.arm(&window).unwrap();
            assert_eq!(apply(&mut actor, memory.range(), &plain(action)), (4 * HUGE, 4 * HUGE), "{action:?} {shared}");
            assert!(memory.is_intact(), "{action:?} {shared}");
            own.check(&mut window, &Want::new(true, &[])).unwrap();
            assert_ne!(window[0].seen, Seen::Unknown, "{action:?} {shared}");
        }
    }
}

#[test]
fn data_stays_while_threads_write_and_all_actions_are_taken() {
    let _turn = turn();
    for shared in [true, false] {
        let (mut own, mut actor, memory) = watched(shared, 4 * HUGE, false);
        let stop = AtomicBool::new(false);
        let range = memory.range();
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..2_usize)
                .map(|half| {
                    let (memory, stop) = (&memory, &stop);
                    scope.spawn(move || {
                        let mut rounds = 0;
                        while !stop.load(Relaxed) {
                            for word in memory.pages().skip(half).step_by(2) {
                                word.fetch_add(1 << 32, Relaxed);
                            }
                            rounds += 1;
                        }
                        rounds
                    })
                })
                .collect();
            let actions = [
                Action::Cold,
                Action::Pageout,
                Action::Willneed,
                Action::Hugepage,
                Action::Collapse,
                Action::Nohugepage,
            ];
            for round in 0..10 {
                for action in actions {
                    let mut window: Vec<_> =
                        (0..8).map(|n| Sample::new(TARGET, range.start() + (n * 200 + round) * PAGE)).collect();
                    own.arm(&window).unwrap();
                    // What is in use may be refused for the moment.
                    let _ = actor.apply(TARGET, part(range, round * 100, 1024), &plain(action));
                    own.check(&mut window, &Want::new(true, &[])).unwrap();
                }
            }
            stop.store(true, Relaxed);
            for (half, writer) in writers.into_iter().enumerate() {
                let rounds: u64 = writer.join().unwrap();
                for (n, word) in memory.pages().enumerate().skip(half).step_by(2) {
                    assert_eq!(word.load(Relaxed), (rounds << 32) + n as u64 + 1, "page {n}, shared {shared}");
                }
            }
        });
    }
}

#[test]
fn cold_memory_is_no_longer_referenced_and_all_there() {
    let _turn = turn();
    let (_own, mut actor, memory) = watched(false, HUGE, true);
    let kib = |key| smaps(memory.range().start(), key).trim_end_matches(" kB").parse::<u64>().unwrap();
    assert_eq!(kib("Referenced:"), HUGE >> 10);
    apply(&mut actor, memory.range(), &plain(Action::Cold));
    // Seen on a loaded machine with Linux 6.12: the last pages faulted in, up to the 31 that a CPU keeps before it puts
    // them on the LRU lists, stay referenced.
    assert!(kib("Referenced:") <= (31 * PAGE) >> 10, "{} of {} KiB", kib("Referenced:"), HUGE >> 10);
    assert_eq!(kib("Rss:"), HUGE >> 10);
    assert_eq!(actor.verify(TARGET, memory.range(), &plain(Action::Cold)).unwrap(), None);
}

#[test]
fn huge_page_advice_becomes_a_flag_of_exactly_the_range() {
    let _turn = turn();
    for shared in [true, false] {
        let (_own, mut actor, memory) = watched(shared, 4 * HUGE, false);
        if actor.supports(None, &plain(Action::Hugepage)).is_err() {
            return lacks("transparent huge pages");
        }
        let middle = part(memory.range(), 512, 1024);
        for (action, name) in [(Action::Hugepage, "hg"), (Action::Nohugepage, "nh")] {
            apply(&mut actor, middle, &plain(action));
            let has = [memory.range().start(), middle.start(), middle.end() - 1, middle.end()].map(|a| flag(a, name));
            assert_eq!(has, [false, true, true, false], "{action:?} {shared}");
        }
    }
}

#[test]
fn collapsing_takes_whole_blocks_even_while_they_are_armed_and_watching_goes_on() {
    let _turn = turn();
    let (mut own, mut actor, memory) = watched(false, 4 * HUGE, true);
    if actor.supports(None, &plain(Action::Collapse)).is_err() {
        return lacks("MADV_COLLAPSE");
    }
    apply(&mut actor, memory.range(), &plain(Action::Hugepage));
    let start = memory.range().start();
    // The second and third block whole, half of those beside them.
    let range = part(memory.range(), 256, 1536);
    let mut window: Vec<_> = (0..4).map(|block| Sample::new(TARGET, start + block * HUGE + 7 * PAGE)).collect();
    own.arm(&window).unwrap();
    assert_eq!(apply(&mut actor, range, &plain(Action::Collapse)), (2 * HUGE, range.size()));
    // Of those beside them the kernel may have collapsed some by itself: huge pages were advised.
    let whole = part(memory.range(), 512, 1024);
    assert_eq!(actor.verify(TARGET, whole, &plain(Action::Collapse)).unwrap(), Some(2 * HUGE));
    assert!(memory.is_intact());
    own.check(&mut window, &Want::new(true, &[])).unwrap();
    // Armed anew, a write in a collapsed block shows, and nothing where nothing was written.
    own.arm(&window).unwrap();
    memory.words()[((HUGE + 7 * PAGE) / 8) as usize].store(1, Relaxed);
    own.check(&mut window, &Want::new(true, &[])).unwrap();
    assert_eq!(window.iter().map(|s| s.seen.is_access()).collect::<Vec<_>>(), [false, true, false, false]);
}

#[test]
fn shared_blocks_collapse_too_where_the_kernel_lets_them() {
    let _turn = turn();
    let (mut own, mut actor, memory) = watched(true, 2 * HUGE, false);
    let done = actor.apply(TARGET, memory.range(), &plain(Action::Collapse));
    let huge = actor.verify(TARGET, memory.range(), &plain(Action::Collapse)).unwrap();
    assert!(memory.is_intact());
    if let Some(e) = done.error {
        return lacks(&e.to_string());
    }
    assert_eq!((done.size, huge), (2 * HUGE, Some(2 * HUGE)));
    let mut window = [Sample::new(TARGET, memory.range().start()), Sample::new(TARGET, memory.range().start() + HUGE)];
    own.arm(&window).unwrap();
    memory.words()[3].store(1, Relaxed);
    own.check(&mut window, &Want::new(true, &[])).unwrap();
    assert_eq!(window.map(|s| s.seen.is_access()), [true, false]);
}

#[test]
fn without_swap_paging_out_leaves_memory_and_verification_says_so() {
    let _turn = turn();
    if std::fs::read_to_string("/proc/swaps").unwrap_or_default().lines().count() > 1 {
        return lacks("a machine without swap");
    }
    for shared in [true, false] {
        let (_own, mut actor, memory) = watched(shared, HUGE, true);
        assert_eq!(apply(&mut actor, memory.range(), &plain(Action::Pageout)).0, HUGE);
        assert_eq!(actor.verify(TARGET, memory.range(), &plain(Action::Pageout)).unwrap(), Some(0), "{shared}");
        assert!(memory.is_intact());
    }
}

#[test]
fn with_swap_paging_out_swaps_and_willneed_brings_back() {
    let _turn = turn();
    if !has_swap() {
        return;
    }
    for shared in [true, false] {
        let (_own, mut actor, memory) = watched(shared, 4 * HUGE, true);
        let half = part(memory.range(), 0, 1024);
        apply(&mut actor, half, &plain(Action::Pageout));
        let out = actor.verify(TARGET, half, &plain(Action::Pageout)).unwrap().unwrap();
        // Pages that are in some CPU's batch at the moment stay.
        assert!(out >= half.size() * 3 / 4, "{out} of {} shared {shared}", half.size());
        let rest = part(memory.range(), 1024, 1024);
        assert_eq!(actor.verify(TARGET, rest, &plain(Action::Pageout)).unwrap(), Some(0));
        let back = |actor: &mut OwnActor| actor.verify(TARGET, half, &plain(Action::Willneed)).unwrap().unwrap();
        let before = back(&mut actor);
        assert!(before <= half.size() / 4, "{before}");
        apply(&mut actor, half, &plain(Action::Willneed));
        assert_eq!(back(&mut actor), half.size(), "shared {shared}");
        assert!(memory.is_intact());
        assert_eq!(actor.verify(TARGET, half, &plain(Action::Pageout)).unwrap(), Some(0), "shared {shared}");
    }
}

#[test]
fn with_swap_data_stays_while_threads_write_what_is_paged_out() {
    let _turn = turn();
    if !has_swap() {
        return;
    }
    for shared in [true, false] {
        let (mut own, mut actor, memory) = watched(shared, 2 * HUGE, true);
        let (seen, mut swapped) = (AtomicBool::new(false), 0);
        let rounds = std::thread::scope(|scope| {
            // On a busy machine it takes longer until something is paged out between two writes.
            let writer = scope.spawn(|| {
                for round in 1.. {
                    memory.pages().for_each(|word| {
                        word.fetch_add(1 << 32, Relaxed);
                    });
                    if round == 2_000 || round >= 50 && seen.load(Relaxed) {
                        return round;
                    }
                }
                unreachable!("it ends at 2,000 rounds")
            });
            while !writer.is_finished() {
                let mut window: Vec<_> =
                    (0..8).map(|n| Sample::new(TARGET, memory.range().start() + n * 50 * PAGE)).collect();
                own.arm(&window).unwrap();
                apply(&mut actor, memory.range(), &plain(Action::Pageout));
                swapped += actor.verify(TARGET, memory.range(), &plain(Action::Pageout)).unwrap().unwrap();
                seen.store(swapped > 0, Relaxed);
                own.check(&mut window, &Want::new(true, &[])).unwrap();
            }
            writer.join().unwrap()
        });
        assert!(swapped > 0, "shared {shared}");
        for (n, word) in memory.pages().enumerate() {
            assert_eq!(word.load(Relaxed), (rounds << 32) + n as u64 + 1, "page {n} shared {shared}");
        }
    }
}

#[test]
fn page_filters_choose_by_what_is_in_the_page_table() {
    let _turn = turn();
    let line = |page, matching| [Filter { page, matching, allow: true }];
    let sized = PageFilter::HugepageSize { min: PAGE, max: PAGE };
    for shared in [true, false] {
        let (_own, mut actor, memory) = watched(shared, HUGE, true);
        let anon = line(PageFilter::Anon, true);
        let req = Request::new(Action::Stat, &anon, &[]);
        if let Err(e) = actor.supports(Some(TARGET), &req) {
            return lacks(&e.to_string());
        }
        let passed = |actor: &mut OwnActor, filters: &[Filter]| {
            apply(actor, memory.range(), &Request::new(Action::Stat, filters, &[]))
        };
        assert_eq!(passed(&mut actor, &anon), (0, if shared { 0 } else { HUGE }));
        assert_eq!(passed(&mut actor, &line(sized, true)), (0, HUGE));
        assert_eq!(passed(&mut actor, &line(PageFilter::Unmapped, true)), (0, 0));
        assert_eq!(passed(&mut actor, &line(PageFilter::Unmapped, false)), (0, HUGE));
        let cold = apply(&mut actor, memory.range(), &Request::new(Action::Cold, &anon, &[]));
        assert_eq!(cold, if shared { (0, 0) } else { (HUGE, HUGE) });
    }
}

#[test]
fn what_is_not_watched_is_refused_and_what_came_before_it_is_counted() {
    let _turn = turn();
    let (mut own, mut actor, memory) = watched(true, HUGE, true);
    let (range, cold) = (memory.range(), plain(Action::Cold));
    let other = actor.apply(TargetId::new(8), range, &cold);
    assert_eq!((other.size, other.filter_passed), (0, 0));
    assert!(matches!(other.error, Some(ActError::UnknownTarget { .. })));
    assert!(actor.supports(Some(TargetId::new(8)), &cold).is_err() && actor.supports(None, &cold).is_ok());
    let wider = AddrRange::new(range.start(), range.end() + PAGE).unwrap();
    let refused = actor.apply(TARGET, wider, &cold).error.unwrap();
    let beyond = AddrRange::new(range.end(), range.end() + PAGE).unwrap();
    assert!(matches!(refused, ActError::UnknownRange { range } if range == beyond), "{refused}");
    // An actor learns what comes and goes.
    let more = Arc::new(SharedMap::new("more", HUGE as usize).unwrap());
    assert!(actor.apply(TARGET, more.range(), &cold).error.is_some());
    own.watch_shared(&more).unwrap();
    assert_eq!(apply(&mut actor, more.range(), &cold).0, HUGE);
    assert!(own.unwatch(more.range()));
    assert!(actor.apply(TARGET, more.range(), &cold).error.is_some());
}

#[test]
fn a_failure_half_way_is_typed_with_its_range_and_the_rest_is_done() {
    let _turn = turn();
    let (_own, mut actor, memory) = watched(false, 4 * HUGE, true);
    let locked = part(memory.range(), 600, 2);
    raw::lock_in_memory(locked).unwrap();
    let done = actor.apply(TARGET, memory.range(), &plain(Action::Cold));
    assert_eq!((done.size, done.filter_passed), (3 * HUGE, 4 * HUGE));
    assert!(!done.took.is_zero());
    let error = done.error.unwrap();
    assert!(
        matches!(&error, ActError::Advise { action: Action::Cold, range, .. } if range.contains(locked.start())),
        "{error}"
    );
    assert!(error.to_string().ends_with("leave it out with a filter"), "{error}");
    assert!(memory.is_intact());
}

#[test]
fn what_cannot_be_done_says_why_when_it_is_asked() {
    let _turn = turn();
    let (_own, mut actor, memory) = watched(true, HUGE, true);
    let dests = [damon_core::Dest { node: NodeId(0), weight: 0 }];
    let refused = [Action::LruPrio, Action::MigrateHot, Action::MigrateCold, Action::Custom(1)];
    for action in refused {
        let req = Request::new(action, &[], &dests);
        let why = actor.supports(Some(TARGET), &req).unwrap_err();
        assert!(why.to_string().contains("use "), "{why}");
        let done = actor.apply(TARGET, memory.range(), &req);
        assert!(done.size == 0 && matches!(done.error, Some(ActError::Unsupported(_))));
    }
    for page in [PageFilter::Active, PageFilter::Young, PageFilter::Memcg(1), PageFilter::Custom(0)] {
        let filters = [Filter { page, matching: true, allow: true }];
        assert!(actor.supports(None, &Request::new(Action::Cold, &filters, &[])).is_err(), "{page:?}");
    }
}

#[test]
fn a_child_is_refused_and_nothing_is_done() {
    let _turn = turn();
    let (own, mut actor, memory) = watched(true, HUGE, true);
    let status = raw::in_child(|| {
        let done = actor.apply(TARGET, memory.range(), &plain(Action::Cold));
        let refused = matches!(done.error, Some(ActError::Forked(_))) && done.size == 0;
        i32::from(!(refused && matches!(own.actor(), Err(ActError::Forked(_)))))
    });
    assert_eq!(status, 0);
}

#[test]
fn a_range_of_partial_pages_is_cut_to_whole_ones() {
    let _turn = turn();
    let (_own, mut actor, memory) = watched(true, HUGE, true);
    let start = memory.range().start();
    let range = AddrRange::new(start + 100, start + 3 * PAGE + 100).unwrap();
    assert_eq!(apply(&mut actor, range, &plain(Action::Cold)), (2 * PAGE, 2 * PAGE));
    let none = AddrRange::new(start + 100, start + 200).unwrap();
    assert_eq!(apply(&mut actor, none, &plain(Action::Cold)), (0, 0));
}
