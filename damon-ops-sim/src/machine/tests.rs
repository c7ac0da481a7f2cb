use std::time::Duration;

use damon_core::{
    Action, AddrRange, ApplyOps, Bp, Dest, Filter, Metric, Metrics, NodeId, PageFilter, Request, TargetId,
};

use super::*;
use crate::memory::Mapping;
use crate::workload::{Blocks, Heat};

const ID: TargetId = TargetId::new(0);
const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const PAGEOUT: Request<'static> = Request::new(Action::Pageout, &[], &[]);

fn range(start: u64, end: u64) -> AddrRange {
    AddrRange::new(start * MIB, end * MIB).unwrap()
}

/// 64 MiB, of which the first 16 are accessed at `hz`; nodes 0 and 1 of 48 MiB each.
fn machine(hz: f64) -> (Machine, Clock) {
    let clock = Clock::new();
    let nodes = [0, 1].map(|n| Node { id: NodeId(n), bytes: 48 * MIB });
    let machine = Machine::new(3, &clock, &nodes, Costs::default());
    let anon = Mapping { has: vec![PageFilter::Anon], ..Mapping::new(range(0, 32)) };
    let heat = Heat::reads(range(0, 16), hz);
    machine.insert(ID, vec![anon, Mapping::new(range(32, 64))], Blocks::new([heat])).unwrap();
    (machine, clock)
}

#[test]
fn what_is_paged_out_comes_back_where_it_is_accessed_and_the_workload_waits() {
    let (mut m, clock) = machine(1_000.0);
    let applied = m.apply(ID, range(0, 64), &PAGEOUT);
    let pages = 64 * MIB / 4096;
    assert_eq!((applied.size, applied.filter_passed, applied.error), (64 * MIB, 64 * MIB, None));
    assert_eq!(applied.took, Duration::from_nanos(17_045) * pages as u32);
    assert_eq!(m.verify(ID, range(0, 64), &PAGEOUT), Ok(Some(64 * MIB)));

    clock.advance(SECOND);
    let usage = m.usage();
    assert_eq!((usage.refaults, usage.paged_out), (pages / 4, pages));
    assert_eq!(usage.stalled, Duration::from_micros(6) * (pages / 4) as u32);
    assert_eq!(m.verify(ID, range(0, 64), &PAGEOUT), Ok(Some(48 * MIB)));
    clock.advance(SECOND);
    assert_eq!(m.usage().since(&usage).refaults, 0, "what is resident does not fault");
    assert_eq!(m.usage().since(&usage).saved(), Bp(7_500));
}

#[test]
fn faults_do_not_depend_on_how_often_one_looks() {
    let faults = |steps: u32| {
        let (mut m, clock) = machine(0.5);
        let _ = m.apply(ID, range(0, 64), &PAGEOUT);
        for _ in 0..steps {
            clock.advance(SECOND / steps);
            m.usage();
        }
        m.usage().refaults as f64
    };
    let expected = 4096.0 * 0.393_469;
    for steps in [1, 10, 1_000] {
        assert!((faults(steps) / expected - 1.0).abs() < 0.05, "{steps}: {} of {expected}", faults(steps));
    }
}

#[test]
fn a_page_that_is_out_is_not_paged_out_again() {
    let (mut m, _) = machine(0.0);
    let _ = m.apply(ID, range(0, 32), &PAGEOUT);
    assert_eq!(m.apply(ID, range(0, 64), &PAGEOUT).size, 32 * MIB);
    let back = m.apply(ID, range(0, 64), &Request::new(Action::Willneed, &[], &[]));
    assert_eq!((back.size, back.took), (64 * MIB, Duration::from_nanos(45 + 6_000) * 16_384));
    assert_eq!(m.usage().refaults, 0, "nobody waited for it");
}

