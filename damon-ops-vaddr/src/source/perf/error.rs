//! Why nothing can be sampled, and the way out.

use std::io;

/// Why events cannot be sampled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PerfError {
    /// The hardware's unit is not there.
    #[error(
        "this machine has no performance monitoring unit {pmu:?}, but has: {there}. Virtual machines rarely get one: sample page \
         faults there, or check accesses"
    )]
    NoUnit {
        /// Its name.
        pmu: String,
        /// Those that are there.
        there: String,
    },
    /// The kernel does not permit it.
    #[error(
        "sampling {event} of {whom} is not permitted: kernel.perf_event_paranoid is {paranoid}. It takes CAP_PERFMON, or for \
         processes of one's own `sysctl kernel.perf_event_paranoid=2`, for all of a machine 0"
    )]
    Forbidden {
        /// What.
        event: String,
        /// Whose.
        whom: String,
        /// The setting, or why it cannot be read.
        paranoid: String,
    },
    /// There is no such process, or it ended meanwhile.
    #[error("process {pid} is not there: {source}")]
    NoProcess {
        /// Its pid.
        pid: u32,
        /// Why it is thought so.
        source: io::Error,
    },
    /// The unit does not know the event, or gives no addresses for it.
    #[error(
        "the kernel does not sample {event} with these settings ({source}): addresses need an event that is precise"
    )]
    Refused {
        /// What.
        event: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// It takes a descriptor for each thread and CPU.
    #[error(
        "sampling takes {needed} descriptors, one for each thread and CPU, and there are too few: raise `ulimit -n`"
    )]
    TooManyFiles {
        /// Threads times CPUs.
        needed: usize,
    },
    /// There is no memory for a ring.
    #[error(
        "a ring of {bytes} bytes for each CPU cannot be mapped: {source}. Without CAP_IPC_LOCK kernel.perf_event_mlock_kb limits \
         it: take a smaller one"
    )]
    Ring {
        /// Its size.
        bytes: usize,
        /// Why.
        source: io::Error,
    },
    /// The list of CPUs or threads cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or directory.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot {what}: {source}")]
    Other {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}
