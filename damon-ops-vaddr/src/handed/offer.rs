//! The side of the process whose memory is watched: it offers, and may ask for a pause.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use damon_core::AddrRange;

use super::error::{OfferError, Refusal};
use super::wire::{
    ANSWER, Deadline, Frame, HELLO, Inbox, LinkError, MAX_RANGES, RANGE, RELEASE, TAKE_BACK, VERSION, send_all,
};
use crate::own::Method;
use crate::sys::{Mode, Uffd, feature, page_size};

/// Modes of a userfaultfd that a range was registered for before it is offered. They stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// `UFFDIO_REGISTER_MODE_MISSING`.
    pub missing: bool,
    /// `UFFDIO_REGISTER_MODE_WP`. The marks are the monitor's until they are released: the owner cannot tell by them what
    /// was written since it last looked.
    pub wp: bool,
    /// `UFFDIO_REGISTER_MODE_MINOR`.
    pub minor: bool,
    /// `UFFDIO_REGISTER_MODE_RWP`.
    pub rwp: bool,
}

impl Registered {
    pub(super) const fn bits(self) -> u64 {
        self.missing as u64 | (self.wp as u64) << 1 | (self.minor as u64) << 2 | (self.rwp as u64) << 3
    }

    pub(super) const fn of_bits(bits: u64) -> Self {
        Self { missing: bits & 1 != 0, wp: bits & 2 != 0, minor: bits & 4 != 0, rwp: bits & 8 != 0 }
    }

    pub(super) const fn is_none(self) -> bool {
        self.bits() == 0
    }
}

/// Memory of this process, on offer to a monitor in another one.
///
/// ```no_run
/// # #[cfg(target_os = "linux")] fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::{os::unix::net::UnixStream, time::Duration};
/// use damon_ops_vaddr::handed::Offer;
/// let monitor = UnixStream::connect("/run/monitor.sock")?;
/// let lent = Offer::new()?.lend(monitor, Duration::from_secs(1))?; // all private anonymous memory
/// // ... work; dropping `lent` ends it.
/// # drop(lent);
/// # Ok(()) }
/// # #[cfg(not(target_os = "linux"))] fn main() {}
/// ```
#[derive(Debug)]
pub struct Offer {
    uffd: OwnedFd,
    ranges: Vec<(AddrRange, Registered)>,
}

impl Offer {
    /// An offer with the userfaultfd that sees most here: reads and writes where the kernel has `RWP_ASYNC`, else writes.
    ///
    /// # Errors
    /// When the kernel has neither, and when it refuses (a sandbox without `userfaultfd`).
    pub fn new() -> Result<Self, OfferError> {
        let offered = Uffd::offered().map_err(|source| OfferError::Io { what: "make a userfaultfd", source })?;
        let wanted = [Mode::Rwp, Mode::Wp].map(Mode::features).into_iter().filter(|f| f & !offered == 0);
        match wanted.reduce(|a, b| a | b) {
            Some(features) => Self::with_features(features),
            None => Err(OfferError::NothingWorks),
        }
    }

    /// An offer that shows what `method` sees and no more.
    ///
    /// # Errors
    /// When the kernel does not have it; a method for shared memory of one's own cannot be offered.
    pub fn with(method: Method) -> Result<Self, OfferError> {
        let mode = method.mode().filter(|_| !method.is_for_shared()).ok_or(OfferError::NothingWorks)?;
        let offered = Uffd::offered().map_err(|source| OfferError::Io { what: "make a userfaultfd", source })?;
        if mode.features() & !offered != 0 {
            return Err(OfferError::NothingWorks);
        }
        Self::with_features(mode.features())
    }

    /// An offer of a userfaultfd that the program has made for purposes of its own, as a VMM has for its guest's memory.
    /// It must have been made with `WP_ASYNC` or `RWP_ASYNC`; in its other modes the program serves it as before.
    pub const fn of(uffd: OwnedFd) -> Self {
        Self { uffd, ranges: Vec::new() }
    }

    fn with_features(features: u64) -> Result<Self, OfferError> {
        debug_assert!(features & (feature::WP_ASYNC | feature::RWP_ASYNC) != 0);
        let uffd = Uffd::open(features).map_err(|source| OfferError::Io { what: "make a userfaultfd", source })?;
        Ok(Self::of(uffd.into()))
    }

