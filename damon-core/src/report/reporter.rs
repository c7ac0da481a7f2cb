//! What a program holds to report accesses, from wherever it is.

use alloc::sync::Arc;
use core::fmt;

use super::Access;
use super::bag::{Bag, Place};
use super::packed::{WORDS, pack};
use super::source::SourceId;

/// Reports accesses to a monitor from any thread and any context.
///
/// [`report_access`](Self::report_access) takes no lock, allocates nothing, makes no system call and ends after a bounded number
/// of steps, also in a signal handler that interrupted another report. It needs 32-bit atomics only. Threads that report much should
/// have a clone each: a clone starts in a part of the bag that is its own, so that producers do not meet on a cache line.
/// Cloning and dropping are not for signal handlers.
///
/// It may outlive its monitor. Then nothing takes its reports, and [`report_access`](Self::report_access) says so.
///
/// ```
/// use damon_core::{Access, AddrRange, Attrs, Instant, Monitor, Next, SourceSpec, TargetId, TargetSpec, Window};
///
/// // 1,000 objects of a store, by their index: nothing here needs an operating system.
/// let objects = TargetId::new(0);
/// let attrs = Attrs::try_from(damon_core::AttrsSpec { granule: 1, ..Default::default() })?;
/// let mut monitor = Monitor::new(attrs, 1);
/// monitor.add_target(TargetSpec { ranges: vec![AddrRange::new(0, 1_000).unwrap()], ..TargetSpec::new(objects) });
///
/// let gets = monitor.add_source(SourceSpec::new("get"));
/// let puts = monitor.add_source(SourceSpec { capacity: 1 << 10, ..SourceSpec::new("put") });
/// let mut now = Instant::ZERO;
/// for window in 0..200 {
///     let Next::At(due) = monitor.begin(now, &mut ())? else { break };
///     now = due;
///     std::thread::scope(|s| {
///         for thread in 0..2 {
///             let gets = gets.clone();
///             s.spawn(move || for i in 0..50 { gets.report_access(Access::new(objects, 2 * i + thread, 1)); });
///         }
///     });
///     puts.report_access(Access::new(objects, 500 + window % 500, 1));
///     let _ = monitor.end(now, &mut ())?;
/// }
/// let [_, get, put] = monitor.sources() else { panic!() };
/// assert_eq!((get.name(), get.counts().received, get.counts().lost), ("get", 20_000, 0));
/// assert_eq!((put.name(), put.counts().received), ("put", 200));
/// let regions = monitor.view().targets()[0].regions();
/// let hot: u64 = regions.iter().filter(|r| r.nr_accesses() > 15).map(|r| r.size()).sum();
/// assert!((90..=120).contains(&hot), "{hot}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reporter {
    bag: Arc<Bag<WORDS>>,
    place: Place,
    source: SourceId,
}

const _: () = {
    const fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Reporter>();
};

impl Reporter {
    pub(super) fn new(bag: Arc<Bag<WORDS>>, source: SourceId) -> Self {
        Self { place: bag.place(), bag, source }
    }

    /// Reports an access, for the window under way or the next. What it means is [`Access`]'s to say.
    ///
    /// False if it is lost: there is no room before the end of the window, or the monitor is no more. Either way it is counted,
    /// so the answer may be ignored.
    #[inline]
    pub fn report_access(&self, access: Access) -> bool {
        self.bag.push(&self.place, &pack(&access))
    }

    /// Counts reports that were lost on their way here, in a buffer of the hardware or the kernel: at most 2²⁰ in one call. Like a report,
    /// from any context.
    #[inline]
    pub fn report_lost(&self, n: u32) {
        self.bag.lose(&self.place, n);
    }

    /// The source that it reports for.
    pub const fn source(&self) -> SourceId {
        self.source
    }

    /// Is there a monitor that takes its reports? False for good once it is false.
    pub fn is_connected(&self) -> bool {
        !self.bag.is_closed()
    }

    /// Reports of this source, by all clones, that the monitor has neither taken nor counted as lost yet. While there is a monitor
    /// the next window counts them; where it is no more, they are lost, up to 2³¹ for each clone.
    ///
    /// It looks at every slot, so it is not for often.
    pub fn pending(&self) -> u64 {
        self.bag.pending()
    }
}

impl Clone for Reporter {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.bag), self.source)
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.bag.leave(&self.place);
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("source", &self.source).field("bag", &self.bag).finish_non_exhaustive()
    }
}
