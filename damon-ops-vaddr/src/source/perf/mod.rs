//! Accesses that the kernel or the hardware samples: perf events with addresses.
//!
//! Counterpart: `perf_event_open(2)`. [`PerfSource`] reports from a thread of its own; [`PerfSession`] is the same without the thread;
//! [`Records`] parses what is in a ring.
//!
//! ```no_run
//! use damon_core::{Attrs, Monitor, SourceSpec, TargetId};
//! use damon_ops_vaddr::source::perf::{PerfSource, PerfSpec, Whom};
//!
//! let mut monitor = Monitor::new(Attrs::default(), 1);
//! let faults = monitor.add_source(SourceSpec::new("page faults"));
//! let spec = PerfSpec { whom: Whom::Process(4711), target: Some(TargetId::new(0)), ..PerfSpec::default() };
//! let source = PerfSource::start(&spec, faults)?;
//! // monitor.begin(..), monitor.end(..)
//! println!("{:?}", source.stats());
//! # Ok::<(), damon_ops_vaddr::source::perf::PerfError>(())
//! ```

mod cpus;
mod error;
mod event;
mod record;
mod session;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use damon_core::{Access, AccessKind, Reporter, Space, TargetId};

use cpus::Nodes;

pub use error::PerfError;
pub use event::{HardwareEvent, PerfEvent};
pub use record::{BadRecord, DataSource, Layout, PerfSample, Record, Records};
pub use session::{Drained, PerfSession, Whom};

/// What to sample, of whom, and how to report it.
#[derive(Clone, Debug)]
pub struct PerfSpec {
    /// Whose accesses. Default: this process's.
    pub whom: Whom,
    /// What. Default: every page fault.
    pub event: PerfEvent,
    /// The target that the addresses are of. Default: `None`, the process's by its pid
    /// ([`Space::Process`]), which the monitor's backend has to know.
    pub target: Option<TargetId>,
    /// A sample is reported as an access to the aligned block of so many bytes around its address, rounded up to a power of two:
    /// what the monitor's regions are multiples of. Default: a page. With 1 only the byte itself is reported, and
    /// a monitor that samples pages by their first byte would see next to nothing.
    pub report_bytes: u64,
    /// The size of the ring of each CPU. Default 256 KiB: 6,000 samples.
    pub ring_bytes: usize,
    /// How often rings are emptied: a sample is reported at most so much later. Default 2 ms, which should be less than the
    /// sampling interval.
    pub interval: Duration,
}

impl Default for PerfSpec {
    fn default() -> Self {
        Self {
            whom: Whom::Process(std::process::id()),
            event: PerfEvent::page_faults(),
            target: None,
            report_bytes: crate::sys::page_size(),
            ring_bytes: 256 << 10,
            interval: Duration::from_millis(2),
        }
    }
}

/// What a source did since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PerfStats {
    /// Samples that were reported.
    pub reported: u64,
    /// Of these, those that the monitor had no room for: its source counts them as lost too.
    pub refused: u64,
    /// Samples that the kernel had no room for in a ring: the monitor's source counts them as lost too.
    pub lost: u64,
    /// Samples without an address, or of somebody else.
    pub passed_over: u64,
    /// Records that are not what they should be.
    pub bad: u64,
    /// How often the kernel sampled less because too many came.
    pub throttled: u64,
    /// It has ended: the process, or the monitor, is no more.
    pub over: bool,
}

/// Samples accesses and reports them from a thread of its own, until it is dropped, the process ends or the monitor is gone.
///
/// The thread wakes up once in an [`interval`](PerfSpec::interval). The sampled program pays for each sample.
#[derive(Debug)]
pub struct PerfSource {
    /// Never sent to: that it is gone is the message.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    stats: Arc<Mutex<PerfStats>>,
}

impl PerfSource {
    /// Starts to sample and to report.
    ///
    /// # Errors
    /// Those of [`PerfSession::open`], and when there can be no further thread.
    pub fn start(spec: &PerfSpec, reporter: Reporter) -> Result<Self, PerfError> {
        let session = PerfSession::open(spec.whom, &spec.event, spec.ring_bytes)?;
        let stats = Arc::new(Mutex::new(PerfStats::default()));
        let (stop, stopped) = mpsc::channel();
        let worker = Worker { session, reporter, spec: spec.clone(), stats: Arc::clone(&stats) };
        let thread = thread::Builder::new().name("damon-perf".to_owned()).spawn(move || worker.run(&stopped));
        let thread = thread.map_err(|source| PerfError::Other { what: "start a thread", source })?;
        Ok(Self { stop: Some(stop), thread: Some(thread), stats })
    }

    /// What it did so far.
    pub fn stats(&self) -> PerfStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PerfSource {
    /// Ends the thread, and waits for the drain that it is in.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there is nothing left to end.
            let _ = thread.join();
        }
    }
}

/// The thread.
struct Worker {
    session: PerfSession,
    reporter: Reporter,
    spec: PerfSpec,
    stats: Arc<Mutex<PerfStats>>,
}

impl Worker {
    fn run(mut self, stopped: &Receiver<()>) {
        loop {
            let stop = stopped.recv_timeout(self.spec.interval) != Err(RecvTimeoutError::Timeout);
            // Asked before the drain: all that it did is drained then.
            let over = stop || !self.session.is_alive() || !self.reporter.is_connected();
            self.drain(over);
            if over {
                break;
            }
        }
    }

    fn drain(&mut self, over: bool) {
        let mut new = PerfStats::default();
        let (reporter, spec, nodes) = (&self.reporter, &self.spec, self.session.nodes().clone());
        let drained = self.session.drain(|sample| match access(sample, spec, &nodes) {
            Some(access) => {
                new.reported += 1;
                new.refused += u64::from(!reporter.report_access(access));
            }
            None => new.passed_over += 1,
        });
        // In portions that one call takes; the source counts no more than 2³¹ in a window anyway.
        let mut lost = drained.lost.min(1 << 31) as u32;
        while lost > 0 {
            let part = lost.min(1 << 20);
            reporter.report_lost(part);
            lost -= part;
        }
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.reported += new.reported;
        stats.refused += new.refused;
        stats.passed_over += new.passed_over + drained.others;
        stats.lost += drained.lost;
        stats.bad += drained.bad;
        stats.throttled += drained.throttled;
        stats.over = over;
    }
}

/// The report of a sample; none if it has no address.
fn access(sample: &PerfSample, spec: &PerfSpec, nodes: &Nodes) -> Option<Access> {
    let addr = sample.addr.filter(|&addr| addr != 0)?;
    let space = match spec.target {
        Some(target) => Space::Target(target),
        None => Space::Process(sample.pid?),
    };
    let block = spec.report_bytes.max(1).checked_next_power_of_two().unwrap_or(1 << 63);
    Some(Access {
        space,
        kind: sample.data_source.map_or(AccessKind::Access, DataSource::kind),
        weight: sample.period.map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        cpu: sample.cpu,
        thread: sample.tid,
        node: sample.cpu.and_then(|cpu| nodes.of(cpu)),
        ..Access::new(TargetId::new(0), addr & !(block - 1), block)
    })
}
