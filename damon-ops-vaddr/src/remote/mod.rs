//! Other processes' memory.

mod act;
mod known;
mod verify;

pub use act::{RemoteActError, RemoteActor};
