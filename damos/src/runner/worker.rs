//! What runs in the thread: step, publish, wait for the time or a command.

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use damon_core::{Next, Ops, Snapshot, View};
use parking_lot::Mutex;

use super::WorkerGone;
use crate::clock::{Clock, thread_cpu_time};
use crate::context::{Context, StepError};

pub(super) type Call<O> = Box<dyn FnOnce(&mut Context<O>) + Send>;

pub(super) enum Command<O> {
    Call(Call<O>),
    Stop,
}

/// What the thread leaves behind.
pub(super) struct Ended<O: Ops> {
    pub(super) context: Context<O>,
    pub(super) error: Option<Arc<StepError<O::Error>>>,
}

/// What both sides see. Each lock is held for a move or a clone only.
#[derive(Debug)]
pub(super) struct Shared<E: Error + 'static> {
    latest: Mutex<Option<Arc<Snapshot>>>,
    error: Mutex<Option<Arc<StepError<E>>>>,
}

impl<E: Error + 'static> Default for Shared<E> {
    fn default() -> Self {
        Self { latest: Mutex::new(None), error: Mutex::new(None) }
    }
}

impl<E: Error + 'static> Shared<E> {
    pub(super) fn latest(&self) -> Option<Arc<Snapshot>> {
        self.latest.lock().clone()
    }

    /// Why the worker, which no longer answers, has ended. Its error is stored before its channel closes.
    pub(super) fn gone(&self) -> WorkerGone<E> {
        self.error.lock().clone().map_or(WorkerGone::Panicked, WorkerGone::Failed)
    }
}

pub(super) struct Worker<O: Ops, F> {
    context: Context<O>,
    inbox: Receiver<Command<O>>,
    shared: Arc<Shared<O::Error>>,
    look: F,
    clock: Clock,
    /// CPU time of this thread that was not spent on monitoring.
    closures_cpu: Duration,
    /// The snapshot before the latest: its buffers become the next one's if nobody has kept it.
    spare: Option<Arc<Snapshot>>,
}

impl<O: Ops, F: FnMut(&Context<O>)> Worker<O, F> {
    pub(super) fn new(
        context: Context<O>,
        inbox: Receiver<Command<O>>,
        shared: Arc<Shared<O::Error>>,
        look: F,
    ) -> Self {
        Self { context, inbox, shared, look, clock: Clock::new(), closures_cpu: Duration::ZERO, spare: None }
    }

    pub(super) fn run(mut self) -> Ended<O> {
        self.context.hand_over();
        let error = loop {
            match self.step() {
                Ok(next) => {
                    if !self.wait(next) {
                        break None;
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    *self.shared.error.lock() = Some(Arc::clone(&error));
                    break Some(error);
                }
            }
        };
        Ended { context: self.context, error }
    }

    fn step(&mut self) -> Result<Next, StepError<O::Error>> {
        let Self { context, shared, look, clock, closures_cpu, spare, .. } = self;
        let cpu_used = thread_cpu_time().saturating_sub(*closures_cpu);
        context.step_with(clock.now(), cpu_used, |context| {
            publish(&context.view(), shared, spare);
            let before = thread_cpu_time();
            look(context);
            *closures_cpu += thread_cpu_time().saturating_sub(before);
        })
    }

    /// Until it is time, or commands were carried out; false if the worker shall stop.
    ///
    /// Commands that wait are carried out even if it is time already, but no more than are there: neither can a
    /// stream of commands hold up windows, nor windows without a pause commands.
    fn wait(&mut self, next: Next) -> bool {
        let deadline = match next {
            Next::At(at) => self.clock.to_std(at),
            _ => None,
        };
        match self.receive(deadline) {
            None => return true,
            Some(Command::Stop) => return false,
            Some(Command::Call(call)) => self.call(call),
        }
        for _ in 0..self.inbox.len() {
            match self.inbox.try_recv() {
                Ok(Command::Call(call)) => self.call(call),
                Ok(Command::Stop) => return false,
                Err(_) => break,
            }
        }
        true
    }

    /// The next command; `None` at the deadline. Whoever sends one unparks this thread afterwards: a channel's own
    /// wait spins before it sleeps, which would be a fifth of what waking up for a window costs.
    fn receive(&self, deadline: Option<std::time::Instant>) -> Option<Command<O>> {
        loop {
            match self.inbox.try_recv() {
                Ok(command) => return Some(command),
                Err(TryRecvError::Disconnected) => return Some(Command::Stop),
                Err(TryRecvError::Empty) => {}
            }
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
    }

    fn call(&mut self, call: Call<O>) {
        let before = thread_cpu_time();
        call(&mut self.context);
        self.closures_cpu += thread_cpu_time().saturating_sub(before);
    }
}

/// Makes a finished aggregation the latest snapshot.
fn publish<E: Error + 'static>(view: &View<'_>, shared: &Shared<E>, spare: &mut Option<Arc<Snapshot>>) {
    let mut next = spare.take().unwrap_or_default();
    match Arc::get_mut(&mut next) {
        Some(free) => view.copy_into(free),
        None => next = Arc::new(view.snapshot()),
    }
    *spare = shared.latest.lock().replace(next);
}
