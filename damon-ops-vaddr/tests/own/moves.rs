//! Own pages on other nodes: they move, keep their content, and are watched on.

use std::sync::atomic::Ordering::Relaxed;

use damon_core::{Action, AddrRange, ApplyOps, Dest, NodeId, Ops, Request};
use damon_ops_vaddr::{Method, Own, PrivateMap};

use crate::raw;
use crate::support::{TARGET, check, lacks, samples, watched};

const PAGE: u64 = 4_096;

#[test]
fn own_pages_move_to_another_node_and_back_while_they_are_watched() {
    for method in [Method::ZapTracked, Method::Zap, Method::WpAsync, Method::RwpAsync] {
        let Some((mut own, memory)) = watched(method, 512) else { continue };
        let mut actor = own.actor().unwrap();
        let other = u16::from(std::path::Path::new("/sys/devices/system/node/node1").exists());
        if other == 0 {
            lacks("a second node");
        }
        for node in [other, 0] {
            let dests = [Dest { node: NodeId(node), weight: 1 }];
            let req = Request::new(Action::MigrateHot, &[], &dests);
            if let Err(e) = actor.supports(Some(TARGET), &req) {
                return lacks(&e.to_string());
            }
            let mut window = samples([memory.addr(9), memory.addr(300)]);
            own.arm(&window).unwrap();
            let done = actor.apply(TARGET, memory.range(), &req);
            assert!(done.error.is_none(), "{method}: {:?}", done.error);
            // What was armed by dropping it from the page table is not in it, and stays.
            assert!(done.size >= 510 * 4096 && done.filter_passed == 512 * 4096, "{method}: {}", done.size);
            (0..512).for_each(|n| assert_eq!(memory.page(n).load(Relaxed), 1, "{method}"));
            assert!(actor.verify(TARGET, memory.range(), &req).unwrap() >= Some(510 * 4096), "{method}");
            check(&mut own, &mut window);
            own.arm(&window).unwrap();
            memory.page(300).store(1, Relaxed);
            check(&mut own, &mut window);
            assert!(!window[0].seen.is_access() && window[1].seen.is_access(), "{method}: {window:?}");
        }
    }
}

#[test]
fn own_memory_that_was_bound_to_a_node_stays_there_unless_policies_are_ignored() {
    if !std::path::Path::new("/sys/devices/system/node/node1").exists() {
        return lacks("a second node");
    }
    let map = PrivateMap::new(64 * PAGE as usize).unwrap();
    let _ = map.advise_huge(false);
    map.atomics().iter().for_each(|word| word.store(1, Relaxed));
    let bound = AddrRange::from_len(map.range().start() + 16 * PAGE, 32 * PAGE).unwrap();
    raw::mbind(bound, raw::BIND, 1).unwrap();
    let mut own = Own::new(TARGET).unwrap();
    if let Err(e) = own.watch_private(map.range()) {
        return lacks(&e.to_string());
    }
    let mut actor = own.actor().unwrap();
    let dests = [Dest { node: NodeId(1), weight: 1 }];
    let req = Request::new(Action::MigrateCold, &[], &dests);
    if let Err(e) = actor.supports(Some(TARGET), &req) {
        return lacks(&e.to_string());
    }
    let done = actor.apply(TARGET, map.range(), &req);
    assert!(done.error.is_none(), "{:?}", done.error);
    assert_eq!((done.size, done.filter_passed, actor.left_alone().policy), (32 * PAGE, 32 * PAGE, 32 * PAGE));
    assert_eq!(actor.verify(TARGET, bound, &req).unwrap(), Some(0));
    actor.ignore_policies(true);
    assert_eq!(actor.apply(TARGET, bound, &req).size, 32 * PAGE);
}
