//! The worker thread that steps a [`Context`] by the clock.
//!
//! Counterpart: the kdamond threads (`mm/damon/core.c: __damon_start`, `damon_call`, Linux 7.3).

mod error;
mod signals;
mod worker;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle, Thread};

use crossbeam_channel::{Sender, bounded, unbounded};
use damon_core::{Ops, Reporter, Snapshot, SourceSpec};

use crate::context::Context;
use worker::{Command, Ended, Shared, Worker};

pub use error::{SpawnError, StopError, WorkerGone};

/// A thread that monitors until it is stopped, dropped, or its backend fails for good.
///
/// It is named `kdamond.N`, blocks all signals, and sleeps to absolute deadlines, so that lateness does not add up.
/// The CPU time it uses goes into the context's [`Health`](crate::context::Health) and budget; that of the closures
/// it was handed does not.
///
/// ```
/// use std::time::Duration;
/// use damon_core::{Attrs, AttrsSpec, Monitor};
/// use damos::{Context, Kdamond};
///
/// let kdamond = Kdamond::spawn(Context::new(Monitor::new(Attrs::default(), 1), ()))?;
/// kdamond.with(|context| {
///     let spec = AttrsSpec { sampling: Duration::from_millis(10), ..context.attrs().spec().clone() };
///     context.commit(Attrs::try_from(spec)?);
///     Ok::<_, damon_core::BadAttrs>(())
/// })??;
/// if let Some(snapshot) = kdamond.latest() {
///     println!("{:?}", snapshot.targets);
/// }
/// let context = kdamond.stop()?;
/// println!("{:?}", context.health());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Kdamond<O: Ops> {
    commands: Sender<Command<O>>,
    shared: Arc<Shared<O::Error>>,
    /// `None` once it was joined.
    thread: Option<JoinHandle<Ended<O>>>,
}

const _: () = {
    const fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Kdamond<()>>();
    send_and_sync::<Kdamond<Box<damon_core::DynOps>>>();
    send_and_sync::<WorkerGone<damon_core::DynError>>();
};

/// As in the kernel, whose threads are called `kdamond.0` and so on.
static NUMBER: AtomicU32 = AtomicU32::new(0);

