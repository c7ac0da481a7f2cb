//! Advice about another process's memory, so many ranges a call as the kernel takes.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use damon_core::{Action, AddrRange};

use super::prio::prioritise;
use super::{Done, ProcessError, advice, supports};
use crate::linux::read_maps;
use crate::sys::{Advice, Pidfd, RANGES_MAX};

const CALL: &str = "process_madvise";
/// So often in a row a call is repeated that was only interrupted.
const PATIENCE: u32 = 8;

/// Does `action` to `ranges` of `process`: ascending, apart, of whole pages; for a collapse, each of one block of the
/// size of a huge page.
///
/// For `lru_prio`, pages that are not in memory are left out, and no error.
///
/// A range that is refused is tried again in the parts that are mapped now, one by one. A range counts as done, in
/// [`Done::size`], where the kernel took the advice about all of it; whether it followed it is for a look at the pages to
/// say.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use damon_core::{Action, AddrRange};
/// use damon_ops_vaddr::linux::{Pidfd, act};
///
/// let this = Pidfd::open(std::process::id()).unwrap();
/// let map = damon_ops_vaddr::SharedMap::new("arena", 1 << 20).unwrap();
/// let done = act::advise(&this, Action::Cold, &[map.range()]);
/// assert_eq!((done.size, done.calls), (1 << 20, 1));
/// # }
/// ```
pub fn advise(process: &Pidfd, action: Action, ranges: &[AddrRange]) -> Done {
    if action == Action::LruPrio {
        return prioritise(process, ranges);
    }
    // The kernel takes all advice about one's own memory.
    let advice = if process.pid() == std::process::id() { advice(action) } else { others(action) };
    match advice {
        Some(advice) => {
            with(process.pid(), action, ranges, |batch| process.advise(batch, advice), || mapped_now(process))
        }
        None => Done { error: supports(action, Some(process)).err().map(Into::into), ..Done::default() },
    }
}

fn others(action: Action) -> Option<Advice> {
    advice(action).filter(|advice| !matches!(advice, Advice::Hugepage | Advice::Nohugepage))
}

/// The same with a call that may fail in other ways than the kernel does today.
fn with(
    pid: u32,
    action: Action,
    ranges: &[AddrRange],
    mut call: impl FnMut(&[AddrRange]) -> io::Result<u64>,
    mapped_now: impl Fn() -> Vec<AddrRange>,
) -> Done {
    let (mut done, mut patience) = (Done::default(), PATIENCE);
    // What is still to be done; the second is what became of a range that was refused once.
    let mut rest: VecDeque<(AddrRange, bool)> = ranges.iter().map(|&range| (range, false)).collect();
    let mut mapped: Option<Vec<AddrRange>> = None;
    let mut batch = Vec::with_capacity(rest.len().min(RANGES_MAX));
    while !rest.is_empty() {
        batch.clear();
        batch.extend(rest.iter().take(RANGES_MAX).map(|&(range, _)| range));
        done.calls += 1;
        let e = match call(&batch) {
            Ok(0) => io::Error::from(io::ErrorKind::Interrupted),
            Ok(bytes) => {
                done.size += advance(&mut rest, bytes);
                patience = PATIENCE;
                continue;
            }
            Err(e) => e,
        };
        if e.kind() == io::ErrorKind::Interrupted && patience > 0 {
            patience -= 1;
            continue;
        }
        let Some((range, again)) = rest.pop_front() else { break };
        let e = ProcessError::of(CALL, pid, action, range, e);
        if e.is_final() {
            done.error.get_or_insert(e);
            break;
        }
        done.error.get_or_insert(e);
        if !again && action != Action::Collapse {
            let mapped = mapped.get_or_insert_with(&mapped_now);
            let from = mapped.partition_point(|m| m.end() <= range.start());
            let parts = mapped[from..].iter().map_while(|m| m.intersection(range));
            // A part that is all of it was refused already.
            let parts: Vec<_> = parts.filter(|&part| part != range).collect();
            parts.into_iter().rev().for_each(|part| rest.push_front((part, true)));
        }
    }
    done
}

/// Takes `bytes` off the front; how many there were.
fn advance(rest: &mut VecDeque<(AddrRange, bool)>, bytes: u64) -> u64 {
    let mut left = bytes;
    while left > 0 {
        let Some((range, again)) = rest.pop_front() else { break };
        // The kernel may stop within a range, at the most that it takes in one call.
        if let Some(tail) = range.start().checked_add(left).and_then(|at| AddrRange::new(at, range.end())) {
            rest.push_front((tail, again));
        }
        left -= left.min(range.size());
    }
    bytes - left
}

