#![allow(clippy::unwrap_used)]

use super::super::bill::Payer;
use super::super::lru::List;
use super::super::state::State;
use super::super::{Costs, Exchange, Host, PAGE, PatternSpec, Spec, all_dram, run};
use super::*;

/// 1 GiB of DRAM and as much CXL memory; a program of 1.6 GiB whose hot tenth moves, behind memory that nobody uses.
fn spec() -> Spec {
    serde_json::from_str(
        r#"{"name": "small", "about": "", "block_mib": 4, "seconds": 120, "measure_from_s": 20, "cpus": 8,
        "nodes": [{"id": 0, "gib": 1, "kind": "dram"}, {"id": 1, "gib": 1, "kind": "cxl"}],
        "processes": [
            {"name": "old", "threads": 0, "memory": [{"gib": 0.8, "pattern": {"kind": "idle"}}]},
            {"name": "db", "threads": 8, "cpu_ns": 500, "accesses": 5, "memory": [{"gib": 0.8, "pattern":
                {"kind": "spots", "spot_mib": 8, "memory": 0.2, "accesses": 0.9, "life_s": 100}}]}]}"#,
    )
    .unwrap()
}

fn policies() -> Vec<Box<dyn Policy>> {
    vec![
        Box::new(FirstTouch),
        Box::new(NumaBalancing::default()),
        Box::new(Tpp::default()),
        Box::new(Oracle::default()),
        Box::new(Oracle::backwards()),
    ]
}

/// Every block that was touched is in one frame, on one list of that node, and frames are full of nothing else.
fn is_consistent(state: &State) {
    let present: usize = state.processes.iter().map(|p| p.present).sum();
    let mut held = 0;
    for (place, node) in state.nodes.iter().enumerate() {
        let here = node.frames.iter().flatten().count();
        assert!(here <= node.frames.len());
        assert_eq!(here + node.free(), node.frames.len(), "node {place}");
        let lists = [false, true].map(|active| state.lru.len(List { node: place as u8, active }));
        assert_eq!(lists.iter().sum::<usize>(), here, "node {place}");
        for (frame, &block) in node.frames.iter().enumerate().filter_map(|(i, b)| Some((i, b.as_ref()?))) {
            let block = &state.blocks[block as usize];
            assert_eq!((block.node, block.frame as usize), (Some(place as u8), frame));
        }
        held += here;
    }
    assert_eq!(held, present);
}

/// The same, but what is hot is what was written last, and memory is exchanged.
fn written() -> Spec {
    let mut spec = spec();
    spec.processes[1].memory[0].pattern = PatternSpec::Latest { theta: 0.99, item_bytes: 1_000, mib_per_s: 40.0 };
    spec.exchange = Some(Exchange { gib: 0.2, every_s: 5.0 });
    spec
}

#[test]
fn whatever_a_policy_does_no_page_is_lost_and_no_node_holds_more_than_it_has() {
    for (mut policy, spec) in
        policies().into_iter().map(|p| (p, spec())).chain(policies().into_iter().map(|p| (p, written())))
    {
        let host = Host::new(&spec, Costs::default(), 3).unwrap();
        let mut now = Instant::ZERO;
        while now < Instant::ZERO + Duration::from_secs(60) {
            host.advance(now);
            now = policy.wake(now, &host).unwrap().min(now + Duration::from_secs(5));
            is_consistent(&host.lock());
        }
    }
}

