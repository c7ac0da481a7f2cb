//! A process that hands its memory over and does as it is told.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use damon_core::{AddrRange, Ops, Sample, Span, TargetId, Want};
use damon_ops_vaddr::Method;
use damon_ops_vaddr::handed::{AcceptError, Handed, Lent, Offer, OfferError, Refusal, Registered};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::raw;

pub(crate) const TARGET: TargetId = TargetId::new(3);
pub(crate) const PAGE: u64 = 4096;
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
pub(crate) const METHODS: [Method; 2] = [Method::RwpAsync, Method::WpAsync];

/// Says, past the capture of output, that a test could not show what it is for: `.ci/vm` runs it on other kernels.
pub(crate) fn lacks(what: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("not shown here for lack of {what}: {test}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

thread_local! {
    /// Held by the thread of a test until it ends.
    static TURN: MutexGuard<'static, ()> = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
}

/// Is this a machine of `.ci/vm`, where nobody minds what is switched on and off?
pub(crate) fn in_vm() -> bool {
    std::fs::read_to_string("/proc/cmdline").is_ok_and(|line| line.split_whitespace().any(|word| word == "damon-vm"))
}

/// A socket of a name that nobody else has, and how to connect to it.
pub(crate) fn listener() -> (UnixListener, SocketAddr) {
    static N: AtomicU32 = AtomicU32::new(0);
    // Descriptors are counted, and a child has those of all tests.
    TURN.with(|_| ());
    let name = format!("damon-handed-{}-{}", std::process::id(), N.fetch_add(1, Ordering::Relaxed));
    let addr = SocketAddr::from_abstract_name(name).unwrap();
    (UnixListener::bind_addr(&addr).unwrap(), addr)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Private,
    Shared,
}

/// What a peer can be told.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Do {
    Read,
    Write,
    /// As many pages as are told, one after the other.
    WriteAll,
    /// Touches a quarter of the pages over and over, every second one by a read, until it is told something else.
    Work,
    /// The same, by writes alone.
    Scribble,
    Unmap,
    Remap,
    /// Ends the watch.
    Drop,
    Release,
    TakeBack,
    /// Unregisters the memory behind the monitor's back.
    Unregister,
    /// Registers the memory with another userfaultfd.
    RegisterElsewhere,
    UnregisterElsewhere,
    Exec,
    Exit,
}

const ALL: [Do; 15] = [
    Do::Read,
    Do::Write,
    Do::WriteAll,
    Do::Work,
    Do::Scribble,
    Do::Unmap,
    Do::Remap,
    Do::Drop,
    Do::Release,
    Do::TakeBack,
    Do::Unregister,
    Do::RegisterElsewhere,
    Do::UnregisterElsewhere,
    Do::Exec,
    Do::Exit,
];

/// A forked process with `pages` pages of populated memory.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) pid: i32,
    pub(crate) range: AddrRange,
    orders: UnixStream,
}

impl Peer {
    /// Starts a process that offers what `offer` says about its memory.
    pub(crate) fn start(
        pages: u64,
        memory: Memory,
        to: &SocketAddr,
        offer: impl FnOnce(AddrRange) -> Option<Offer>,
    ) -> Self {
        // Mapped before the fork, so that both know where it is.
        let file = raw::memfd(pages * PAGE);
        let range = match memory {
            Memory::Private => raw::map(None, pages * PAGE, raw::PRIVATE, None).unwrap(),
            Memory::Shared => raw::map(None, pages * PAGE, raw::SHARED, Some(&file)).unwrap(),
        };
        let (orders, theirs) = UnixStream::pair().unwrap();
        let pid = raw::fork(|| serve(theirs, range, to, offer));
        raw::unmap(range);
        Self { pid, range, orders }
    }

    /// Tells it to do something and waits; 0 means done.
    pub(crate) fn tell(&mut self, what: Do, n: u64) -> u64 {
        self.order(what, n);
        self.done()
    }

    pub(crate) fn order(&mut self, what: Do, n: u64) {
        let order = [(what as u64).to_ne_bytes(), n.to_ne_bytes()].concat();
        self.orders.write_all(&order).unwrap();
    }

    pub(crate) fn done(&mut self) -> u64 {
        let mut done = [0; 8];
        self.orders.read_exact(&mut done).unwrap();
        u64::from_ne_bytes(done)
    }

    pub(crate) fn page(&self, n: u64) -> u64 {
        self.range.start() + n * PAGE
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        raw::kill_and_wait(self.pid);
    }
}

/// The child: it does as it is told until nobody tells it any more.
fn serve(mut orders: UnixStream, range: AddrRange, to: &SocketAddr, offer: impl FnOnce(AddrRange) -> Option<Offer>) {
    (0..range.size() / PAGE).for_each(|n| raw::write(range.start() + n * PAGE, n));
    // Without an offer it only does as it is told.
    let lend = |offer: Offer| offer.lend(UnixStream::connect_addr(to).ok()?, LIMIT).ok();
    let mut lent = offer(range).and_then(lend);
    let mut elsewhere = None;
    let mut order = [0; 16];
    while orders.read_exact(&mut order).is_ok() {
        let word = |i: usize| u64::from_ne_bytes(order[i..i + 8].try_into().unwrap());
        let done = match ALL[word(0) as usize] {
            Do::Work => work(&orders, quarter(range, word(8)), 2),
            Do::Scribble => work(&orders, quarter(range, word(8)), 1),
            what => obey(what, word(8), range, &mut lent, &mut elsewhere),
        };
        if orders.write_all(&done.to_ne_bytes()).is_err() {
            return;
        }
    }
}

