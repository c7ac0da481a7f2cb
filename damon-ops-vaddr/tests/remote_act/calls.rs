//! The calls themselves: batches, what they count, what they leave.

use damon_core::{Action, AddrRange, Dest, NodeId};
use damon_ops_vaddr::linux::act::{self, ProcessError, Run};
use damon_ops_vaddr::linux::{PageFlags, Pidfd};

use crate::child::Child;
use crate::support::{PAGE, flagged, has_node_1, has_swap, is_root, lacks, part, resident, swapped, turn};

const fn to(node: u16, weight: u32) -> Dest {
    Dest { node: NodeId(node), weight }
}

fn small(range: AddrRange) -> [Run; 1] {
    [Run { range, page: PAGE }]
}

/// Every other page.
fn scattered(range: AddrRange) -> Vec<AddrRange> {
    (0..range.size() / PAGE).step_by(2).map(|n| part(range, n, 1)).collect()
}

#[test]
fn pages_go_to_swap_and_come_back_as_they_were() {
    let _turn = turn();
    if !is_root() || !has_swap() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(1_024 * PAGE), Pidfd::open(child.pid()).unwrap());
    let out = part(range, 0, 512);
    let done = act::advise(&pidfd, Action::Pageout, &[out]);
    assert_eq!((done.size, done.calls), (512 * PAGE, 1), "{:?}", done.error);
    // Pages that are in some CPU's batch at the moment stay.
    assert!(swapped(child.pid(), out) >= 384, "{}", swapped(child.pid(), out));
    assert_eq!(swapped(child.pid(), part(range, 512, 512)), 0, "beyond the range");
    assert!(child.is_intact(range));
    assert_eq!(resident(child.pid(), range), 1_024);
}

#[test]
fn cold_pages_are_on_no_active_list_and_their_neighbours_stay() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(512 * PAGE), Pidfd::open(child.pid()).unwrap());
    let active = |range| flagged(child.pid(), range, PageFlags::ACTIVE);
    // What is read twice as the kernel reads for others goes to the active list, a batch at a time.
    for addr in crate::support::addrs(range).chain(crate::support::addrs(range)) {
        crate::raw::read_of(child.pid(), addr).unwrap();
    }
    assert!(active(range) >= 380, "{}", active(range));
    let done = act::advise(&pidfd, Action::Cold, &[part(range, 128, 256)]);
    assert_eq!(done.size, 256 * PAGE, "{:?}", done.error);
    assert!(active(part(range, 128, 256)) <= 64, "{}", active(part(range, 128, 256)));
    assert!(active(part(range, 0, 128)) + active(part(range, 384, 128)) >= 128);
    assert!(child.is_intact(range));
}

#[test]
fn prioritised_pages_are_active_and_what_is_in_swap_stays_there() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(1_024 * PAGE), Pidfd::open(child.pid()).unwrap());
    if has_swap() {
        let _ = act::advise(&pidfd, Action::Pageout, &[part(range, 0, 256)]);
    }
    let (out, there) = (swapped(child.pid(), range), resident(child.pid(), range));
    let done = act::advise(&pidfd, Action::LruPrio, &[part(range, 0, 512), part(range, 768, 256)]);
    assert!(done.error.is_none(), "{:?}", done.error);
    assert_eq!((done.size, done.calls), ((there - 256) * PAGE, 2));
    assert_eq!(swapped(child.pid(), range), out, "nothing was brought in");
    let active = |range| flagged(child.pid(), range, PageFlags::ACTIVE);
    // The last of them are in a CPU's batch.
    assert!(active(part(range, 768, 256)) >= 128, "{}", active(part(range, 768, 256)));
    assert_eq!(active(part(range, 512, 256)), 0);
    assert!(child.is_intact(range));
    let untouched = child.untouched(64 * PAGE);
    assert_eq!(act::advise(&pidfd, Action::LruPrio, &[untouched]).size, 0);
    assert_eq!(resident(child.pid(), untouched), 0, "no page was made");
}

#[test]
fn a_thousand_ranges_take_one_call() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(4_096 * PAGE), Pidfd::open(child.pid()).unwrap());
    let done = act::advise(&pidfd, Action::Cold, &scattered(range));
    assert_eq!((done.size, done.calls), (2_048 * PAGE, 2), "{:?}", done.error);
}

#[test]
fn a_hole_and_locked_memory_cost_themselves_alone() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(256 * PAGE), Pidfd::open(child.pid()).unwrap());
    child.about("unmap", part(range, 100, 10));
    let done = act::advise(&pidfd, Action::Cold, &[range]);
    assert_eq!(done.size, 246 * PAGE);
    let error = done.error.unwrap();
    assert!(matches!(&error, ProcessError::Range { range: whole, .. } if *whole == range), "{error}");
    assert!(error.to_string().contains("no longer mapped"), "{error}");
    // Locked: the mapping is three now.
    assert_eq!(child.about("lock", part(range, 10, 5)), 0);
    let done = act::advise(&pidfd, Action::Cold, &[part(range, 0, 50), part(range, 50, 50)]);
    assert_eq!(done.size, 95 * PAGE);
    assert!(done.error.unwrap().to_string().contains("mlock"));
    assert!(child.is_intact(part(range, 0, 100)) && child.is_intact(part(range, 110, 146)));
}

