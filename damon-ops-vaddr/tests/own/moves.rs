//! Own pages on other nodes: they move, keep their content, and are watched on.

use std::sync::atomic::Ordering::Relaxed;

use damon_core::{Action, ApplyOps, Dest, NodeId, Ops, Request};
use damon_ops_vaddr::Method;

use crate::support::{TARGET, check, lacks, samples, watched};

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
