//! Keeps a program's signals away from the worker thread: they would interrupt its system calls, and the program's
//! handlers expect the program's threads.

use super::SpawnError;

/// Gives the calling thread its signal mask back when it is dropped.
#[cfg(unix)]
pub(super) struct Restore(nix::sys::signal::SigSet);

#[cfg(unix)]
pub(super) fn block_all() -> Result<Restore, SpawnError> {
    use nix::sys::signal::{SigSet, SigmaskHow};
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    before.map(Restore).map_err(|e| SpawnError::Signals(e.into()))
}

#[cfg(unix)]
impl Drop for Restore {
    fn drop(&mut self) {
        // It fails for a bad argument alone, and this mask came from the system.
        let _ = self.0.thread_set_mask();
    }
}

#[cfg(not(unix))]
pub(super) struct Restore;

#[cfg(not(unix))]
pub(super) fn block_all() -> Result<Restore, SpawnError> {
    Ok(Restore)
}
