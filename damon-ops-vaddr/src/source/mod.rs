//! Where accesses are reported from, instead of being checked: small adapters that own a descriptor and a thread and feed a
//! [`Reporter`](damon_core::Reporter).
//!
//! | source | what it sees | of whom |
//! |---|---|---|
//! | [`perf`] | page faults with their addresses; accesses sampled by the hardware where there is any for it | a process, or all |
//! | [`uffd`] | the first touch of each page of a shared mapping since it was dropped from the page table | this process, or a guest in it |
//!
//! A source never makes the monitor wait: it reports from its own thread, what does not fit is lost and counted, and
//! dropping it ends the thread. A monitor that is gone ends it too.

pub mod perf;
pub mod uffd;