#[test]
fn filters_decide_by_mapping_and_by_list() {
    let (mut m, _) = machine(0.0);
    let no_anon = [Filter { page: PageFilter::Anon, matching: true, allow: false }];
    let applied = m.apply(ID, range(16, 48), &Request::new(Action::Pageout, &no_anon, &[]));
    assert_eq!((applied.size, applied.filter_passed), (16 * MIB, 16 * MIB));
    let _ = m.apply(ID, range(0, 8), &Request::new(Action::LruPrio, &[], &[]));
    let active = [Filter { page: PageFilter::Active, matching: true, allow: true }];
    let stat = m.apply(ID, range(0, 64), &Request::new(Action::Stat, &active, &[]));
    assert_eq!((stat.size, stat.filter_passed), (0, 8 * MIB));
}

#[test]
fn memory_fills_the_first_node_and_migrates_as_far_as_there_is_room() {
    let (mut m, _) = machine(0.0);
    let used = |m: &mut Machine| [0, 1].map(|n| m.read(Metric::NodeMemUsedBp(NodeId(n))).unwrap());
    assert_eq!(used(&mut m), [10_000, 3_334]);
    let to = |node, weight| Dest { node: NodeId(node), weight };
    let dests = [to(1, 1)];
    let demote = Request::new(Action::MigrateCold, &[], &dests);
    assert_eq!(m.apply(ID, range(0, 48), &demote).size, 32 * MIB, "no more than there is room for");
    assert_eq!(m.verify(ID, range(0, 48), &demote), Ok(Some(32 * MIB)));
    assert_eq!(m.read(Metric::Promotions), Ok(0));
    let dests = [to(0, 3), to(1, 1)];
    let spread = m.apply(ID, range(0, 16), &Request::new(Action::MigrateHot, &[], &dests));
    assert_eq!((spread.size, m.read(Metric::Promotions)), (12 * MIB, Ok(12 * 256)));
}

#[test]
fn metrics_tell_what_there_is_and_take_what_there_is_not() {
    let (mut m, clock) = machine(1_000.0);
    assert_eq!(m.read(Metric::FreeMemRatePermille), Ok(333));
    let _ = m.apply(ID, range(0, 64), &PAGEOUT);
    assert_eq!(m.read(Metric::FreeMemRatePermille), Ok(1_000));
    clock.advance(SECOND);
    assert_eq!((m.read(Metric::Refaults), m.read(Metric::SomeMemPsiUs)), (Ok(4_096), Ok(4_096 * 6)));
    let _ = m.apply(ID, range(0, 4), &Request::new(Action::LruPrio, &[], &[]));
    assert_eq!([Metric::ActiveMemBp, Metric::InactiveMemBp].map(|x| m.read(x).unwrap()), [2_500, 7_500]);
    assert!(m.read(Metric::CpuLoadBp).is_err());
    m.set_input(Metric::CpuLoadBp, 7);
    assert_eq!(m.read(Metric::CpuLoadBp), Ok(7));
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let (mut m, _) = machine(0.0);
    let nowhere = [Dest { node: NodeId(9), weight: 1 }];
    let young = [Filter { page: PageFilter::Young, matching: true, allow: false }];
    for bad in [
        Request::new(Action::Collapse, &[], &[]),
        Request::new(Action::MigrateHot, &[], &[]),
        Request::new(Action::MigrateHot, &[], &nowhere),
        Request::new(Action::Pageout, &young, &[]),
    ] {
        assert!(m.supports(None, &bad).is_err());
        assert_eq!(m.apply(ID, range(0, 1), &bad).error, Some(MachineError::NotSupported));
    }
    let gone = TargetId::new(9);
    assert_eq!(m.apply(gone, range(0, 1), &PAGEOUT).error, Some(MachineError::NoTarget(gone)));
    let full = m.insert(gone, vec![Mapping::new(range(0, 33))], Blocks::default());
    assert_eq!(full, Err(MachineError::Full { target: gone, needed: 33 * MIB, free: 32 * MIB }));
}

#[test]
fn the_workload_pays_for_faults_and_for_its_share_of_the_cpus() {
    let usage =
        Usage { elapsed: 100 * SECOND, stalled: 3 * SECOND, watching: SECOND, acting: 7 * SECOND, ..Usage::default() };
    assert_eq!(usage.slowdown(4), Bp(500));
    assert_eq!(Usage::default().slowdown(0), Bp(0));
}
