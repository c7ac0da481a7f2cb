//! Which methods work here: each is tried on memory made for it, armed, touched and checked. No version is asked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use damon_core::{AddrRange, Sample, Seen, Sees, TargetId};

use super::capabilities::{MethodReport, Outcome};
use super::engine::{Engine, Ground, Shared};
use super::error::{IoAt, NothingWorks, OwnError};
use super::method::{Armed, Method};
use crate::sys::{Mode, PrivateMap, SharedMap, Uffd, Zappable, Zapper};

/// Pages of the test's memory: more than fault-around brings in around one of them, less than a huge page.
const PAGES: u64 = 64;
/// One stays idle, one is read, one is written: never two of them in one aligned 64 KiB.
const TOUCHED: [u64; 3] = [3, 20, 37];

/// Why a method does not work, and what would make it.
struct Failure {
    why: String,
    way_out: &'static str,
}

const BOTH_NEED: &str = "Linux 6.7 or later with CONFIG_USERFAULTFD, on x86-64 or arm64";
const RWP_NEEDS: &str = "Linux 7.3 or later with CONFIG_USERFAULTFD_RWP";
const ALLOWED: &str = "a sandbox (seccomp) that lets userfaultfd and ioctl through";
const ZAP_NEEDS: &str = "/proc mounted, CONFIG_PROC_PAGE_MONITOR, and a sandbox that lets madvise through";

/// Tries `methods`, leaves in `engine` what those that work need, and reports on all there are.
pub(crate) fn try_all(engine: &mut Engine, methods: &[Method]) -> Vec<MethodReport> {
    let report = |method| {
        let outcome = if !methods.contains(&method) {
            Outcome::NotAsked
        } else {
            match try_method(engine, method) {
                Ok(()) => Outcome::Works,
                Err(Failure { why, way_out }) => Outcome::Fails { why, way_out: way_out.to_owned() },
            }
        };
        MethodReport { method, outcome }
    };
    Method::ALL.map(report).into()
}

/// The report where the page table cannot be read at all.
pub(crate) fn without_pagemap(e: &io::Error) -> NothingWorks {
    let fails = |method| {
        let why = format!("cannot open /proc/self/pagemap: {e}");
        MethodReport { method, outcome: Outcome::Fails { why, way_out: ZAP_NEEDS.to_owned() } }
    };
    NothingWorks { tried: Method::ALL.map(fails).into() }
}

fn try_method(engine: &mut Engine, method: Method) -> Result<(), Failure> {
    if let Some(mode) = method.mode() {
        open(engine, mode)?;
    }
    let needs = match method.mode() {
        None => ZAP_NEEDS,
        Some(Mode::Wp) => BOTH_NEED,
        Some(Mode::Rwp) => RWP_NEEDS,
    };
    let failed = |e: &dyn std::fmt::Display| Failure { why: e.to_string(), way_out: needs };
    let bytes = (PAGES * engine.page) as usize;
    if !method.is_for_shared() {
        let map = PrivateMap::new(bytes).map_err(|e| failed(&e))?;
        return run(engine, method, map.range(), map.atomics(), None).map_err(|e| failed(&e));
    }
    let map = Arc::new(SharedMap::new("damon-self-test", bytes).map_err(|e| failed(&e))?);
    let mut result = Ok(());
    // The best first; whichever sees what it should is kept.
    for zapper in [Zapper::best(), Zapper::best().one_by_one(), Zapper::best().one_by_one().unlocked_only()] {
        engine.zapper = zapper;
        let shared = Shared { zappable: Zappable::of(&map), method, huge_blocks: Default::default() };
        result = run(engine, method, map.range(), map.atomics(), Some(shared));
        if result.is_ok() {
            break;
        }
    }
    result.map_err(|e| failed(&e))
}

