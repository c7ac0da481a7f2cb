//! What the benches share: memory to watch, and the two who watch it, a [`Monitor`](damon_core::Monitor) and a linked list.
#![forbid(unsafe_code)]

mod linked_list;
mod memory;
mod monitored;

pub use linked_list::LinkedList;
pub use memory::Memory;
pub use monitored::Monitored;

/// Sampling windows in an aggregation. Fewer than the default 20, so that adjusting is a good part of what is timed.
pub const WINDOWS: u32 = 4;

/// Somebody who watches a [`Memory`], aggregation by aggregation.
pub trait Watcher {
    /// Starts an aggregation: what the last one left to do, then the first window's samples are armed.
    fn begin_first(&mut self);
    /// The windows in between: each ends, its samples counted, and the next is armed. Gives the number of checks.
    fn windows(&mut self) -> u64;
    /// The last window ends, and with it the aggregation. Gives how many regions had been watched.
    fn end_last(&mut self) -> u64;
}