/// Empty where it cannot be read: then nothing is tried again.
fn mapped_now(process: &Pidfd) -> Vec<AddrRange> {
    let maps = read_maps(&PathBuf::from(format!("/proc/{}/maps", process.pid()))).unwrap_or_default();
    // If it still lives, these were its own.
    if process.is_alive() { maps.iter().map(|mapping| mapping.range).collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::errno;

    const PAGE: u64 = 4096;
    /// No process can have it.
    const NOBODY: u32 = u32::MAX;

    fn every_other_page(n: u64) -> Vec<AddrRange> {
        (0..n).filter_map(|i| AddrRange::from_len(i * 2 * PAGE, PAGE)).collect()
    }

    /// A kernel that takes a list up to the first range that it refuses.
    fn kernel(refuses: impl Fn(AddrRange) -> Option<i32>) -> impl FnMut(&[AddrRange]) -> io::Result<u64> {
        move |batch| {
            assert!((1..=RANGES_MAX).contains(&batch.len()));
            let taken: u64 =
                batch.iter().take_while(|&&range| refuses(range).is_none()).map(|range| range.size()).sum();
            match refuses(batch[0]) {
                Some(errno) => Err(io::Error::from_raw_os_error(errno)),
                None => Ok(taken),
            }
        }
    }

    #[test]
    fn as_many_ranges_as_a_call_takes_go_in_one() {
        let done = with(NOBODY, Action::Cold, &every_other_page(2_500), kernel(|_| None), Vec::new);
        assert_eq!((done.size, done.calls), (2_500 * PAGE, 3));
        assert!(done.error.is_none());
    }

    #[test]
    fn a_refused_range_costs_itself_alone_and_is_named() {
        let bad = 7 * 2 * PAGE;
        let refuses = move |r: AddrRange| (r.start() == bad).then_some(errno::EINVAL);
        let done = with(NOBODY, Action::Cold, &every_other_page(100), kernel(refuses), Vec::new);
        assert_eq!((done.size, done.calls), (99 * PAGE, 3));
        let error = done.error.unwrap();
        assert!(matches!(&error, ProcessError::Range { range, .. } if range.start() == bad), "{error}");
        assert!(error.to_string().contains("mlock"), "{error}");
    }

    #[test]
    fn a_refused_range_is_tried_again_in_the_parts_that_are_mapped() {
        let all = AddrRange::from_len(0, 10 * PAGE).unwrap();
        let mapped = || [(0, 4), (6, 20)].map(|(a, b)| AddrRange::new(a * PAGE, b * PAGE).unwrap()).to_vec();
        let hole = |r: AddrRange| (r.start() < 6 * PAGE && r.end() > 4 * PAGE).then_some(errno::ENOMEM);
        let done = with(NOBODY, Action::Cold, &[all], kernel(hole), mapped);
        assert_eq!((done.size, done.calls), (8 * PAGE, 2));
        assert!(matches!(done.error, Some(ProcessError::Range { range, .. }) if range == all));
        let never = |_| Some(errno::ENOMEM);
        assert_eq!(with(NOBODY, Action::Cold, &[all], kernel(never), mapped).calls, 3, "and no more than once");
    }

    #[test]
    fn a_process_that_ends_half_way_keeps_what_was_done_and_costs_no_more_calls() {
        let gone = |r: AddrRange| (r.start() >= 1_500 * 2 * PAGE).then_some(errno::ESRCH);
        let done = with(NOBODY, Action::Pageout, &every_other_page(5_000), kernel(gone), Vec::new);
        assert_eq!((done.size, done.calls), (1_500 * PAGE, 3));
        assert!(matches!(done.error, Some(ProcessError::Gone { pid: NOBODY })));
    }

    #[test]
    fn a_call_that_stops_within_a_range_is_gone_on_with_from_there() {
        let all = [AddrRange::from_len(0, 10 * PAGE).unwrap()];
        let mut starts = Vec::new();
        let done = with(
            NOBODY,
            Action::Cold,
            &all,
            |batch| {
                starts.push(batch[0].start() / PAGE);
                Ok(batch[0].size().min(4 * PAGE))
            },
            Vec::new,
        );
        assert_eq!((done.size, starts), (10 * PAGE, vec![0, 4, 8]));
    }

    #[test]
    fn a_call_that_only_ever_is_interrupted_ends() {
        let done = with(NOBODY, Action::Cold, &every_other_page(1), |_| Ok(0), Vec::new);
        assert_eq!((done.size, done.calls), (0, PATIENCE + 1));
        let error = done.error.unwrap();
        assert!(matches!(error, ProcessError::Range { .. }), "{error}");
    }

    #[test]
    fn a_kernel_that_claims_more_than_was_asked_is_not_believed() {
        let done = with(NOBODY, Action::Cold, &every_other_page(3), |_| Ok(u64::MAX), Vec::new);
        assert_eq!(done.size, 3 * PAGE);
    }

    #[test]
    fn what_is_missing_is_named_with_the_way_out() {
        for (number, word) in [(errno::EPERM, "CAP_SYS_NICE"), (errno::EACCES, "trace"), (errno::ENOSYS, "seccomp")] {
            let done = with(NOBODY, Action::Cold, &every_other_page(9), kernel(|_| Some(number)), Vec::new);
            assert_eq!((done.size, done.calls), (0, 1));
            let error = done.error.unwrap();
            assert!(matches!(error, ProcessError::NotAllowed { .. }) && error.to_string().contains(word), "{error}");
        }
    }
}
