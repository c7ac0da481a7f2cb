//! Memory of each kind with a backend that watches it by one method.

use std::io::Write;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use damon_core::{AddrRange, Ops, Sample, Span, TargetId, Want};
use damon_ops_vaddr::{HugePages, Method, OpenError, Options, Own, PrivateMap, SharedMap};

pub(crate) const TARGET: TargetId = TargetId::new(7);
pub(crate) const PAGE: u64 = 4096;

/// Says, past the capture of output, that a test could not show what it is for: `.ci/vm` runs it on other kernels.
pub(crate) fn lacks(what: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // In one piece: other tests write too.
    let line = format!("not shown here for lack of {what}: {test}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

thread_local! {
    /// Held by the thread of a test until it ends.
    static TURN: MutexGuard<'static, ()> = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
}

/// A backend that may use `method` alone; `None`, and said, where it does not work.
pub(crate) fn own_with(method: Method) -> Option<Own> {
    own_of(&[method], HugePages::Keep)
}

pub(crate) fn own_of(methods: &[Method], huge_pages: HugePages) -> Option<Own> {
    // What one backend finds in the address space, another one could not register.
    TURN.with(|_| ());
    match Own::with_options(TARGET, Options { methods: methods.to_vec(), huge_pages }) {
        Ok(own) => Some(own),
        Err(OpenError::NothingWorks(_)) => {
            lacks(&methods.iter().map(Method::to_string).collect::<Vec<_>>().join(", "));
            None
        }
        Err(e) => panic!("{e}"),
    }
}

pub(crate) enum Memory {
    Shared(Arc<SharedMap>),
    Private(PrivateMap),
}

impl Memory {
    pub(crate) fn words(&self) -> &[AtomicU64] {
        match self {
            Self::Shared(map) => map.atomics(),
            Self::Private(map) => map.atomics(),
        }
    }

    pub(crate) fn range(&self) -> AddrRange {
        match self {
            Self::Shared(map) => map.range(),
            Self::Private(map) => map.range(),
        }
    }

    /// The first word of a page.
    pub(crate) fn page(&self, n: u64) -> &AtomicU64 {
        &self.words()[(n * PAGE / 8) as usize]
    }

    pub(crate) fn at(&self, addr: u64) -> &AtomicU64 {
        &self.words()[((addr - self.range().start()) / 8) as usize]
    }

    pub(crate) fn read(&self, n: u64) {
        std::hint::black_box(self.page(n).load(Relaxed));
    }

    pub(crate) fn write(&self, n: u64) {
        self.page(n).fetch_add(1, Relaxed);
    }

    pub(crate) fn addr(&self, n: u64) -> u64 {
        self.range().start() + n * PAGE
    }
}

/// Populated memory of `pages` pages of 4 KiB, watched by `method`.
pub(crate) fn watched(method: Method, pages: u64) -> Option<(Own, Memory)> {
    let mut own = own_with(method)?;
    let bytes = (pages * PAGE) as usize;
    let memory = if method.is_for_shared() {
        Memory::Shared(Arc::new(SharedMap::new("test", bytes).unwrap()))
    } else {
        let map = PrivateMap::new(bytes).unwrap();
        let _ = map.advise_huge(false);
        Memory::Private(map)
    };
    (0..pages).for_each(|n| memory.write(n));
    match &memory {
        Memory::Shared(map) => own.watch_shared(map).unwrap(),
        Memory::Private(map) => own.watch_private(map.range()).unwrap(),
    }
    Some((own, memory))
}

pub(crate) fn samples(addrs: impl IntoIterator<Item = u64>) -> Vec<Sample> {
    addrs.into_iter().map(|a| Sample::new(TARGET, a)).collect()
}

pub(crate) fn check(own: &mut Own, samples: &mut [Sample]) {
    own.check(samples, &Want::new(true, &[])).unwrap();
}

pub(crate) fn spans(own: &mut Own) -> Vec<Span> {
    let mut out = Vec::new();
    own.ranges(TARGET, &mut out).unwrap();
    out
}