#[test]
fn a_process_that_has_ended_is_said_to_be_gone_even_as_a_zombie() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(16 * PAGE), Pidfd::open(child.pid()).unwrap());
    child.end();
    let gone = |e: Option<ProcessError>| matches!(e, Some(ProcessError::Gone { pid }) if pid == child.pid());
    assert!(!pidfd.is_alive());
    assert!(gone(act::advise(&pidfd, Action::Cold, &[range]).error));
    assert!(gone(act::migrate(&pidfd, &small(range), &[to(0, 1)], false).error));
    assert!(gone(act::nodes_of(&pidfd, &[range.start()]).err()));
}

#[test]
fn pages_move_to_the_other_node_and_back_by_weight() {
    let _turn = turn();
    if !is_root() || !has_node_1() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(1_200 * PAGE), Pidfd::open(child.pid()).unwrap());
    let addrs: Vec<u64> = crate::support::addrs(range).collect();
    let on = |node| act::nodes_of(&pidfd, &addrs).unwrap().iter().filter(|n| **n == Some(NodeId(node))).count();
    assert_eq!((on(0), on(1)), (1_200, 0));
    let all = act::migrate(&pidfd, &small(range), &[to(1, 1)], false);
    assert_eq!((all.size, all.calls, on(1)), (1_200 * PAGE, 3, 1_200), "{:?}", all.error);
    assert!(child.is_intact(range));
    // Three of four to node 0; what is there already counts, and stays.
    for _ in 0..2 {
        let done = act::migrate(&pidfd, &small(range), &[to(0, 3), to(1, 1)], false);
        assert_eq!((done.size, on(0), on(1)), (1_200 * PAGE, 900, 300), "{:?}", done.error);
    }
    assert!(child.is_intact(range));
}

#[test]
fn what_others_map_too_moves_only_if_that_is_wanted() {
    let _turn = turn();
    if !is_root() || !has_node_1() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(64 * PAGE), Pidfd::open(child.pid()).unwrap());
    let forked = child.tell("fork");
    let done = act::migrate(&pidfd, &small(range), &[to(1, 1)], false);
    assert_eq!(done.size, 0);
    let error = done.error.unwrap();
    assert!(matches!(error, ProcessError::Pages { pages: 64, .. }), "{error}");
    assert!(error.to_string().contains("others map it too"), "{error}");
    assert_eq!(act::migrate(&pidfd, &small(range), &[to(1, 1)], true).size, 64 * PAGE);
    crate::raw::kill(forked as u32);
}

#[test]
fn a_hole_does_not_keep_the_pages_around_it_from_moving() {
    let _turn = turn();
    if !is_root() || !has_node_1() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(64 * PAGE), Pidfd::open(child.pid()).unwrap());
    child.about("unmap", part(range, 20, 4));
    let done = act::migrate(&pidfd, &small(range), &[to(1, 1)], false);
    assert_eq!(done.size, 60 * PAGE);
    assert!(done.error.is_none(), "{:?}", done.error);
}

#[test]
fn a_node_that_is_none_is_named() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(4 * PAGE), Pidfd::open(child.pid()).unwrap());
    let error = act::migrate(&pidfd, &small(range), &[to(60, 1)], false).error.unwrap();
    assert!(matches!(error, ProcessError::Node { node: NodeId(60), .. }), "{error}");
    assert!(error.to_string().contains("has_memory"), "{error}");
}

#[test]
fn a_full_node_takes_what_fits_and_the_rest_is_counted_where_it_is() {
    let _turn = turn();
    if !is_root() || !has_node_1() {
        return;
    }
    // Node 1 has 256 MiB.
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(300 << 20), Pidfd::open(child.pid()).unwrap());
    // Or else it would swap.
    assert_eq!(child.about("lock", range), 0);
    let done = act::migrate(&pidfd, &small(range), &[to(1, 1)], false);
    let addrs: Vec<u64> = crate::support::addrs(range).collect();
    let there = act::nodes_of(&pidfd, &addrs).unwrap().iter().filter(|n| **n == Some(NodeId(1))).count() as u64;
    assert!(done.size < range.size() && done.error.is_some());
    // Reclaim may have taken pages from it since.
    assert!((done.size / PAGE).abs_diff(there) <= 2_048, "{} said, {there} there", done.size / PAGE);
    assert!(child.is_intact(range));
}

#[test]
fn collapsing_makes_huge_pages_of_whole_blocks() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    let mut child = Child::new();
    let (range, pidfd) = (child.anon(4 * crate::support::HUGE), Pidfd::open(child.pid()).unwrap());
    if act::supports(Action::Collapse, Some(&pidfd)).is_err() {
        return lacks("MADV_COLLAPSE");
    }
    let blocks = [part(range, 512, 512), part(range, 1_024, 512)];
    let done = act::advise(&pidfd, Action::Collapse, &blocks);
    // Small pages were advised: the child's own wish goes first, and is an answer.
    assert!(done.size == 2 * crate::support::HUGE || done.error.is_some());
    assert!(child.is_intact(range));
    let range = child.huge(2 * crate::support::HUGE);
    let done = act::advise(&pidfd, Action::Collapse, &[part(range, 0, 512), part(range, 512, 512)]);
    assert_eq!(done.size, 2 * crate::support::HUGE, "{:?}", done.error);
    assert_eq!(crate::support::smaps_kib(child.pid(), range.start(), "AnonHugePages:"), Some(4 << 10));
    assert!(child.is_intact(range));
}