impl<O: Ops + Send + 'static> Kdamond<O> {
    /// Starts to step `context` in a thread of its own.
    ///
    /// # Errors
    /// When there can be no further thread. The context is lost then.
    pub fn spawn(context: Context<O>) -> Result<Self, SpawnError> {
        Self::spawn_with(context, |_| ())
    }

    /// The same; `look` is called in the worker at the end of each aggregation, when the regions are a finished
    /// snapshot, as by [`Context::step_with`].
    ///
    /// It holds up monitoring for as long as it takes. If it panics, the worker ends, as with a panic of the backend.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub fn spawn_with(context: Context<O>, look: impl FnMut(&Context<O>) + Send + 'static) -> Result<Self, SpawnError> {
        let (commands, inbox) = unbounded();
        let shared = Arc::new(Shared::default());
        let worker = Worker::new(context, inbox, Arc::clone(&shared), look);
        let name = format!("kdamond.{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        // A thread inherits its mask: blocked here there is no moment in which a signal could be delivered to it.
        let restore = signals::block_all()?;
        let thread = thread::Builder::new().name(name).spawn(move || worker.run()).map_err(SpawnError::Thread);
        drop(restore);
        Ok(Self { commands, shared, thread: Some(thread?) })
    }

    /// Runs `f` in the worker, between two steps, with the context to itself, and gives its result.
    ///
    /// The worker wakes up for it: the wait is for a step or another closure that is running, not for the sampling
    /// interval. Counts are those of whole windows. A window under way goes on afterwards, unless `f` changes
    /// attributes or targets: then it is given up and the next one begins. Monitoring is held up while `f` runs; a
    /// window that gets late by it is counted as late.
    ///
    /// If `f` panics, the panic goes on in the caller. The worker lives on, with the context as `f` left it.
    ///
    /// # Errors
    /// When the worker has ended, and why; and when called from the worker itself, which would wait forever.
    pub fn with<R, F>(&self, f: F) -> Result<R, WorkerGone<O::Error>>
    where
        R: Send + 'static,
        F: FnOnce(&mut Context<O>) -> R + Send + 'static,
    {
        if self.on_worker() {
            return Err(WorkerGone::OwnThread);
        }
        let (answer, answered) = bounded(1);
        let call = move |context: &mut Context<O>| {
            let result = catch_unwind(AssertUnwindSafe(|| f(context)));
            // The caller waits for it below.
            let _ = answer.send(result);
        };
        self.send(Command::Call(Box::new(call)));
        match answered.recv() {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(self.shared.gone()),
        }
    }

    /// Adds a source of reports to the running monitor. The reporter may be used from any thread and any context, and outlive the
    /// worker.
    ///
    /// ```
    /// use damon_core::{Access, AddrRange, Attrs, Monitor, SourceSpec, TargetId, TargetSpec};
    /// use damos::{Context, Kdamond};
    /// let mut monitor = Monitor::new(Attrs::default(), 1);
    /// let slots = TargetId::new(0);
    /// monitor.add_target(TargetSpec { ranges: vec![AddrRange::new(0, 1 << 20).unwrap()], ..TargetSpec::new(slots) });
    /// let kdamond = Kdamond::spawn(Context::new(monitor, ()))?;
    /// let hits = kdamond.add_source(SourceSpec::new("hits"))?;
    /// while kdamond.with(|context| context.health().reports)? == 0 {
    ///     hits.report_access(Access::new(slots, 4_096, 64));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn add_source(&self, spec: SourceSpec) -> Result<Reporter, WorkerGone<O::Error>> {
        self.with(|context| context.add_source(spec))
    }

    /// Stops sampling and freezes ages, when it returns; closures are still run.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn pause(&self) -> Result<(), WorkerGone<O::Error>> {
        self.with(Context::pause)
    }

    /// Goes on.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn resume(&self) -> Result<(), WorkerGone<O::Error>> {
        self.with(Context::resume)
    }

    /// Ends the worker and gives the context back. Closures handed in before are still run.
    ///
    /// # Panics
    /// If the worker has ended by a panic, of the backend or of the closure given to
    /// [`spawn_with`](Self::spawn_with): it goes on here.
    ///
    /// # Errors
    /// When the worker has ended before, with an error of its backend: the context comes back beside it.
    pub fn stop(mut self) -> Result<Context<O>, StopError<O>> {
        if self.on_worker() {
            return Err(StopError::OwnThread);
        }
        match self.join() {
            Some(Ok(Ended { context, error: None })) => Ok(context),
            Some(Ok(Ended { context, error: Some(error) })) => {
                Err(StopError::Failed { context: Box::new(context), error })
            }
            Some(Err(panic)) => resume_unwind(panic),
            // Nobody but this and `drop` joins, and both have the worker to themselves.
            None => Err(StopError::OwnThread),
        }
    }
}

impl<O: Ops> Kdamond<O> {
    /// The last aggregation that ended, if there was one yet. It waits neither for the worker nor for a closure
    /// that it runs.
    ///
    /// Snapshots that nobody holds any more are written over: a program that keeps none for long costs no
    /// allocations.
    pub fn latest(&self) -> Option<Arc<Snapshot>> {
        self.shared.latest()
    }

    /// The worker has ended, by an error or a panic.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn on_worker(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| t.thread().id() == thread::current().id())
    }

    fn send(&self, command: Command<O>) {
        // Refused if the worker has ended: the command is dropped, and with it whatever waits for its answer.
        let _ = self.commands.send(command);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    fn join(&mut self) -> Option<Result<Ended<O>, Box<dyn Any + Send>>> {
        self.send(Command::Stop);
        self.thread.take().map(JoinHandle::join)
    }

    /// The thread. What only it can do for itself (affinity, priority) is done in a closure.
    pub fn thread(&self) -> Option<&Thread> {
        self.thread.as_ref().map(JoinHandle::thread)
    }
}

impl<O: Ops> fmt::Debug for Kdamond<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kdamond").field("thread", &self.thread).field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl<O: Ops> Drop for Kdamond<O> {
    /// Ends the worker and waits for it. An error or panic that it ended with is dropped too. On the worker's own
    /// thread it does not wait: the worker ends when it comes back to its loop.
    fn drop(&mut self) {
        if self.on_worker() {
            self.send(Command::Stop);
        } else {
            drop(self.join());
        }
    }
}
