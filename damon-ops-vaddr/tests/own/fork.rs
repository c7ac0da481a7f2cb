//! A child process: its memory is not what is watched, and nothing it does or is refused harms the parent.

use std::sync::atomic::Ordering::Relaxed;

use damon_core::{Fault, Ops, Seen};
use damon_ops_vaddr::{Method, OwnError};

use crate::raw;
use crate::support::{PAGE, check, samples, watched};

#[test]
fn a_child_is_refused_and_neither_side_is_harmed() {
    for method in Method::ALL {
        let Some((mut own, memory)) = watched(method, 64) else { continue };
        let mut window = samples([memory.addr(1), memory.addr(20), memory.addr(40)]);
        own.arm(&window).unwrap();
        let child = raw::in_child(|| {
            let refused = matches!(own.arm(&window), Err(OwnError::Forked(_)));
            let readable = (0..64).all(|n| memory.page(n).load(Relaxed) == 1);
            // Writes to armed pages, on the child's side of private memory.
            memory.write(1);
            i32::from(!(refused && readable && memory.page(1).load(Relaxed) == 2))
        });
        assert_eq!(child, 0, "{method}");
        let value = if method.is_for_shared() { 2 } else { 1 };
        memory.write(40);
        check(&mut own, &mut window);
        assert_eq!((window[1].seen, window[2].seen.is_access()), (Seen::Idle, true), "{method}");
        // The child's accesses are another process's.
        assert_eq!(window[0].seen, Seen::Idle, "{method}");
        assert_eq!(memory.page(1).load(Relaxed), value, "{method}");
    }
}

#[test]
fn a_child_that_drops_everything_leaves_the_parents_watch_alone() {
    for method in Method::ALL {
        let Some((own, memory)) = watched(method, 64) else { continue };
        let shared = raw::map(None, 64 * PAGE, raw::SHARED_ANONYMOUS, None).unwrap();
        let mut slot = Some(own);
        let guard = slot.as_mut().filter(|_| method.is_for_shared()).map(|own| raw::watch(own, shared).unwrap());
        let mut slots = (slot, guard);
        let child = raw::in_child(|| {
            drop(slots.1.take());
            drop(slots.0.take());
            0
        });
        assert_eq!(child, 0);
        let (Some(mut own), guard) = slots else { continue };
        let mut addrs = vec![memory.addr(3), memory.addr(30)];
        if guard.is_some() {
            // Zapping alone does not look at the first 64 KiB of what starts in between.
            addrs.push(shared.start() + 32 * PAGE);
        }
        addrs.sort_unstable();
        let mut window = samples(addrs);
        own.arm(&window).unwrap();
        memory.write(3);
        check(&mut own, &mut window);
        for s in window {
            assert_eq!(s.seen.is_access(), s.addr == memory.addr(3), "{method} {s:?}");
            assert_ne!(s.seen, Seen::Unknown, "{method} {s:?}");
        }
        drop(guard);
        raw::unmap(shared);
    }
}

#[test]
fn only_what_may_pass_is_worth_another_try() {
    let Some((own, _)) = watched(Method::WpAsync, 4) else { return };
    let io = |kind: std::io::ErrorKind| OwnError::Io { what: "arm", at: String::new(), source: kind.into() };
    use std::io::ErrorKind::{Interrupted, InvalidInput, OutOfMemory, WouldBlock};
    for kind in [Interrupted, WouldBlock, OutOfMemory] {
        assert_eq!(own.fault(&io(kind)), Fault::Transient);
    }
    assert_eq!(own.fault(&io(InvalidInput)), Fault::Fatal);
}