/// The `n`th quarter of `range`.
pub(crate) fn quarter(range: AddrRange, n: u64) -> AddrRange {
    AddrRange::from_len(range.start() + n * (range.size() / 4), range.size() / 4).unwrap()
}

/// Writes to the first of each `stride` pages, and reads the others.
fn work(orders: &UnixStream, hot: AddrRange, stride: usize) -> u64 {
    let pause = Timespec { tv_sec: 0, tv_nsec: 500_000 };
    while poll(&mut [PollFd::new(orders, PollFlags::IN)], Some(&pause)).is_ok_and(|n| n == 0) {
        for (i, page) in (hot.start()..hot.end()).step_by(PAGE as usize).enumerate() {
            match i % stride {
                0 => raw::write(page, page),
                _ => _ = raw::read(page),
            }
        }
    }
    0
}

fn obey(
    what: Do,
    n: u64,
    range: AddrRange,
    lent: &mut Option<Lent>,
    elsewhere: &mut Option<std::os::fd::OwnedFd>,
) -> u64 {
    let asked = |asked: Result<(), OfferError>| match asked {
        Ok(()) => 0,
        Err(OfferError::Refused(Refusal::RangeOwned)) => 1,
        Err(_) => 2,
    };
    match what {
        Do::Read => drop(std::hint::black_box(raw::read(range.start() + n * PAGE))),
        Do::Write => raw::write(range.start() + n * PAGE, n),
        Do::WriteAll => (0..n).for_each(|n| raw::write(range.start() + n * PAGE, n)),
        Do::Work | Do::Scribble => {}
        Do::Unmap => raw::unmap(range),
        Do::Remap => drop(raw::remap(range)),
        Do::Drop => *lent = None,
        Do::Release => return lent.as_mut().map_or(3, |l| asked(l.release(range))),
        Do::TakeBack => return lent.as_mut().map_or(3, |l| asked(l.take_back(range))),
        Do::Unregister => {
            let fd = lent.as_ref().map(|l| std::os::fd::AsFd::as_fd(l).try_clone_to_owned().unwrap());
            return fd.map_or(3, |fd| u64::from(raw::uffd_unregister(&fd, range).is_err()));
        }
        Do::RegisterElsewhere => {
            let fd = raw::userfaultfd(1 << 15).unwrap();
            let registered = raw::uffd_register(&fd, range, 1 << 1);
            *elsewhere = Some(fd);
            return u64::from(registered.is_err());
        }
        Do::UnregisterElsewhere => *elsewhere = None,
        Do::Exec => raw::exec(c"/bin/sleep"),
        // The guard of the forked copy of the test harness must not run.
        Do::Exit => std::process::abort(),
    }
    0
}

/// A process with `pages` pages that are watched by `method`; `None`, and said, where the kernel has none.
pub(crate) fn handed(method: Method, memory: Memory, pages: u64) -> Option<(Handed, Peer)> {
    if let Err(OfferError::NothingWorks) = Offer::with(method) {
        lacks(&method.to_string());
        return None;
    }
    let (listener, addr) = listener();
    let peer = Peer::start(pages, memory, &addr, |range| Some(Offer::with(method).ok()?.range(range)));
    Some((accept(&listener).unwrap(), peer))
}

/// The same with a userfaultfd that the process registered its memory with, for `modes` of it.
pub(crate) fn registered(features: u64, modes: u64, pages: u64) -> (Result<Handed, AcceptError>, Peer) {
    let (listener, addr) = listener();
    let peer = Peer::start(pages, Memory::Shared, &addr, |range| {
        let fd = raw::userfaultfd(features).ok()?;
        raw::uffd_register(&fd, range, modes).ok()?;
        let registered = Registered { wp: modes & 2 != 0, minor: modes & 4 != 0, ..Registered::default() };
        Some(Offer::of(fd).registered_range(range, registered))
    });
    (accept(&listener), peer)
}

pub(crate) fn accept(listener: &UnixListener) -> Result<Handed, AcceptError> {
    Handed::accept(listener.accept().unwrap().0, TARGET, LIMIT)
}

pub(crate) fn samples(addrs: impl IntoIterator<Item = u64>) -> Vec<Sample> {
    addrs.into_iter().map(|a| Sample::new(TARGET, a)).collect()
}

pub(crate) fn check(ops: &mut Handed, samples: &mut [Sample]) {
    ops.check(samples, &Want::new(true, &[])).unwrap();
}

pub(crate) fn spans(ops: &mut Handed) -> Vec<Span> {
    let mut out = Vec::new();
    ops.ranges(TARGET, &mut out).unwrap();
    out
}

/// How many descriptors this process has open.
pub(crate) fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
