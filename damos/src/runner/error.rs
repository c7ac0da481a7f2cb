//! What can go wrong with a worker, one type per operation.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use damon_core::Ops;

use crate::context::{Context, StepError};

/// Why no worker was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The system gave no thread.
    #[error("no thread for the monitor")]
    Thread(#[source] io::Error),
    /// Signals could not be blocked around its start.
    #[error("signals could not be blocked for the monitor's thread")]
    Signals(#[source] io::Error),
}

/// Why a worker did not run a closure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerGone<E: Error + 'static> {
    /// It has ended with an error of its backend. `stop` gives the context back.
    #[error("the monitor's thread has ended")]
    Failed(#[source] Arc<StepError<E>>),
    /// It has ended by a panic, of its backend or of the closure that it calls at aggregations.
    #[error("the monitor's thread has panicked")]
    Panicked,
    /// It is the calling thread itself, which would wait for its own answer: use the context that the closure was
    /// given.
    #[error("called on the monitor's own thread, which would wait for itself; use the context the closure was given")]
    OwnThread,
}

/// Why a worker could not be stopped in good order.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StopError<O: Ops> {
    /// It had ended before, with an error of its backend.
    #[error("the monitor's thread had ended before")]
    Failed {
        /// What it stepped. It may be stepped again, or given to another worker, once the cause is gone.
        context: Box<Context<O>>,
        /// What was wrong. Closures that came too late were told, too.
        #[source]
        error: Arc<StepError<O::Error>>,
    },
    /// It is the calling thread itself, which cannot wait for its own end. It ends when it comes back to its loop.
    #[error("stopped on the monitor's own thread, which cannot wait for itself")]
    OwnThread,
}

// By hand, so that a backend need not be `Debug` to be stopped with `?`.
impl<O: Ops> fmt::Debug for StopError<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { error, .. } => f.debug_struct("Failed").field("error", error).finish_non_exhaustive(),
            Self::OwnThread => f.write_str("OwnThread"),
        }
    }
}