#[test]
fn what_is_written_is_new_memory_where_there_is_room_and_nobody_migrated_it() {
    let mut spec = written();
    spec.exchange = None;
    let host = Host::new(&spec, Costs::default(), 0).unwrap();
    host.advance(Instant::ZERO + Duration::from_secs(1));
    let bill = {
        let mut state = host.lock();
        // What will be written is in CXL memory, and so is some of what nobody uses: there is room in DRAM.
        let first = state.processes[1].first;
        assert!((0..40).chain(first..first + 40).all(|b| state.migrate(b, 1, 0, Payer::Kernel)));
        state.bill
    };
    // 10 blocks of 4 MiB a second: the first ten were written before they were moved.
    host.advance(Instant::ZERO + Duration::from_secs(4));
    let state = host.lock();
    let first = state.processes[1].first;
    let on_dram =
        |from: u32, to: u32| (from..to).filter(|b| state.blocks[(first + b) as usize].node == Some(0)).count();
    assert_eq!((on_dram(0, 10), on_dram(10, 40)), (0, 30));
    assert_eq!(state.bill, bill);
    is_consistent(&state);
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    let numab = |seed| run(&spec(), Costs::default(), seed, &mut NumaBalancing::default()).unwrap();
    assert_eq!(numab(1), numab(1));
    assert_ne!(numab(1).bill, numab(2).bill);
}

#[test]
fn a_migration_is_charged_to_who_migrates() {
    let host = Host::new(&spec(), Costs::default(), 0).unwrap();
    host.advance(Instant::ZERO + Duration::from_secs(1));
    let mut state = host.lock();
    let first = state.processes[1].first;
    let on_cxl: Vec<u32> = (first..first + 200).filter(|&b| state.blocks[b as usize].node == Some(1)).collect();
    let cold = state.nodes[0].frames.iter().flatten().copied().take(4).collect::<Vec<_>>();
    for block in cold {
        assert!(state.migrate(block, 1, 0, Payer::Kernel));
    }
    let page_s = state.costs.migrate_ns * 1e-9 * state.pages();
    let (bill, debt) = (state.bill, state.processes[1].debt);
    assert!((bill.migrating_s - 4.0 * page_s).abs() < 1e-9 && bill.direct_s == 0.0);
    assert!(state.migrate(on_cxl[0], 0, 0, Payer::Program(1)));
    let added = state.bill.since(&bill);
    assert!((added.direct_s - page_s).abs() < 1e-9 && added.migrating_s == 0.0);
    // And flushes of TLBs, one a page on each of its CPUs.
    let flushes = state.pages() * 8.0 * state.costs.shootdown_ns * 1e-9;
    assert!((state.processes[1].debt - debt - page_s - flushes).abs() < 1e-9);
    assert_eq!((added.promoted, added.demoted), (state.spec.block(), 0));
}

#[test]
fn hint_faults_and_arming_are_charged_to_the_program() {
    let host = Host::new(&spec(), Costs::default(), 0).unwrap();
    host.advance(Instant::ZERO + Duration::from_secs(1));
    let armed = {
        let mut state = host.lock();
        let first = state.processes[1].first;
        assert!((first..first + 200).all(|b| state.arm(b)));
        state.bill.arming_s
    };
    assert!((armed - 200.0 * 1024.0 * 50e-9).abs() < 1e-9);
    host.advance(Instant::ZERO + Duration::from_secs(5));
    let mut state = host.lock();
    let faults = state.take_faults().len() as f64;
    assert!(faults > 0.0);
    assert!((state.bill.faulting_s - faults * 1024.0 * 1_500e-9).abs() < 1e-9);
    assert_eq!((state.bill.hint_faults, state.bill.kernel_s()), (faults as u64 * (4 << 20) / PAGE, 0.0));
}

#[test]
fn no_policy_gains_more_than_the_oracle_and_one_that_moves_the_coldest_up_is_worst() {
    let spec = spec();
    let none = run(&spec, Costs::default(), 1, &mut FirstTouch).unwrap();
    let gains: Vec<(String, f64)> = policies()
        .iter_mut()
        .map(|p| (p.name(), run(&spec, Costs::default(), 1, p.as_mut()).unwrap().gain(&none)))
        .collect();
    let of = |name: &str| gains.iter().find(|g| g.0 == name).unwrap().1;
    assert!(gains.iter().all(|g| g.1 <= of("oracle")), "{gains:?}");
    assert!(gains.iter().all(|g| g.0 == "backwards" || g.1 > of("backwards")), "{gains:?}");
    let dram = run(&all_dram(&spec), Costs::default(), 1, &mut FirstTouch).unwrap();
    assert!(dram.gain(&none) >= of("oracle"), "{gains:?}");
}