/// Opens the userfaultfd for `mode`, if it is not open.
fn open(engine: &mut Engine, mode: Mode) -> Result<(), Failure> {
    if engine.uffd(mode).is_some() {
        return Ok(());
    }
    let (name, needs) = match mode {
        Mode::Wp => ("WP_ASYNC", BOTH_NEED),
        Mode::Rwp => ("RWP_ASYNC", RWP_NEEDS),
    };
    let failed = |e: io::Error| {
        let way_out = if e.kind() == io::ErrorKind::PermissionDenied { ALLOWED } else { needs };
        Failure { why: format!("userfaultfd: {e}"), way_out }
    };
    let lacking = mode.features() & !Uffd::offered().map_err(failed)?;
    if lacking != 0 {
        return Err(Failure {
            why: format!("userfaultfd has no {name} (lacks features {lacking:#x})"),
            way_out: needs,
        });
    }
    let uffd = Some(Arc::new(Uffd::open(mode.features()).map_err(failed)?));
    match mode {
        Mode::Wp => engine.wp = uffd,
        Mode::Rwp => engine.rwp = uffd,
    }
    Ok(())
}

/// What the test found instead of what it should have.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error(transparent)]
    Step(OwnError),
    #[error("cannot register: {0}")]
    Register(io::Error),
    #[error("a page that was {was} was seen as {seen:?}")]
    Seen { was: &'static str, seen: Seen },
    #[error("memory lost its content")]
    Content,
}

impl From<IoAt> for Wrong {
    fn from(e: IoAt) -> Self {
        Self::Step(e.into())
    }
}

fn run(
    engine: &mut Engine,
    method: Method,
    range: AddrRange,
    words: &[AtomicU64],
    mut shared: Option<Shared>,
) -> Result<(), Wrong> {
    let registered = method.mode().and_then(|mode| engine.uffd(mode).cloned().zip(Some(mode)));
    if let Some((uffd, mode)) = &registered {
        uffd.register(range, *mode).map_err(Wrong::Register)?;
    }
    let word = |page: u64| &words[(page * engine.page / 8) as usize];
    (0..PAGES).for_each(|page| word(page).store(page + 1, Ordering::Relaxed));
    let (read, written) = (word(TOUCHED[1]), word(TOUCHED[2]));

    let mut samples = TOUCHED.map(|page| Sample::new(TargetId::new(0), range.start() + page * engine.page));
    let ground = Ground::own(method, range);
    let mut armed: Vec<Armed> = Vec::new();
    let mut look = |engine: &mut Engine, arm: bool, expected: [fn(Seen) -> bool; 3]| {
        if arm {
            armed.clear();
            engine.arm(ground, shared.as_mut(), &samples, &mut armed)?;
        }
        engine.check(ground, &mut samples, &armed)?;
        let wrong = samples.iter().zip(expected).zip(["not touched", "read", "written"]);
        match wrong.into_iter().find(|((sample, right), _)| !right(sample.seen)) {
            Some(((sample, _), was)) => Err(Wrong::Seen { was, seen: sample.seen }),
            None => Ok(()),
        }
    };
    let is_idle: fn(Seen) -> bool = |s| s == Seen::Idle;
    let after: [fn(Seen) -> bool; 3] = match method.sees() {
        Sees::ReadsAndWrites => [is_idle, |s| s == Seen::Read, |s| s == Seen::Written],
        Sees::Writes => [is_idle, is_idle, |s| s == Seen::Written],
        _ => [is_idle, Seen::is_access, Seen::is_access],
    };
    let touch = || {
        written.store(read.load(Ordering::Relaxed) + TOUCHED[2] - TOUCHED[1], Ordering::Relaxed);
    };
    let mut all = || {
        look(engine, true, [is_idle; 3])?;
        touch();
        look(engine, false, after)?;
        look(engine, true, [is_idle; 3])
    };
    let result = all();
    let page_words = words.len() / PAGES as usize;
    let intact = words.iter().step_by(page_words).zip(1..).all(|(word, n)| word.load(Ordering::Relaxed) == n);
    if let Some((uffd, _)) = registered {
        // The memory goes with the test, and its registration with it.
        let _ = uffd.unregister(range);
    }
    result.and(if intact { Ok(()) } else { Err(Wrong::Content) })
}