    /// Offers a range, whole pages of it. Without any, all private anonymous memory is offered, as it comes and goes.
    #[must_use]
    pub fn range(self, range: AddrRange) -> Self {
        self.registered_range(range, Registered::default())
    }

    /// Offers a range that is registered with the userfaultfd already. It stays registered.
    #[must_use]
    pub fn registered_range(mut self, range: AddrRange, registered: Registered) -> Self {
        self.ranges.push((range, registered));
        self
    }

    /// Lends the memory to the monitor that listens at the other end of `stream`, which this process connected. The
    /// monitor gets the userfaultfd, the page table and the list of mappings: nothing that lets it read content or stop
    /// anybody. Each exchange takes at most `limit`.
    ///
    /// # Errors
    /// When the monitor does not answer in time, or refuses, and why.
    pub fn lend(self, stream: UnixStream, limit: Duration) -> Result<Lent, OfferError> {
        if self.ranges.len() as u64 > MAX_RANGES {
            return Err(OfferError::TooManyRanges(self.ranges.len()));
        }
        let open = |path, what| File::open(path).map_err(|source| OfferError::Io { what, source });
        let pagemap = open("/proc/self/pagemap", "open /proc/self/pagemap")?;
        let maps = open("/proc/self/maps", "open /proc/self/maps")?;
        let n = self.ranges.len() as u64;
        let mut frames = vec![Frame { kind: HELLO, arg: VERSION, start: page_size(), end: n, modes: 0 }];
        let about =
            |&(range, registered): &(_, Registered)| Frame { modes: registered.bits(), ..Frame::about(RANGE, range) };
        frames.extend(self.ranges.iter().map(about));
        let fds: [BorrowedFd<'_>; 3] = [self.uffd.as_fd(), pagemap.as_fd(), maps.as_fd()];
        let deadline = Deadline::within(limit);
        let mut lent = Lent { stream, inbox: Inbox::default(), limit, uffd: self.uffd.try_clone().map_err(clone)? };
        send_all(&lent.stream, &frames, &fds, deadline)?;
        lent.answer(deadline)?;
        Ok(lent)
    }
}

fn clone(source: io::Error) -> OfferError {
    OfferError::Io { what: "duplicate the userfaultfd", source }
}

/// Memory that a monitor watches. Dropping it ends the watch.
///
/// A monitor answers when it steps, so a request may take as long as its sampling interval.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct Lent {
    stream: UnixStream,
    inbox: Inbox,
    limit: Duration,
    uffd: OwnedFd,
}

impl Lent {
    /// The monitor lets go of `range` until [`take_back`](Self::take_back): it protects nothing there any more, and what
    /// it registered is free for another userfaultfd. What it knows about the memory it keeps. Before a migration, a
    /// snapshot, anything that wants write protection for itself.
    ///
    /// # Errors
    /// When the monitor does not answer in time. It may still let go later.
    pub fn release(&mut self, range: AddrRange) -> Result<(), OfferError> {
        self.ask(RELEASE, range)
    }

    /// The monitor watches `range` again, all that was released within it.
    ///
    /// # Errors
    /// [`Refusal::RangeOwned`] where another userfaultfd still has it.
    pub fn take_back(&mut self, range: AddrRange) -> Result<(), OfferError> {
        self.ask(TAKE_BACK, range)
    }

    fn ask(&mut self, what: u32, range: AddrRange) -> Result<(), OfferError> {
        let deadline = Deadline::within(self.limit);
        send_all(&self.stream, &[Frame::about(what, range)], &[], deadline)?;
        self.answer(deadline)
    }

    fn answer(&mut self, deadline: Deadline) -> Result<(), OfferError> {
        let mut none = Vec::new();
        let frame = self.inbox.next(&self.stream, &mut none, deadline)?;
        if frame.kind != ANSWER || !none.is_empty() {
            return Err(LinkError::Protocol("not an answer").into());
        }
        Refusal::of_status(frame.arg).map_or(Ok(()), |refusal| Err(OfferError::Refused(refusal)))
    }
}

impl AsFd for Lent {
    /// The userfaultfd.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.uffd.as_fd()
    }
}
