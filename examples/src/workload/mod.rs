//! Memory with hot sets that move, and the threads that touch it.

mod schedule;

pub use schedule::Schedule;
