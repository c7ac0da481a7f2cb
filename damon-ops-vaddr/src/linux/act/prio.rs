//! Moving another process's pages to the warm end of their LRU list, for which there is no call: they are read twice, as a
//! debugger reads, and the kernel activates what it was asked for twice.
//!
//! Counterpart: `damon_pa_mark_accessed` (`mm/damon/paddr.c`, Linux 7.3), by `process_vm_readv(2)`.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use damon_core::{Action, AddrRange};

use super::{Done, ProcessError};
use crate::linux::ProcessPagemap;
use crate::sys::{Pidfd, RANGES_MAX, errno, page_size, read_bytes};

const CALL: &str = "process_vm_readv";
/// Pages in memory are read in microseconds each. What takes so long waits for somebody: a userfaultfd, a file system.
const PATIENCE: Duration = Duration::from_secs(1);
/// Readers that wait for somebody else at once, at most.
const STUCK_MAX: u32 = 4;

static STUCK: AtomicU32 = AtomicU32::new(0);

/// Reads the pages of `ranges` that are in memory now, twice. Those that are not are left out: reading would bring them in.
///
/// A page may leave memory, or be one whose faults a program handles, between the look and the read: reading waits
/// then, and cannot be interrupted. So another thread reads, and if that does not come back it is given up; it ends with the
/// wait, or the process.
pub(super) fn prioritise(process: &Pidfd, ranges: &[AddrRange]) -> Done {
    let (mut done, pid, page) = (Done::default(), process.pid(), page_size());
    let resident = match resident(process, ranges, page) {
        Ok(resident) => resident,
        Err(e) => return Done { error: Some(e), ..done },
    };
    for batch in resident.chunks(RANGES_MAX) {
        if !process.is_alive() {
            done.error.get_or_insert(ProcessError::Gone { pid });
            break;
        }
        done.calls += 2;
        match twice(pid, batch.to_vec()) {
            Ok(read) => {
                done.size += read as u64 * page;
                if let Some(&addr) = batch.get(read) {
                    let range = AddrRange::from_len(addr, page);
                    let refused = io::Error::from_raw_os_error(errno::EFAULT);
                    done.error = done.error.or(range.map(|r| ProcessError::of(CALL, pid, Action::LruPrio, r, refused)));
                }
            }
            Err(e) => {
                done.error.get_or_insert(e);
                break;
            }
        }
    }
    done
}

/// The addresses of the pages that are in memory.
fn resident(process: &Pidfd, ranges: &[AddrRange], page: u64) -> Result<Vec<u64>, ProcessError> {
    let pid = process.pid();
    let opened = ProcessPagemap::open(format!("/proc/{pid}/pagemap").into(), page);
    // If it still lives, the pid was its own when the file was opened.
    if !process.is_alive() {
        return Err(ProcessError::Gone { pid });
    }
    let not_allowed = |e: crate::linux::FileError| ProcessError::NotAllowed { pid, call: "pagemap", source: e.source };
    let (mut pagemap, mut out, mut entries) = (opened.map_err(not_allowed)?, Vec::new(), Vec::new());
    for range in ranges {
        let addrs = || (range.start()..range.end()).step_by(page as usize);
        pagemap.entries(addrs(), &mut entries).map_err(not_allowed)?;
        out.extend(addrs().zip(&entries).filter(|(_, e)| e.is_some_and(|e| e.present())).map(|(addr, _)| addr));
    }
    Ok(out)
}

/// Reads all of `addrs` twice; how many from the first one on could be.
fn twice(pid: u32, addrs: Vec<u64>) -> Result<usize, ProcessError> {
    let range = addrs.first().and_then(|&addr| AddrRange::from_len(addr, page_size()));
    let read = move || read_bytes(pid, &addrs).and_then(|n| Ok(n.min(read_bytes(pid, &addrs[..n])?)));
    match elsewhere(PATIENCE, read) {
        Some(Ok(n)) => Ok(n),
        Some(Err(e)) if e.raw_os_error() == Some(errno::EFAULT) => Ok(0),
        Some(Err(e)) => {
            Err(range
                .map_or(ProcessError::Gone { pid }, |range| ProcessError::of(CALL, pid, Action::LruPrio, range, e)))
        }
        None => Err(ProcessError::Stuck { pid }),
    }
}

/// Does `work` in another thread, and gives that up after `patience`, or at once where too many wait already: `None`.
fn elsewhere<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Option<io::Result<T>> {
    if STUCK.load(Ordering::Relaxed) >= STUCK_MAX {
        return None;
    }
    // Whoever comes second, the worker or who gives it up, sees that the other one came first.
    let over = Arc::new(AtomicBool::new(false));
    let (answer, answered) = mpsc::channel();
    let by_worker = Arc::clone(&over);
    let worker = move || {
        let result = work();
        if by_worker.swap(true, Ordering::Relaxed) {
            STUCK.fetch_sub(1, Ordering::Relaxed);
        }
        // Nobody waits any more where it was given up.
        let _ = answer.send(result);
    };
    if let Err(e) = std::thread::Builder::new().name("damon-lru-prio".into()).spawn(worker) {
        return Some(Err(e));
    }
    answered.recv_timeout(patience).ok().or_else(|| {
        STUCK.fetch_add(1, Ordering::Relaxed);
        if over.swap(true, Ordering::Relaxed) {
            STUCK.fetch_sub(1, Ordering::Relaxed);
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_waits_is_given_up_and_only_so_many_may_wait() {
        let waits = || {
            let (release, released) = mpsc::channel::<()>();
            let work = move || released.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe));
            assert!(elsewhere(Duration::from_millis(5), work).is_none());
            release
        };
        let held: Vec<_> = (0..STUCK_MAX).map(|_| waits()).collect();
        assert!(elsewhere(Duration::from_secs(60), || Ok(7)).is_none(), "one more might wait too");
        drop(held);
        while STUCK.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        assert!(matches!(elsewhere(Duration::from_secs(60), || Ok(7)), Some(Ok(7))));
    }
}
